package sound

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

// A chunk of a WAV; size is what its header says where that is not the length.
type chunk struct {
	id   string
	body []byte
	size uint32
}

// wavFile puts a WAV together. form is RIFF, RIFX, RF64 or BW64.
func wavFile(form string, chunks ...chunk) []byte {
	var order binary.AppendByteOrder = binary.LittleEndian
	if form == "RIFX" {
		order = binary.BigEndian
	}
	file := append([]byte(form), "\xff\xff\xff\xffWAVE"...)
	for _, c := range chunks {
		size := uint32(len(c.body))
		if c.size != 0 {
			size = c.size
		}
		file = append(order.AppendUint32(append(file, c.id...), size), c.body...)
		if len(c.body)%2 == 1 {
			file = append(file, 0)
		}
	}
	return file
}

// wavFormat is a chunk "fmt "; extensible ones have the tag in their GUID, and valid bits.
func wavFormat(order binary.AppendByteOrder, tag uint16, channels, rate, bits int, valid ...int) chunk {
	size := (bits + 7) / 8
	head := tag
	if valid != nil {
		head = 0xfffe
	}
	b := order.AppendUint16(nil, head)
	b = order.AppendUint16(b, uint16(channels))
	b = order.AppendUint32(b, uint32(rate))
	b = order.AppendUint32(b, uint32(rate*channels*size))
	b = order.AppendUint16(b, uint16(channels*size))
	b = order.AppendUint16(b, uint16(bits))
	if valid != nil {
		b = order.AppendUint16(b, 22)
		b = order.AppendUint16(b, uint16(valid[0]))
		b = order.AppendUint32(b, 0)
		b = order.AppendUint16(b, tag)
		b = append(b, "\x00\x00\x00\x00\x10\x00\x80\x00\x00\xaa\x00\x38\x9b\x71"...)
	}
	return chunk{id: "fmt ", body: b}
}

var little, big = binary.LittleEndian, binary.BigEndian

func data(b ...byte) chunk { return chunk{id: "data", body: b} }

func pcm16(samples ...int16) chunk {
	var b []byte
	for _, s := range samples {
		b = little.AppendUint16(b, uint16(s))
	}
	return chunk{id: "data", body: b}
}

func TestWAVsOfAllCommonKindsAreRead(t *testing.T) {
	f32 := func(x ...float32) (b []byte) {
		for _, x := range x {
			b = little.AppendUint32(b, math.Float32bits(x))
		}
		return b
	}
	f64 := func(x ...float64) (b []byte) {
		for _, x := range x {
			b = little.AppendUint64(b, math.Float64bits(x))
		}
		return b
	}
	mono16 := wavFormat(little, 1, 1, Rate, 16)
	three := pcm16(16384, -32768, 32767)
	unknown := chunk{id: "data", body: three.body, size: math.MaxUint32}
	long := chunk{id: "data", body: three.body, size: 36000 * 32000}
	want3 := []float32{0.5, -1, 32767.0 / 32768}
	ds64 := func(size uint64) chunk {
		return chunk{id: "ds64", body: append(little.AppendUint64(make([]byte, 8), size), make([]byte, 12)...)}
	}
	list := chunk{id: "LIST", body: []byte("INFOISFT\x05\x00\x00\x00abcde")} // odd, and so padded
	for _, c := range []struct {
		name   string
		file   []byte
		format string
		want   []float32
	}{
		{"8 bits", wavFile("RIFF", wavFormat(little, 1, 1, Rate, 8), data(0, 128, 192, 255)), "8-bit PCM",
			[]float32{-1, 0, 0.5, 127.0 / 128}},
		{"16 bits", wavFile("RIFF", mono16, three), "16-bit PCM", want3},
		{"24 bits", wavFile("RIFF", wavFormat(little, 1, 1, Rate, 24), data(0, 0, 0x40, 1, 0, 0x80)), "24-bit PCM",
			[]float32{0.5, -1 + 1.0/(1<<23)}},
		{"32 bits", wavFile("RIFF", wavFormat(little, 1, 1, Rate, 32), data(0, 0, 0, 0x40, 0, 0, 0, 0x80)),
			"32-bit PCM", []float32{0.5, -1}},
		{"float32", wavFile("RIFF", wavFormat(little, 3, 1, Rate, 32), data(f32(0.1, -7)...)), "32-bit float",
			[]float32{0.1, -7}},
		{"float64", wavFile("RIFF", wavFormat(little, 3, 1, Rate, 64), data(f64(0.1, -0.75)...)), "64-bit float",
			[]float32{0.1, -0.75}},
		{"A-law", wavFile("RIFF", wavFormat(little, 6, 1, Rate, 8), data(0x55, 0xd5, 0x2a, 0xaa)), "A-law",
			[]float32{-8.0 / 32768, 8.0 / 32768, -32256.0 / 32768, 32256.0 / 32768}},
		{"µ-law", wavFile("RIFF", wavFormat(little, 7, 1, Rate, 8), data(0xff, 0x7f, 0x00, 0x80)), "µ-law",
			[]float32{0, 0, -32124.0 / 32768, 32124.0 / 32768}},
		{"extensible, 20 bits in 24", wavFile("RIFF", wavFormat(little, 1, 1, Rate, 24, 20), data(0x10, 0, 0x40)),
			"24-bit PCM", []float32{0.5 + 16.0/(1<<23)}},
		{"12 bits in 16", wavFile("RIFF", wavFormat(little, 1, 1, Rate, 12), three), "16-bit PCM", want3},
		{"extensible float", wavFile("RIFF", wavFormat(little, 3, 1, Rate, 32, 32), data(f32(0.25)...)), "32-bit float",
			[]float32{0.25}},
		{"stereo", wavFile("RIFF", wavFormat(little, 1, 2, Rate, 16), pcm16(16384, -16384, 1, 0)), "16-bit PCM",
			[]float32{0, 0.5 / 32768}},
		{"6 channels", wavFile("RIFF", wavFormat(little, 1, 6, Rate, 16), pcm16(6, 12, 18, 24, 30, 36)), "16-bit PCM",
			[]float32{21.0 / 32768}},
		{"big endian", wavFile("RIFX", wavFormat(big, 1, 1, Rate, 16), data(0x40, 0, 0x80, 0)), "16-bit PCM",
			[]float32{0.5, -1}},
		{"RF64", wavFile("RF64", ds64(6), mono16, unknown, list), "16-bit PCM", want3},
		{"BW64", wavFile("BW64", ds64(6), mono16, unknown, list), "16-bit PCM", want3},
		{"chunks before and after data", wavFile("RIFF", chunk{id: "JUNK", body: make([]byte, 27)}, list, mono16,
			chunk{id: "fact", body: []byte{3, 0, 0, 0}}, list, three, list), "16-bit PCM", want3},
		{"streamed, size unknown", wavFile("RIFF", mono16, unknown), "16-bit PCM", want3},
		{"streamed, size 0", append(wavFile("RIFF", mono16, chunk{id: "data"}), three.body...), "16-bit PCM", want3},
		{"streamed, as sox does", wavFile("RIFF", mono16, chunk{id: "data", body: three.body, size: 0x7ffff000}), "16-bit PCM", want3},
		{"ten hours of header", wavFile("RIFF", mono16, long), "16-bit PCM, cut off", want3},
		{"cut in a sample", wavFile("RIFF", mono16, three)[:49], "16-bit PCM, cut off", want3[:2]},
		{"a byte too much", wavFile("RIFF", mono16, chunk{id: "data", body: append(slices.Clone(three.body), 9)}), "16-bit PCM", want3},
	} {
		for _, r := range []io.Reader{bytes.NewReader(c.file), iotest.OneByteReader(bytes.NewReader(c.file))} {
			clip, err := Read(r, Options{})
			if err != nil {
				t.Errorf("%s: %v", c.name, err)
				continue
			}
			format, truncated := strings.CutSuffix(c.format, ", cut off")
			if !slices.Equal(clip.Samples, c.want) || clip.Format != "WAV, "+format || clip.Truncated != truncated {
				t.Errorf("%s: %v %+v, want %v, %s", c.name, clip.Samples, clip.Info, c.want, c.format)
			}
		}
	}
}

func TestLawsAreThoseOfG711(t *testing.T) {
	// Each law is monotone in the code's magnitude, odd, and has the recommendation's ends and steps.
	for _, c := range []struct {
		name   string
		law    func(byte) int
		flip   byte
		values map[byte]int
	}{
		{"A-law", aLaw, 0x55, map[byte]int{0: 8, 1: 24, 15: 248, 16: 264, 32: 528, 112: 16896, 127: 32256}},
		{"µ-law", muLaw, 0x7f, map[byte]int{0: 0, 1: 8, 15: 120, 16: 132, 32: 396, 112: 16764, 127: 32124}},
	} {
		last := -1
		for code := range byte(128) {
			plus, minus := c.law(code^c.flip|0x80), c.law(code^c.flip&0x7f)
			if want, ok := c.values[code]; plus <= last || plus != -minus || ok && plus != want {
				t.Errorf("%s: code %d is %d and %d after %d, want %d", c.name, code, plus, minus, last, want)
			}
			last = plus
		}
	}
}

func TestWhatIsWrongWithAWAVIsSaid(t *testing.T) {
	mono16 := wavFormat(little, 1, 1, Rate, 16)
	nan := little.AppendUint32(make([]byte, 8), math.Float32bits(float32(math.NaN())))
	inf := little.AppendUint64(make([]byte, 8), math.Float64bits(math.Inf(-1)))
	for _, c := range []struct{ file, want string }{
		{"", "sound: a.wav: empty"},
		{"RIFF", `sound: a.wav: begins with "RIFF"`},
		{"hello, world", `sound: a.wav: begins with "hello, world"`},
		{string(wavFile("RIFF")), "WAV without a chunk of data"},
		{string(wavFile("RIFF", mono16)), "WAV without a chunk of data"},
		{string(wavFile("RIFF", mono16, pcm16())), "16-bit PCM: no samples"},
		{string(wavFile("RIFF", pcm16(1))), "data come before"},
		{string(wavFile("RIFF", wavFormat(little, 1, 0, Rate, 16), pcm16(1))), "0 channels"},
		{string(wavFile("RIFF", wavFormat(little, 1, 1, 0, 16), pcm16(1))), "0 Hz"},
		{string(wavFile("RIFF", wavFormat(little, 1, 1, 999, 16), pcm16(1))), "999 Hz"},
		{string(wavFile("RIFF", wavFormat(little, 1, 1, Rate, 0), pcm16(1))), "0 bits"},
		{string(wavFile("RIFF", wavFormat(little, 3, 1, Rate, 16), pcm16(1))), "16 bits in 2 bytes is not decoded here"},
		{string(wavFile("RIFF", wavFormat(little, 1, 1, Rate, 64), pcm16(1))), "64 bits in 8 bytes is not decoded here"},
		{string(wavFile("RIFF", chunk{id: "fmt ", size: 1 << 30}, pcm16(1))), "1073741824 bytes"},
		{string(wavFile("RIFF", chunk{id: "fmt ", body: make([]byte, 4)}, pcm16(1))), "4 bytes"},
		{string(wavFile("RIFF", wavFormat(little, 2, 1, Rate, 4), pcm16(1))),
			"sound: a.wav: Microsoft ADPCM in WAV is not decoded here; ffmpeg -i a.wav -ar 16000 -ac 1 a-pcm.wav makes a WAV of it"},
		{string(wavFile("RIFF", wavFormat(little, 0x55, 1, Rate, 0), pcm16(1))), "MP3 in WAV is not decoded here"},
		{string(wavFile("RIFF", wavFormat(little, 0x1234, 1, Rate, 0), pcm16(1))), "WAV of encoding 0x1234 is not decoded here"},
		{string(wavFile("RIFF", wavFormat(little, 3, 1, Rate, 32), chunk{id: "data", body: nan})), "sample 2 is NaN"},
		{string(wavFile("RIFF", wavFormat(little, 3, 1, Rate, 64), chunk{id: "data", body: inf})), "sample 1 is -Inf"},
	} {
		clip, err := Read(strings.NewReader(c.file), Options{Name: "a.wav"})
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "sound: a.wav: ") {
			t.Errorf("%q: %v, %v, want %q", c.file[:min(len(c.file), 60)], clip, err, c.want)
		}
	}
}

func TestMoreThanIsAllowedIsAnError(t *testing.T) {
	file := wavFile("RIFF", wavFormat(little, 1, 1, Rate, 16), pcm16(make([]int16, Rate)...))
	for _, c := range []struct {
		options Options
		want    string
	}{
		{Options{MaxDuration: time.Second, MaxBytes: int64(len(file))}, ""},
		{Options{MaxDuration: time.Second - 1}, "more than 999.9375ms is too large"},
		{Options{MaxBytes: int64(len(file)) - 1}, "more than 32043 bytes is too large"},
	} {
		_, err := Read(bytes.NewReader(file), c.options)
		if c.want == "" && err != nil || c.want != "" && (!errors.Is(err, ErrTooLarge) || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%+v: %v, want %q", c.options, err, c.want)
		}
	}
}

func TestWhyAFileCannotBeReadIsSaid(t *testing.T) {
	file := wavFile("RIFF", wavFormat(little, 1, 1, Rate, 16), pcm16(1, 2, 3))
	broken := errors.New("the disk is on fire")
	for n := range file {
		if _, err := Read(io.MultiReader(bytes.NewReader(file[:n]), iotest.ErrReader(broken)), Options{}); !errors.Is(err, broken) {
			t.Errorf("after %d bytes: %v", n, err)
		}
	}
	if _, err := ReadFile("testdata/none", Options{}); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}

func TestRawSamplesAreRead(t *testing.T) {
	for _, c := range []struct {
		encoding PCM
		channels int
		data     string
		want     []float32
	}{
		{S16LE, 1, "\x00\x40\x00\x80", []float32{0.5, -1}},
		{S16LE, 2, "\x00\x40\x00\x80", []float32{-0.25}},
		{F32LE, 1, "\x00\x00\x00\x3f", []float32{0.5}},
	} {
		r, err := NewPCM(strings.NewReader(c.data), c.encoding, Rate, c.channels, Options{})
		if err != nil {
			t.Fatal(err)
		}
		got := make([]float32, 10)
		n, err := r.Read(got)
		if !slices.Equal(got[:n], c.want) || err != nil {
			t.Errorf("%s: %v %v, want %v", c.encoding, got[:n], err, c.want)
		}
		if n, err := r.Read(got); n != 0 || err != io.EOF {
			t.Errorf("%s: at its end %d, %v", c.encoding, n, err)
		}
	}
	for _, wrong := range []struct {
		encoding       PCM
		rate, channels int
	}{{"u8", Rate, 1}, {S16LE, 0, 1}, {S16LE, Rate, 0}} {
		if _, err := NewPCM(strings.NewReader(""), wrong.encoding, wrong.rate, wrong.channels, Options{}); err == nil {
			t.Errorf("%v is no error", wrong)
		}
	}
}
