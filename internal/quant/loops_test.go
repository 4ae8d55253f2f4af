package quant

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/gogemma/gemma4/internal/kernels/kerneltest"
	"github.com/gogemma/gemma4/tensor"
)

// TestLevelsGiveTheSameBlocks encodes weights of all kinds at each level that the machine runs.
func TestLevelsGiveTheSameBlocks(t *testing.T) {
	const n, rows = 512, 8
	x := normal(rows*n, 0.02, 1)
	for i := range x[n:] { // all but the first row are odd
		switch row := 1 + i/n; {
		case row == 1 && i%97 == 0:
			x[n+i] *= 30
		case row == 2:
			x[n+i] = float32(math.Abs(float64(x[n+i])))
		case row == 3:
			x[n+i] = -float32(math.Abs(float64(x[n+i]))) - 1
		case row == 4 && i%5 != 0, row == 5 && i%32 != 7:
			x[n+i] = 0
		case row == 6:
			x[n+i] *= float32(math.Ldexp(1, i%n/16-24))
		case row == 7:
			x[n+i] = float32(i%n/64) - 2
		}
	}
	for _, f := range Formats() {
		for _, importance := range [][]float32{nil, important(n, 2)} {
			want, got := make([]byte, f.RowBytes(len(x))), make([]byte, f.RowBytes(len(x)))
			if err := encode(portable, f, want, x, n, importance); err != nil {
				t.Fatal(err)
			}
			for l := portable + 1; l <= best(); l++ {
				if err := encode(l, f, got, x, n, importance); err != nil {
					t.Fatal(err)
				}
				for row := range rows {
					if size := f.RowBytes(n); !bytes.Equal(got[row*size:(row+1)*size], want[row*size:(row+1)*size]) {
						t.Errorf("%v, importance %t, level %d: row %d differs", f, importance != nil, l, row)
					}
				}
			}
		}
	}
}

// TestLoopsGiveTheSameBits compares each loop with the portable one, on memory with a fence behind it or in front of it.
func TestLoopsGiveTheSameBits(t *testing.T) {
	kerneltest.Fences(t, func(fence kerneltest.Fence) {
		r := rand.New(rand.NewPCG(3, 3))
		for l := portable + 1; l <= best(); l++ {
			for round := range 200 {
				n := 16 + 16*(round%2)
				x, w := fence.Floats(kerneltest.Gaussian(r, n)), fence.Floats(make([]float32, n))
				if round%7 == 0 {
					clear(x[1:])
				}
				most := 1 / peak(x)
				what := func(loop string) string { return fmt.Sprintf("%s, level %d, round %d", loop, l, round) }

				want := fence.Floats(make([]float32, n))
				weighPortable(want, x, 0.7)
				l.weigh(w, x, 0.7)
				kerneltest.Equal(t, w, want, "%s", what("weigh"))
				if round%5 == 0 {
					clear(w[:n-1])
				}

				for _, start := range []trials{newSymmetric(l, 8), newSymmetric(l, 32), newUnsigned(l, 15, 0.2), newUnsigned(l, 63, 0.1)} {
					got, want := start, start
					low, most := float32(0), most
					if start.low == 0 {
						low, most = slices.Min(x), float32(math.Abs(float64(most)))
					}
					got.linear(x, w, most, low)
					want.linearPortable(x, w, most, low)
					equalTrials(t, &got, &want, what("linear"))
					if g, p := got.closest(), want.closestPortable(); g != p {
						t.Fatalf("%s: trial %d, want %d", what("closest"), g, p)
					}
					equalTrials(t, &got, &want, what("closest"))
					for _, bound := range []float32{0, 0.1, 1000} {
						if g, p := got.closestAffine(bound), want.closestAffinePortable(bound); g != p {
							t.Fatalf("%s: trial %d, want %d", what("closest affine"), g, p)
						}
						equalTrials(t, &got, &want, what("closest affine"))
					}
					q, wantQ := fence.Bytes(n), make([]byte, n)
					l.codes(q, x, 20*most, low, start.low, start.high)
					codesPortable(wantQ, x, 20*most, low, start.low, start.high)
					if !bytes.Equal(q, wantQ) {
						t.Fatalf("%s: %d, want %d", what("codes"), q, wantQ)
					}
				}

				got, wanted := newTabled(l), newTabled(l)
				got.nonlinear(x, w, most)
				wanted.nonlinearPortable(x, w, most)
				equalTrials(t, &got, &wanted, what("nonlinear"))
				q, wantQ := fence.Bytes(n), make([]byte, n)
				l.tableCodes(q, x, 140*most)
				tableCodesPortable(wantQ, x, 140*most)
				if !bytes.Equal(q, wantQ) {
					t.Fatalf("%s: %d, want %d", what("table codes"), q, wantQ)
				}

				for _, low := range []float32{0, -8} {
					var want residue
					want.setPortable(x, w, 0.2, 5, 1.5, low, 15)
					if got := l.residue(x, w, 0.2, 5, 1.5, low, 15); got != want {
						t.Fatalf("%s: %v, want %v", what("residue"), got, want)
					}
				}
				var wantResidue residue
				wantResidue.setTablePortable(x, w, 0.01, 100)
				if got := l.tableResidue(x, w, 0.01, 100); got != wantResidue {
					t.Fatalf("%s: %v, want %v", what("table residue"), got, wantResidue)
				}
			}
		}
	})
}

// TestRoundingGivesTheSameBytes compares what is not searched with package tensor, on memory with a fence behind it or in front of it.
func TestRoundingGivesTheSameBytes(t *testing.T) {
	kerneltest.Fences(t, func(fence kerneltest.Fence) {
		r := rand.New(rand.NewPCG(4, 4))
		for l := portable; l <= best(); l++ {
			for round := range 300 {
				x := kerneltest.Gaussian(r, 96)
				for i := range x {
					switch round % 10 {
					case 1: // halves between codes, and ties between extremes
						x[i] = float32(r.IntN(509)-254) / 2
					case 2:
						x[i] = float32(r.IntN(2)*2 - 1)
					case 3:
						x[i] = float32(math.Copysign(0, float64(r.IntN(2)*2-1)))
					case 4: // subnormal numbers
						x[i] = math.Float32frombits(r.Uint32() &^ (0xFF << 23))
					case 5: // subnormal halves
						x[i] *= 1e-6
					case 6: // any below the largest that Q4_0 holds
						for x[i] = 1e9; !(math.Abs(float64(x[i])) <= 8*largestHalf); {
							x[i] = math.Float32frombits(r.Uint32())
						}
					case 7: // ties of BF16
						x[i] = math.Float32frombits(r.Uint32()&0xBFFF0000 | 0x8000)
					case 8: // just below and above halves between codes
						x[i] = math.Float32frombits(math.Float32bits(float32(r.IntN(509)-254)/2) + uint32(r.IntN(3)) - 1)
						if !(math.Abs(float64(x[i])) <= 200) {
							x[i] = 127
						}
					case 9:
						x[i] = min(max(x[i], -3), 3) * 20000
					}
				}
				for _, f := range []tensor.Format{tensor.F32, tensor.F16, tensor.BF16, tensor.Q8_0, tensor.Q4_0} {
					n := len(x)
					if f.BlockLen() == 1 {
						n -= r.IntN(50)
					}
					x := fence.Floats(x[:n])
					got, want := fence.Bytes(f.RowBytes(n)), make([]byte, f.RowBytes(n))
					if err := l.round(f, got, x); err != nil {
						t.Fatal(err)
					}
					if err := f.Encode(want, x); err != nil {
						t.Fatal(err)
					}
					if !bytes.Equal(got, want) {
						t.Fatalf("%v, level %d, round %d: %x, want %x, of %v", f, l, round, got, want, x)
					}
					if got, want := l.peak(x), peakPortable(x); got != want {
						t.Fatalf("level %d, round %d: the largest magnitude is %#x, want %#x", l, round, got, want)
					}
				}
			}
		}
	})
}

func equalTrials(t *testing.T, got, want *trials, what string) {
	t.Helper()
	for _, c := range []struct {
		name      string
		got, want *[tries]float32
	}{
		{"Σ w·code", &got.codes, &want.codes}, {"Σ w·code²", &got.squares, &want.squares}, {"Σ w·code·x", &got.products, &want.products},
		{"steps", &got.step, &want.step}, {"least values", &got.least, &want.least},
	} {
		kerneltest.Equal(t, c.got[:], c.want[:], "%s, %s", what, c.name)
	}
	if got.weights != want.weights || got.sum != want.sum {
		t.Fatalf("%s: Σ w is %v, Σ w·x %v, want %v and %v", what, got.weights, got.sum, want.weights, want.sum)
	}
}

// TestNearestValuesOfIQ4 compares what cells say with all values, for all halves within the range and somewhat beyond it.
func TestNearestValuesOfIQ4(t *testing.T) {
	for v := float32(-200); v <= 200; v += 0.03125 {
		code := nearest(v)
		for other, value := range values {
			if off, least := math.Abs(float64(v-values[code])), math.Abs(float64(v-value)); least < off {
				t.Fatalf("%v: code %d is %v off, code %d %v", v, code, off, other, least)
			}
		}
	}
}
