package sound

import (
	"fmt"
	"math"
)

// Rate is the one rate, in Hz, at which the models hear.
const Rate = 16000

// Rates that are resampled, in Hz.
const (
	slowest = 1000
	fastest = 384000
)

// The filter is a sinc under a Kaiser window. Of the band that both rates hold, up to half of the lower one, it passes the lower nine
// tenths (7.2 kHz of sound that comes faster than 16 kHz) within 0.01 dB, and holds what lies above the band 96 dB down, so that nothing
// is heard that was not there. Its length is what Kaiser's formula asks for: (attenuation - 7.95) / (14.36 × the transition's width).
const (
	attenuation = 100.0                        // dB, by the formula; the measured worst is a little less
	passed      = 0.9                          // of half of the lower rate
	kaiser      = 0.1102 * (attenuation - 8.7) // β of the window
)

// most coefficients that are computed ahead, for ratios of small numbers; other ratios interpolate in a table of the filter itself, with
// that many points in each of its crossings. Between two points a straight line is off by less than 1e-7.
const (
	mostCoefficients = 1 << 17
	crossingPoints   = 2048
)

// A Resampler brings sound of one rate to 16 kHz, piece by piece. Its filter has linear phase and no delay: sample 0 stays at time 0, and
// what comes before the beginning and after the end counts as silence. However the sound is cut into pieces, the result is the same to the
// bit. At 16 kHz it is a copy.
type Resampler struct {
	rate, up, down int // up / down is Rate / rate in lowest terms

	reach  float64     // half the filter's length, in samples of the input
	cutoff float64     // the middle of the transition, in cycles per sample of the input
	phases [][]float64 // for small up: the coefficients of each position between two samples of the input, and where the first one lies
	first  []int       // before the sample at or before the position
	table  []float64   // otherwise: the filter's right half, crossingPoints a crossing

	held  []float32 // samples that later results need, the first one being number base
	base  int64
	taken int64 // samples of the input so far
	given int64 // samples of the result so far
	row   []float64
}

// NewResampler returns a resampler from rate, in Hz, to 16 kHz.
func NewResampler(rate int) (*Resampler, error) {
	if rate < slowest || rate > fastest {
		return nil, fmt.Errorf("sound: a rate of %d Hz: from %d to %d are resampled", rate, slowest, fastest)
	}
	g := gcd(rate, Rate)
	r := &Resampler{rate: rate, up: Rate / g, down: rate / g}
	if rate == Rate {
		return r, nil
	}
	half := float64(min(rate, Rate)) / 2 / float64(rate) // the shared band's upper end, in cycles per sample
	r.cutoff = half * (1 + passed) / 2
	r.reach = (attenuation - 7.95) / (14.36 * half * (1 - passed)) / 2
	r.base = -int64(r.reach) - 1
	r.held = make([]float32, -r.base)
	if r.up*int(2*r.reach+2) > mostCoefficients {
		r.table = make([]float64, int(r.reach*2*r.cutoff*crossingPoints)+3)
		for i := range r.table {
			r.table[i] = r.filter(float64(i) / (2 * r.cutoff * crossingPoints))
		}
		return r, nil
	}
	r.phases, r.first = make([][]float64, r.up), make([]int, r.up)
	for p := range r.up {
		r.phases[p], r.first[p] = r.coefficients(p, nil, r.filter)
	}
	return r, nil
}

// filter is the impulse response at x samples of the input from its middle, times the ratio of the rates where it stretches the sinc: its
// sum over all samples is 1.
func (r *Resampler) filter(x float64) float64 {
	u := x / r.reach
	if u >= 1 || u <= -1 {
		return 0
	}
	sinc := 1.0
	if y := 2 * math.Pi * r.cutoff * x; y != 0 {
		sinc = math.Sin(y) / y
	}
	return 2 * r.cutoff * sinc * bessel(kaiser*math.Sqrt(1-u*u)) / bessel(kaiser)
}

// interpolated is filter by the table.
func (r *Resampler) interpolated(x float64) float64 {
	at := math.Abs(x) * 2 * r.cutoff * crossingPoints
	i := int(at)
	if i+1 >= len(r.table) {
		return 0
	}
	return r.table[i] + (at-float64(i))*(r.table[i+1]-r.table[i])
}

// coefficients appends to row those of the samples that a result at p/up samples behind a sample of the input sums, in the input's order,
// and tells how many samples before that sample the first one lies.
func (r *Resampler) coefficients(p int, row []float64, filter func(float64) float64) ([]float64, int) {
	at := float64(p) / float64(r.up)
	first := int(r.reach - at)
	for k := -first; float64(k) < at+r.reach; k++ {
		row = append(row, filter(at-float64(k)))
	}
	return row, first
}

// bessel is the modified Bessel function of the first kind, order 0, by its series.
func bessel(x float64) float64 {
	sum, term := 1.0, 1.0
	for k := 1.0; term > sum*1e-17; k++ {
		term *= x / (2 * k) * (x / (2 * k))
		sum += term
	}
	return sum
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// Append takes the next samples and appends to dst, which it returns, the samples at 16 kHz that are certain now. The last ones wait for
// what follows, at most 61 crossings of the filter: 4 ms of sound that came faster than 16 kHz.
func (r *Resampler) Append(dst, samples []float32) []float32 {
	r.taken += int64(len(samples))
	if r.rate == Rate {
		r.given = r.taken
		return append(dst, samples...)
	}
	for len(samples) > 0 { // in blocks, so that little is held at a time
		n := min(len(samples), 1<<14)
		r.held = append(r.held, samples[:n]...)
		samples = samples[n:]
		dst = r.results(dst, math.MaxInt64)
	}
	return dst
}

// Close appends the rest to dst: altogether round(n·16000/rate) samples of n. Nothing may be appended after it.
func (r *Resampler) Close(dst []float32) []float32 {
	if r.rate == Rate {
		return dst
	}
	length := (2*r.taken*int64(r.up) + int64(r.down)) / (2 * int64(r.down))
	r.held = append(r.held, make([]float32, int(r.reach)+2+r.down/r.up)...)
	return r.results(dst, length)
}

// results appends to dst the results, up to the end, whose samples are all held.
func (r *Resampler) results(dst []float32, end int64) []float32 {
	for r.given < end {
		position, phase := r.given*int64(r.down)/int64(r.up), int(r.given*int64(r.down)%int64(r.up))
		var row []float64
		var first int
		if r.phases != nil {
			row, first = r.phases[phase], r.first[phase]
		} else {
			if position+int64(r.reach)+2 > r.base+int64(len(r.held)) {
				break // before the work of interpolating
			}
			row, first = r.coefficients(phase, r.row[:0], r.interpolated)
			r.row = row
		}
		begin := int(position - int64(first) - r.base)
		if begin+len(row) > len(r.held) {
			break
		}
		dst = append(dst, float32(dot(row, r.held[begin:begin+len(row)])))
		r.given++
	}
	// What no later result needs goes, when it is worth moving the rest.
	if unused := int(r.given*int64(r.down)/int64(r.up)-r.base) - int(r.reach) - 1; unused > len(r.held)/2 {
		r.held = r.held[:copy(r.held, r.held[unused:])]
		r.base += int64(unused)
	}
	return dst
}

func dot(a []float64, b []float32) float64 {
	var s0, s1, s2, s3 float64
	b = b[:len(a)]
	i := 0
	for ; i+4 <= len(a); i += 4 {
		a, b := a[i:i+4:i+4], b[i:i+4:i+4]
		s0 += a[0] * float64(b[0])
		s1 += a[1] * float64(b[1])
		s2 += a[2] * float64(b[2])
		s3 += a[3] * float64(b[3])
	}
	for ; i < len(a); i++ {
		s0 += a[i] * float64(b[i])
	}
	return s0 + s1 + (s2 + s3)
}

// Resample returns samples of rate, in Hz, at 16 kHz: round(n·16000/rate) of n, the first one at the same time. At 16 kHz it returns a
// copy.
func Resample(samples []float32, rate int) ([]float32, error) {
	r, err := NewResampler(rate)
	if err != nil {
		return nil, err
	}
	dst := make([]float32, 0, int64(len(samples))*Rate/int64(rate)+1)
	return r.Close(r.Append(dst, samples)), nil
}
