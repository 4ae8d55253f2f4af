package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/cmd/gemma4/internal/cli"
	"github.com/gogemma/gemma4/cmd/gemma4/internal/clitest"
	"github.com/gogemma/gemma4/media/sound"
	"github.com/gogemma/gemma4/nano"
)

var hearing = command("listen")

// spokenPCM returns a question that nano knows as samples of 16 bits.
func spokenPCM(t *testing.T, name string) []byte {
	clip, err := sound.ReadFile(sample(t, name), sound.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var pcm []byte
	for _, x := range clip.Samples {
		pcm = binary.LittleEndian.AppendUint16(pcm, uint16(int16(math.Round(float64(x)*32768))))
	}
	return pcm
}

// silence is so many seconds of it.
func silence(seconds float64) []byte { return make([]byte, 2*int(seconds*sound.Rate)) }

// crumbs delivers pieces of odd sizes, as pipes do.
type crumbs struct {
	data []byte
	turn int
}

func (c *crumbs) Read(b []byte) (int, error) {
	if len(c.data) == 0 {
		return 0, io.EOF
	}
	c.turn++
	n := copy(b[:min(len(b), 1+c.turn*777%5000)], c.data)
	c.data = c.data[n:]
	return n, nil
}

const (
	dry, late = "What is the opposite of dry?", "What is the opposite of late?"
)

func TestWhatIsSaidInAFileIsWrittenDown(t *testing.T) {
	file := sample(t, "sound-1.wav")
	for flags, want := range map[string]string{
		"":      dry + "\n",
		"-srt":  "1\n00:00:00,000 --> 00:00:01,558\n" + dry + "\n\n",
		"-vtt":  "WEBVTT\n\n00:00:00.000 --> 00:00:01.558\n" + dry + "\n\n",
		"-json": `{"from":0,"to":1.559,"text":"` + dry + `"}` + "\n",
		"-n 3":  "What is the\n",
	} {
		if o := hearing.Call("", append(strings.Fields(flags), file)...); o != (clitest.Output{Out: want}) {
			t.Errorf("%s: %+v, want %q", flags, o, want)
		}
	}
	quiet := made(t, "quiet.wav", string(wav(silence(2))))
	if o := hearing.Call("", quiet); o != (clitest.Output{}) {
		t.Errorf("of silence: %+v", o)
	}
}

// wav returns a file of samples of 16 bits.
func wav(pcm []byte) []byte {
	var b bytes.Buffer
	b.WriteString("RIFF")
	binary.Write(&b, binary.LittleEndian, uint32(36+len(pcm)))
	b.WriteString("WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00\x80>\x00\x00\x00}\x00\x00\x02\x00\x10\x00data")
	binary.Write(&b, binary.LittleEndian, uint32(len(pcm)))
	b.Write(pcm)
	return b.Bytes()
}

// TestAFileOnStandardInputIsKnown, so that its bytes are not heard as samples.
func TestAFileOnStandardInputIsKnown(t *testing.T) {
	file, err := os.ReadFile(sample(t, "sound-1.wav"))
	if err != nil {
		t.Fatal(err)
	}
	if o := hearing.Call(string(file), "-"); o != (clitest.Output{Out: dry + "\n"}) {
		t.Errorf("%+v", o)
	}
	if o := hearing.Call("fLaC, they say", "-"); o.Status != 1 || !strings.Contains(o.Errors, "FLAC") {
		t.Errorf("a broken file: %+v", o)
	}
}

func TestWhatComesIsWrittenDownPieceByPiece(t *testing.T) {
	stream := bytes.Join([][]byte{silence(1), spokenPCM(t, "sound-1.wav"), silence(1), spokenPCM(t, "sound-2.wav"), silence(1), {0}}, nil)
	for _, flags := range []string{"", "-srt"} {
		var out, errors bytes.Buffer
		status := hearing(append(strings.Fields(flags), "-"), &crumbs{data: stream}, &out, &errors)
		if status != 0 || errors.Len() > 0 {
			t.Errorf("%q: status %d, %s", flags, status, &errors)
		}
		if got := out.String(); flags == "" && got != dry+"\n"+late+"\n" ||
			flags != "" && (!strings.HasPrefix(got, "1\n00:00:0") || !strings.Contains(got, dry+"\n\n2\n00:00:0")) {
			t.Errorf("%q: %q", flags, got)
		}
	}
}

// heard returns nano and the samples of a question about what is dry.
func heard(t *testing.T) (*gemma4.Model, []float32) {
	t.Helper()
	m, err := nano.Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	clip, err := sound.ReadFile(sample(t, "sound-1.wav"), sound.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return m, clip.Samples
}

// belated is a context that has ended, and when somebody sees that, more has been heard.
type belated struct {
	context.Context
	heard func()
}

func (l belated) Err() error {
	l.heard()
	return l.Context.Err()
}

func TestWhatHasComeByCtrlCIsWrittenDown(t *testing.T) {
	m, samples := heard(t)
	var out bytes.Buffer
	p := cli.New("gemma4", listenCommand(), nil, &out, io.Discard)
	l := &listening{Program: p, m: m, model: p.ModelFlags(), session: p.SessionFlags(""), sampling: p.SamplingFlags(), most: new(int)}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	in, half := emptyIntake(), len(samples)/2
	in.put(samples[:half], nil)
	more := func() { in.put(samples[half:], nil) }
	if err := l.caption(belated{ctx, sync.OnceFunc(more)}, in); err != nil || out.String() != dry+"\n" {
		t.Errorf("%q, %v, want %q", out.String(), err, dry)
	}
}

func TestRowsOfSoundAreThoseOfTheModel(t *testing.T) {
	dir := t.TempDir()
	file, piped := filepath.Join(dir, "file.f32"), filepath.Join(dir, "piped.f32")
	if o := hearing.Call("", "-rows", file, sample(t, "sound-1.wav")); o.Status != 0 || o.Out != "" ||
		o.Errors != "gemma4 listen: sound-1.wav: 39 rows\n" {
		t.Errorf("%+v", o)
	}
	hearing.Good(t, string(spokenPCM(t, "sound-1.wav")), "-rows", piped, "-")
	a, b := readRows(t, file), readRows(t, piped)
	m, samples := heard(t)
	in, err := m.SoundInput(samples)
	if err != nil {
		t.Fatal(err)
	}
	want, err := in.Later.Make(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, got := range [][]float32{a, b} {
		if len(got) != len(want) {
			t.Fatalf("%d numbers, want %d", len(got), len(want))
		}
		for i := range got {
			if got[i] != want[i] {
				t.Fatalf("number %d is %v, want %v", i, got[i], want[i])
			}
		}
	}
}

func TestWhatCannotBeHeardIsOneSentence(t *testing.T) {
	t.Setenv("PULSE_SERVER", "unix:"+filepath.Join(t.TempDir(), "nobody"))
	t.Setenv("DISPLAY", "")
	song, picture := made(t, "song.m4a", "\x00\x00\x00\x18ftypM4A \x00\x00\x00\x00"), sample(t, "picture-1.png")
	hearing.Fails(t, 1, "the microphone", "")
	hearing.Fails(t, 1, "ffmpeg -i song.m4a", "", song)
	hearing.Fails(t, 1, "no format of sound", "", picture)
	hearing.Fails(t, 1, "missing.wav", "", filepath.Join(t.TempDir(), "missing.wav"))
	hearing.Fails(t, 1, "without a projector of sounds", "", "-m", deaf(t), "missing.wav")
	hearing.Fails(t, 1, "no samples", "", "-")
	for _, test := range []struct{ want, args string }{
		{"one file", "a.wav b.wav"},
		{"without each other", "-srt -vtt a.wav"},
		{"without each other", "-push -json"},
		{"without -language", "-push -language German"},
		{"-push is for the microphone", "-push a.wav"},
		{"-rows is for a file", "-rows x"},
		{"does not translate", "-translate German a.wav"},
	} {
		hearing.Fails(t, 2, test.want, "", strings.Fields(test.args)...)
	}
	if _, err := os.Stat("x"); err == nil {
		t.Error("rows of nothing")
	}
}
