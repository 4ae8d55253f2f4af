package model

import (
	"math"
	"math/bits"
	"math/cmplx"
)

// The ear's input is a log mel spectrogram: frames of 20 ms every 10 ms under a Hann window, the first half over silence; magnitudes of
// their spectra, gathered in triangles that are evenly spaced on the mel scale of HTK.
const (
	sampleRate  = 16000
	frameLen    = 320 // samples that are windowed
	frameNeeds  = 321 // samples that must be there: one more
	hop         = 160 // samples from one frame to the next
	fftLen      = 512
	melFloor    = 1e-3 // added before the logarithm
	silentStart = 160  // zeros before the first sample
)

// frames returns how many frames there are in a sound of n samples.
func frames(n int) int {
	if n < frameNeeds-silentStart {
		return 0
	}
	return (n+silentStart-frameNeeds)/hop + 1
}

// mel computes spectra. It keeps nothing between calls.
type mel struct {
	window [frameLen]float64
	twist  [fftLen / 2]complex128 // exp(−2πi k / fftLen)
	bins   []triangle
}

// triangle is one mel filter: weights of consecutive frequencies.
type triangle struct {
	first   int
	weights []float64
}

func newMel(bins int) *mel {
	m := &mel{bins: make([]triangle, bins)}
	for i := range m.window {
		m.window[i] = 0.5 - 0.5*math.Cos(2*math.Pi*float64(i)/frameLen)
	}
	for k := range m.twist {
		m.twist[k] = cmplx.Rect(1, -2*math.Pi*float64(k)/fftLen)
	}
	top := 2595 * math.Log10(1+sampleRate/2/700.0)
	edge := func(i int) float64 { return 700 * (math.Pow(10, top*float64(i)/float64(bins+1)/2595) - 1) }
	for b := range m.bins {
		low, mid, high := edge(b), edge(b+1), edge(b+2)
		t := &m.bins[b]
		for k := range fftLen/2 + 1 {
			at := float64(k) * sampleRate / fftLen
			w := min((at-low)/(mid-low), (high-at)/(high-mid))
			if w <= 0 {
				continue
			}
			if t.weights == nil {
				t.first = k
			}
			t.weights = append(t.weights, w)
		}
	}
	return m
}

// frame sets dst [bins] to the log mel spectrum of one frame.
func (m *mel) frame(dst, samples []float32) {
	var z [fftLen / 2]complex128 // a real transform of n numbers is a complex one of n/2
	for i := range frameLen / 2 {
		z[i] = complex(float64(samples[2*i])*m.window[2*i], float64(samples[2*i+1])*m.window[2*i+1])
	}
	m.transform(&z)
	var magnitude [fftLen/2 + 1]float64
	for k := range magnitude {
		a, b := z[k%len(z)], cmplx.Conj(z[(len(z)-k)%len(z)])
		even, odd := (a+b)/2, (a-b)*complex(0, -0.5)
		w := complex(-1, 0)
		if k < len(m.twist) {
			w = m.twist[k]
		}
		x := even + w*odd
		magnitude[k] = math.Sqrt(real(x)*real(x) + imag(x)*imag(x))
	}
	for b := range m.bins {
		t, sum := &m.bins[b], 0.0
		for i, w := range t.weights {
			sum += w * magnitude[t.first+i]
		}
		dst[b] = float32(math.Log(sum + melFloor))
	}
}

// transform is the discrete Fourier transform, by halves (Cooley and Tukey).
func (m *mel) transform(z *[fftLen / 2]complex128) {
	const n = fftLen / 2
	const shift = 64 - 8 // n = 2⁸
	for i := range z {
		if j := int(bits.Reverse64(uint64(i)) >> shift); i < j {
			z[i], z[j] = z[j], z[i]
		}
	}
	for size := 2; size <= n; size *= 2 {
		step := fftLen / size
		for from := 0; from < n; from += size {
			low, high := z[from:from+size/2], z[from+size/2:from+size]
			for k := range low {
				w := m.twist[k*step] * high[k]
				low[k], high[k] = low[k]+w, low[k]-w
			}
		}
	}
}
