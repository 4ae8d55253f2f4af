package media

import (
	"bufio"
	"bytes"
	"strings"
	"testing"
)

func FuzzPixmaps(f *testing.F) {
	f.Add([]byte("P6\n2 1\n255\nabcdefP6\n2 1\n255\nABCDEF"))
	f.Add([]byte(strings.Repeat("P6 1 1\n255\n\n\n\n", 300)))
	f.Add([]byte("P6\n99999 99999\n255\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		var w places
		k, err := keep(bufio.NewReader(bytes.NewReader(data)), &w, Options{Pixels: 1 << 10, Frames: 1000})
		if err == nil && (len(k.at) > 2*SampleMost || k.seconds > 0 && (len(k.at)-1)*k.every > k.seconds) {
			t.Fatalf("%+v", k)
		}
	})
}

// places is a file that is thrown away, but for its length.
type places int64

func (p *places) WriteAt(b []byte, at int64) (int, error) {
	*p = max(*p, places(at)+places(len(b)))
	return len(b), nil
}

// TestALongVideoKeepsSoManyFramesAndNoMore: 1000 seconds, of which every sixteenth is kept.
func TestALongVideoKeepsSoManyFramesAndNoMore(t *testing.T) {
	for _, c := range []struct{ seconds, kept, every int }{
		{1, 1, 1}, {120, 120, 1}, {121, 61, 2}, {240, 120, 2}, {241, 61, 4}, {1000, 63, 16},
	} {
		var stream bytes.Buffer
		for i := range c.seconds {
			stream.WriteString("P6\n1 1\n255\n")
			stream.Write([]byte{byte(i), byte(i >> 8), 7})
		}
		kept := make(memory, 3*2*SampleMost)
		k, err := keep(bufio.NewReader(&stream), kept, Options{})
		if err != nil || len(k.at) != c.kept || k.every != c.every || k.seconds != c.seconds {
			t.Fatalf("%d seconds: %d frames, every %d, of %d, %v", c.seconds, len(k.at), k.every, k.seconds, err)
		}
		for i, at := range k.at {
			if got := int(kept[at]) + int(kept[at+1])<<8; got != i*k.every {
				t.Errorf("%d seconds: frame %d is of second %d", c.seconds, i, got)
			}
		}
	}
}

// memory is a file of so many bytes.
type memory []byte

func (m memory) WriteAt(b []byte, at int64) (int, error) { return copy(m[at:at+int64(len(b))], b), nil }
