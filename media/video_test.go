package media_test

import (
	"bytes"
	"errors"
	"io"
	"path"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/gogemma/gemma4/internal/pixel"
	"github.com/gogemma/gemma4/media"
)

func open(t testing.TB, name string, data []byte) *media.Clip {
	t.Helper()
	c, err := media.Video(name, bytes.NewReader(data), int64(len(data)), media.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestAnimationsHaveTheFramesThatPillowGivesThem, in order and in any other: to the byte.
func TestAnimationsHaveTheFramesThatPillowGivesThem(t *testing.T) {
	for _, name := range paths(t, "videos") {
		t.Run(path.Base(name), func(t *testing.T) {
			c := open(t, name, read(t, name))
			want := expected(t, name)
			if want.Height != c.Height*len(c.Frames) || want.Width != c.Width {
				t.Fatalf("%d frames of %d×%d pixels; Pillow has %d×%d", len(c.Frames), c.Width, c.Height, want.Width, want.Height)
			}
			order := []int{}
			for i := range c.Frames {
				order = append(order, i)
			}
			order = append(order, 3, 1, 2, 0, 3, 2, 2, 3)
			for _, i := range order {
				m, err := c.Frames[i].Image()
				if err != nil {
					t.Fatal(err)
				}
				part := &pixel.Image{Width: want.Width, Height: c.Height, Pix: want.Pix[3*i*c.Height*want.Width:][:3*c.Height*want.Width]}
				if largest, _ := difference(t, rgb(t, m), part); largest > 0 {
					t.Errorf("frame %d has a pixel that is %d off", i, largest)
				}
			}
		})
	}
}

// TestMotionJPEGHasItsFramesAtTheirTimes in each container, the same ones.
func TestMotionJPEGHasItsFramesAtTheirTimes(t *testing.T) {
	var first [][]byte
	for _, name := range []string{"mjpeg.avi", "mjpeg.mp4", "sound.mov", "png.mov"} {
		t.Run(name, func(t *testing.T) {
			c := open(t, name, read(t, "videos/"+name))
			if c.Width != 48 || c.Height != 32 || len(c.Frames) != 5 || c.Duration != time.Second || c.Sound != (name == "sound.mov") {
				t.Fatalf("%d frames of %d×%d pixels, %v, sound %v", len(c.Frames), c.Width, c.Height, c.Duration, c.Sound)
			}
			for i, f := range c.Frames {
				m, err := f.Image()
				if err != nil {
					t.Fatal(err)
				}
				if f.Index != i || f.Time != time.Duration(i)*200*time.Millisecond {
					t.Errorf("frame %d is %d at %v", i, f.Index, f.Time)
				}
				got := rgb(t, m)
				if len(first) <= i {
					first = append(first, got.Pix)
				}
				d, mean := difference(t, got, &pixel.Image{Width: 48, Height: 32, Pix: first[i]})
				if name != "png.mov" && d != 0 || mean > 25 {
					t.Errorf("frame %d is %d off, %.1f on average", i, d, mean)
				}
			}
		})
	}
}

func TestAStreamOfJPEGsIsReadThroughGarbage(t *testing.T) {
	stream := read(t, "videos/stream.mjpeg")
	var parts [][]byte
	for f, err := range media.Stream(bytes.NewReader(stream), 5, media.Options{}) {
		if err != nil {
			t.Fatal(err)
		}
		m, err := f.Image()
		if err != nil {
			t.Fatal(err)
		}
		if f.Index != len(parts) || f.Time != time.Duration(f.Index)*200*time.Millisecond {
			t.Errorf("frame %d is %d at %v", len(parts), f.Index, f.Time)
		}
		parts = append(parts, rgb(t, m).Pix)
	}
	if len(parts) != 5 {
		t.Fatalf("%d frames", len(parts))
	}
	cuts := bytes.Split(stream, []byte("\xff\xd8\xff"))[1:] // each without its beginning
	frame := func(i int) string { return "\xff\xd8\xff" + string(cuts[i]) }
	for name, c := range map[string]struct {
		stream string
		frames []int
	}{
		"garbage between":            {"HTTP/1.1\r\n\r\n" + frame(0) + "\r\n--boundary\xff\r\n" + frame(1) + "\xff\x00\xff", []int{0, 1}},
		"broken off in its scan":     {frame(0)[:600] + frame(1) + frame(2), []int{1, 2}},
		"broken off in its header":   {"\xff\xd8\xff" + frame(1), []int{1}},
		"the last is not all there":  {frame(3) + frame(4)[:500], []int{3}},
		"marks repeated":             {frame(0)[:2] + "\xff\xff" + frame(0)[2:] + frame(2), []int{0, 2}},
		"one in a segment (preview)": {frame(0)[:2] + "\xff\xe1\x00\x08\xff\xd8\xff\xd9.." + frame(0)[2:] + frame(2), []int{0, 2}},
	} {
		var got []int
		for f, err := range media.Stream(iotest.OneByteReader(bytes.NewReader([]byte(c.stream))), 5, media.Options{}) {
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			m, err := f.Image()
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			pix := rgb(t, m).Pix
			got = append(got, slices.IndexFunc(parts, func(p []byte) bool { return bytes.Equal(p, pix) }))
		}
		if !slices.Equal(got, c.frames) {
			t.Errorf("%s: frames %v, want %v", name, got, c.frames)
		}
	}
}

// TestAFrameOfAStreamIsThereWithItsLastByte, before the next one comes.
func TestAFrameOfAStreamIsThereWithItsLastByte(t *testing.T) {
	cuts := bytes.Split(read(t, "videos/stream.mjpeg"), []byte("\xff\xd8\xff"))[1:]
	r, w := io.Pipe()
	seen := make(chan int)
	go func() {
		defer w.Close()
		for i, cut := range cuts {
			w.Write(append([]byte("\xff\xd8\xff"), cut...))
			if got := <-seen; got != i {
				t.Errorf("frame %d, want %d", got, i)
			}
		}
	}()
	for f, err := range media.Stream(r, 0, media.Options{}) {
		if err != nil {
			t.Fatal(err)
		}
		seen <- f.Index
	}
}

func TestStreamsThatHaveNoPictureSaySo(t *testing.T) {
	broken := errors.New("unplugged")
	for name, c := range map[string]struct {
		r    io.Reader
		want string
	}{
		"empty":   {strings.NewReader(""), "no JPEG picture in a stream of 0 bytes"},
		"H.264":   {strings.NewReader("\x00\x00\x00\x01\x67\x42"), "no JPEG picture in a stream of 6 bytes"},
		"errors":  {io.MultiReader(bytes.NewReader(read(t, "videos/stream.mjpeg")), iotest.ErrReader(broken)), "unplugged"},
		"endless": {zeros{}, "in 1000 bytes"},
	} {
		var last error
		for _, err := range media.Stream(c.r, 0, media.Options{Bytes: 1000}) {
			last = err
		}
		if last == nil || !strings.Contains(last.Error(), c.want) {
			t.Errorf("%s: %v", name, last)
		}
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestLatestGivesTheNewestFrameAndReadsOn(t *testing.T) {
	sent := make(chan int) // unbuffered: who sends never waits for the loop
	frames := func(yield func(media.Frame, error) bool) {
		for i := range sent {
			if !yield(media.Frame{Index: i}, nil) {
				return
			}
		}
		yield(media.Frame{}, io.ErrClosedPipe)
	}
	go func() { sent <- 0 }()
	var got []int
	var last error
	for f, err := range media.Latest(frames) {
		if err != nil {
			last = err
			continue
		}
		got = append(got, f.Index)
		if f.Index == 0 {
			for i := 1; i <= 5; i++ {
				sent <- i
			}
			close(sent)
		}
	}
	// The frames 1 to 5 were sent while the loop held frame 0; all but the last may have been passed over, and 5 has not.
	if got[0] != 0 || got[len(got)-1] != 5 || !slices.IsSorted(got) || len(got) > 3 || last != io.ErrClosedPipe {
		t.Errorf("frames %v, %v", got, last)
	}
}

func TestSampleChoosesAFrameASecondUpTo60(t *testing.T) {
	clip := func(fps float64, seconds float64) (frames []media.Frame, d time.Duration) {
		for i := 0; float64(i) < fps*seconds; i++ {
			frames = append(frames, media.Frame{Index: i, Time: time.Duration(float64(i) / fps * 1e9)})
		}
		return frames, time.Duration(seconds * 1e9)
	}
	for _, c := range []struct {
		fps, seconds float64
		chosen       int
		spread       bool
		second       time.Duration // when the second frame chosen is shown
	}{
		{30, 0.5, 1, false, 0},
		{30, 1.01, 2, false, time.Second},
		{29.97, 10, 10, false, time.Second},
		{25, 60, 60, false, time.Second},
		{25, 60.5, 60, true, 60500 * time.Millisecond / 60},
		{1, 600, 60, true, 10 * time.Second},
		{0.1, 60, 60, false, time.Second},
	} {
		frames, d := clip(c.fps, c.seconds)
		chosen, spread := media.Sample(frames, d)
		if len(chosen) != c.chosen || spread != c.spread || len(chosen) > 1 && chosen[1].Time != c.second {
			t.Errorf("%v: %d frames, spread %v, %v", c, len(chosen), spread, chosen[min(1, len(chosen)-1)].Time)
		}
		for _, f := range chosen {
			own := frames[f.Index].Time
			if own > f.Time || f.Index+1 < len(frames) && frames[f.Index+1].Time <= f.Time {
				t.Errorf("%v: at %v frame %d is chosen, of %v", c, f.Time, f.Index, own)
			}
		}
	}
	// Times are what counts, not numbers: a frame that stays is chosen as often, and a burst of frames once.
	uneven := []media.Frame{{Index: 0, Time: 0}, {Index: 1, Time: 1e8}, {Index: 2, Time: 2e8}, {Index: 3, Time: 3e9}}
	var got []int
	chosen, _ := media.Sample(uneven, 4e9)
	for _, f := range chosen {
		got = append(got, f.Index)
	}
	if !slices.Equal(got, []int{0, 2, 2, 3}) {
		t.Errorf("frames %v", got)
	}
	if chosen, _ := media.Sample(nil, 1e9); chosen != nil {
		t.Error("there are frames in nothing")
	}
}

func TestUniformChoosesAsHFDoes(t *testing.T) {
	var frames []media.Frame
	for i := range 100 {
		frames = append(frames, media.Frame{Index: i, Time: time.Duration(i)})
	}
	chosen, err := media.Uniform(frames, 32)
	if err != nil || len(chosen) != 32 || chosen[1].Index != 3 || chosen[31].Index != 96 || chosen[31].Time != 96 {
		t.Errorf("%v, %v", chosen, err)
	}
	for _, n := range []int{-1, 0, 101} {
		if _, err := media.Uniform(frames, n); err == nil {
			t.Errorf("%d frames of 100", n)
		}
	}
}
