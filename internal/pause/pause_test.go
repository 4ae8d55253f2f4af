package pause

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	"github.com/gogemma/gemma4/internal/testdata"
)

const rate = 16000

// speech returns seconds of something like it: noise in syllables of a fifth of a second, each swelling and fading to a fiftieth.
func speech(random *rand.Rand, seconds, level float64) []float32 {
	samples := make([]float32, int(seconds*rate))
	for i := range samples {
		swell := math.Pow(math.Sin(math.Pi*float64(i%3200)/3200), 2)
		samples[i] = float32(level * (0.02 + swell) * random.NormFloat64())
	}
	return samples
}

// hiss returns seconds of noise of that level.
func hiss(random *rand.Rand, seconds, level float64) []float32 {
	samples := make([]float32, int(seconds*rate))
	for i := range samples {
		samples[i] = float32(level * random.NormFloat64())
	}
	return samples
}

// sentences joins speech of random lengths with pauses of random lengths, and tells where the pauses are.
func sentences(random *rand.Rand, n int, level, noise float64) (samples []float32, pauses [][2]int) {
	for range n {
		samples = append(samples, speech(random, 1.5+4*random.Float64(), level)...)
		begin := len(samples)
		samples = append(samples, hiss(random, 0.5+random.Float64(), noise)...)
		pauses = append(pauses, [2]int{begin, len(samples)})
	}
	return samples, pauses
}

func within(pauses [][2]int, at int) bool {
	return slices.ContainsFunc(pauses, func(p [2]int) bool { return p[0] <= at && at <= p[1] })
}

// whole checks what holds of any pieces: they follow each other, are all of it, and none is too long.
func whole(t *testing.T, name string, pieces [][2]int, samples, most int) {
	t.Helper()
	at := 0
	for _, p := range pieces {
		if p[0] != at || p[1] <= p[0] || p[1]-p[0] > most {
			t.Fatalf("%s: pieces %v of at most %d samples", name, pieces, most)
		}
		at = p[1]
	}
	if at != samples {
		t.Fatalf("%s: pieces %v of %d samples", name, pieces, samples)
	}
}

func TestLongSoundIsCutInPauses(t *testing.T) {
	for _, c := range []struct{ level, noise float64 }{{0.2, 0}, {0.2, 0.001}, {0.5, 0.01}, {0.02, 0.0002}, {0.9, 0.03}} {
		for seed := range uint64(4) {
			samples, pauses := sentences(rand.New(rand.NewPCG(seed, 1)), 30, c.level, c.noise)
			pieces := Split(samples, 30*rate)
			name := fmt.Sprintf("%+v, seed %d", c, seed)
			whole(t, name, pieces, len(samples), 30*rate)
			for _, p := range pieces[1:] {
				if !within(pauses, p[0]) {
					t.Errorf("%s: a cut at %.2f s is in no pause", name, float64(p[0])/rate)
				}
			}
			if least := (len(samples) + 30*rate - 1) / (30 * rate); len(pieces) > least*3/2+1 {
				t.Errorf("%s: %d pieces, where %d are the least", name, len(pieces), least)
			}
		}
	}
}

func TestSoundWithoutPausesIsCutWhereItIsQuietest(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	samples := speech(random, 40, 0.3)
	dip := 27 * rate // 200 ms that are softer, and too short for a pause
	for i := range samples[dip : dip+3200] {
		samples[dip+i] *= 0.01
	}
	pieces := Split(samples, 30*rate)
	whole(t, "a dip", pieces, len(samples), 30*rate)
	if at := pieces[0][1]; at < dip || at > dip+3200 {
		t.Errorf("cut at %.2f s, the quietest moment is from %.2f s on", float64(at)/rate, float64(dip)/rate)
	}
}

func TestAnySoundIsCutIntoWholePieces(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	nan := make([]float32, 50*rate)
	for i := range nan {
		nan[i] = float32(math.NaN())
	}
	for name, samples := range map[string][]float32{
		"nothing": nil, "one sample": {1}, "silence": make([]float32, 100*rate), "noise": hiss(random, 100, 0.3),
		"soft noise": hiss(random, 61, 1e-4),
		"no numbers": nan, "just the most": hiss(random, 30, 0.1), "a sample more": hiss(random, 30+1.5/rate, 0.1),
		"20 minutes": append(make([]float32, 900*rate), hiss(random, 300, 0.1)...),
	} {
		for _, most := range []int{0, rate, 30*rate - 1, 30 * rate} {
			pieces := Split(samples, most)
			whole(t, name, pieces, len(samples), max(most, 1280))
			for _, p := range pieces {
				if len(pieces) > 1 && p[1]-p[0] < min(rate, most/4) {
					t.Errorf("%s in pieces of %d: one has %d", name, most, p[1]-p[0])
				}
			}
		}
	}
}

func TestSegmentsEndAtPausesWhileSoundComes(t *testing.T) {
	for _, c := range []struct{ level, noise float64 }{{0.2, 0}, {0.2, 0.001}, {0.5, 0.01}, {0.02, 0.0002}} {
		for seed := range uint64(4) {
			samples, pauses := sentences(rand.New(rand.NewPCG(seed, 5)), 12, c.level, c.noise)
			d := NewDetector(30 * rate)
			var pieces [][2]int
			for i := 0; i < len(samples); i += 800 {
				for _, s := range d.Push(samples[i:min(i+800, len(samples))]) {
					// Speech of 0.4 s of quiet is told at once: with the push in which they end.
					if late := i + 800 - pauses[len(pieces)][0]; !s.Spoken || late > rate/2+800 {
						t.Errorf("%+v, seed %d: %+v is told %.2f s after its speech", c, seed, s, float64(late)/rate)
					}
					pieces = append(pieces, [2]int{s.Begin, s.End})
				}
			}
			for i, p := range pieces {
				if p[1] < pauses[i][0] || p[1] > pauses[i][1] {
					t.Errorf("%+v, seed %d: segment %d ends at %.2f s, the pause is %v", c, seed, i, float64(p[1])/rate, pauses[i])
				}
			}
			if len(pieces) != len(pauses) {
				t.Errorf("%+v, seed %d: %d segments of %d sentences", c, seed, len(pieces), len(pauses))
			}
			for _, s := range d.Close() {
				pieces = append(pieces, [2]int{s.Begin, s.End})
			}
			whole(t, "segments", pieces, len(samples), 30*rate)
		}
	}
}

func TestSilenceIsNotSpeech(t *testing.T) {
	random := rand.New(rand.NewPCG(6, 7))
	click := hiss(random, 20, 0.001)
	click[5*rate] = 1
	for name, samples := range map[string][]float32{
		"zeros": make([]float32, 70*rate), "hiss": hiss(random, 70, 0.001), "a click": click,
	} {
		d := NewDetector(30 * rate)
		for _, s := range append(d.Push(samples), d.Close()...) {
			if s.Spoken || s.End-s.Begin > 30*rate {
				t.Errorf("%s: %+v", name, s)
			}
		}
	}
}

func TestSilenceBeforeSpeechIsASegmentOfItsOwn(t *testing.T) {
	random := rand.New(rand.NewPCG(8, 9))
	samples := slices.Concat(hiss(random, 5, 0.001), speech(random, 3, 0.3), hiss(random, 2, 0.001))
	d := NewDetector(30 * rate)
	got := d.Push(samples)
	if len(got) != 2 || got[0].Spoken || !got[1].Spoken {
		t.Fatalf("%+v", got)
	}
	if at := got[0].End; at < 45*rate/10 || at > 5*rate {
		t.Errorf("speech from 5 s on begins with %.2f s", float64(at)/rate)
	}
}

func TestAFanThatStartsIsSilenceAfterAWhile(t *testing.T) {
	random := rand.New(rand.NewPCG(10, 11))
	samples := slices.Concat(hiss(random, 5, 0.0005), hiss(random, 25, 0.01), speech(random, 2, 0.5), hiss(random, 1, 0.01))
	d := NewDetector(20 * rate)
	got := d.Push(samples)
	if n := len(got); n == 0 || !got[n-1].Spoken || got[n-1].End < 32*rate || got[n-1].Begin < 29*rate {
		t.Errorf("%+v: the last one is not the speech from 30 to 32 s", got)
	}
}

func TestWithoutAPauseASegmentEndsAtItsLongest(t *testing.T) {
	samples := speech(rand.New(rand.NewPCG(12, 13)), 100, 0.3)
	d := NewDetector(30 * rate)
	var pieces [][2]int
	for _, s := range append(d.Push(samples), d.Close()...) {
		if !s.Spoken || s.End < len(samples) && s.End-s.Begin < 24*rate {
			t.Errorf("%+v", s)
		}
		pieces = append(pieces, [2]int{s.Begin, s.End})
	}
	whole(t, "speech", pieces, len(samples), 30*rate)
}

func TestSegmentsAreTheSameInWhateverPiecesSoundComes(t *testing.T) {
	samples, _ := sentences(rand.New(rand.NewPCG(14, 15)), 10, 0.3, 0.001)
	d := NewDetector(4 * rate)
	want := append(d.Push(samples), d.Close()...)
	for cut := range uint64(20) {
		random := rand.New(rand.NewPCG(cut, 16))
		d := NewDetector(4 * rate)
		var got []Segment
		for rest := samples; len(rest) > 0; {
			n := min(len(rest), []int{1, 319, 320, 321, 1 + random.IntN(20000)}[cut%5])
			got = append(got, d.Push(rest[:n])...)
			rest = rest[n:]
		}
		if got = append(got, d.Close()...); !slices.Equal(got, want) {
			t.Fatalf("way %d: %v, want %v", cut, got, want)
		}
	}
}

// TestSpokenQuestionsAreToldApart joins the recordings of nano's tests with silence between them.
func TestSpokenQuestionsAreToldApart(t *testing.T) {
	var samples []float32
	var ends [][2]int
	for i := range 5 {
		file, err := os.ReadFile(testdata.Shared(t, "nano", "media", fmt.Sprintf("sound-%d.wav", i+1)))
		if err != nil {
			t.Fatal(err)
		}
		for b := file[44:]; len(b) >= 2; b = b[2:] {
			samples = append(samples, float32(int16(binary.LittleEndian.Uint16(b)))/32768)
		}
		begin := len(samples)
		samples = append(samples, make([]float32, rate*3/5)...)
		ends = append(ends, [2]int{begin, len(samples)})
	}
	d := NewDetector(30 * rate)
	segments := d.Push(samples)
	if len(segments) != len(ends) {
		t.Fatalf("%d segments of %d questions: %v, pauses %v", len(segments), len(ends), segments, ends)
	}
	for i, s := range segments {
		if !s.Spoken || s.End < ends[i][0]-rate/5 || s.End > ends[i][1] {
			t.Errorf("question %d is %+v, its pause %v", i+1, s, ends[i])
		}
	}
}

func BenchmarkSplit(b *testing.B) {
	samples, _ := sentences(rand.New(rand.NewPCG(1, 1)), 100, 0.3, 0.001)
	b.SetBytes(int64(4 * len(samples)))
	for b.Loop() {
		Split(samples, 30*rate)
	}
}

func TestCutsAreKnownWhileSoundComes(t *testing.T) {
	random := rand.New(rand.NewPCG(17, 18))
	talk, _ := sentences(random, 30, 0.3, 0.001)
	for name, samples := range map[string][]float32{
		"sentences": talk, "no pauses": speech(random, 100, 0.3), "silence": make([]float32, 100*rate),
		"a pause that does not end": append(speech(random, 20, 0.3), hiss(random, 60, 0.001)...),
		"a sample more":             hiss(random, 30+1.5/rate, 0.1), "a second more": hiss(random, 31, 0.1), "less": hiss(random, 29, 0.1),
	} {
		whole := Split(samples, 30*rate)
		var want []int
		for _, p := range whole[1:] {
			want = append(want, p[0])
		}
		for cut := range uint64(20) {
			random := rand.New(rand.NewPCG(cut, 19))
			s := NewSplitter(30 * rate)
			var got []int
			for rest := samples; len(rest) > 0; {
				n := min(len(rest), []int{319, 320, 321, 1 + random.IntN(20000), 1 + random.IntN(900000)}[cut%5])
				for _, at := range s.Push(rest[:n]) {
					if pushed := len(samples) - len(rest) + n; at > pushed {
						t.Fatalf("%s: a cut at %d of %d samples", name, at, pushed)
					}
					got = append(got, at)
				}
				rest = rest[n:]
			}
			if got = append(got, s.Close()...); !slices.Equal(got, want) {
				t.Fatalf("%s, way %d: cuts %v, want %v", name, cut, got, want)
			}
		}
	}
}

func TestSpeechIsTold(t *testing.T) {
	random := rand.New(rand.NewPCG(20, 21))
	for name, c := range map[string]struct {
		samples []float32
		want    bool
	}{
		"nothing": {nil, false}, "zeros": {make([]float32, rate), false}, "hiss": {hiss(random, 3, 0.001), false},
		"speech": {speech(random, 1, 0.3), true}, "late": {append(hiss(random, 20, 0.001), speech(random, 1, 0.1)...), true},
	} {
		if got := Spoken(c.samples); got != c.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}
