package sound

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// rates of the tests: common ones, the bounds, ratios of small and of large numbers.
var rates = []int{1000, 8000, 11025, 12000, 16001, 22050, 24000, 32000, 37800, 44056, 44100, 48000, 88200, 96000, 192000, 383999, 384000}

// tone returns n samples of a sine of that frequency at that rate, of amplitude 1.
func tone(n int, frequency, rate float64) []float32 {
	samples := make([]float32, n)
	for i := range samples {
		samples[i] = float32(math.Sin(2 * math.Pi * frequency * float64(i) / rate))
	}
	return samples
}

func noise(n int, seed uint64) []float32 {
	r := rand.New(rand.NewPCG(seed, 1))
	samples := make([]float32, n)
	for i := range samples {
		samples[i] = 2*r.Float32() - 1
	}
	return samples
}

func resample(t *testing.T, samples []float32, rate int) []float32 {
	t.Helper()
	out, err := Resample(samples, rate)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// decibels of the mean power of the samples, where a sine of amplitude 1 has 0.
func decibels(samples []float64) float64 {
	sum := 0.0
	for _, x := range samples {
		sum += x * x
	}
	return 10 * math.Log10(2*sum/float64(len(samples))+1e-30)
}

// middle is what lies further from both ends than the filter reaches, as float64.
func middle(samples []float32, rate int) []float64 {
	edge := int(70*Rate/min(rate, Rate)) + 1
	var m []float64
	for _, x := range samples[edge : len(samples)-edge] {
		m = append(m, float64(x))
	}
	return m
}

// TestTonesThatBothRatesHoldComeThroughUnchanged compares with the same tone made at 16 kHz: gain, phase and time in one.
func TestTonesThatBothRatesHoldComeThroughUnchanged(t *testing.T) {
	for _, rate := range rates {
		top := 0.9 * float64(min(rate, Rate)) / 2
		worst := math.Inf(-1)
		for i := range 6 {
			f := top * float64(i+1) / 6
			got := resample(t, tone(rate/20+300, f, float64(rate)), rate)
			want := tone(len(got), f, Rate)
			for i := range got {
				got[i] -= want[i]
			}
			worst = max(worst, decibels(middle(got, rate)))
		}
		if worst > -95 { // a ripple of less than 0.0002 dB
			t.Errorf("from %d Hz a tone below %.0f Hz is off by %.1f dB", rate, top, worst)
		}
	}
}

// TestWhatTheNewRateDoesNotHoldIsNotHeard gives tones above 8 kHz, which would come back as others below.
func TestWhatTheNewRateDoesNotHoldIsNotHeard(t *testing.T) {
	for _, rate := range rates {
		if rate <= Rate+1 {
			continue
		}
		worst, at := math.Inf(-1), 0.0
		for i := range 13 {
			f := 8000 + (float64(rate)/2-8000)*float64(i)/13
			if level := decibels(middle(resample(t, tone(rate/20+300, f, float64(rate)), rate), rate)); level > worst {
				worst, at = level, f
			}
		}
		if worst > -96 {
			t.Errorf("from %d Hz a tone of %.0f Hz comes through with %.1f dB", rate, at, worst)
		}
	}
}

// TestNothingIsAddedAboveASlowerRate takes away the tone that was there; what is left are its images above half of the slower rate.
func TestNothingIsAddedAboveASlowerRate(t *testing.T) {
	for _, rate := range rates {
		if rate >= Rate {
			continue
		}
		for i := range 4 {
			f := float64(rate) / 2 * 0.9 * float64(i+1) / 4
			rest := resample(t, tone(rate/20+300, f, float64(rate)), rate)
			want := tone(len(rest), f, Rate)
			for i := range rest {
				rest[i] -= want[i]
			}
			if level := decibels(middle(rest, rate)); level > -95 {
				t.Errorf("from %d Hz a tone of %.0f Hz has images of %.1f dB", rate, f, level)
			}
		}
	}
}

// TestResultsAreThoseOfAConvolutionInFloat64 sums the definition: all samples times the filter at their distance.
func TestResultsAreThoseOfAConvolutionInFloat64(t *testing.T) {
	for _, rate := range rates {
		samples := noise(3000, uint64(rate))
		got := resample(t, samples, rate)
		if want := int(math.Floor(float64(len(samples))*Rate/float64(rate) + 0.5)); len(got) != want {
			t.Fatalf("from %d Hz %d samples become %d, want %d", rate, len(samples), len(got), want)
		}
		half := float64(min(rate, Rate)) / 2
		cutoff, reach := 0.95*half/float64(rate), (100-7.95)/(14.36*0.1*half/float64(rate))/2
		beta := 0.1102 * (100 - 8.7)
		i0 := func(x float64) float64 { // as an integral, not by the series
			sum := 0.0
			for i := range 60 {
				sum += math.Exp(x*math.Cos(math.Pi*(float64(i)+0.5)/60)) / 60
			}
			return sum
		}
		for m := 0; m < len(got); m += max(1, len(got)/12) {
			at, sum := float64(m)*float64(rate)/Rate, 0.0
			for k, x := range samples {
				d := at - float64(k)
				if math.Abs(d) >= reach {
					continue
				}
				h := 2 * cutoff * i0(beta*math.Sqrt(1-d*d/reach/reach)) / i0(beta)
				if d != 0 {
					h *= math.Sin(2*math.Pi*cutoff*d) / (2 * math.Pi * cutoff * d)
				}
				sum += h * float64(x)
			}
			if math.Abs(sum-float64(got[m])) > 3e-6 {
				t.Fatalf("from %d Hz result %d is %v, want %v", rate, m, got[m], sum)
			}
		}
	}
}

func TestHoweverSoundIsCutItsResamplingIsTheSameToTheBit(t *testing.T) {
	for _, rate := range append([]int{Rate}, rates...) {
		samples := noise(2500, uint64(rate))
		want := resample(t, samples, rate)
		for cut := range 20 {
			random := rand.New(rand.NewPCG(uint64(cut), uint64(rate)))
			r, err := NewResampler(rate)
			if err != nil {
				t.Fatal(err)
			}
			var got []float32
			for rest := samples; len(rest) > 0; {
				n := min(len(rest), []int{1, 7, 160, random.IntN(500), random.IntN(2500)}[cut%5])
				got, rest = r.Append(got, rest[:n]), rest[n:]
			}
			if got = r.Close(got); !slices.Equal(got, want) {
				t.Fatalf("from %d Hz in pieces, way %d: %d samples, want %d, and the same", rate, cut, len(got), len(want))
			}
		}
	}
}

func TestSoundOf16kHzStaysAsItIs(t *testing.T) {
	samples := noise(1000, 1)
	if got := resample(t, samples, Rate); !slices.Equal(got, samples) {
		t.Error("samples of 16 kHz are changed")
	}
}

func TestAClickStaysWhereItIs(t *testing.T) {
	for _, rate := range rates {
		samples := make([]float32, rate)
		samples[rate/2] = 1
		got := resample(t, samples, rate)
		loudest := 0
		for i, x := range got {
			if x > got[loudest] {
				loudest = i
			}
		}
		if want := float64(rate/2) / float64(rate) * Rate; math.Abs(float64(loudest)-want) > 0.5 {
			t.Errorf("from %d Hz a click at %.1f comes at %d", rate, want, loudest)
		}
	}
}

func TestRatesOutOfBoundsAreErrors(t *testing.T) {
	for _, rate := range []int{-1, 0, 999, 384001, math.MaxInt32} {
		if _, err := Resample(nil, rate); err == nil {
			t.Errorf("a rate of %d is no error", rate)
		}
	}
}

// TestAResamplerHoldsLittle feeds a minute at each rate.
func TestAResamplerHoldsLittle(t *testing.T) {
	for _, rate := range rates {
		r, err := NewResampler(rate)
		if err != nil {
			t.Fatal(err)
		}
		var out []float32
		for range 4 {
			out = r.Append(out[:0], make([]float32, 20000))
		}
		if cap(r.held) > 1<<16 {
			t.Errorf("from %d Hz %d samples are held", rate, cap(r.held))
		}
	}
}

func BenchmarkResample(b *testing.B) {
	for _, rate := range []int{8000, 44100, 44101, 48000, 384000} {
		b.Run(fmt.Sprint(rate), func(b *testing.B) {
			second := noise(rate, 1)
			r, err := NewResampler(rate)
			if err != nil {
				b.Fatal(err)
			}
			var out []float32
			for b.Loop() {
				out = r.Append(out[:0], second)
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "×real-time")
		})
	}
}
