package gemma4_test

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/chat"
	"github.com/gogemma/gemma4/gguf"
	"github.com/gogemma/gemma4/tensor"
)

var cacheFormats = []gemma4.CacheFormat{gemma4.CacheF16, gemma4.CacheF32, gemma4.CacheQ8, gemma4.CacheQ4}

// restored returns a session or chat that is closed with the test.
func restored(t testing.TB, m *gemma4.Model, path string, o gemma4.SessionOptions) *gemma4.Session {
	t.Helper()
	s, err := m.Restore(path, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func restoredChat(t testing.TB, m *gemma4.Model, path string, o gemma4.ChatOptions) *gemma4.Chat {
	t.Helper()
	if o.Sampling.Temperature == nil {
		o.Sampling.Temperature = greedy.Temperature
	}
	c, err := m.RestoreChat(path, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func save(t testing.TB, s interface{ Save(string) error }) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "saved")
	if err := s.Save(path); err != nil {
		t.Fatal(err)
	}
	return path
}

// state is what can be seen of a session.
func state(s *gemma4.Session) string {
	return fmt.Sprintf("%d positions, logits %x", s.Len(), crc32.ChecksumIEEE(fmt.Append(nil, s.Logits(nil))))
}

func TestRestoredSessionsGoOnWithTheSameBytes(t *testing.T) {
	m := openNano(t, gemma4.Loader{})
	// long is more than a window and more than a page.
	long := strings.Repeat("<|turn>user\nThe code of Mia is 4821. What is the code of Mia?<turn|>\n<|turn>model\n", 12)
	for _, format := range cacheFormats {
		for _, test := range []struct {
			name    string
			prepare func(t *testing.T, s *gemma4.Session)
		}{
			{"nothing", func(*testing.T, *gemma4.Session) {}},
			{"a prompt", func(t *testing.T, s *gemma4.Session) {
				if err := s.Read(ctx, prompt(m, question)...); err != nil {
					t.Error(err)
				}
			}},
			{"a long one, taken back to its first turn", func(t *testing.T, s *gemma4.Session) {
				if err := s.Read(ctx, prompt(m, question+long)...); err != nil {
					t.Error(err)
				}
				s.Rewind(30)
			}},
			{"an answer", func(t *testing.T, s *gemma4.Session) { generate(t, s, prompt(m, question), gemma4.GenerateOptions{}) }},
			{"a token that the graph has not seen", func(t *testing.T, s *gemma4.Session) {
				for range s.Generate(ctx, prompt(m, question+long+"The"), gemma4.GenerateOptions{}) {
					break
				}
			}},
			{"embeddings", func(t *testing.T, s *gemma4.Session) {
				soft := make([]float32, 7*m.Config().Width)
				for i := range soft {
					soft[i] = float32(i%13) - 6
				}
				if err := s.Read(ctx, append(prompt(m, question), gemma4.Input{Embeddings: soft})...); err != nil {
					t.Error(err)
				}
			}},
		} {
			t.Run(format.String()+"/"+test.name, func(t *testing.T) {
				o := gemma4.SessionOptions{Cache: format}
				s := newSession(t, m, o)
				test.prepare(t, s)
				path := save(t, s)
				again := restored(t, m, path, o)
				if state(again) != state(s) {
					t.Errorf("restored: %s, want %s", state(again), state(s))
				}
				if err := again.Save(path); err != nil { // over the file that it lies in
					t.Error(err)
				}
				want := future(t, m, s)
				for _, s := range []*gemma4.Session{again, restored(t, m, path, o)} {
					if got := future(t, m, s); got != want {
						t.Errorf("goes on with\n%s\nwant\n%s", got, want)
					}
				}
			})
		}
	}
}

// future tells how a session continues: an answer, and another one after it was taken back.
func future(t *testing.T, m *gemma4.Model, s *gemma4.Session) string {
	t.Helper()
	out := generate(t, s, prompt(m, "<turn|>\n"+strings.TrimPrefix(question, "<bos>")), gemma4.GenerateOptions{MaxTokens: 9}) + "; " +
		state(s)
	s.Rewind(s.Len() - 5)
	out += "; " + generate(t, s, prompt(m, " of"), gemma4.GenerateOptions{MaxTokens: 5}) + "; " + state(s)
	out += fmt.Sprintf("; rewound to %d; ", rewind(t, s, 20))
	return out + generate(t, s, prompt(m, "What is"), gemma4.GenerateOptions{MaxTokens: 5}) + "; " + state(s)
}

func TestRestoredChatsGoOn(t *testing.T) {
	m := openNano(t, gemma4.Loader{})
	var tool chat.Tool
	err := json.Unmarshal([]byte(`{"type": "function", "function": {"name": "get_weather", "description": "Weather in a city.",
		"parameters": {"type": "object", "properties": {
		"city": {"type": "string", "description": "City <name>"}}, "required": ["city"]}}}`), &tool)
	if err != nil {
		t.Fatal(err)
	}
	user := func(text string) chat.Message { return chat.Message{Role: "user", Content: text} }
	for _, test := range []struct {
		name  string
		o     gemma4.ChatOptions
		turns []func(c *gemma4.Chat) chat.Message
	}{
		{"plain", gemma4.ChatOptions{}, []func(*gemma4.Chat) chat.Message{
			func(*gemma4.Chat) chat.Message {
				return user("The code of Mia is 4821. The code of Leo is 7730. What is the code of Mia?")
			},
			func(*gemma4.Chat) chat.Message { return user("What is the code of Leo?") },
		}},
		{"thinking", gemma4.ChatOptions{Thinking: true, System: "Be <brief> & kind."}, []func(*gemma4.Chat) chat.Message{
			func(*gemma4.Chat) chat.Message { return user("What is the capital of Peru?") },
			func(*gemma4.Chat) chat.Message { return user("What is the capital of Kenya?") },
		}},
		{"tools", gemma4.ChatOptions{Tools: []chat.Tool{tool}, System: "Be brief."}, []func(*gemma4.Chat) chat.Message{
			func(*gemma4.Chat) chat.Message { return user("What is the weather in Oslo?") },
			func(c *gemma4.Chat) chat.Message {
				call := c.Messages[len(c.Messages)-1].ToolCalls[0]
				return chat.Message{Role: "tool", ToolCallID: call.ID, Name: call.Name, Content: "rainy, 9 degrees"}
			},
			func(*gemma4.Chat) chat.Message { return user("What is 2 + 3?") },
		}},
		{"parts", gemma4.ChatOptions{}, []func(*gemma4.Chat) chat.Message{
			func(*gemma4.Chat) chat.Message {
				return chat.Message{Role: "user", Parts: []chat.Part{{Type: "text", Text: "What is "}, {Type: "text", Text: "2 + 3?"}}}
			},
			func(*gemma4.Chat) chat.Message { return user("What is 4 + 4?") },
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := newChat(t, m, test.o)
			saved := c
			for i, turn := range test.turns {
				text, thought, calls := answer(t, c, turn(c))
				if saved != c {
					text2, thought2, calls2 := answer(t, saved, turn(saved))
					if text2 != text || thought2 != thought || !reflect.DeepEqual(calls2, calls) {
						t.Errorf("turn %d: %q, %q, %v after restoring, want %q, %q, %v", i, text2, thought2, calls2, text, thought, calls)
					}
					if r, want := saved.Result(), c.Result(); r.Reused != want.Reused || r.Prompt != want.Prompt {
						t.Errorf("turn %d: %d positions reused, %d read, want %d and %d", i, r.Reused, r.Prompt, want.Reused, want.Prompt)
					}
				}
				saved = restoredChat(t, m, save(t, saved), gemma4.ChatOptions{})
				if !reflect.DeepEqual(saved.Messages, c.Messages) || !reflect.DeepEqual(saved.Options.Tools, compact(t, c.Options.Tools)) ||
					saved.Options.System != c.Options.System || saved.Options.Thinking != c.Options.Thinking {
					t.Errorf("turn %d: restored\n%+v\n%+v\nwant\n%+v\n%+v", i, saved.Messages, saved.Options, c.Messages, c.Options)
				}
			}
		})
	}
}

// compact returns tools as JSON brings them back.
func compact(t *testing.T, tools []chat.Tool) (out []chat.Tool) {
	b, err := json.Marshal(tools)
	if err == nil {
		err = json.Unmarshal(b, &out)
	}
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestRestoredChatsTakeWhatTheOptionsSay(t *testing.T) {
	m := openNano(t, gemma4.Loader{})
	c := newChat(t, m, gemma4.ChatOptions{System: "Be brief."})
	answer(t, c, chat.Message{Role: "user", Content: "What is 2 + 3?"})
	path := save(t, c)
	again := restoredChat(t, m, path, gemma4.ChatOptions{System: "Be kind.", Thinking: true})
	if again.Options.System != "Be kind." || !again.Options.Thinking || len(again.Messages) != 2 {
		t.Errorf("restored as %+v", again.Options)
	}
	if s := restored(t, m, path, gemma4.SessionOptions{}); state(s) != state(c.Session()) {
		t.Errorf("as a session the chat is %s, want %s", state(s), state(c.Session()))
	}
	if _, err := m.RestoreChat(save(t, c.Session()), gemma4.ChatOptions{}); err == nil ||
		!strings.Contains(err.Error(), "holds a session without a conversation: Restore opens it") {
		t.Errorf("a session as a chat: %v", err)
	}
}

func TestRestoreRefusesWhatDoesNotFit(t *testing.T) {
	m := openNano(t, gemma4.Loader{})
	s := newSession(t, m, gemma4.SessionOptions{})
	if err := s.Read(ctx, prompt(m, question)...); err != nil {
		t.Fatal(err)
	}
	path := save(t, s)
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var full *gemma4.ContextError
	if _, err := m.Restore(path, gemma4.SessionOptions{Context: s.Len() - 1}); !errors.As(err, &full) || full.Need != s.Len() ||
		full.Limit != s.Len()-1 {
		t.Errorf("a small context: %v", err)
	}
	if _, err := m.Restore(path, gemma4.SessionOptions{Cache: gemma4.CacheQ8}); err == nil ||
		!strings.HasSuffix(err.Error(), "model: the cache is in F16, the session's in Q8_0") {
		t.Errorf("another cache: %v", err)
	}
	var memory *gemma4.MemoryError
	if _, err := m.Restore(path, gemma4.SessionOptions{Memory: 1}); !errors.As(err, &memory) {
		t.Errorf("too little memory: %v", err)
	}
	if _, err := m.Restore(filepath.Join(t.TempDir(), "missing"), gemma4.SessionOptions{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	other, err := gemma4.OpenBytes(altered(t, shape("e"), nil))
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if _, err := other.Restore(path, gemma4.SessionOptions{}); !errors.Is(err, gemma4.ErrOtherModel) ||
		err.Error() != "gemma4: "+path+": it was saved with another model" {
		t.Errorf("another model: %v", err)
	}
	s.Close()
	if err := s.Save(path); err != gemma4.ErrClosed {
		t.Errorf("a closed session was saved: %v", err)
	}
	if after, err := os.ReadFile(path); err != nil || !bytes.Equal(after, before) {
		t.Errorf("the file has changed: %v", err)
	}
	m.Close()
	if _, err := m.Restore(path, gemma4.SessionOptions{}); err != gemma4.ErrClosed {
		t.Errorf("a closed model: %v", err)
	}
}

func TestRestoreSaysWhatIsWrong(t *testing.T) {
	m := openNano(t, gemma4.Loader{})
	c := newChat(t, m, gemma4.ChatOptions{})
	answer(t, c, chat.Message{Role: "user", Content: "What is 2 + 3?"})
	good, err := os.ReadFile(save(t, c))
	if err != nil {
		t.Fatal(err)
	}
	n := c.Session().Len()
	ids := make([]int32, n)
	last := func(ids []int32, id int32) []int32 { ids = slices.Clone(ids); ids[len(ids)-1] = id; return ids }
	vocabulary := m.Config().Vocabulary
	logits := func(t gguf.Type, n int) func(m *gguf.Metadata, x []gguf.Source) []gguf.Source {
		return func(_ *gguf.Metadata, x []gguf.Source) []gguf.Source {
			_, size := t.Block()
			x[slices.IndexFunc(x, func(s gguf.Source) bool { return s.Name == "logits" })] = gguf.NewSource("logits", t, []int{n},
				make([]byte, n*size))
			return x
		}
	}
	// embeddings makes positions 3 and 4 embeddings, of which the file says what and where they are.
	embeddings := func(at, identities any) func(m *gguf.Metadata, x []gguf.Source) []gguf.Source {
		return func(m *gguf.Metadata, x []gguf.Source) []gguf.Source {
			some := slices.Clone(ids)
			some[3], some[4] = -1, -1
			set(m, "gemma4.session.ids", some)
			for key, v := range map[string]any{"gemma4.session.embeddings": at, "gemma4.session.identities": identities} {
				if v != nil {
					set(m, key, v)
				}
			}
			return x
		}
	}
	for i, test := range []struct {
		change func(m *gguf.Metadata, x []gguf.Source) []gguf.Source
		want   string
	}{
		{with("gemma4.session.ids", ids[1:]), fmt.Sprintf("gemma4.session.ids has %d elements, expected %d to %d", n-1, n, n+16)},
		{with("gemma4.session.ids", append(ids, make([]int32, 17)...)), fmt.Sprintf("gemma4.session.ids has %d elements", n+17)},
		{with("gemma4.session.ids", append(ids, -1)), fmt.Sprintf("gemma4.session.ids has -1 as element %d", n)},
		{with("gemma4.session.ids", last(ids, -2)),
			fmt.Sprintf("gemma4.session.ids has -2 as element %d, which is outside the vocabulary of %d", n-1, vocabulary)},
		{with("gemma4.session.ids", last(ids, int32(vocabulary))), fmt.Sprintf("gemma4.session.ids has %d as element", vocabulary)},
		{with("gemma4.session.ids", int32(1)), "gemma4.session.ids: type int32, expected an array"},
		{embeddings(nil, []uint64{1}), "gemma4.session.embeddings: missing"},
		{embeddings([]uint32{3}, nil), "gemma4.session.identities: missing"},
		{embeddings([]uint32{3}, []uint64{1, 2}), "gemma4.session.identities has 2 elements, expected 1 as gemma4.session.embeddings has"},
		{embeddings([]uint32{5}, []uint64{1}), "gemma4.session.embeddings has 5 as element 0, expected ascending positions, from 0 on"},
		{embeddings([]uint32{4, 3}, []uint64{1, 1}), "gemma4.session.embeddings has 3 as element 1"},
		{embeddings([]uint32{3, 3}, []uint64{1, 1}), "gemma4.session.embeddings has 3 as element 1"},
		{embeddings([]uint32{math.MaxUint32}, []uint64{1}), "gemma4.session.embeddings has 4294967295 as element 0"},
		{embeddings([]int64{-1}, []uint64{1}), "gemma4.session.embeddings has -1 as element 0"},
		{embeddings([]string{"3"}, []uint64{1}), "gemma4.session.embeddings: element 0"},
		{embeddings(uint32(3), []uint64{1}), "gemma4.session.embeddings: type uint32, expected an array"},
		{embeddings(make([]uint32, n+1), make([]uint64, n+1)),
			fmt.Sprintf("gemma4.session.embeddings has %d elements, expected at most %d", n+1, n)},
		{embeddings([]uint32{3, 4}, []uint64{1, 0}), "gemma4.session.identities has 0 as element 1, expected 1 to 2⁶³−1"},
		{embeddings([]uint32{3, 4}, []uint64{1 << 63, 1}), "gemma4.session.identities: element 0"},
		{embeddings([]uint32{3}, []float32{1}), "gemma4.session.identities: element 0"},
		{logits(gguf.F32, vocabulary-1), fmt.Sprintf("the tensor logits is F32 of shape [%d]", vocabulary-1)},
		{logits(gguf.F16, vocabulary), "the tensor logits is F16 of shape"},
		{with("gemma4.session.conversation", uint32(1)), "gemma4.session.conversation: type uint32"},
		{with("gemma4.session.conversation", "{"), "unexpected end of JSON input"},
		{with("gemma4.session.conversation", `{"messages": [{"role": 1}]}`), "chat: message 0"},
		{with("gemma4.session.conversation", `{"tools": [{}]}`), "chat: tool 0: no name"},
		{with("gemma4.session.system", uint32(1)), "gemma4.session.system: type uint32"},
		{with("gemma4.session.calls", int32(-1)), "gemma4.session.calls is -1"},
		{with("gemma4.session.calls", uint32(1<<31)), "gemma4.session.calls is 2147483648"},
	} {
		f, err := gguf.OpenBytes(good[:len(good)-4])
		if err != nil {
			t.Fatal(err)
		}
		var sources []gguf.Source
		for _, x := range f.Tensors {
			sources = append(sources, x.Source())
		}
		sources = test.change(f.Metadata, sources)
		var b bytes.Buffer
		size, err := gguf.Size(f.Metadata, sources)
		if err := errors.Join(err, f.Metadata.Set("gemma4.session.bytes", uint64(size+4)),
			gguf.Write(&b, f.Metadata, sources)); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "broken")
		if err := os.WriteFile(path, sealed(b.Bytes()), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := m.RestoreChat(path, gemma4.ChatOptions{}); err == nil || !strings.HasPrefix(err.Error(), "gemma4: "+path+": ") ||
			!strings.Contains(err.Error(), test.want) {
			t.Errorf("%d: error %v, want %s", i, err, test.want)
		}
	}
}

// sealed appends the checksum of a saved session.
func sealed(b []byte) []byte {
	table := crc32.MakeTable(crc32.Castagnoli)
	var sums []byte
	for piece := range slices.Chunk(b, 1<<20) {
		sums = binary.LittleEndian.AppendUint32(sums, crc32.Checksum(piece, table))
	}
	return binary.LittleEndian.AppendUint32(slices.Clip(b), crc32.Checksum(sums, table))
}

func TestSaveReplacesAFileInOneStep(t *testing.T) {
	m := openNano(t, gemma4.Loader{})
	s := newSession(t, m, gemma4.SessionOptions{})
	dir := t.TempDir()
	nowhere := filepath.Join(dir, "missing", "s.gguf")
	if err := s.Save(nowhere); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), nowhere+":") ||
		strings.Contains(err.Error(), ".part") {
		t.Errorf("saving in a folder that is missing: %v", err)
	}
	put := func(name string, content []byte, age time.Duration) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, content, 0o644); err != nil {
			t.Fatal(err)
		}
		then := time.Now().Add(-age)
		if err := os.Chtimes(path, then, then); err != nil {
			t.Fatal(err)
		}
		return name
	}
	whole, err := os.ReadFile(save(t, s))
	if err != nil {
		t.Fatal(err)
	}
	// killed returns what a save under that number left.
	killed := func(number uint64) []byte {
		b := slices.Clone(whole[:500])
		at := bytes.Index(b, []byte("gemma4.session.file")) + len("gemma4.session.file") + 4
		binary.LittleEndian.PutUint64(b[at:], number)
		return b
	}
	old := []byte("old")
	put("s.1234567.part", killed(1234567), time.Hour)
	put("s.18446744073709551615.part", killed(math.MaxUint64), time.Hour)
	want := []string{
		"link", put("s", old, 0),
		// may be growing
		put("s.12.part", killed(12), 0),
		// a user's
		put("s.13.part", old, time.Hour), put("s.14.part", nil, time.Hour), put("s.15.part", killed(16), time.Hour),
		put("s.16.part", whole, time.Hour),
		put("s.part", killed(1), time.Hour), put("s.1a.part", killed(1), time.Hour), put("t.12.part", killed(12), time.Hour),
		put("s.12.parts", killed(12), time.Hour),
	}
	path, link := filepath.Join(dir, "s"), filepath.Join(dir, "link")
	if err := os.Symlink("s", link); err != nil {
		t.Skip(err)
	}
	if err := s.Save(link); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("the folder holds %q, want %q", got, want)
	}
	if info, err := os.Lstat(link); err != nil || info.Mode().Type() != fs.ModeSymlink {
		t.Errorf("the link has become %v, %v", info.Mode(), err)
	}
	if info, err := os.Stat(path); err != nil || runtime.GOOS != "windows" && info.Mode() != 0o600 {
		t.Errorf("the file is %v, %v", info.Mode(), err)
	}
	restored(t, m, path, gemma4.SessionOptions{})
	if err := s.Save(dir); err == nil || !strings.Contains(err.Error(), "is not a regular file") {
		t.Errorf("saved over a folder: %v", err)
	}
	if err := s.Save(filepath.Join(dir, "missing", "s")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("saved into a folder that is not there: %v", err)
	}
}

func TestFilesCutWhileTheyAreUsedAreErrors(t *testing.T) {
	if runtime.GOARCH != "amd64" || runtime.GOOS == "windows" { // emulators do not tell where a fault was; Windows reads the file
		t.Skip()
	}
	m := openNano(t, gemma4.Loader{})
	s := newSession(t, m, gemma4.SessionOptions{})
	if err := s.Read(ctx, prompt(m, question+strings.Repeat(question[5:], 10))...); err != nil {
		t.Fatal(err)
	}
	path := save(t, s)
	broken := restored(t, m, path, gemma4.SessionOptions{})
	if err := os.Truncate(path, 4096); err != nil {
		t.Fatal(err)
	}
	if _, err := broken.Write(ctx, 5); err == nil || !strings.Contains(err.Error(), "cut short") {
		t.Errorf("written with the error %v", err)
	}
	if err := broken.Save(filepath.Join(t.TempDir(), "s")); err == nil || !strings.Contains(err.Error(), "cut short") {
		t.Errorf("saved with the error %v", err)
	}
	broken.Rewind(0)
	if err := broken.Read(ctx, prompt(m, question)...); err != nil {
		t.Errorf("what needs nothing of the file: %v", err)
	}
	// After a full page the next one is new: only attention misses those of the file.
	if s.Rewind(128); s.Len() != 128 {
		t.Fatalf("%d positions", s.Len())
	}
	if err := s.Save(path); err != nil {
		t.Fatal(err)
	}
	broken = restored(t, m, path, gemma4.SessionOptions{})
	if err := os.Truncate(path, 4096); err != nil {
		t.Fatal(err)
	}
	if _, err := broken.Write(ctx, 5); !errors.Is(err, tensor.ErrFault) {
		t.Errorf("written with the error %v", err)
	}
}

func TestSessionsAreSavedAndRestoredSideBySide(t *testing.T) {
	m := openNano(t, gemma4.Loader{})
	path := filepath.Join(t.TempDir(), "s")
	var want []string
	for i := range 3 {
		s := newSession(t, m, gemma4.SessionOptions{})
		if err := s.Read(ctx, prompt(m, strings.Repeat(question, i+1))...); err != nil {
			t.Fatal(err)
		}
		if err := s.Save(path); err != nil {
			t.Fatal(err)
		}
		want = append(want, state(s))
	}
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 10 {
				s, err := m.Restore(path, gemma4.SessionOptions{})
				if err != nil && runtime.GOOS == "windows" {
					continue // it refuses to open what is being replaced
				} else if err != nil {
					t.Error(err)
					return
				}
				if !slices.Contains(want, state(s)) {
					t.Errorf("restored as %s, want one of %q", state(s), want)
				}
				if err := s.Save(path); err != nil && runtime.GOOS != "windows" { // which refuses while somebody reads
					t.Error(err)
				}
				s.Close()
			}
		})
	}
	all.Wait()
}

// TestKilledSavesLeaveTheOldOrTheNewFile kills a process that saves two sessions in turn over each other.
func TestKilledSavesLeaveTheOldOrTheNewFile(t *testing.T) {
	m := openNano(t, gemma4.Loader{})
	dir := os.Getenv("GEMMA4_TEST_SAVE")
	if dir != "" { // the process that is killed
		a, b := restored(t, m, filepath.Join(dir, "a"), gemma4.SessionOptions{}),
			restored(t, m, filepath.Join(dir, "b"), gemma4.SessionOptions{})
		fmt.Println("ready")
		for {
			for _, s := range []*gemma4.Session{a, b} {
				if err := s.Save(filepath.Join(dir, "saved")); err != nil {
					t.Fatal(err)
				}
				fmt.Println("saved")
			}
		}
	}
	if runtime.GOOS == "js" || runtime.GOOS == "wasip1" {
		t.Skip("no processes here")
	}
	dir = t.TempDir()
	path := filepath.Join(dir, "saved")
	var want [2]string
	for i, name := range []string{"a", "b"} {
		s := newSession(t, m, gemma4.SessionOptions{})
		if err := s.Read(ctx, prompt(m, strings.Repeat(question, 4+8*i))...); err != nil {
			t.Fatal(err)
		}
		want[i] = state(s)
		for _, path := range []string{filepath.Join(dir, name), path} {
			if err := s.Save(path); err != nil {
				t.Fatal(err)
			}
		}
	}
	times := 200
	if testing.Short() {
		times = 10
	}
	r := rand.New(rand.NewPCG(1, 2))
	var seen [2]int
	leftovers := 0
	for range times {
		child := exec.Command(os.Args[0], "-test.run=^TestKilledSavesLeaveTheOldOrTheNewFile$")
		child.Env = append(os.Environ(), "GEMMA4_TEST_SAVE="+dir)
		pipe, err := child.StdoutPipe()
		if err == nil {
			err = child.Start()
		}
		out, took := bufio.NewReader(pipe), time.Duration(0)
		for range 2 + r.IntN(2) { // then the next file is being written
			began := time.Now()
			if err == nil {
				_, err = out.ReadString('\n')
			}
			took = time.Since(began)
		}
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(r.Float64() * float64(took))) // any moment of it, if it takes as long as the last one
		if err := child.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		child.Wait()
		s, err := m.Restore(path, gemma4.SessionOptions{})
		if err != nil {
			t.Fatal(err)
		}
		which := slices.Index(want[:], state(s))
		if which < 0 {
			t.Fatalf("neither the old nor the new session is there, but %s", state(s))
		}
		s.Close()
		seen[which]++
		parts, err := filepath.Glob(path + ".*.part")
		if err != nil {
			t.Fatal(err)
		}
		leftovers += len(parts)
		for _, part := range parts {
			os.Remove(part)
		}
	}
	t.Logf("killed %d times, %d in the middle of a file; the sessions are there %d times", times, leftovers, seen)
	if !testing.Short() && (leftovers == 0 || seen[0] == 0 || seen[1] == 0) {
		t.Error("the moments were not random enough to show anything")
	}
}
