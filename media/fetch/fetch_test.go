package fetch

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/gif"
	"image/png"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gogemma/gemma4/chat"
	"github.com/gogemma/gemma4/media"
	"github.com/gogemma/gemma4/media/sound"
)

// picture returns a PNG of a color.
func picture(t *testing.T, w, h int) []byte {
	t.Helper()
	m := image.NewRGBA(image.Rect(0, 0, w, h))
	for i := range m.Pix {
		m.Pix[i] = 255
	}
	m.SetRGBA(0, 0, color.RGBA{1, 2, 3, 255})
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func dataURL(kind string, data []byte) string {
	return "data:" + kind + ";base64," + base64.StdEncoding.EncodeToString(data)
}

func read(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestPartsGetWhatTheyName by data: URLs in all their spellings, and as the bytes of files, whatever the type says that they have.
func TestPartsGetWhatTheyName(t *testing.T) {
	p, s, v := picture(t, 3, 2), read(t, "../sound/testdata/stereo.mp3"), read(t, "../testdata/videos/mjpeg.avi")
	text := base64.StdEncoding.EncodeToString(p)
	var escaped strings.Builder
	for _, b := range p {
		fmt.Fprintf(&escaped, "%%%02x", b)
	}
	m := chat.Message{Role: "user", Parts: []chat.Part{
		chat.TextPart("x"),
		{Type: "image", URL: dataURL("image/png", p), Detail: "low"},
		{Type: "image", URL: "DATA:image/jpeg;charset=x;Base64," + text, Budget: 560},
		{Type: "image", URL: "data:;base64," + strings.TrimRight(text, "=")},
		{Type: "image", URL: "data:;base64," + strings.NewReplacer("+", "-", "/", "_").Replace(text)},
		{Type: "image", URL: "data:;base64," + text[:9] + "\r\n" + text[9:] + "\n"},
		{Type: "image", URL: "data:;base64," + strings.NewReplacer("+", "%2B", "/", "%2f", "=", "%3D").Replace(text)},
		{Type: "image", URL: "data:image/png," + escaped.String()},
		{Type: "image", Data: p},
		{Type: "audio", Data: s, Format: "wav"},
		{Type: "audio", URL: dataURL("audio/mpeg", s)},
		{Type: "video", URL: dataURL("video/x-msvideo", v)},
		chat.ImagePart(image.NewGray(image.Rect(0, 0, 1, 1))),
	}}
	if err := Message(t.Context(), &m, Options{}); err != nil {
		t.Fatal(err)
	}
	for i, p := range m.Parts {
		switch {
		case p.URL != "" || p.Data != nil || p.Format != "":
			t.Errorf("part %d keeps what it named", i)
		case p.Type == "image" && i < 12 && (p.Image.Bounds().Dx() != 3 || p.Image.Bounds().Dy() != 2):
			t.Errorf("part %d: %v", i, p.Image.Bounds())
		case p.Type == "audio" && len(p.Samples) < sound.Rate/4, p.Type == "video" && len(p.Frames) == 0:
			t.Errorf("part %d: %d samples, %d frames", i, len(p.Samples), len(p.Frames))
		}
	}
	if m.Parts[1].Wanted() != chat.LowBudget || m.Parts[2].Budget != 560 {
		t.Errorf("budgets %v and %v", m.Parts[1].Wanted(), m.Parts[2].Budget)
	}
	if err := (chat.Conversation{Messages: []chat.Message{m}}).Validate(); err != nil {
		t.Error(err)
	}
}

// TestWrongPartsAreErrors that say where and what; the message stays as it was.
func TestWrongPartsAreErrors(t *testing.T) {
	p := picture(t, 3, 2)
	for name, c := range map[string]struct {
		part chat.Part
		want string
	}{
		"no URL":          {chat.Part{Type: "image", URL: "picture.png"}, `"picture.png" is no URL`},
		"no comma":        {chat.Part{Type: "image", URL: "data:image/png;base64"}, "without a comma"},
		"no base64":       {chat.Part{Type: "image", URL: "data:;base64,????"}, "byte 0 is none of it"},
		"cut base64":      {chat.Part{Type: "image", URL: "data:;base64,QUJDR"}, "ends too early"},
		"empty":           {chat.Part{Type: "image", URL: "data:;base64,"}, "base64 of nothing"},
		"empty data":      {chat.Part{Type: "audio", Data: []byte{}}, "no data"},
		"cut":             {chat.Part{Type: "image", Data: p[:len(p)-20]}, "PNG"},
		"text":            {chat.Part{Type: "image", Data: []byte("hello")}, "neither a picture nor a video"},
		"a sound as one":  {chat.Part{Type: "image", Data: read(t, "../sound/testdata/stereo.flac")}, "not a picture"},
		"one as a sound":  {chat.Part{Type: "audio", Data: p}, "sound"},
		"one as a video":  {chat.Part{Type: "video", Data: p}, "PNG is a picture, not a video"},
		"web":             {chat.Part{Type: "image", URL: "https://example.org/a.png"}, "not allowed here: send a data: URL"},
		"file":            {chat.Part{Type: "image", URL: "file:///etc/passwd"}, "not allowed here"},
		"another":         {chat.Part{Type: "image", URL: "gopher://example.org/"}, `URLs of "gopher" are not allowed`},
		"type":            {chat.Part{Type: "file", Data: p}, "expected image, audio or video"},
		"escapes":         {chat.Part{Type: "image", URL: "data:image/png,%zz"}, "data: URL"},
		"base64, escapes": {chat.Part{Type: "image", URL: "data:;base64,%zz"}, "base64"},
	} {
		m := chat.Message{Role: "user", Parts: []chat.Part{{Type: "image", Data: p}, c.part}}
		err := Message(t.Context(), &m, Options{})
		if err == nil || !strings.HasPrefix(err.Error(), "fetch: part 1: "+c.part.Type+": ") || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, expected fetch: part 1: …%s…", name, err, c.want)
		}
		if m.Parts[0].Data == nil {
			t.Errorf("%s: the message has changed", name)
		}
	}
	err := Part(t.Context(), &chat.Part{Type: "image", Data: read(t, "../testdata/pictures/refused-2000.jp2")}, Options{})
	if u := (*media.Unsupported)(nil); !errors.As(err, &u) || u.Command == "" {
		t.Errorf("JPEG 2000: %v", err)
	}
	err = Part(t.Context(), &chat.Part{Type: "audio", Data: []byte("\xff\xf1\x50\x80AAC of some kind, which goes on")}, Options{})
	if u := (*sound.Unsupported)(nil); !errors.As(err, &u) || u.Command == "" {
		t.Errorf("AAC: %v", err)
	}
}

// TestAllPartsShareLimits of bytes, pixels and time: together they are too large, each is not.
func TestAllPartsShareLimits(t *testing.T) {
	p, s := picture(t, 30, 20), read(t, "../sound/testdata/stereo.mp3")
	v := read(t, "../testdata/videos/mjpeg.avi")
	clip, err := media.Video("", bytes.NewReader(v), int64(len(v)), media.Options{})
	if err != nil {
		t.Fatal(err)
	}
	one := chat.Part{Type: "audio", Data: s}
	if err := Part(t.Context(), &one, Options{}); err != nil {
		t.Fatal(err)
	}
	length := time.Duration(len(one.Samples)) * time.Second / sound.Rate
	for name, c := range map[string]struct {
		part chat.Part
		o    Options
	}{
		"bytes":    {chat.Part{Type: "image", Data: p}, Options{Bytes: int64(len(p)) * 3 / 2}},
		"URL":      {chat.Part{Type: "image", URL: dataURL("", p)}, Options{Bytes: int64(len(p)) * 3 / 2}},
		"pixels":   {chat.Part{Type: "image", Data: p}, Options{Pixels: 1000}},
		"picture":  {chat.Part{Type: "image", Data: p}, Options{Picture: 500}},
		"duration": {chat.Part{Type: "audio", Data: s}, Options{Duration: length * 3 / 2}},
		"frames":   {chat.Part{Type: "video", Data: v}, Options{Pixels: int64(clip.Width*clip.Height) * 3 / 2}},
	} {
		m := chat.Message{Role: "user", Parts: []chat.Part{c.part}}
		if err := Message(t.Context(), &m, c.o); err != nil && name != "frames" && name != "picture" {
			t.Errorf("%s: one: %v", name, err)
		}
		m.Parts = []chat.Part{c.part, c.part}
		if err := Message(t.Context(), &m, c.o); !errors.Is(err, ErrTooLarge) {
			t.Errorf("%s: two: %v, expected ErrTooLarge", name, err)
		}
	}
}

// TestPicturesAreResizedOneByOne to the budget of their part, and frames to the least unless theirs has one.
func TestPicturesAreResizedOneByOne(t *testing.T) {
	var budgets []chat.Budget
	o := Options{Resize: func(m image.Image, b chat.Budget) (image.Image, error) {
		budgets = append(budgets, b)
		return image.NewGray(image.Rect(0, 0, 1, 1)), nil
	}}
	m := chat.Message{Role: "user", Parts: []chat.Part{{Type: "image", Data: picture(t, 9, 9), Detail: "high"},
		{Type: "video", Data: read(t, "../testdata/videos/mjpeg.avi")}}}
	if err := Message(t.Context(), &m, o); err != nil {
		t.Fatal(err)
	}
	if budgets[0] != chat.HighBudget || budgets[1] != chat.LowBudget || m.Parts[0].Image.Bounds().Dx() != 1 ||
		m.Parts[1].Frames[0].Image.Bounds().Dx() != 1 {
		t.Errorf("budgets %v", budgets)
	}
}

// TestTurnsBoundWhatIsDecoded at once, and who waits for one leaves when the request ends.
func TestTurnsBoundWhatIsDecoded(t *testing.T) {
	o := Options{Turns: make(chan struct{}, 1)}
	p := chat.Part{Type: "image", Data: picture(t, 1, 1)}
	if err := Part(t.Context(), &p, o); err != nil || len(o.Turns) != 0 {
		t.Fatal(err)
	}
	o.Turns <- struct{}{}
	ctx, cancel := context.WithCancelCause(t.Context())
	gone := errors.New("gone")
	cancel(gone)
	p = chat.Part{Type: "image", Data: picture(t, 1, 1)}
	if err := Part(ctx, &p, o); !errors.Is(err, gone) {
		t.Errorf("error %v, expected that of the context", err)
	}
}

// TestDownloads are bounded in size, time and ways around, and go to public addresses alone.
func TestDownloads(t *testing.T) {
	p := picture(t, 3, 2)
	release := make(chan struct{})
	mux := http.NewServeMux()
	mux.HandleFunc("/a.png", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Referer") != "" || r.Header.Get("Cookie") != "" {
			t.Errorf("header %v", r.Header)
		}
		w.Write(p)
	})
	mux.HandleFunc("/long", func(w http.ResponseWriter, r *http.Request) {
		for range 100 { // without a length
			w.Write(make([]byte, 1<<10))
			w.(http.Flusher).Flush()
		}
	})
	mux.HandleFunc("/announced", func(w http.ResponseWriter, r *http.Request) { w.Header().Set("Content-Length", "1000000000") })
	mux.HandleFunc("/on", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/a.png", http.StatusFound) })
	mux.HandleFunc("/round", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/round", http.StatusFound) })
	mux.HandleFunc("/file", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "file:///etc/passwd", http.StatusFound)
	})
	mux.HandleFunc("/slow", func(w http.ResponseWriter, r *http.Request) {
		w.(http.Flusher).Flush()
		select {
		case <-release:
		case <-r.Context().Done():
		}
	})
	s := httptest.NewServer(mux)
	defer s.Close()
	defer close(release)
	open := Options{HTTP: true, Private: true, Bytes: 50 << 10}
	hurried := open
	hurried.Time = 50 * time.Millisecond
	_, port, _ := strings.Cut(strings.TrimPrefix(s.URL, "http://"), ":")
	for name, c := range map[string]struct {
		url  string
		o    Options
		want string // empty: a picture
	}{
		"plain":       {s.URL + "/a.png", open, ""},
		"sent on":     {s.URL + "/on", open, ""},
		"not allowed": {s.URL + "/a.png", Options{}, "not allowed"},
		"private":     {s.URL + "/a.png", Options{HTTP: true}, "127.0.0.1, which are not public, are not allowed"},
		"by name":     {"http://localhost:" + port + "/a.png", Options{HTTP: true}, "which are not public, are not allowed"},
		"in hex":      {"http://0x7f000001:" + port + "/a.png", Options{HTTP: true, Time: 5 * time.Second}, "0x7f000001"},
		"mapped":      {"http://[::ffff:127.0.0.1]:" + port + "/a.png", Options{HTTP: true}, "which are not public, are not allowed"},
		"round":       {s.URL + "/round", open, "more than 5 times"},
		"to a file":   {s.URL + "/file", open, `URL of "file"`},
		"none":        {s.URL + "/none", open, "status 404"},
		"long":        {s.URL + "/long", open, "too large"},
		"announced":   {s.URL + "/announced", open, "too large"},
		"slow":        {s.URL + "/slow", hurried, "takes longer than 50ms"},
		"no host":     {"http:///a.png", open, "without a host"},
	} {
		part := chat.Part{Type: "image", URL: c.url}
		err := Part(t.Context(), &part, c.o)
		if c.want == "" && (err != nil || part.Image == nil) || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: error %v, expected %q", name, err, c.want)
		}
		if err != nil && strings.Contains(err.Error(), "/a.png") && !strings.Contains(c.want, "/a.png") {
			t.Errorf("%s: the error has the URL's path: %v", name, err)
		}
	}
}

// TestPublicAddresses are those that no network keeps for itself, whatever they are written as.
func TestPublicAddresses(t *testing.T) {
	for text, want := range map[string]bool{
		"93.184.216.34": true, "2606:2800:220:1:248:1893:25c8:1946": true, "8.8.8.8": true,
		"127.0.0.1": false, "127.8.9.1": false, "0.0.0.0": false, "10.1.2.3": false, "172.16.0.1": false, "192.168.1.1": false,
		"169.254.169.254": false, "100.64.0.1": false, "224.0.0.1": false, "255.255.255.255": false, "192.0.0.8": false,
		"198.18.0.1": false,
		"240.0.0.1":  false, "::1": false, "::": false, "::ffff:10.0.0.1": false, "::ffff:8.8.8.8": true, "fe80::1%eth0": false,
		"fc00::1": false, "fd12::1": false, "fec0::1": false, "ff02::1": false, "64:ff9b::a00:1": false, "64:ff9b:1::1": false,
		"2002:a00:1::": false, "2001:0:1::1": false, "2001:db8::1": false, "100::1": false, "::7f00:1": false,
	} {
		if got := public(netip.MustParseAddr(text)); got != want {
			t.Errorf("%s: %t, expected %t", text, got, want)
		}
	}
}

// TestFilesStayInTheirFolder: no way leads out of it, neither dots nor links.
func TestFilesStayInTheirFolder(t *testing.T) {
	top := t.TempDir()
	root := filepath.Join(top, "media")
	if err := os.MkdirAll(filepath.Join(root, "in"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"media/in/a b.png", "secret.png"} {
		if err := os.WriteFile(filepath.Join(top, name), picture(t, 2, 2), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	linked := os.Symlink("../secret.png", filepath.Join(root, "link.png")) == nil
	at := func(name string) string {
		return "file://" + (&url.URL{Path: filepath.ToSlash(filepath.Join(top, name))}).EscapedPath()
	}
	for name, c := range map[string]struct{ url, want string }{
		"in":      {at("media/in/a b.png"), ""},
		"host":    {strings.Replace(at("media/in/a b.png"), "file://", "file://localhost", 1), ""},
		"other":   {strings.Replace(at("media/in/a b.png"), "file://", "file://example.org", 1), "other machines"},
		"beside":  {at("secret.png"), "outside of the folder"},
		"dots":    {at("media") + "/../secret.png", "outside of the folder"},
		"escaped": {at("media") + "/%2e%2e/secret.png", "outside of the folder"},
		"folder":  {at("media/in"), "not a regular file"},
		"itself":  {at("media"), "not a regular file"},
		"missing": {at("media/none.png"), "no such file"},
		"link":    {at("media/link.png"), "escapes"},
	} {
		if name == "link" && !linked {
			continue
		}
		part := chat.Part{Type: "image", URL: c.url}
		err := Part(t.Context(), &part, Options{Root: root})
		if c.want == "" && (err != nil || part.Image == nil) || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: error %v, expected %q", name, err, c.want)
		}
	}
}

// animation returns a GIF of n pictures, each for so many hundredths of a second.
func animation(t *testing.T, n, delay int) []byte {
	t.Helper()
	var a gif.GIF
	for i := range n {
		m := image.NewPaletted(image.Rect(0, 0, 4, 4), color.Palette{color.Black, color.White})
		m.Pix[i%16] = 1
		a.Image, a.Delay = append(a.Image, m), append(a.Delay, delay)
	}
	var b bytes.Buffer
	if err := gif.EncodeAll(&b, &a); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestFilesAreKnownByContent, whatever their names are, and what is not seen or heard of them is told.
func TestFilesAreKnownByContent(t *testing.T) {
	write := func(name string, data []byte) string {
		name = filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(name, data, 0o644); err != nil {
			t.Fatal(err)
		}
		return name
	}
	for _, c := range []struct {
		file, kind string
		n          int // frames
		note       string
	}{
		{write("a.wav", picture(t, 2, 2)), "image", 0, ""},
		{"../testdata/pictures/turned-6.jpg", "image", 0, ""},
		{"../testdata/pictures/webp-lossy-2x2.webp", "image", 0, ""},
		{write("still.gif", animation(t, 1, 10)), "image", 0, ""},
		{write("a.png", animation(t, 3, 100)), "video", 3, ""},
		{write("long.gif", animation(t, 9, 1000)), "video", 60, "long.gif takes 1m30s: of it 60 pictures are seen, spread evenly"},
		{"../testdata/videos/mjpeg.mp4", "video", 0, ""},
		{"../testdata/videos/sound.mov", "video", 0, "sound.mov has sound, which is not heard"},
		{"../sound/testdata/stereo.mp3", "audio", 0, ""},
		{"../sound/testdata/stereo.webm", "audio", 0, ""},
		{"../sound/testdata/bare.mp3", "audio", 0, ""},
		{"../sound/testdata/stereo.flac", "audio", 0, ""},
		{"../sound/testdata/speech.opus", "audio", 0, ""},
	} {
		var notes []string
		p, err := File(t.Context(), c.file, Options{Note: func(text string) { notes = append(notes, text) }})
		switch {
		case err != nil:
			t.Errorf("%s: %v", c.file, err)
		case p.Type != c.kind || (p.Image != nil) != (c.kind == "image") || (p.Samples != nil) != (c.kind == "audio") ||
			(p.Frames != nil) != (c.kind == "video") || c.n > 0 && len(p.Frames) != c.n:
			t.Errorf("%s: %s with %d frames, expected %s", c.file, p.Type, len(p.Frames), c.kind)
		case strings.Join(notes, "\n") != c.note:
			t.Errorf("%s: notes %q, expected %q", c.file, notes, c.note)
		}
	}
	for file, want := range map[string]string{
		write("a.png", []byte("hello")):         "no picture, video or sound that is known here",
		t.TempDir():                             "not a regular file",
		"none.png":                              "no such file",
		"../testdata/videos/refused-mpeg4.mp4":  "not decoded here",
		"../testdata/pictures/refused-2000.jp2": "JPEG 2000 is not decoded here",
		write("empty.png", nil):                 "empty",
		write("a.m4a", []byte("\x00\x00\x00\x14ftypM4A \x00\x00\x00\x00M4A ")): "AAC in MP4 is not decoded here",
	} {
		if _, err := File(t.Context(), file, Options{}); err == nil || !strings.HasPrefix(err.Error(), "fetch: ") ||
			!strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, expected %q", file, err, want)
		}
	}
}
