package gemma4_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/chat"
	"github.com/gogemma/gemma4/gguf"
	"github.com/gogemma/gemma4/nano"
)

// nanoBudget is what nano's eyes were trained for.
const nanoBudget = chat.LowBudget

// openSenses opens nano with its eyes and ears.
func openSenses(t testing.TB) *gemma4.Model {
	t.Helper()
	return openNano(t, gemma4.Loader{Projector: gemma4.Companion{Bytes: nano.Projector()}})
}

// photo returns one of nano's pictures.
func photo(t testing.TB, n int) chat.Part {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("nano", "testdata", "media", fmt.Sprintf("picture-%d.png", n)))
	if err != nil {
		t.Fatal(err)
	}
	m, err := png.Decode(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	return chat.Part{Type: "image", Image: m, Budget: nanoBudget}
}

// voice returns the samples of one of nano's sounds: 16 bits, 16 kHz, one channel.
func voice(t testing.TB, n int) []float32 {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("nano", "testdata", "media", fmt.Sprintf("sound-%d.wav", n)))
	if err != nil {
		t.Fatal(err)
	}
	data = data[bytes.Index(data, []byte("data"))+8:]
	x := make([]float32, len(data)/2)
	for i := range x {
		x[i] = float32(int16(binary.LittleEndian.Uint16(data[2*i:]))) / 32768
	}
	return x
}

func show(parts ...chat.Part) chat.Message { return chat.Message{Role: "user", Parts: parts} }

// repainted returns a picture with red and blue exchanged.
func repainted(p chat.Part) chat.Part {
	b := p.Image.Bounds()
	m := image.NewNRGBA(b)
	for y := b.Min.Y; y < b.Max.Y; y++ {
		for x := b.Min.X; x < b.Max.X; x++ {
			c := color.NRGBAModel.Convert(p.Image.At(x, y)).(color.NRGBA)
			m.Set(x, y, color.NRGBA{c.B, c.G, c.R, c.A})
		}
	}
	p.Image = m
	return p
}

// TestTwoPicturesHaveTwoAnswers, in one text, in two, and in two sessions of one prefix cache that read them at the same time.
func TestTwoPicturesHaveTwoAnswers(t *testing.T) {
	m := openSenses(t)
	want := map[int]string{4: "A blue triangle.", -4: "A red triangle.", 7: "A yellow square.", 8: "A yellow circle."}
	photo := func(t testing.TB, n int) chat.Part { // below 0, repainted: of the same size
		if n < 0 {
			return repainted(photo(t, -n))
		}
		return photo(t, n)
	}
	prefixes := gemma4.NewPrefixCache(1 << 26)
	defer prefixes.Close()
	var all sync.WaitGroup
	for n, answer := range want {
		all.Go(func() {
			c := newChat(t, m, gemma4.ChatOptions{SessionOptions: gemma4.SessionOptions{Prefixes: prefixes}})
			for range 2 {
				c.Messages = nil
				if got := say(t, c, show(photo(t, n), chat.TextPart("What do you see?"))).Content; got != answer {
					t.Errorf("picture %d: %q, want %q", n, got, answer)
				}
			}
		})
	}
	all.Wait()
	if s := m.Stats().Pictures; s.Encoded != int64(len(want)) {
		t.Errorf("%+v, want %d encoded", s, len(want))
	}
	c := newChat(t, m, gemma4.ChatOptions{})
	for _, n := range []int{4, 7, 4, -4, 8} {
		c.Messages = nil
		if got := say(t, c, show(photo(t, n), chat.TextPart("What do you see?"))).Content; got != want[n] {
			t.Errorf("one session, picture %d: %q, want %q", n, got, want[n])
		}
	}
}

// TestAPictureIsEncodedOnce however often it is shown: in the next turn, in another session, after a fork, and in a saved conversation that
// another program restores.
func TestAPictureIsEncodedOnce(t *testing.T) {
	m := openSenses(t)
	encoded := func(m *gemma4.Model, want int64) {
		t.Helper()
		if got := m.Stats().Pictures.Encoded; got != want {
			t.Errorf("%d pictures encoded, want %d", got, want)
		}
	}
	c := newChat(t, m, gemma4.ChatOptions{})
	first := say(t, c, show(photo(t, 1), chat.TextPart("How many shapes are there?"))).Content
	if first != "There are 3 shapes." {
		t.Error(first)
	}
	encoded(m, 1)
	second := say(t, c, user("What is 2 + 3?")).Content
	encoded(m, 1)
	f, err := c.Fork()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	f.Messages = f.Messages[:2]
	if got := say(t, f, user("What is 2 + 3?")).Content; got != second {
		t.Errorf("a fork: %q, want %q", got, second)
	}
	other := newChat(t, m, gemma4.ChatOptions{})
	say(t, other, show(photo(t, 1), chat.TextPart("How many shapes are there?")))
	encoded(m, 1)

	path := filepath.Join(t.TempDir(), "chat")
	if err := c.Save(path); err != nil {
		t.Fatal(err)
	}
	again := openSenses(t)
	r, err := again.RestoreChat(path, gemma4.ChatOptions{GenerateOptions: gemma4.GenerateOptions{Sampling: greedy}})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	c.Messages, r.Messages = c.Messages[:2], r.Messages[:2]
	if a, b := say(t, c, user("What is 2 + 3?")), say(t, r, user("What is 2 + 3?")); !slices.Equal(a.ids, b.ids) {
		t.Errorf("restored: %q, want %q", b.Content, a.Content)
	}
	encoded(again, 0)
	r.Messages[0].Parts = append([]chat.Part{photo(t, 4)}, r.Messages[0].Parts[1:]...)
	r.Messages = r.Messages[:1]
	if got := say(t, r).Content; got == first {
		t.Errorf("another picture in its place: %q", got)
	}
	encoded(again, 1)
}

// TestMediaChangeNothingOfOthers has one conversation with pictures and sounds give the same tokens whatever the batch and whoever is
// beside it.
func TestMediaChangeNothingOfOthers(t *testing.T) {
	m := openSenses(t)
	ask := func(batch int) []int32 {
		c, err := m.NewChat(gemma4.ChatOptions{
			SessionOptions:  gemma4.SessionOptions{Batch: batch},
			GenerateOptions: gemma4.GenerateOptions{Sampling: greedy, MaxTokens: 40},
		})
		if err != nil {
			t.Error(err)
			return nil
		}
		defer c.Close()
		var ids []int32
		parts := []chat.Part{photo(t, 3), photo(t, 9), chat.TextPart("What is "), chat.AudioPart(voice(t, 1)), chat.TextPart("?")}
		for tok, err := range c.Say(ctx, parts...) {
			if err != nil {
				t.Error(err)
				return nil
			}
			ids = append(ids, tok.ID)
		}
		return append(ids, int32(c.Result().Prompt))
	}
	want := ask(512)
	for _, batch := range []int{1, 7} {
		if got := ask(batch); !slices.Equal(got, want) {
			t.Errorf("batch %d: %v, want %v", batch, got, want)
		}
	}
	var all sync.WaitGroup
	for i := range 4 {
		all.Go(func() {
			if got := ask([]int{3, 512, 64, 200}[i]); !slices.Equal(got, want) {
				t.Errorf("beside others: %v, want %v", got, want)
			}
		})
	}
	all.Wait()
}

// TestPromptsHaveAPlaceholderForEachEmbedding, and the maker's text of a video around them.
func TestPromptsHaveAPlaceholderForEachEmbedding(t *testing.T) {
	m := openSenses(t)
	img := photo(t, 2).Image
	count := func(parts ...chat.Part) (text string, n int) {
		t.Helper()
		ids, err := m.Prompt(ctx, chat.Conversation{Messages: []chat.Message{show(parts...)}})
		if err != nil {
			t.Fatal(err)
		}
		text = m.Tokenizer().Decode(ids, true)
		text = text[strings.Index(text, "user\n")+5:]
		text = text[:strings.Index(text, "<turn|>")]
		for _, place := range []string{"<|image|>", "<|video|>", "<|audio|>"} {
			n += strings.Count(text, place)
			for strings.Contains(text, place+place) {
				text = strings.ReplaceAll(text, place+place, place)
			}
		}
		return text, n
	}
	for _, b := range chat.Budgets() {
		p, err := m.Picture(img, b)
		if err != nil {
			t.Fatal(err)
		}
		text, n := count(chat.Part{Type: "image", Image: img, Budget: b}, chat.TextPart("?"))
		if text != "<|image><|image|><image|>?" || n != p.Tokens() || n > int(b) || n < int(b)*3/5 {
			t.Errorf("budget %d: %s, %d, %d", b, text, n, p.Tokens())
		}
	}
	small := image.NewGray(image.Rect(5, 5, 25, 15))
	if _, n := count(chat.Part{Type: "image", Image: small, Budget: chat.AutoBudget}); n > 70 {
		t.Errorf("%d tokens for a small picture", n)
	}
	video := chat.VideoPart(chat.Frame{Image: img}, chat.Frame{Time: 61e9, Image: small})
	text, n := count(video, chat.TextPart("?"))
	if text != "00:00 <|image><|video|><image|> 01:01 <|image><|video|><image|>?" || n > 140 || n < 80 {
		t.Errorf("video: %s, %d", text, n)
	}
	sound := voice(t, 1)
	if text, n := count(chat.TextPart("a"), chat.AudioPart(sound)); text != "a<|audio><|audio|><audio|>" || n != (len(sound)+639)/640 {
		t.Errorf("sound: %s, %d", text, n)
	}
	elsewhere := chat.Part{Type: "audio", URL: "https://"}
	if text, n := count(elsewhere, chat.ImagePart(small)); text != "<|audio|><|image><|image|><image|>" || n < 100 {
		t.Errorf("a sound that is not there, and a picture: %s, %d", text, n)
	}
	long := slices.Repeat(sound, 40) // each with a pause at its end
	text, n = count(chat.AudioPart(long))
	pieces := strings.Count(text, "<|audio>")
	if text != strings.Repeat("<|audio><|audio|><audio|>", pieces) || n < len(long)/640 || n > len(long)/640+pieces ||
		pieces < (len(long)-1)/(30*gemma4.SampleRate)+1 {
		t.Errorf("a long sound: %s, %d", text, n)
	}
}

// TestWhatAModelCannotTakeInIsAnError, never a made-up answer.
func TestWhatAModelCannotTakeInIsAnError(t *testing.T) {
	deaf, m := openNano(t, gemma4.Loader{}), openSenses(t)
	line := image.NewGray(image.Rect(0, 0, 1, 1<<20))
	for name, c := range map[string]struct {
		m    *gemma4.Model
		part chat.Part
		want string
	}{
		"no eyes":  {deaf, photo(t, 1), "message 0, part 1: the model cannot take it in: it was opened without a projector of pictures"},
		"no ears":  {deaf, chat.AudioPart(make([]float32, 1000)), "without a projector of sounds"},
		"no video": {deaf, chat.VideoPart(chat.Frame{Image: line}), "without a projector of pictures"},
		"short":    {m, chat.AudioPart(make([]float32, 160)), "a sound of 160 samples is too short"},
		"empty":    {m, chat.AudioPart([]float32{}), "a sound of 0 samples is too short"},
		"no frame": {m, chat.Part{Type: "video", Frames: []chat.Frame{}}, "a video without frames"},
		"no image": {m, chat.ImagePart(image.NewGray(image.Rectangle{})), "0 × 0 pixels"},
		"URL":      {m, chat.Part{Type: "image", URL: "data:image/png;base64,"}, "the image is not there, only where it is"},
		"nothing":  {m, chat.Part{Type: "audio"}, `a part of type "audio" that has nothing`},
		"budget":   {m, chat.Part{Type: "image", Image: line, Budget: 3}, "a budget of 3 tokens"},
	} {
		chats := newChat(t, c.m, gemma4.ChatOptions{})
		_, err := gemma4.Collect(chats.Say(ctx, chat.TextPart("What is this?"), c.part))
		if err == nil || !strings.Contains(err.Error(), c.want) || len(chats.Messages) != 0 {
			t.Errorf("%s: %v with %d messages, want %q", name, err, len(chats.Messages), c.want)
		}
		if strings.Contains(c.want, "projector") && !errors.Is(err, gemma4.ErrSense) {
			t.Errorf("%s: %v does not wrap ErrSense", name, err)
		}
		q, err := c.m.NewQueue(gemma4.QueueOptions{Slots: 1})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := q.Submit(ctx, gemma4.Request{Messages: []chat.Message{show(chat.TextPart("What is this?"), c.part)}}); err == nil ||
			!strings.Contains(err.Error(), c.want) {
			t.Errorf("%s, in a queue: %v, want %q", name, err, c.want)
		}
		q.Close()
	}
}

// TestNoModelWritesMediaMarkers whatever it is asked for.
func TestNoModelWritesMediaMarkers(t *testing.T) {
	m := openNano(t, gemma4.Loader{})
	never := m.Sampling().Suppress
	for _, marker := range []string{"<|image|>", "<|audio|>", "<|video|>", "<|image>", "<image|>", "<|audio>", "<audio|>"} {
		id, ok := m.Tokenizer().ID(marker)
		if !ok || !slices.Contains(never, id) {
			t.Errorf("%s (%d) may be written", marker, id)
		}
	}
}

// TestWhatIsTransparentLiesOverWhite, so that what is drawn on nothing can be seen.
func TestWhatIsTransparentLiesOverWhite(t *testing.T) {
	m := openSenses(t)
	clear, white := image.NewNRGBA(image.Rect(0, 0, 96, 96)), image.NewNRGBA(image.Rect(0, 0, 96, 96))
	for i := range white.Pix {
		white.Pix[i] = 255
	}
	for i := 30; i < 60; i++ {
		for j := 30; j < 60; j++ {
			clear.Set(i, j, color.NRGBA{200, 0, 0, 255})
			white.Set(i, j, color.NRGBA{200, 0, 0, 255})
		}
	}
	a, err := m.Picture(clear, nanoBudget)
	if err != nil {
		t.Fatal(err)
	}
	b, err := m.Picture(white, nanoBudget)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(a.Pix, b.Pix) || a.Input().ID != b.Input().ID {
		t.Error("transparent is not white")
	}
}

// TestStreamsGoOnWhileAPictureIsRead: a large one, whose tower and whose positions take much longer than a stream may wait. Neither changes
// a bit of the other. In a bubble time passes only where the picture's context is asked and where the stream's reader reads: that is what
// their work takes there.
func TestStreamsGoOnWhileAPictureIsRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := openNano(t, gemma4.Loader{Projector: gemma4.Companion{Bytes: nano.Projector()}, Budget: 5 * time.Millisecond})
		picture, err := m.Picture(photo(t, 1).Image, 560)
		if err != nil {
			t.Fatal(err)
		}
		stream := func(during func(n int) bool) (ids []int32) {
			s := newSession(t, m, gemma4.SessionOptions{})
			o := forTokens(m, 3000, 1)
			for tok, err := range s.Generate(ctx, prompt(m, question), o) {
				if err != nil {
					t.Error(err)
				}
				if ids = append(ids, tok.ID); !during(len(ids)) {
					break
				}
				time.Sleep(time.Millisecond)
			}
			return ids
		}
		var before, after gemma4.Stats
		var beside []float32
		read := make(chan struct{})
		look := func() {
			defer close(read)
			s := newSession(t, m, gemma4.SessionOptions{})
			before = m.Stats()
			slowly := &asked{Context: ctx, f: func() { time.Sleep(time.Millisecond) }}
			if err := s.Read(slowly, gemma4.Input{Tokens: []int32{2, 5}}, picture.Input()); err != nil {
				t.Error(err)
			}
			after, beside = m.Stats(), s.Logits(nil)
		}
		together := stream(func(n int) bool {
			if n == 3 {
				go look()
			}
			select {
			case <-read:
				return false
			default:
				return true
			}
		})
		<-read
		passes := after.Decode.Passes - before.Decode.Passes
		t.Logf("%d tokens of the stream came while %v were seen and read, %d of them within the pass that read them", passes,
			after.Pictures.Duration-before.Pictures.Duration, after.Aside-before.Aside)
		if passes < 5 {
			t.Errorf("%d tokens came while a picture was read", passes)
		}
		if after.Aside == before.Aside {
			t.Error("no decode came within the picture's pass")
		}
		if alone := stream(func(n int) bool { return n < len(together) }); !slices.Equal(alone, together) {
			t.Error("the stream has other tokens beside a picture")
		}
		s := newSession(t, m, gemma4.SessionOptions{})
		if err := s.Read(ctx, gemma4.Input{Tokens: []int32{2, 5}}, picture.Input()); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(s.Logits(nil), beside) {
			t.Error("the picture has other logits beside a stream")
		}
	})
}

// TestNoPictureWaitsForAStreamThatDoesNotGoOn, however long streams may wait for it.
func TestNoPictureWaitsForAStreamThatDoesNotGoOn(t *testing.T) {
	m := openNano(t, gemma4.Loader{Projector: gemma4.Companion{Bytes: nano.Projector()}, Budget: 24 * time.Hour})
	picture, err := m.Picture(photo(t, 1).Image, nanoBudget)
	if err != nil {
		t.Fatal(err)
	}
	limited, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	n := 0
	for _, err := range newSession(t, m, gemma4.SessionOptions{}).Generate(ctx, prompt(m, question), forTokens(m, 4, 1)) {
		if err != nil {
			t.Fatal(err)
		}
		if n++; n == 3 { // while its reader is busy
			if err := newSession(t, m, gemma4.SessionOptions{}).Read(limited, picture.Input()); err != nil {
				t.Fatal(err)
			}
		}
	}
	if n < 3 {
		t.Fatalf("%d tokens", n)
	}
}

// TestWhatWasNotMadeIsNotMadeOfAClosedModel, whose weights may be gone.
func TestWhatWasNotMadeIsNotMadeOfAClosedModel(t *testing.T) {
	m := openSenses(t)
	picture, err := m.Picture(photo(t, 1).Image, nanoBudget)
	if err != nil {
		t.Fatal(err)
	}
	sound, err := m.SoundInput(voice(t, 1))
	if err != nil {
		t.Fatal(err)
	}
	width := m.Config().Width
	m.Close()
	for _, in := range []gemma4.Input{picture.Input(), sound} {
		if _, err := in.Make(ctx, width); !errors.Is(err, gemma4.ErrClosed) {
			t.Errorf("%v, want %v", err, gemma4.ErrClosed)
		}
	}
}

// unseen is an image of one pixel, at which nobody may look.
type unseen struct{ image.Image }

func (unseen) At(int, int) color.Color { panic("seen") }

// TestPicturesThatDoNotFitAreNotResized: each would take megabytes, and tens of milliseconds.
func TestPicturesThatDoNotFitAreNotResized(t *testing.T) {
	m := openSenses(t)
	part := chat.Part{Type: "image", Image: unseen{image.NewGray(image.Rect(0, 0, 1, 1))}, Budget: chat.HighBudget}
	video := chat.Part{Type: "video", Frames: slices.Repeat([]chat.Frame{{Image: part.Image}}, 1000)}
	for _, full := range []gemma4.Full{gemma4.FullStop, gemma4.FullDrop} {
		for _, parts := range [][]chat.Part{slices.Repeat([]chat.Part{part}, 1000), {video}} {
			c := newChat(t, m, gemma4.ChatOptions{Full: full})
			_, err := gemma4.Collect(c.Say(ctx, parts...))
			c.Messages = []chat.Message{show(parts...)}
			_, prompted := c.Prompt(ctx)
			_, listened := c.Listen(ctx, parts...)
			q, failed := m.NewQueue(gemma4.QueueOptions{Slots: 1})
			if failed != nil {
				t.Fatal(failed)
			}
			_, queued := q.Submit(ctx, gemma4.Request{ChatOptions: gemma4.ChatOptions{Full: full}, Messages: c.Messages})
			q.Close()
			for _, err := range []error{err, prompted, listened, queued} {
				if long := (*gemma4.ContextError)(nil); !errors.As(err, &long) {
					t.Errorf("%v, want a context error", err)
				}
			}
		}
	}
}

// TestAnImageThatPanicsLeavesTheChatAsItWas, since an image may be code of the user.
func TestAnImageThatPanicsLeavesTheChatAsItWas(t *testing.T) {
	c := newChat(t, openSenses(t), gemma4.ChatOptions{})
	say(t, c, user(question))
	func() {
		defer func() {
			if recover() != "seen" {
				t.Error("the image's panic was lost")
			}
		}()
		gemma4.Collect(c.Say(ctx, chat.ImagePart(unseen{image.NewGray(image.Rect(0, 0, 1, 1))})))
	}()
	if len(c.Messages) != 2 {
		t.Fatalf("%d messages are left, want 2", len(c.Messages))
	}
	say(t, c, user(question))
}

// TestNoPictureIsMadeOfNoImage, which is an error.
func TestNoPictureIsMadeOfNoImage(t *testing.T) {
	if _, err := openSenses(t).Picture(nil, 0); err == nil {
		t.Error("a picture of no image")
	}
}

// TestOtherProjectorsMakeOtherPictures: what one has made is not taken for another's, even if they differ in a setting or in one weight.
func TestOtherProjectorsMakeOtherPictures(t *testing.T) {
	ids := map[uint64]string{}
	for name, change := range map[string]func(*gguf.Metadata, []byte){
		"none":      func(*gguf.Metadata, []byte) {},
		"a weight":  func(_ *gguf.Metadata, weights []byte) { weights[0] ^= 1 },
		"a setting": func(m *gguf.Metadata, _ []byte) { m.Set("clip.vision.attention.layer_norm_epsilon", float32(1e-5)) },
	} {
		f, err := gguf.OpenBytes(nano.Projector())
		if err != nil {
			t.Fatal(err)
		}
		head := f.Metadata.Clone()
		var tensors []gguf.Source
		for _, x := range f.Tensors {
			data := make([]byte, x.Size)
			if _, err := x.ReadAt(data, 0); err != nil {
				t.Fatal(err)
			}
			if x.Name == "v.blk.0.attn_q.weight" {
				change(head, data)
			}
			tensors = append(tensors, gguf.NewSource(x.Name, x.Type, x.Dims, data))
		}
		var b bytes.Buffer
		if err := gguf.Write(&b, head, tensors); err != nil {
			t.Fatal(err)
		}
		picture, err := openNano(t, gemma4.Loader{Projector: gemma4.Companion{Bytes: b.Bytes()}}).Picture(photo(t, 1).Image, nanoBudget)
		if err != nil {
			t.Fatal(err)
		}
		id := picture.Input().ID
		if other, ok := ids[id]; ok {
			t.Errorf("with %s and %s changed a picture is the same", name, other)
		}
		ids[id] = name
	}
}
