package gemma4_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/chat"
	"github.com/gogemma/gemma4/gguf"
	"github.com/gogemma/gemma4/nano"
)

// sizes notes how large a file is and which one.
type sizes struct {
	t    *testing.T
	path string
	info os.FileInfo
}

// grew reports whether the file is still the one it was before the last call, and how many bytes longer.
func (s *sizes) grew() (by int64, same bool) {
	s.t.Helper()
	f, err := os.Open(s.path)
	if err != nil {
		s.t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat() // os.Stat of Windows would look at what is at the path when it is compared
	if err != nil {
		s.t.Fatal(err)
	}
	if s.info != nil {
		by, same = info.Size()-s.info.Size(), os.SameFile(info, s.info)
	}
	s.info = info
	return by, same
}

func TestUpdateAppendsWhatATurnAdds(t *testing.T) {
	m := openNano(t, gemma4.Loader{})
	c := newChat(t, m, gemma4.ChatOptions{System: "Be brief."})
	path := filepath.Join(t.TempDir(), "s")
	file := sizes{t: t, path: path}
	check := func(what string) {
		t.Helper()
		if err := c.Update(path); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		again := restoredChat(t, m, path, gemma4.ChatOptions{})
		if state(again.Session()) != state(c.Session()) || !reflect.DeepEqual(again.Messages, c.Messages) ||
			again.Options.System != c.Options.System ||
			again.Options.Thinking != c.Options.Thinking || !reflect.DeepEqual(again.Options.Tools, compact(t, c.Options.Tools)) {
			t.Errorf("%s: restored\n%s, %+v, %+v\nwant\n%s, %+v, %+v", what, state(again.Session()), again.Messages, again.Options,
				state(c.Session()), c.Messages, c.Options)
		}
		fork, err := c.Fork()
		if err != nil {
			t.Fatal(err)
		}
		defer fork.Close()
		text, _, _ := answer(t, again, chat.Message{Role: "user", Content: "What is 4 + 4?"})
		if want, _, _ := answer(t, fork, chat.Message{Role: "user", Content: "What is 4 + 4?"}); text != want ||
			again.Result().Reused != fork.Result().Reused {
			t.Errorf("%s: goes on with %q, want %q", what, text, want)
		}
	}
	appended := func(what string) {
		t.Helper()
		check(what)
		if by, same := file.grew(); !same || by <= 0 {
			t.Errorf("%s: the file is %d bytes longer, the same: %v", what, by, same)
		}
	}
	answer(t, c, chat.Message{Role: "user", Content: "The code of Mia is 4821. What is the code of Mia?"})
	check("the first turn")
	file.grew()
	answer(t, c, chat.Message{Role: "user", Content: "What is the capital of France?"})
	appended("the second turn")
	appended("nothing")
	c.Messages = c.Messages[:2]
	answer(t, c, chat.Message{Role: "user", Content: "What is 2 + 3?"})
	appended("another second turn")
	c.Messages = c.Messages[:2]
	appended("undone, not read yet")
	c.Options.System = ""
	c.Options.Thinking = true
	answer(t, c, chat.Message{Role: "user", Content: "What is 2 + 3?"})
	appended("other options")
	c.Options.Thinking = false
	c.Messages[0].Content = "The code of Mia is 7. What is the code of Mia?"
	answer(t, c, chat.Message{Role: "user", Content: "What is 3 + 3?"})
	appended("a changed message")
	if err := c.Session().Read(ctx, gemma4.Input{Embeddings: make([]float32, 3*m.Config().Width)}); err != nil {
		t.Fatal(err)
	}
	appended("embeddings")
	// What was restored continues in the same file, and the segments are merged by Save.
	c = restoredChat(t, m, path, gemma4.ChatOptions{})
	answer(t, c, chat.Message{Role: "user", Content: "What is the capital of Peru?"})
	appended("restored")
	if err := c.Save(path); err != nil {
		t.Fatal(err)
	}
	if by, same := file.grew(); same || by >= 0 {
		t.Errorf("saved: the file is %d bytes longer, the same: %v", by, same)
	}
	answer(t, c, chat.Message{Role: "user", Content: "What is the capital of Kenya?"})
	appended("saved")
	if err := c.Session().Update(path); err != nil { // without the conversation
		t.Fatal(err)
	}
	check("its session updated")
	if err := c.Session().Save(path); err != nil {
		t.Fatal(err)
	}
	check("its session saved")
}

func TestUpdatedFilesDoNotGrowWithoutBounds(t *testing.T) {
	m := openNano(t, gemma4.Loader{})
	s := newSession(t, m, gemma4.SessionOptions{})
	path := filepath.Join(t.TempDir(), "s")
	if err := s.Read(ctx, prompt(m, question)...); err != nil {
		t.Fatal(err)
	}
	file := sizes{t: t, path: path}
	merged := 0
	for range 40 {
		if _, err := s.Write(ctx, 5); err != nil {
			t.Fatal(err)
		}
		if err := s.Update(path); err != nil {
			t.Fatal(err)
		}
		if _, same := file.grew(); !same {
			merged++
		}
		if n := file.info.Size(); n > 3<<20 {
			t.Fatalf("%d positions are in %d bytes", s.Len(), n)
		}
	}
	if merged < 2 || merged > 10 {
		t.Errorf("merged %d times", merged)
	}
}

// TestUpdatedFilesHoldTheSession changes a session in random ways and compares all that can be saved of it with what its file holds.
func TestUpdatedFilesHoldTheSession(t *testing.T) {
	m := openNano(t, gemma4.Loader{})
	prefixes := gemma4.NewPrefixCache(1 << 30)
	defer prefixes.Close()
	whole := func(s *gemma4.Session) []byte {
		t.Helper()
		var b bytes.Buffer
		if err := s.SaveTo(&b); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	rounds := 600
	if testing.Short() {
		rounds = 80
	}
	text := m.Tokenizer().Encode(strings.Repeat(question, 8), true)
	for seed, o := range []gemma4.SessionOptions{{}, {Prefixes: prefixes, History: -1},
		{Cache: gemma4.CacheQ8, History: 1 << 17, Batch: 33}} {
		r := rand.New(rand.NewPCG(uint64(seed), 1))
		path := filepath.Join(t.TempDir(), "s")
		file := sizes{t: t, path: path}
		appends := 0
		s := newSession(t, m, o)
		var log []string
		for range rounds / 3 {
			what := ""
			var err error
			switch k := r.IntN(9); {
			case s.Len() > 1500:
				what = "rewind to a little"
				rewind(t, s, r.IntN(300))
			case k < 2:
				n := 1 + r.IntN(len(text)-1)
				what = fmt.Sprintf("read %d", n)
				err = s.Read(ctx, gemma4.Input{Tokens: text[:n]})
			case k == 2:
				what = "write"
				_, err = s.Write(ctx, 5, 6, 7)
			case k == 3:
				what = "embeddings"
				err = s.Read(ctx, gemma4.Input{Embeddings: make([]float32, 5*m.Config().Width)})
			case k == 4:
				what = "generate and leave" // the last token has not gone through the graph
				n := r.IntN(4)
				for _, e := range s.Generate(ctx, prompt(m, "What"), gemma4.GenerateOptions{}) {
					if err = e; n == 0 {
						break
					}
					n--
				}
			case k == 5:
				what = "reuse"
				reuse(t, s, text)
			default:
				n := max(0, s.Len()-r.IntN(200))
				what = fmt.Sprintf("rewind to %d", n)
				rewind(t, s, n)
			}
			if log = append(log, what); err != nil {
				t.Fatalf("%v: %v", log, err)
			}
			if r.IntN(3) == 0 {
				continue
			}
			if err := s.Update(path); err != nil {
				t.Fatalf("%v: %v", log, err)
			}
			if _, same := file.grew(); same {
				appends++
			}
			again := restored(t, m, path, o)
			if !bytes.Equal(whole(again), whole(s)) {
				t.Fatalf("%v, updated: the file holds %s, the session %s", log, state(again), state(s))
			}
			log = append(log, "update")
			if r.IntN(4) == 0 {
				s.Close()
				s = again
				log = append(log, "restore")
			} else {
				again.Close()
			}
			if r.IntN(20) == 0 {
				if err := s.Save(path); err != nil {
					t.Fatal(err)
				}
				log = append(log, "save")
			}
		}
		t.Logf("%d of %d updates were appended", appends, rounds/3)
		if appends < rounds/20 {
			t.Errorf("%d of %d updates were appended", appends, rounds/3)
		}
	}
}

func TestUpdatesCostNoMoreInLongTexts(t *testing.T) {
	m := openNano(t, gemma4.Loader{})
	long := strings.Repeat("<|turn>user\nThe code of Mia is 4821. What is the code of Mia?<turn|>\n<|turn>model\n", 100)
	grown := map[int]int64{}
	for _, n := range []int{512, 1024, 2048} {
		c := newChat(t, m, gemma4.ChatOptions{})
		for i := range n / 32 {
			c.Messages = append(c.Messages, chat.Message{Role: []string{"user", "assistant"}[i%2], Content: "What is that?"})
		}
		if err := c.Session().Read(ctx, gemma4.Input{Tokens: m.Tokenizer().Encode(long, true)[:n]}); err != nil {
			t.Fatal(err)
		}
		path := save(t, c)
		file := sizes{t: t, path: path}
		file.grew()
		c.Messages = append(c.Messages, chat.Message{Role: "user", Content: "And that?"})
		if err := c.Session().Read(ctx, prompt(m, "And that?")...); err != nil {
			t.Fatal(err)
		}
		if err := c.Update(path); err != nil {
			t.Fatal(err)
		}
		by, same := file.grew()
		if grown[n] = by; !same {
			t.Errorf("%d positions were saved as a whole", n)
		}
	}
	t.Logf("bytes of an update by positions before: %v", grown)
	if a, b := grown[512], max(grown[1024], grown[2048]); b > a+256 { // a page more or less that the history has given up, and padding
		t.Errorf("bytes of an update by positions before: %v", grown)
	}
}

func TestUpdateSavesWhereTheFileIsNotItsOwn(t *testing.T) {
	m := openNano(t, gemma4.Loader{})
	read := func(s *gemma4.Session, text string) {
		t.Helper()
		if err := s.Read(ctx, prompt(m, text)...); err != nil {
			t.Fatal(err)
		}
	}
	for _, test := range []struct {
		name   string
		change func(t *testing.T, s *gemma4.Session, path string)
		same   bool // appended after all
	}{
		{"nothing", func(t *testing.T, s *gemma4.Session, path string) {}, true},
		{"gone", func(t *testing.T, s *gemma4.Session, path string) { os.Remove(path) }, false},
		{"replaced", func(t *testing.T, s *gemma4.Session, path string) {
			b, _ := os.ReadFile(path)
			info, err := os.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			os.Rename(path, path+".old")
			os.WriteFile(path, b, 0o600)
			os.Chtimes(path, info.ModTime(), info.ModTime())
		}, false},
		{"cut", func(t *testing.T, s *gemma4.Session, path string) { os.Truncate(path, 1000) }, false},
		{"longer", func(t *testing.T, s *gemma4.Session, path string) {
			f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
			if err == nil {
				_, err = f.WriteString("x")
				f.Close()
			}
			if err != nil {
				t.Fatal(err)
			}
		}, false},
		{"changed within, at another time", func(t *testing.T, s *gemma4.Session, path string) {
			info, err := os.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			b, _ := os.ReadFile(path)
			b[len(b)/2] ^= 1
			os.WriteFile(path, b, 0o600)
			later := info.ModTime().Add(time.Second)
			os.Chtimes(path, later, later)
		}, false},
		{"another's, of the same length and time", func(t *testing.T, s *gemma4.Session, path string) {
			info, err := os.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			b, _ := os.ReadFile(path)
			b[len(b)-1] ^= 1
			os.WriteFile(path, b, 0o600)
			os.Chtimes(path, info.ModTime(), info.ModTime())
		}, false},
		{"updated by another", func(t *testing.T, s *gemma4.Session, path string) {
			o := restored(t, m, path, gemma4.SessionOptions{})
			read(o, " of")
			if err := o.Update(path); err != nil {
				t.Fatal(err)
			}
		}, false},
		{"saved by another", func(t *testing.T, s *gemma4.Session, path string) {
			if err := restored(t, m, path, gemma4.SessionOptions{}).Save(path); err != nil {
				t.Fatal(err)
			}
		}, false},
		{"saved elsewhere since", func(t *testing.T, s *gemma4.Session, path string) { save(t, s) }, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newSession(t, m, gemma4.SessionOptions{})
			read(s, question+strings.Repeat(question[5:], 5))
			path := save(t, s)
			test.change(t, s, path)
			file := sizes{t: t, path: path}
			if _, err := os.Stat(path); err == nil {
				file.grew()
			}
			read(s, "The")
			if err := s.Update(path); err != nil {
				t.Fatal(err)
			}
			if _, same := file.grew(); same != test.same {
				t.Errorf("the same file: %v, want %v", same, test.same)
			}
			if again := restored(t, m, path, gemma4.SessionOptions{}); state(again) != state(s) {
				t.Errorf("restored: %s, want %s", state(again), state(s))
			}
		})
	}
}

func TestSessionsGoThroughReadersAndWriters(t *testing.T) {
	m := openNano(t, gemma4.Loader{})
	c := newChat(t, m, gemma4.ChatOptions{System: "Be brief."})
	answer(t, c, chat.Message{Role: "user", Content: "What is 2 + 3?"})
	r, w := io.Pipe()
	go func() { w.CloseWithError(c.Session().SaveTo(w)) }()
	s, err := m.RestoreFrom(r, gemma4.SessionOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if state(s) != state(c.Session()) {
		t.Errorf("restored %s, want %s", state(s), state(c.Session()))
	}
	var b bytes.Buffer
	if err := c.SaveTo(&b); err != nil {
		t.Fatal(err)
	}
	again, err := m.RestoreChatFrom(iotest.OneByteReader(bytes.NewReader(b.Bytes())), gemma4.ChatOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if !reflect.DeepEqual(again.Messages, c.Messages) || again.Options.System != c.Options.System || state(again.Session()) != state(s) {
		t.Errorf("restored %+v, want %+v", again.Messages, c.Messages)
	}
	path := filepath.Join(t.TempDir(), "s")
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	restoredChat(t, m, path, gemma4.ChatOptions{})
	for n := range b.Len() {
		if n < 2000 || n%997 == 0 {
			if _, err := m.RestoreFrom(bytes.NewReader(b.Bytes()[:n]), gemma4.SessionOptions{}); err == nil ||
				!strings.HasPrefix(err.Error(), "gemma4: reader: ") {
				t.Fatalf("cut at %d: %v", n, err)
			}
		}
	}
	flipped := slices.Clone(b.Bytes())
	flipped[len(flipped)/2] ^= 1
	if _, err := m.RestoreChatFrom(bytes.NewReader(flipped), gemma4.ChatOptions{}); err == nil ||
		!strings.Contains(err.Error(), "damaged") {
		t.Errorf("a flipped bit: %v", err)
	}
	broken := errors.New("broken")
	if _, err := m.RestoreFrom(io.MultiReader(bytes.NewReader(b.Bytes()[:100]), iotest.ErrReader(broken)),
		gemma4.SessionOptions{}); !errors.Is(err, broken) {
		t.Errorf("a broken reader: %v", err)
	}
	var full bytes.Buffer
	err = c.SaveTo(writerFunc(func(p []byte) (int, error) { // readers answer, others do not wait
		if err := c.Session().Update(path); !errors.Is(err, gemma4.ErrBusy) || c.Session().Len() == 0 {
			t.Errorf("in a writer: %v", err)
		}
		return full.Write(p)
	}))
	if err != nil || !bytes.Equal(full.Bytes(), b.Bytes()) {
		t.Errorf("saved again as other bytes: %v", err)
	}
	if err := c.SaveTo(brokenWriter{broken}); !errors.Is(err, broken) {
		t.Errorf("a broken writer: %v", err)
	}
	func() {
		defer func() {
			if recover() == nil {
				t.Error("a panic of the writer is lost")
			}
		}()
		c.SaveTo(brokenWriter{nil})
	}()
	answer(t, c, chat.Message{Role: "user", Content: "What is 4 + 4?"}) // it still works
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// brokenWriter fails, or panics where it has no error.
type brokenWriter struct{ err error }

func (w brokenWriter) Write([]byte) (int, error) {
	if w.err == nil {
		panic("broken")
	}
	return 0, w.err
}

// TestFilesOfVersion1AreRestored reads what commit 498a9cd has saved, with the weights that nano has today: a conversation,
// and three embeddings that were read after it.
func TestFilesOfVersion1AreRestored(t *testing.T) {
	const file = "testdata/session-v1.gguf"
	m := openNano(t, gemma4.Loader{})
	o := gemma4.ChatOptions{SessionOptions: gemma4.SessionOptions{Cache: gemma4.CacheQ4}}
	c := restoredChat(t, m, file, o)
	want := []chat.Message{{Role: "user", Content: "What is 2 + 3?"}, {Role: "assistant", Content: "2 + 3 = 5"}}
	if got := state(c.Session()); got != "42 positions, logits ca0ac02d" || !reflect.DeepEqual(c.Messages, want) ||
		c.Options.System != "Be brief." {
		t.Errorf("restored %s, %+v, %q", got, c.Messages, c.Options.System)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "s")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	c = restoredChat(t, m, path, o)
	before := state(c.Session())
	if err := c.Update(path); err != nil { // as a whole, in the present version
		t.Fatal(err)
	}
	if again := restoredChat(t, m, path, o); state(again.Session()) != before || !reflect.DeepEqual(again.Messages, want) {
		t.Errorf("saved again as %s, want %s", state(again.Session()), before)
	}
	other, err := gemma4.OpenBytes(altered(t, shape("e"), nil))
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if _, err := other.Restore(file, gemma4.SessionOptions{}); !errors.Is(err, gemma4.ErrOtherModel) {
		t.Errorf("another model: %v", err)
	}
	b[len(b)/2] ^= 1
	if _, err := m.RestoreFrom(bytes.NewReader(b), o.SessionOptions); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("a flipped bit: %v", err)
	}
}

func TestRestoredEmbeddingsAreNotReused(t *testing.T) {
	m := openNano(t, gemma4.Loader{})
	prefixes := gemma4.NewPrefixCache(1 << 30)
	defer prefixes.Close()
	s := restored(t, m, "testdata/session-v1.gguf", gemma4.SessionOptions{Cache: gemma4.CacheQ4, Prefixes: prefixes})
	f, err := gguf.Open("testdata/session-v1.gguf")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	saved, err := f.Metadata.Ints("gemma4.session.ids")
	if err != nil {
		t.Fatal(err)
	}
	ids := []int32{5}
	for i := len(saved) - 1; i >= 0; i-- {
		ids = slices.Insert(ids, 0, int32(saved[i]))
	}
	// The text ends in three embeddings.
	if n := reuse(t, s, ids); n != len(saved)-3 || saved[n] != -1 {
		t.Errorf("%d of %d positions are kept, want all but three", n, len(saved))
	}
	if stats := prefixes.Stats(); stats.Texts != 0 {
		t.Errorf("%+v", stats)
	}
}

func TestRestoreCanSetEveryOption(t *testing.T) {
	m := openNano(t, gemma4.Loader{})
	var tool chat.Tool
	if err := json.Unmarshal([]byte(`{"type": "function", "function": {"name": "now"}}`), &tool); err != nil {
		t.Fatal(err)
	}
	c := newChat(t, m, gemma4.ChatOptions{System: "Be brief.", Thinking: true, Tools: []chat.Tool{tool}})
	answer(t, c, chat.Message{Role: "user", Content: "What is 2 + 3?"})
	path := save(t, c)
	if o := restoredChat(t, m, path, gemma4.ChatOptions{}).Options; o.System != "Be brief." || !o.Thinking || len(o.Tools) != 1 {
		t.Errorf("restored with %+v", o)
	}
	again := restoredChat(t, m, path, gemma4.ChatOptions{Override: true})
	if o := again.Options; o.System != "" || o.Thinking || o.Tools != nil || len(again.Messages) != 2 {
		t.Errorf("restored with %+v, want none of the file's", o)
	}
	if err := again.Update(path); err != nil {
		t.Fatal(err)
	}
	if o := restoredChat(t, m, path, gemma4.ChatOptions{}).Options; o.System != "" || o.Thinking || o.Tools != nil {
		t.Errorf("updated to %+v, want empty ones", o)
	}
}

// hooked is a reader that calls a function before each read, if it is set.
type hooked struct {
	*bytes.Reader
	before atomic.Pointer[func()]
}

func (h *hooked) ReadAt(p []byte, off int64) (int, error) {
	if f := h.before.Load(); f != nil {
		(*f)()
	}
	return h.Reader.ReadAt(p, off)
}

func TestClosingAModelEndsARestoreThatReadsWeights(t *testing.T) {
	saver := openNano(t, gemma4.Loader{})
	path := save(t, newSession(t, saver, gemma4.SessionOptions{}))
	r := &hooked{Reader: bytes.NewReader(nano.GGUF())}
	m, err := gemma4.Loader{Threads: 2}.OpenReaderAt(r, r.Size())
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	var reads atomic.Int32
	closed := make(chan error, 1)
	closing := func() {
		if reads.Add(1) == 3 {
			go func() { closed <- m.Close() }()
		}
		for reads.Load() >= 3 { // until it is closing
			s, err := m.NewSession(gemma4.SessionOptions{})
			if errors.Is(err, gemma4.ErrClosed) {
				break
			}
			s.Close()
		}
	}
	r.before.Store(&closing)
	if _, err := m.Restore(path, gemma4.SessionOptions{}); err != gemma4.ErrClosed {
		t.Errorf("restored with the error %v", err)
	}
	if err := <-closed; err != nil {
		t.Error(err)
	}
	if n := reads.Load(); n > 5 {
		t.Errorf("%d reads, closed in the third", n)
	}
}

func TestFingerprintsOfModels(t *testing.T) {
	m := openNano(t, gemma4.Loader{})
	ended, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := m.Fingerprint(ended); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	f, err := m.Fingerprint(ctx)
	if again, err2 := openNano(t, gemma4.Loader{Threads: 1}).Fingerprint(ctx); err != nil || err2 != nil || again != f || len(f) != 64 {
		t.Errorf("%q, opened again %q; %v, %v", f, again, err, err2)
	}
	m.Close()
	if _, err := m.Fingerprint(ctx); err != gemma4.ErrClosed {
		t.Errorf("closed: %v", err)
	}
}

// TestKilledUpdatesLoseOneTurnAtMost kills a process that adds to a session and updates its file.
func TestKilledUpdatesLoseOneTurnAtMost(t *testing.T) {
	m := openNano(t, gemma4.Loader{})
	path := os.Getenv("GEMMA4_TEST_UPDATE")
	if path != "" { // the process that is killed
		s := restored(t, m, path, gemma4.SessionOptions{})
		for i := int32(0); ; i++ {
			fmt.Println(state(s))
			if i%5 == 4 {
				rewind(t, s, s.Len()-3)
			}
			if s.Len() > 2000 {
				rewind(t, s, 200)
			}
			if _, err := s.Write(ctx, 5+i%7, 3, 4); err != nil {
				t.Fatal(err)
			}
			fmt.Println(state(s))
			if err := s.Update(path); err != nil {
				t.Fatal(err)
			}
		}
	}
	if runtime.GOOS == "js" || runtime.GOOS == "wasip1" {
		t.Skip("no processes here")
	}
	path = filepath.Join(t.TempDir(), "saved")
	s := newSession(t, m, gemma4.SessionOptions{})
	if err := s.Read(ctx, prompt(m, strings.Repeat(question, 4))...); err != nil {
		t.Fatal(err)
	}
	if err := s.Save(path); err != nil {
		t.Fatal(err)
	}
	times := 150
	if testing.Short() {
		times = 10
	}
	r := rand.New(rand.NewPCG(1, 2))
	lost, turns := 0, 0
	for range times {
		child := exec.Command(os.Args[0], "-test.run=^TestKilledUpdatesLoseOneTurnAtMost$")
		child.Env = append(os.Environ(), "GEMMA4_TEST_UPDATE="+path)
		pipe, err := child.StdoutPipe()
		if err == nil {
			err = child.Start()
		}
		if err != nil {
			t.Fatal(err)
		}
		out, text := bufio.NewReader(pipe), ""
		var took []time.Duration
		for range 3 + r.IntN(2) { // then comes a write, or an update
			began := time.Now()
			line, err := out.ReadString('\n')
			if err != nil {
				t.Fatal(err)
			}
			text, took = text+line, append(took, time.Since(began))
		}
		time.Sleep(time.Duration(r.Float64() * float64(took[len(took)-2]))) // any moment of it, if it takes as long as the last one
		if err := child.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		rest, _ := io.ReadAll(out)
		child.Wait()
		lines := strings.Split(text+string(rest), "\n")
		lines = lines[:len(lines)-1] // what follows the last end of a line was not written whole
		turns += len(lines) / 2
		s, err := m.Restore(path, gemma4.SessionOptions{})
		if err != nil {
			t.Fatal(err)
		}
		switch i := slices.Index(lines[max(0, len(lines)-2):], state(s)); {
		case i < 0:
			t.Fatalf("after %d turns the session is %s, want one of %q", len(lines)/2, state(s), lines[max(0, len(lines)-2):])
		case i == 0 && len(lines)%2 == 0:
			lost++
		}
		s.Close()
	}
	t.Logf("killed %d times in %d turns, %d in the middle of an update", times, turns, lost)
	if !testing.Short() && (lost == 0 || lost == times) {
		t.Error("the moments were not random enough to show anything")
	}
}
