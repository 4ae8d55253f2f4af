package sound

import (
	"bytes"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
)

// mp3Of returns the frames of a file of testdata, one by one.
func mp3Of(t *testing.T, name string) (frames [][]byte) {
	t.Helper()
	file, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	for at := 0; at < len(file); {
		if h, ok := parseMP3(file[at:]); ok && at+h.size <= len(file) {
			frames = append(frames, file[at:at+h.size])
			at += h.size
		} else {
			at++
		}
	}
	return frames
}

// TestAnMP3CutOutOfAnotherBeginsSilently leaves out the first frames, whose bytes later ones count on.
func TestAnMP3CutOutOfAnotherBeginsSilently(t *testing.T) {
	for _, name := range []string{"stereo.mp3", "variable.mp3", "bare.mp3"} {
		frames := mp3Of(t, name)
		if name != "bare.mp3" {
			frames = frames[1:] // which tells about the others
		}
		rate := 44100
		if name == "bare.mp3" {
			rate = Rate
		}
		whole := samplesOf(t, bytes.Join(frames, nil))
		loudest := float32(0)
		for _, x := range whole {
			loudest = max(loudest, x, -x)
		}
		for first := 1; first < len(frames)-4; first++ {
			got := samplesOf(t, bytes.Join(frames[first:], nil))
			for i, x := range got {
				if x > 1.2*loudest || x < -1.2*loudest {
					t.Errorf("%s from frame %d on: sample %d is %v, louder than all of the whole, %v", name, first, i, x, loudest)
					break
				}
			}
			// Its end is the whole's, but for the resampler's phase where the cut is not at a sample of 16 kHz.
			h, _ := parseMP3(frames[0])
			cut := float64(first*h.samples()) / float64(rate) * Rate
			if cut != math.Round(cut) {
				continue
			}
			tail := 2 * h.samples() * Rate / rate
			if want := whole[len(whole)-tail:]; !slices.Equal(got[len(got)-tail:], want) {
				t.Errorf("%s from frame %d on does not end like the whole", name, first)
			}
		}
	}
}

func TestWhatIsBetweenFramesOfMP3IsPassedOver(t *testing.T) {
	frames := mp3Of(t, "bare.mp3")
	whole := samplesOf(t, bytes.Join(frames, nil))
	tag := append([]byte("ID3\x04\x00\x10\x00\x00\x01\x05"), make([]byte, 133+10)...)
	old := append([]byte("TAG"), make([]byte, 125)...)
	for name, file := range map[string][]byte{
		"tags in front":      slices.Concat(tag, tag, bytes.Join(frames, nil)),
		"an old tag behind":  append(bytes.Join(frames, nil), old...),
		"an APE tag behind":  append(bytes.Join(frames, nil), "APETAGEX\xd0\x07\x00\x00\xff\xfb\x90\x64 more"...),
		"zeros in front":     append(make([]byte, 1000), bytes.Join(frames, nil)...),
		"a header by chance": append([]byte("\xff\xf3\x48\xc4 and nothing"), bytes.Join(frames, nil)...),
	} {
		if got := samplesOf(t, file); !slices.Equal(got, whole) {
			t.Errorf("%s: %d samples, want %d, and the same", name, len(got), len(whole))
		}
	}
	between := samplesOf(t, slices.Concat(bytes.Join(frames[:5], nil), old, bytes.Join(frames[5:], nil)))
	if len(between) != len(whole) || !slices.Equal(between[:4*576], whole[:4*576]) {
		t.Errorf("with a tag between frames: %d samples, want %d", len(between), len(whole))
	}
}

func TestAnMP3BehindAnotherIsRead(t *testing.T) {
	file, err := os.ReadFile("testdata/variable.mp3")
	if err != nil {
		t.Fatal(err)
	}
	one := samplesOf(t, file)
	both := samplesOf(t, append(slices.Clone(file), file...))
	// The second one's first frame, its encoder's delay and what fills its last frame count there.
	if more := len(both) - 2*len(one); more < 0 || more > 5*1152 {
		t.Errorf("%d samples, one file has %d", len(both), len(one))
	}
	best := math.Inf(-1)
	for late := range 2400 {
		if from := len(one) + late; from+4000 < len(both) {
			best = max(best, likeness(both[from:from+4000], one[:4000]))
		}
	}
	if best < 25 {
		t.Errorf("the second file is %.1f dB from the first", best)
	}
}

// TestRefilledFramesHoldTheSameData packs frames as an encoder at the largest bit rate does, which uses all that earlier frames left, and
// finds each one's data again where a decoder looks for them.
func TestRefilledFramesHoldTheSameData(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	r := &refill{}
	var stream []byte // the data areas of the file, one after the other
	var want [][]byte
	var got [][]byte
	area := func(h mp3Header, frame []byte) {
		if frame == nil {
			return
		}
		n := len(got)
		begin, data := len(stream)-int(frame[4]), frame[4+h.side():]
		stream = append(stream, data...)
		got = append(got, stream[begin:begin+len(want[n])])
	}
	free := 0 // bytes of the area before that belong to the next frame
	var h mp3Header
	for range 300 {
		frame := []byte{0xff, 0xf3, 0xe0, 0}
		h, _ = parseMP3(frame)
		frame = append(frame, make([]byte, h.size-4)...)
		room := h.size - h.data()
		data := make([]byte, min(1020, random.IntN(free+room+1)+random.IntN(300), free+room))
		for i := range data {
			data[i] = byte(random.Uint32())
		}
		// The first channel's length in bits, twelve of them behind ten others, and the second one's 63 bits further on.
		bits := 8 * len(data)
		first := min(bits, 4095)
		put := func(at, value int) {
			for i := range 12 {
				frame[4+(at+i)/8] |= byte(value>>(11-i)&1) << (7 - (at+i)%8)
			}
		}
		put(10, first)
		put(73, bits-first)
		frame[4] = byte(free)
		before := min(free, len(data))
		copy(frame[h.data():], data[before:])
		if before > 0 {
			copy(r.data[len(r.data)-free:], data[:before])
		}
		want = append(want, data)
		area(h, r.next(h, frame))
		free = min(free+room-len(data), 255)
	}
	area(h, r.frame)
	for i := range got {
		if !slices.Equal(got[i], want[i]) {
			t.Fatalf("frame %d of %d bytes has other data", i, len(want[i]))
		}
	}
}
