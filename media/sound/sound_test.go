package sound

import (
	"bytes"
	"encoding/binary"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// voice is the sound of testdata, at a time in seconds: 18 harmonics of a pitch that rises, swelling four times a second.
func voice(t float64, channel int) float64 {
	pitch, sum := 2*math.Pi*(140*t+30*t*t), 0.0
	for k := 1.0; k < 19; k++ {
		sum += math.Sin(k*pitch+0.3*float64(channel)*k) / k
	}
	_, f := math.Modf(t*4 + 0.2*float64(channel))
	swell := 0.15 + math.Pow(math.Sin(math.Pi*f), 2)
	return 9000.0 / 32768 * sum * swell / 2
}

// voices returns n samples of the mean of that many channels of voice, from the sample at on.
func voices(n, at, channels int) []float32 {
	samples := make([]float32, n)
	for i := range samples {
		sum := 0.0
		for c := range channels {
			sum += voice(float64(i+at)/Rate, c)
		}
		samples[i] = float32(sum / float64(channels))
	}
	return samples
}

// likeness is by how many dB want is above its difference to got. The first and the last 4 ms do not count, where a resampler's filter, as
// a codec's windows, reaches over the end.
func likeness(got, want []float32) float64 {
	var power, difference float64
	for i := 64; i < min(len(got), len(want))-64; i++ {
		d := float64(got[i]) - float64(want[i])
		power, difference = power+float64(want[i])*float64(want[i]), difference+d*d
	}
	return 10 * math.Log10(power/difference)
}

// sources are the files of testdata. Those whose encoder's delay is not in the file begin late by that many samples, and last a little
// longer.
var sources = []struct {
	file     string
	format   string
	rate     int
	channels int
	seconds  float64
	late     int
	like     float64 // at least, in dB
}{
	{"stereo.mp3", "MP3", 44100, 2, 0.3, 0, 24},
	{"variable.mp3", "MP3", 44100, 1, 0.3, 0, 28},
	{"mpeg2.mp3", "MP3", 22050, 1, 0.5, 802, 22},
	{"bare.mp3", "MP3", 16000, 1, 0.3, 1105, 22},
	{"stereo.flac", "FLAC, 16-bit", 44100, 2, 0.15, 0, 80},
	{"slow.flac", "FLAC, 16-bit", 24000, 1, 0.1, 0, 80},
	{"8bit.flac", "FLAC, 8-bit", 16000, 1, 0.1, 0, 24},
	{"24bit.flac", "FLAC, 24-bit", 48000, 2, 0.05, 0, 80},
	{"six.flac", "FLAC, 16-bit", 44100, 6, 0.05, 0, 80},
	{"stereo.opus", "Opus in Ogg", 48000, 2, 0.3, 0, 26},
	{"speech.opus", "Opus in Ogg", 48000, 1, 0.5, 0, 13},
	{"long.opus", "Opus in Ogg", 48000, 1, 0.5, 0, 13},
	{"stereo.webm", "Opus in WebM", 48000, 2, 0.3, 0, 14},
	{"live.mka", "Opus in WebM", 48000, 1, 0.3, 0, 14},
}

func TestFilesSoundAsWhatTheyWereMadeOf(t *testing.T) {
	for _, s := range sources {
		clip, err := ReadFile(filepath.Join("testdata", s.file), Options{})
		if err != nil {
			t.Error(err)
			continue
		}
		if want := (Info{Format: s.format, Rate: s.rate, Channels: s.channels}); clip.Info != want {
			t.Errorf("%s is %+v, want %+v", s.file, clip.Info, want)
		}
		// Without the encoder's word, the last frame is filled.
		length := int(math.Round(s.seconds * Rate))
		if n := len(clip.Samples); s.late == 0 && n != length || n < length || n > length+3*1152 {
			t.Errorf("%s has %d samples, want %d", s.file, n, length)
		}
		channels := min(s.channels, 2)
		want := voices(length+4*Rate/100, -s.late, channels)
		if s.late > 0 {
			clip.Samples, want = clip.Samples[s.late:], want[s.late:]
		}
		got := clip.Samples[:min(len(clip.Samples), length)]
		if like := likeness(got, want); like < s.like {
			t.Errorf("%s: %.1f dB from its source, want %.0f", s.file, like, s.like)
		} else {
			t.Logf("%s: %d samples, %.1f dB", s.file, len(clip.Samples), like)
		}
		// A shift of a sample would show.
		for _, shift := range []int{-2, 2} {
			if like, other := likeness(got[2:], want[2:]), likeness(got[2+shift:], want[2:]); other > like {
				t.Errorf("%s: %d samples later it is more like its source: %.1f dB, not %.1f", s.file, shift, other, like)
			}
		}
	}
}

func TestLosslessFilesAreTheirSourceExactly(t *testing.T) {
	clip, err := ReadFile("testdata/8bit.flac", Options{})
	if err != nil {
		t.Fatal(err)
	}
	for i, x := range clip.Samples {
		if x*128 != float32(math.Round(float64(x*128))) {
			t.Fatalf("sample %d is %v, which 8 bits do not hold", i, x)
		}
	}
	// The same samples as a WAV, through the same resampler: the same to the bit.
	for _, s := range []struct {
		file           string
		rate, channels int
		seconds        float64
	}{{"stereo.flac", 44100, 2, 0.15}, {"slow.flac", 24000, 1, 0.1}} {
		var b []byte
		for i := range int(s.seconds * float64(s.rate)) {
			for c := range s.channels {
				b = little.AppendUint16(b, uint16(int16(math.RoundToEven(32768*voice(float64(i)/float64(s.rate), c)))))
			}
		}
		want, err := Read(bytes.NewReader(wavFile("RIFF", wavFormat(little, 1, s.channels, s.rate, 16), data(b...))), Options{})
		if err != nil {
			t.Fatal(err)
		}
		got, err := ReadFile(filepath.Join("testdata", s.file), Options{})
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(got.Samples, want.Samples) {
			t.Errorf("%s is not what its source is: %.1f dB", s.file, likeness(got.Samples, want.Samples))
		}
	}
}

func TestReadingInPiecesIsReadingTheWhole(t *testing.T) {
	for _, s := range sources {
		file, err := os.ReadFile(filepath.Join("testdata", s.file))
		if err != nil {
			t.Fatal(err)
		}
		want, err := Read(bytes.NewReader(file), Options{})
		if err != nil {
			t.Fatal(err)
		}
		for _, size := range []int{1, 100, 5000} {
			r, err := NewReader(bytes.NewReader(file), Options{})
			if err != nil {
				t.Fatal(err)
			}
			var got []float32
			piece := make([]float32, size)
			for {
				n, err := r.Read(piece)
				if got = append(got, piece[:n]...); err == io.EOF {
					break
				}
				if err != nil || n == 0 {
					t.Fatalf("%s: %d, %v", s.file, n, err)
				}
			}
			if !slices.Equal(got, want.Samples) || r.Info() != want.Info {
				t.Errorf("%s in pieces of %d: %d samples, want %d, and the same", s.file, size, len(got), len(want.Samples))
			}
		}
	}
}

func TestWhatIsNotDecodedIsRefusedByNameWithACommand(t *testing.T) {
	pad := strings.Repeat("\x00", 64)
	for _, c := range []struct{ name, file, format, want string }{
		{"talk.m4a", "\x00\x00\x00\x20ftypM4A \x00\x00\x02\x00", "AAC in MP4",
			"sound: talk.m4a: AAC in MP4 is not decoded here; ffmpeg -i talk.m4a -ar 16000 -ac 1 talk.wav makes a WAV of it"},
		{"talk.mp3", "\xff\xf1\x60\x40\x0b\x9f\xfc", "AAC", "ffmpeg -i talk.mp3 -ar 16000 -ac 1 talk.wav"},
		{"talk.ogg", "OggS\x00\x02" + pad[:22] + "\x01vorbis", "Ogg Vorbis", "ffmpeg -i talk.ogg"},
		{"talk.oga", "OggS\x00\x02" + pad[:22] + "\x7fFLAC", "FLAC in Ogg", "ffmpeg -i talk.oga"},
		{"talk.ogv", "OggS\x00\x02" + pad[:22] + "BBCD", "Ogg without Opus", "ffmpeg -i talk.ogv"},
		{"talk.wma", "\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9", "WMA", "ffmpeg -i talk.wma"},
		{"talk.amr", "#!AMR\n", "AMR", "ffmpeg -i talk.amr"},
		{"tune.mid", "MThd\x00\x00\x00\x06", "MIDI", "tune.wav"},
		{"talk.aiff", "FORM\x00\x00\x0c\xaeAIFF", "AIFF", "talk.wav"},
		{"a b's.au", ".snd\x00\x00\x00\x20", "AU", `ffmpeg -i 'a b'\''s.au' -ar 16000 -ac 1 'a b'\''s.wav'`},
		{"-i.caf", "caff\x00\x01", "CAF", "ffmpeg -i ./-i.caf -ar 16000 -ac 1 ./-i.wav"},
		{"", "wvPK", "WavPack", "sound: WavPack is not decoded here; ffmpeg -i IN -ar 16000 -ac 1 OUT.wav makes a WAV of it"},
		{"talk.mp3", "\xff\xe3\x28\xc4", "MP3 by MPEG-2.5, of 8, 11.025 or 12 kHz,", "talk.mp3"},
		{"talk.mp3", "\xff\xfd\x80\x04", "MPEG audio of layer II", "talk.mp3"},
		{"talk.mp3", "\xff\xfb\x00\xc4", "MP3 of free format", "talk.mp3"},
		{"talk.mp3", "ID3\x04\x00\x00\x00\x00\x00\x02..\xff\xf1\x60\x40\x0b\x9f\xfc", "AAC", "talk.mp3"},
		{"talk.webm", string(webmFile(webmOf("A_VORBIS", nil, 0))), "Matroska with A_VORBIS", "talk.webm"},
		{"six.opus", string(oggFile(oggPage{head: true, packets: [][]byte{opusHeader(6, 1, 0, 0)}})),
			"Opus of 6 channels in mapping family 1", "six.opus"},
		{"deep.flac", "fLaC\x80\x00\x00\x22\x10\x00\x10\x00\x00\x00\x00\x00\x00\x00\x0a\xc4\x43\xf0" + pad, "FLAC of 32 bits", "deep.flac"},
	} {
		_, err := Read(strings.NewReader(c.file+pad), Options{Name: c.name})
		u, ok := err.(*Unsupported)
		if !ok || u.Format != c.format || u.Name != c.name || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %v, want %q, %q", c.file[:min(len(c.file), 20)], err, c.format, c.want)
		}
	}
}

func TestClipsKnowTheirDuration(t *testing.T) {
	if d := (&Clip{Samples: make([]float32, 24000)}).Duration(); d != 1500*time.Millisecond {
		t.Error(d)
	}
}

// TestTheCoreLinksNoDecoder lists what programs link that import the root package alone.
func TestTheCoreLinksNoDecoder(t *testing.T) {
	goTool, err := exec.LookPath("go")
	if err != nil {
		t.Skip("there is no go command to ask")
	}
	list := exec.Command(goTool, "list", "-deps", "github.com/gogemma/gemma4", "github.com/gogemma/gemma4/internal/pause")
	out, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(out), "github.com/gogemma/gemma4/gguf\n") {
		t.Fatalf("no list: %s", out)
	}
	for _, decoder := range []string{"gemma4/media/sound", "go-mp3", "mewkiz", "pion", "ebml"} {
		if strings.Contains(string(out), decoder) {
			t.Errorf("the root package links %s", decoder)
		}
	}
}

// opusHeader is the packet that Opus begins with.
func opusHeader(channels, family byte, skip uint16, gain int16) []byte {
	b := append([]byte("OpusHead\x01"), channels)
	b = little.AppendUint16(b, skip)
	b = little.AppendUint32(b, 48000)
	b = append(little.AppendUint16(b, uint16(gain)), family)
	if family != 0 {
		b = append(b, 4, 2, 0, 4, 1, 2, 3, 5)
	}
	return b
}

// An oggPage holds whole packets.
type oggPage struct {
	head     bool // the stream's first
	position int64
	packets  [][]byte
}

// oggFile puts an Ogg together.
func oggFile(pages ...oggPage) (file []byte) {
	for i, p := range pages {
		var lacing, body []byte
		for _, packet := range p.packets {
			lacing = append(append(lacing, bytes.Repeat([]byte{255}, len(packet)/255)...), byte(len(packet)%255))
			body = append(body, packet...)
		}
		page := []byte("OggS\x00\x00")
		if p.head {
			page[5] = 2
		}
		page = little.AppendUint64(page, uint64(p.position))
		page = little.AppendUint32(page, 7)
		page = little.AppendUint32(page, uint32(i))
		page = append(append(little.AppendUint32(page, 0), byte(len(lacing))), lacing...)
		page = append(page, body...)
		var crc uint32
		for _, b := range page {
			crc ^= uint32(b) << 24
			for range 8 {
				crc = crc<<1 ^ crc>>31*0x04c11db7
			}
		}
		binary.LittleEndian.PutUint32(page[22:], crc)
		file = append(file, page...)
	}
	return file
}

// element is one of EBML, with a size of eight bytes, or of none where body is nil.
func element(id uint32, body []byte) (b []byte) {
	for shift := 24; shift >= 0; shift -= 8 {
		if x := byte(id >> shift); x != 0 || len(b) > 0 {
			b = append(b, x)
		}
	}
	if body == nil {
		return append(b, 0x01, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff)
	}
	return append(big.AppendUint64(b, 1<<56|uint64(len(body))), body...)
}

// webmOf is the tracks of a WebM: a picture's, number 1, and one of sound, number 2.
func webmOf(codec string, private []byte, delay uint64) []byte {
	number := func(id uint32, x uint64) []byte { return element(id, big.AppendUint64(nil, x)) }
	picture := slices.Concat(number(0xd7, 1), number(0x83, 1), element(0x86, []byte("V_VP8")))
	sound := slices.Concat(number(0xd7, 2), number(0x83, 2), element(0x86, []byte(codec)), number(0x56aa, delay),
		element(0xe1, number(0x9f, 1)))
	if private != nil {
		sound = append(sound, element(0x63a2, private)...)
	}
	return element(idTracks, slices.Concat(element(0xae, picture), element(0xae, sound)))
}

// webmFile is a WebM as browsers record it: without sizes of the whole and its clusters.
func webmFile(tracks []byte, clusters ...[]byte) []byte {
	file := slices.Concat(element(idEBML, element(0x4282, []byte("webm"))), element(idSegment, nil),
		element(0x1549a966, element(0x2ad7b1, []byte{0x0f, 0x42, 0x40})), tracks)
	for i, c := range clusters {
		file = append(append(append(file, element(idCluster, nil)...), element(0xe7, []byte{byte(i)})...), c...)
	}
	return file
}

// simpleBlock is one of the track, with a packet.
func simpleBlock(track byte, packet []byte) []byte {
	return element(idSimpleBlock, append([]byte{0x80 | track, 0, 0, 0x80}, packet...))
}
