package sound

import (
	"bytes"
	"encoding/binary"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// files are those of testdata, and WAVs, by name.
func files(t testing.TB) map[string][]byte {
	t.Helper()
	all := map[string][]byte{
		"plain.wav": wavFile("RIFF", wavFormat(little, 1, 2, 44100, 16), pcm16(make([]int16, 600)...)),
		"long.wav": wavFile("RF64", chunk{id: "ds64", body: little.AppendUint64(little.AppendUint64(nil, 1400), 1200)},
			wavFormat(little, 1, 1, 8000, 24, 24), chunk{id: "LIST", body: []byte("INFO")}, data(make([]byte, 1200)...)),
		"big.wav":   wavFile("RIFX", wavFormat(big, 3, 1, 8000, 64), data(make([]byte, 800)...)),
		"plain.mka": webmFile(webmOf("A_OPUS", opusHeader(1, 0, 312, 0), 0), simpleBlock(2, []byte{0xfc, 0xff, 0xfe})),
	}
	for _, s := range sources {
		file, err := os.ReadFile(filepath.Join("testdata", s.file))
		if err != nil {
			t.Fatal(err)
		}
		all[s.file] = file
	}
	return all
}

// sane checks what holds of reading anything.
func sane(t *testing.T, name string, clip *Clip, err error) {
	t.Helper()
	switch {
	case err != nil && !strings.HasPrefix(err.Error(), "sound: "):
		t.Errorf("%s: the error does not say where it is from: %v", name, err)
	case err != nil:
	case len(clip.Samples) == 0 || clip.Rate < slowest || clip.Channels < 1 || clip.Format == "":
		t.Errorf("%s: %d samples, %+v", name, len(clip.Samples), clip.Info)
	}
	if err == nil && slices.ContainsFunc(clip.Samples, func(x float32) bool { return x-x != 0 }) {
		t.Errorf("%s: samples that are no numbers", name)
	}
}

// TestFilesThatAreCutOffSoundUpToThere cuts each file at many lengths. What a cut file gives is the beginning of the whole, and mostly
// known to be cut: but of MP3 and Ogg, which do not say how long they are, only where it is within a frame or page.
func TestFilesThatAreCutOffSoundUpToThere(t *testing.T) {
	step := 157
	if testing.Short() {
		step = 411
	}
	for name, file := range files(t) {
		whole := samplesOf(t, file)
		for n := 0; n < len(file); {
			clip, err := Read(bytes.NewReader(file[:n]), Options{})
			sane(t, name, clip, err)
			if err == nil {
				// The last samples, up to where the resampler looks ahead, would be others if more followed.
				got := len(clip.Samples)
				same := min(got, len(whole)) - 200
				if got > len(whole)+1200 || same > 0 && !slices.Equal(clip.Samples[:same], whole[:same]) {
					t.Errorf("%s cut at %d of %d: %d samples are not the first ones of %d", name, n, len(file), got, len(whole))
				}
				if complete := got >= len(whole); !clip.Truncated && !complete && !strings.Contains(name, "bare") &&
					!strings.Contains(name, "mpeg2") && !strings.Contains(name, ".opus") && !strings.Contains(name, ".mka") {
					t.Errorf("%s cut at %d of %d: %d samples of %d, and not said to be cut", name, n, len(file), got, len(whole))
				}
			} else if early := err.Error(); n > len(file)/2 && !strings.HasSuffix(early, "no samples") &&
				!strings.HasSuffix(early, "before its sound") {
				t.Errorf("%s cut at %d of %d: %v", name, n, len(file), err)
			}
			if n += step; n < 120 {
				n += 1 - step
			}
		}
	}
}

func TestDamagedFilesDoNoHarm(t *testing.T) {
	times := 40
	if testing.Short() {
		times = 8
	}
	for name, file := range files(t) {
		random := rand.New(rand.NewPCG(1, uint64(len(file))))
		for range times {
			b := slices.Clone(file)
			for range 1 + random.IntN(6) {
				b[random.IntN(len(b))] ^= 1 << random.IntN(8)
			}
			if at := random.IntN(len(b)); random.IntN(3) == 0 { // and a piece away, or twice
				end := min(at+random.IntN(100), len(b))
				b = slices.Concat(b[:end], b[at:])
			}
			clip, err := Read(bytes.NewReader(b), Options{})
			sane(t, name, clip, err)
		}
	}
}

// allocated returns how many bytes f allocates, altogether.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// TestMemoryIsNotSpentOnWhatHeadersClaim has files of a kilobyte that say they are large.
func TestMemoryIsNotSpentOnWhatHeadersClaim(t *testing.T) {
	kilobyte := make([]byte, 1000)
	mono := wavFormat(little, 1, 1, Rate, 16)
	wide := wavFormat(little, 1, math.MaxUint16, Rate, 8)
	wide.body[12], wide.body[13] = 255, 255
	flac := func(block byte, size int) []byte {
		const head = "fLaC\x00\x00\x00\x22\x10\x00\x10\x00\x00\x00\x00\x00\x00\x00\x0a\xc4\x42\xff\xff\xff\xff\xff"
		return slices.Concat([]byte(head), make([]byte, 16), []byte{block, byte(size >> 16), byte(size >> 8), byte(size)}, kilobyte)
	}
	opus := opusHeader(1, 0, 312, 0)
	for name, file := range map[string][]byte{
		"10 hours of WAV": wavFile("RIFF", mono, chunk{id: "data", body: kilobyte, size: 36000 * 32000}),
		"a chunk of 4 GB": wavFile("RIFF", mono, chunk{id: "LIST", body: kilobyte, size: math.MaxUint32}),
		"a ds64 of exabytes": wavFile("RF64", chunk{id: "ds64", body: bytes.Repeat([]byte{0x7f}, 28)}, mono,
			chunk{id: "data", body: kilobyte, size: math.MaxUint32}),
		"65535 channels":       wavFile("RIFF", wide, data(kilobyte...)),
		"a tag of 256 MB":      append([]byte("ID3\x04\x00\x00\x7f\x7f\x7f\x7f"), kilobyte...),
		"a comment of 16 MB":   flac(0x84, 1<<24-1),
		"a picture of 16 MB":   flac(0x86, 1<<24-1),
		"a table of 16 MB":     flac(0x83, 1<<24-1),
		"tracks of a megabyte": slices.Concat(webmFile(nil), []byte{0x16, 0x54, 0xae, 0x6b, 0x08, 0, 0x10, 0, 0}, kilobyte),
		"tracks of a petabyte": slices.Concat(webmFile(nil), []byte{0x16, 0x54, 0xae, 0x6b, 0x01, 0, 0, 0x10, 0, 0, 0, 0}, kilobyte),
		"a codec of a gigabyte": webmFile(element(idTracks,
			append([]byte("\xae\x08\x40\x00\x00\x00\x63\xa2\x08\x3f\x00\x00\x00"), kilobyte...))),
		"a block of a gigabyte": webmFile(webmOf("A_OPUS", opus, 0), []byte("\xa3\x08\x40\x00\x00\x00\x82\x00\x00\x80"), kilobyte),
		"a laced block": webmFile(webmOf("A_OPUS", opus, 0), element(idSimpleBlock,
			slices.Concat([]byte{0x82, 0, 0, 0x06, 255}, bytes.Repeat([]byte{0x43, 0xe0}, 255), kilobyte))),
		"mappings": oggFile(oggPage{head: true, packets: [][]byte{append(opusHeader(255, 255, 0, 0), kilobyte...)}}),
		"10^19 samples of MP3": func() []byte {
			b := slices.Clone(files(t)["variable.mp3"])
			binary.BigEndian.PutUint32(b[bytes.Index(b, []byte("Xing"))+8:], math.MaxUint32)
			return b
		}(),
	} {
		var clip *Clip
		var err error
		if n := allocated(func() { clip, err = Read(bytes.NewReader(file), Options{}) }); n > 8<<20 {
			t.Errorf("%s: %d bytes of memory for a file of %d (%v)", name, n, len(file), err)
		}
		sane(t, name, clip, err)
	}
}

// endless repeats bytes.
type endless struct {
	bytes []byte
	at    int
}

func (e *endless) Read(p []byte) (int, error) {
	n := copy(p, e.bytes[e.at:])
	e.at = (e.at + n) % len(e.bytes)
	return n, nil
}

// TestFilesWithoutAnEndEnd reads what never ends, in formats and out of them.
func TestFilesWithoutAnEndEnd(t *testing.T) {
	all := files(t)
	mono := wavFile("RIFF", wavFormat(little, 1, 1, 384000, 8), chunk{id: "data", size: math.MaxUint32})
	opus := opusHeader(1, 0, 312, 0)
	packet := []byte{0xfc, 0xff, 0xfe}
	page := oggPage{position: 960, packets: [][]byte{packet}}
	for name, c := range map[string]struct{ first, again []byte }{
		"zeros":            {nil, make([]byte, 100)},
		"text":             {nil, []byte("all work and no play makes jack a dull boy ")},
		"WAV":              {mono, []byte{127, 128}},
		"WAV of chunks":    {mono[:12], []byte("junk\x02\x00\x00\x00..")},
		"tags":             {nil, []byte("ID3\x04\x00\x00\x00\x00\x00\x00")},
		"MP3":              {all["bare.mp3"], all["bare.mp3"]},
		"MP3, then zeros":  {all["bare.mp3"], make([]byte, 100)},
		"MP3, then sync":   {all["bare.mp3"], []byte{0xff}},
		"FLAC, then zeros": {all["slow.flac"], make([]byte, 100)},
		"FLAC of blocks":   {all["slow.flac"][:42], []byte("\x01\x00\x00\x04....")},
		"Ogg":              {oggFile(oggPage{head: true, packets: [][]byte{opus}}, tags), oggFile(page)},
		"Ogg of nothing":   {oggFile(oggPage{head: true, packets: [][]byte{opus}}, tags), oggFile(oggPage{})},
		"Ogg of headers":   {nil, oggFile(oggPage{head: true, packets: [][]byte{opus}}, tags)},
		"WebM":             {webmFile(webmOf("A_OPUS", opus, 0)), simpleBlock(2, packet)},
		"WebM of tracks":   {webmFile(nil), webmOf("A_OPUS", opus, 0)},
		"WebM of clusters": {webmFile(webmOf("A_OPUS", opus, 0)), element(idCluster, nil)},
		"WebM of headers":  {nil, webmFile(nil)},
		"WebM of void":     {webmFile(nil), element(0xec, []byte{})},
	} {
		clip, err := Read(io.MultiReader(bytes.NewReader(c.first), &endless{bytes: c.again}), Options{MaxBytes: 1 << 19, MaxDuration: 1e10})
		if !strings.HasPrefix(name, "FLAC, then") && err == nil {
			t.Errorf("%s: %d samples and no error", name, len(clip.Samples))
		}
		sane(t, name, clip, err)
	}
}

// TestALongSoundIsReadInLittleMemory reads half a minute of what could be hours.
func TestALongSoundIsReadInLittleMemory(t *testing.T) {
	head := wavFile("RIFF", wavFormat(little, 1, 2, 48000, 16), chunk{id: "data", size: math.MaxUint32})
	noise := make([]byte, 1<<16)
	for i := range noise {
		noise[i] = byte(i * i >> 8)
	}
	var n int
	samples := make([]float32, 4096)
	bytes := allocated(func() {
		r, err := NewReader(io.MultiReader(bytes.NewReader(head), &endless{bytes: noise}), Options{})
		for err == nil && n < 30*Rate {
			var more int
			more, err = r.Read(samples)
			n += more
		}
		if err != nil {
			t.Error(err)
		}
	})
	if bytes > 4<<20 {
		t.Errorf("half a minute of sound took %d bytes of memory", bytes)
	}
}

func TestAPanicOfADecoderIsAnError(t *testing.T) {
	r := newReader(strings.NewReader(""), Options{Name: "a.mp3"})
	err := r.guard(func() error { panic("index out of range") })
	if err == nil || err.Error() != "sound: a.mp3: damaged: its decoder failed with index out of range" {
		t.Error(err)
	}
}

// fuzz reads anything like the files with these ends of names: it ends, with an error or with samples that are numbers.
func fuzz(f *testing.F, ends ...string) {
	for name, file := range files(f) {
		if slices.Contains(ends, filepath.Ext(name)) {
			f.Add(file)
		}
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		clip, err := Read(bytes.NewReader(file), Options{MaxDuration: 2e10, MaxBytes: 1 << 20})
		sane(t, "", clip, err)
	})
}

func FuzzWAV(f *testing.F)  { fuzz(f, ".wav") }
func FuzzMP3(f *testing.F)  { fuzz(f, ".mp3") }
func FuzzFLAC(f *testing.F) { fuzz(f, ".flac") }
func FuzzOgg(f *testing.F)  { fuzz(f, ".opus") }
func FuzzWebM(f *testing.F) { fuzz(f, ".webm", ".mka") }
