package sound

import (
	"bytes"
	"io"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/pion/opus/pkg/oggreader"
)

// packets returns those of a file of testdata, without header and comments, and the position at the end.
func packets(t *testing.T, name string) (all [][]byte, position int64) {
	t.Helper()
	f, err := os.Open("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, _, err := oggreader.NewWith(f)
	if err != nil {
		t.Fatal(err)
	}
	for {
		packet, page, err := r.ParseNextPacket()
		if err == io.EOF {
			return all[1:], position
		}
		if err != nil {
			t.Fatal(err)
		}
		all, position = append(all, packet), int64(page.GranulePosition)
	}
}

// samplesOf reads a file that was put together.
func samplesOf(t *testing.T, file []byte) []float32 {
	t.Helper()
	clip, err := Read(bytes.NewReader(file), Options{})
	if err != nil {
		t.Fatal(err)
	}
	return clip.Samples
}

var tags = oggPage{packets: [][]byte{[]byte("OpusTags\x00\x00\x00\x00\x00\x00\x00\x00")}}

// TestOpusBeginsAndEndsWhereItsPositionsSay puts the packets of a file, 20 ms each, into pages of Ogg.
func TestOpusBeginsAndEndsWhereItsPositionsSay(t *testing.T) {
	all, _ := packets(t, "speech.opus")
	head := oggPage{head: true, packets: [][]byte{opusHeader(1, 0, 312, 0)}}
	n := int64(len(all)) * 960
	whole := samplesOf(t, oggFile(head, tags, oggPage{position: n, packets: all}))
	if want := int(n-312) / 3; len(whole) != want {
		t.Fatalf("%d samples, want %d", len(whole), want)
	}
	half := len(all) / 2
	at := int64(half) * 960
	for _, c := range []struct {
		name  string
		pages []oggPage
		want  int
	}{
		{"two pages", []oggPage{{position: at, packets: all[:half]}, {position: n, packets: all[half:]}}, int(n-312) / 3},
		{"an end within the last page",
			[]oggPage{{position: at, packets: all[:half]}, {position: n - 300, packets: all[half:]}}, int(n-612) / 3},
		{"an end within the only page", []oggPage{{position: n - 300, packets: all}}, int(n-612) / 3},
		{"cut out of another stream",
			[]oggPage{{position: 1e9 + at, packets: all[:half]}, {position: 1e9 + n - 300, packets: all[half:]}}, int(n-612) / 3},
		{"without positions", []oggPage{{position: -1, packets: all}}, int(n-312) / 3},
		{"with an empty packet", []oggPage{{position: n, packets: slices.Concat(all[:3], [][]byte{{}}, all[3:])}}, int(n-312) / 3},
	} {
		got := samplesOf(t, oggFile(append([]oggPage{head, tags}, c.pages...)...))
		if len(got) != c.want || !slices.Equal(got[:c.want-200], whole[:c.want-200]) {
			t.Errorf("%s: %d samples, want %d, and those of the whole", c.name, len(got), c.want)
		}
	}
	later := oggPage{head: true, packets: [][]byte{opusHeader(1, 0, 312+480, 0)}}
	short := samplesOf(t, oggFile(later, tags, oggPage{position: n, packets: all}))
	if len(short) != len(whole)-160 || !slices.Equal(short[100:], whole[260:]) {
		t.Errorf("with 10 ms more to skip %d samples, want %d", len(short), len(whole)-160)
	}
}

func TestStreamsOfOpusOneAfterTheOtherAreAllRead(t *testing.T) {
	var both []byte
	var want int
	for _, name := range []string{"speech.opus", "stereo.opus"} {
		file, err := os.ReadFile("testdata/" + name)
		if err != nil {
			t.Fatal(err)
		}
		want += len(samplesOf(t, file))
		both = append(both, file...)
	}
	if got := samplesOf(t, both); len(got) != want {
		t.Errorf("%d samples, want %d", len(got), want)
	} else if like := likeness(got[8000:], voices(4800, 0, 2)); like < 26 {
		t.Errorf("the second one is %.1f dB from its source", like)
	}
}

func TestTheGainOfOpusIsApplied(t *testing.T) {
	all, _ := packets(t, "speech.opus")
	read := func(gain int16) []float32 {
		head := oggPage{head: true, packets: [][]byte{opusHeader(1, 0, 312, gain)}}
		return samplesOf(t, oggFile(head, tags, oggPage{position: 1 << 40, packets: all}))
	}
	plain := read(0)
	for _, gain := range []int16{-6 * 256, 6*256 + 128} {
		factor := math.Pow(10, float64(gain)/256/20)
		for i, x := range read(gain) {
			if math.Abs(float64(x)-factor*float64(plain[i])) > 1e-6 {
				t.Fatalf("gain %d: sample %d is %v, without it %v", gain, i, x, plain[i])
			}
		}
	}
}

// TestWebMIsReadAsBrowsersRecordIt puts the packets of a file into clusters without sizes, between blocks of a picture.
func TestWebMIsReadAsBrowsersRecordIt(t *testing.T) {
	all, _ := packets(t, "speech.opus")
	header := opusHeader(1, 0, 312, 0)
	whole := samplesOf(t, oggFile(oggPage{head: true, packets: [][]byte{header}}, tags, oggPage{position: 1 << 40, packets: all}))
	blocks := func(packets [][]byte) (b []byte) {
		for _, p := range packets {
			b = append(append(b, simpleBlock(1, []byte("picture"))...), simpleBlock(2, p)...)
		}
		return b
	}
	group := func(packet []byte, discard ...byte) []byte {
		block := element(idBlock, append([]byte{0x82, 0, 0, 0}, packet...))
		if discard != nil {
			block = append(block, element(idDiscardPadding, discard)...)
		}
		return element(idBlockGroup, block)
	}
	lacedBlock := append([]byte{0x82, 0, 0, 0x06, 1}, 0x80|byte(len(all[0])))
	if len(all[0]) > 126 {
		lacedBlock = append([]byte{0x82, 0, 0, 0x06, 1}, 0x40|byte(len(all[0])>>8), byte(len(all[0])))
	}
	laced := append(element(idSimpleBlock, slices.Concat(lacedBlock, all[0], all[1])), blocks(all[2:])...)
	last := len(all) - 1
	for _, c := range []struct {
		name string
		file []byte
		want int
	}{
		{"one cluster", webmFile(webmOf("A_OPUS", header, 0), blocks(all)), len(whole)},
		{"clusters", webmFile(webmOf("A_OPUS", header, 6500000), blocks(all[:5]), blocks(all[5:9]), blocks(all[9:])), len(whole)},
		{"no header, but a delay", webmFile(webmOf("A_OPUS", nil, 6500000), blocks(all)), len(whole)},
		{"a cluster with a size", append(webmFile(webmOf("A_OPUS", header, 0)), element(idCluster, blocks(all))...), len(whole)},
		{"cues and void", slices.Concat(webmFile(webmOf("A_OPUS", header, 0)), element(0x1c53bb6b, make([]byte, 99)),
			element(0xec, []byte{}), element(idCluster, nil), blocks(all), element(0x1254c367, []byte("tags"))), len(whole)},
		{"groups", webmFile(webmOf("A_OPUS", header, 0), blocks(all[:last]), group(all[last])), len(whole)},
		{"an end within the last packet",
			webmFile(webmOf("A_OPUS", header, 0), blocks(all[:last]), group(all[last], 0x00, 0x98, 0x96, 0x80)), len(whole) - 160},
		{"laced", webmFile(webmOf("A_OPUS", header, 0), laced), len(whole)},
	} {
		got := samplesOf(t, c.file)
		if len(got) != c.want || !slices.Equal(got[:c.want-200], whole[:c.want-200]) {
			t.Errorf("%s: %d samples, want %d, and those of the whole", c.name, len(got), c.want)
		}
	}
	cut := webmFile(webmOf("A_OPUS", header, 0), blocks(all))
	clip, err := Read(bytes.NewReader(cut[:len(cut)-3]), Options{})
	if err != nil || !clip.Truncated || len(clip.Samples) != len(whole)-320 {
		t.Errorf("three bytes short: %d samples of %d, %v", len(clip.Samples), len(whole), err)
	}
}

func TestWhatIsWrongWithOpusIsSaid(t *testing.T) {
	header := opusHeader(1, 0, 312, 0)
	head := oggPage{head: true, packets: [][]byte{header}}
	damaged := oggFile(head, tags, oggPage{position: 960, packets: [][]byte{{0xfc, 1, 2, 3}}})
	damaged[len(damaged)-1]++
	for _, c := range []struct {
		file []byte
		want string
	}{
		{damaged, "checksum"},
		{oggFile(head), "Opus in Ogg: no samples"},
		{oggFile(head, tags), "Opus in Ogg: no samples"},
		{oggFile(head, oggPage{packets: [][]byte{{0xfc, 1, 2, 3}}}), "no comments"},
		{oggFile(oggPage{head: true, packets: [][]byte{opusHeader(0, 0, 0, 0)}}), "0 channels"},
		{oggFile(head)[:40], "ends before its sound"},
		{webmFile(nil), "ends before its sound"},
		{webmFile(element(idTracks, []byte{})), "without a track of sound"},
		{webmFile(webmOf("A_OPUS", []byte("OpusFeet"), 0)), "header of Opus that is none"},
		{webmFile(webmOf("A_OPUS", header, 0)), "Opus in WebM: no samples"},
		{webmFile(webmOf("A_OPUS", header, 0), []byte{0}), "where an element should begin"},
		{webmFile(webmOf("A_OPUS", header, 0), element(0xec, nil)), "has no size"},
		{webmFile(webmOf("A_OPUS", header, 0), append(element(idSimpleBlock, nil)[:1], 0x01, 0, 0, 0, 0x7f, 0, 0, 0)), "2130706432 bytes"},
	} {
		_, err := Read(bytes.NewReader(c.file), Options{Name: "a"})
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "sound: a: ") {
			t.Errorf("%q: %v", c.want, err)
		}
	}
}
