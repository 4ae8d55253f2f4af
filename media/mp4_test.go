package media_test

import (
	"strings"
	"testing"
	"time"

	"github.com/gogemma/gemma4/media"
)

// A movie is the tables of an MP4 of JPEG frames, in units of 1/100 s, as a test changes them.
type movie struct {
	frames                             string // what the frames are, one behind the other at 16
	matrix                             string
	elst, stsd, stts, ctts, stsz, stsc string
	stco                               string
	width, height                      int
	wide                               bool // boxes with lengths of 64 bits, and versions 1
}

// newMovie has three frames of 48×32 pixels, half a second each.
func newMovie(t testing.TB) movie {
	cuts := strings.Split(string(read(t, "videos/stream.mjpeg")), "\xff\xd8\xff")[1:4]
	m := movie{width: 48, height: 32}
	sizes := ""
	for _, cut := range cuts {
		m.frames += "\xff\xd8\xff" + cut
		sizes += b32(3 + len(cut))
	}
	m.matrix = matrix(1, 0, 0, 1)
	entry := strings.Repeat("\x00", 24) + b16(48) + b16(32) + strings.Repeat("\x00", 50)
	m.stsd = be(0, 1) + box("jpeg", entry)
	m.stts = be(0, 1, 3, 50)
	m.stsz = be(0, 0, 3) + sizes
	m.stsc = be(0, 1, 1, 3, 1)
	m.stco = box("stco", be(0, 1, 16))
	return m
}

func matrix(a, b, c, d int) string {
	f := func(v int) string { return b32(v << 16) }
	return f(a) + f(b) + b32(0) + f(c) + f(d) + be(0, 0, 0, 1<<30)
}

func (m movie) bytes() string {
	version, long := b32(0), b32(0)
	if m.wide {
		version, long = "\x01\x00\x00\x00", strings.Repeat("\x00", 8)
	}
	mvhd := box("mvhd", version, long, long, b32(1000), long)
	tkhd := box("tkhd", version, long, long, b32(1), b32(0), long, strings.Repeat("\x00", 16), m.matrix, b32(48<<16), b32(32<<16))
	mdhd := box("mdhd", version, long, long, b32(100), long, b32(0))
	hdlr := box("hdlr", strings.Repeat("\x00", 8), "vide", strings.Repeat("\x00", 12))
	stbl := box("stbl", box("stsd", m.stsd), box("stts", m.stts), box("stsz", m.stsz), box("stsc", m.stsc), m.stco)
	if m.ctts != "" {
		stbl = box("stbl", box("ctts", m.ctts), box("stsd", m.stsd), box("stts", m.stts), box("stsz", m.stsz), box("stsc", m.stsc),
			m.stco)
	}
	var edts string
	if m.elst != "" {
		edts = box("edts", box("elst", m.elst))
	}
	moov := box("moov", mvhd, box("trak", tkhd, edts, box("mdia", mdhd, hdlr, box("minf", stbl))))
	head := box("skip", "")
	if m.wide {
		return b32(1) + "mdat" + be(0, 16+len(m.frames)) + m.frames + moov
	}
	return head + box("mdat", m.frames) + moov
}

// TestTheTablesOfAnMP4SayWhenAndHowFramesAreShown.
func TestTheTablesOfAnMP4SayWhenAndHowFramesAreShown(t *testing.T) {
	ms := func(times ...int) (all []time.Duration) {
		for _, v := range times {
			all = append(all, time.Duration(v)*time.Millisecond)
		}
		return all
	}
	first := func() []byte {
		m, err := open(t, "it", []byte(newMovie(t).bytes())).Frames[0].Image()
		if err != nil {
			t.Fatal(err)
		}
		return rgb(t, m).Pix
	}()
	for name, c := range map[string]struct {
		change   func(*movie)
		times    []time.Duration
		duration int
		corner   int // the pixel of the first frame as stored that is shown at the top left
		turned   bool
	}{
		"plain":            {func(m *movie) {}, ms(0, 500, 1000), 1500, 0, false},
		"64 bits":          {func(m *movie) { m.wide = true }, ms(0, 500, 1000), 1500, 0, false},
		"uneven":           {func(m *movie) { m.stts = be(0, 2, 1, 10, 2, 100) }, ms(0, 100, 1100), 2100, 0, false},
		"in another order": {func(m *movie) { m.ctts = be(0, 3, 1, 0, 1, 60, 1, -10) }, ms(0, 900, 1100), 1500, 0, false},
		"an edit into it":  {func(m *movie) { m.elst = be(0, 1, 1000, 50, 1<<16) }, ms(0, 500), 1000, -1, false},
		"an edit between":  {func(m *movie) { m.elst = be(0, 1, 1000, 25, 1<<16) }, ms(0, 250, 750), 1250, 0, false},
		"a delay": {func(m *movie) {
			m.elst = be(0, 2, 2000, -1, 1<<16, 1500, 0, 1<<16)
		}, ms(2000, 2500, 3000), 3500, 0, false},
		"mirrored":             {func(m *movie) { m.matrix = matrix(-1, 0, 0, 1) }, ms(0, 500, 1000), 1500, 47, false},
		"upside down":          {func(m *movie) { m.matrix = matrix(-1, 0, 0, -1) }, ms(0, 500, 1000), 1500, 32*48 - 1, false},
		"turned clockwise":     {func(m *movie) { m.matrix = matrix(0, 1, -1, 0) }, ms(0, 500, 1000), 1500, 31 * 48, true},
		"turned anticlockwise": {func(m *movie) { m.matrix = matrix(0, -1, 1, 0) }, ms(0, 500, 1000), 1500, 47, true},
		"co64":                 {func(m *movie) { m.stco = box("co64", be(0, 1, 0, 16)) }, ms(0, 500, 1000), 1500, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMovie(t)
			c.change(&m)
			clip := open(t, "it", []byte(m.bytes()))
			var times []time.Duration
			for _, f := range clip.Frames {
				times = append(times, f.Time)
			}
			if len(times) != len(c.times) || clip.Duration != time.Duration(c.duration)*time.Millisecond {
				t.Fatalf("%v, %v", times, clip.Duration)
			}
			for i := range times {
				if times[i] != c.times[i] {
					t.Errorf("%v, want %v", times, c.times)
				}
			}
			shown, err := clip.Frames[0].Image()
			if err != nil {
				t.Fatal(err)
			}
			got := rgb(t, shown)
			if wide := got.Width == 48 && clip.Width == 48 && clip.Height == 32; wide == c.turned {
				t.Errorf("%d×%d pixels", got.Width, got.Height)
			}
			if c.corner >= 0 && string(got.Pix[:3]) != string(first[3*c.corner:][:3]) {
				t.Errorf("another pixel in the corner")
			}
		})
	}
}

// TestAnMP4ThatLiesIsAnError, and takes no more memory than it has.
func TestAnMP4ThatLiesIsAnError(t *testing.T) {
	deep := ""
	for range 20_000 {
		deep = box("moov", deep)
		if len(deep) > 100_000 {
			break
		}
	}
	for name, c := range map[string]struct {
		change func(*movie)
		want   string
	}{
		"four billion samples of one size": {func(m *movie) { m.stsz = be(0, 1, -1) }, "tells of 4294967295 samples"},
		"four billion samples":             {func(m *movie) { m.stsz = be(0, 0, -1) }, "tells of 4294967295 samples"},
		"too many samples": {func(m *movie) { m.stsz = be(0, 1, 300); m.frames += strings.Repeat("x", 300) },
			"too large in number"},
		"sizes that are missing":       {func(m *movie) { m.stsz = b32(0) }, "no sizes"},
		"times of fewer":               {func(m *movie) { m.stts = be(0, 1, 2, 50) }, "times of 2 of 3"},
		"a table of times that is cut": {func(m *movie) { m.stts = be(0, 1000) }, "times of 0 of 3"},
		"places of fewer":              {func(m *movie) { m.stsc = be(0, 1, 1, 2, 1) }, "places for 2 of 3"},
		"chunk 0":                      {func(m *movie) { m.stsc = be(0, 1, 0, 3, 1) }, "chunks 0 to"},
		"chunks backwards":             {func(m *movie) { m.stsc = be(0, 2, 1, 1, 1, 0, 2, 1) }, "chunks 1 to -1"},
		"a frame behind the end":       {func(m *movie) { m.stco = box("stco", b32(0), b32(1), b32(1<<30)) }, "lies at"},
		"a frame larger than the file": {func(m *movie) { m.stsz = be(0, 0, 1, -1) }, "lies at 16, with 4294967295 bytes"},
		"a place of 64 bits":           {func(m *movie) { m.stco = box("co64", b32(0), b32(1), b32(-1), b32(-1)) }, "lies at"},
		"no frame":                     {func(m *movie) { m.stsz = be(0, 0, 0) }, "without a frame"},
		"no description":               {func(m *movie) { m.stsd = be(0, 1) }, "no description"},
		"a description that is cut":    {func(m *movie) { m.stsd = be(0, 1) + box("jpeg", "") }, "has 0 bytes"},
		"no size": {func(m *movie) { m.stsd = be(0, 1) + box("jpeg", strings.Repeat("\x00", 78)) },
			"0×0 pixels"},
	} {
		m := newMovie(t)
		c.change(&m)
		data := m.bytes()
		var err error
		used := allocated(func() {
			_, err = media.Video("it", strings.NewReader(data), int64(len(data)), media.Options{Frames: 200})
		})
		if err == nil || !strings.Contains(err.Error(), c.want) || used > 1<<20 {
			t.Errorf("%s: %v, %d bytes allocated", name, err, used)
		}
	}
	plain := newMovie(t).bytes()
	for name, data := range map[string]string{
		"boxes in boxes":                     box("ftyp", "isom") + deep,
		"a box of 3 bytes":                   box("ftyp", "isom") + b32(3) + "moov",
		"a box of 2^63 bytes":                box("ftyp", "isom") + b32(1) + "moov" + "\x80\x00\x00\x00" + b32(0),
		"a box that is longer than the file": box("ftyp", "isom") + b32(1<<30) + "moov",
		"tables that were not written":       plain[:len(plain)/2],
		"only the beginning":                 box("ftyp", "isom"),
	} {
		var err error
		used := allocated(func() { _, err = media.Video("it", strings.NewReader(data), int64(len(data)), media.Options{}) })
		if err == nil || used > 1<<20 {
			t.Errorf("%s: %v, %d bytes allocated", name, err, used)
		}
	}
}

// TestAnAVIIsReadWithoutItsIndexAndWithoutItsEnd.
func TestAnAVIIsReadWithoutItsIndexAndWithoutItsEnd(t *testing.T) {
	whole := string(read(t, "videos/mjpeg.avi"))
	index := strings.LastIndex(whole, "idx1")
	if index < 0 {
		t.Fatal("no index")
	}
	movi := strings.Index(whole, "movi")
	whole = whole[:4] + u32(index-8) + whole[8:index]
	unsized := whole[:4] + u32(0) + whole[8:movi-4] + u32(0) + whole[movi:index]
	for name, c := range map[string]struct {
		data   string
		frames int
	}{
		"without its index":     {whole, 5},
		"broken off in a frame": {whole[:index-100], 4},
		"an OpenDML part":       {whole + "RIFF" + u32(4+len(whole[movi-8:index])) + "AVIX" + whole[movi-8:index], 10},
		"sizes never written":   {unsized, 5},
	} {
		clip := open(t, "it", []byte(c.data))
		if len(clip.Frames) != c.frames {
			t.Errorf("%s: %d frames, want %d", name, len(clip.Frames), c.frames)
			continue
		}
		if _, err := clip.Frames[c.frames-1].Image(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
