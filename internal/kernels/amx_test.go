//go:build amd64 && unix

package kernels

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/gogemma/gemma4/internal/kernels/kerneltest"
	"github.com/gogemma/gemma4/tensor"
)

// The arithmetic of tiles in plain Go.

// flush turns subnormal numbers into zeros.
func flush(x float32) float32 {
	if math.Abs(float64(x)) < 0x1p-126 {
		return float32(math.Copysign(0, float64(x)))
	}
	return x
}

// toBF16 rounds to bf16, as packing does.
func toBF16(x []float32) []float32 {
	y := make([]float32, len(x))
	for i, v := range x {
		y[i] = flush(tensor.FromBF16(tensor.ToBF16(flush(v))))
	}
	return y
}

// multiplyAdd returns a·b + c, rounded once, of bf16 values a and b. Their product is exact in float64. The sum is rounded to 53 bits and
// then to 24, which is as good as once, since 53 ≥ 2·24 + 2.
func multiplyAdd(a, b, c float32) float32 { return flush(float32(float64(a)*float64(b) + float64(c))) }

// tileProduct returns the product of a row and a token, both rounded to bf16.
func tileProduct(w, x []float32) (product float32) {
	for first := true; len(w) > 0; first = false {
		part := min(len(w), 32*slabBlocks)
		sum := float32(0)
		for from := 0; from < part; from += 32 {
			var chains [2]float32
			for i := from; i < from+32; i++ {
				if i < part {
					chains[i%2] = multiplyAdd(w[i], x[i], chains[i%2])
				} else { // the rest of the block is filled with zeros
					chains[i%2] += 0
				}
			}
			sum = flush(sum + flush(chains[0]+chains[1]))
		}
		if product += sum; first {
			product = sum + 0
		}
		w, x = w[part:], x[part:]
	}
	return product
}

// wild returns rows of a format with any bits: scales may be subnormal, infinite or NaN.
func wild(r *rand.Rand, f tensor.Format, rows, cols int) []byte {
	w := make([]byte, rows*f.RowBytes(cols))
	for i := range w {
		w[i] = byte(r.Uint32())
	}
	return w
}

// isBF16 reports whether a packed value is x in bf16, any NaN being as good as another. Subnormal BF16 weights are packed as they are.
func isBF16(packed []byte, x float32) bool {
	got := binary.LittleEndian.Uint16(packed)
	return got == tensor.ToBF16(flush(x)) || x != x && got&0x7FFF > 0x7F80 || flush(x) != x && tensor.FromBF16(got) == x
}

// Packed weights are those of Format.Decode, rounded once.
func TestTileWeights(t *testing.T) {
	if !kerneltest.PacksTiles() {
		t.Skip("no AVX-512 with bf16")
	}
	level := tensor.Portable()
	panelsAMX(level)
	k := level.Panels
	r := rand.New(rand.NewPCG(1, 10))
	for _, f := range tensor.Formats() {
		for i := range 60 {
			rows, cols := 1+r.IntN(k.Height), (1+r.IntN(4))*max(32, f.BlockLen())
			if isFloat(f) {
				cols = kerneltest.Lengths[r.IntN(len(kerneltest.Lengths))]
			}
			raw := wild(r, f, rows, cols)
			if i%2 == 0 {
				raw = kerneltest.Blocks(r, f, rows, cols)
			}
			guard := kerneltest.Fence{T: t, Front: i%4 < 2}
			raw = guard.CopyOf(raw)
			decoded := make([]float32, rows*cols)
			size := f.RowBytes(cols)
			for r := range rows {
				f.Decode(decoded[r*cols:(r+1)*cols], raw[r*size:(r+1)*size])
			}
			panel := guard.Bytes(k.WBytes(cols))
			for i := range panel {
				panel[i] = 0xA5
			}
			if pack := k.PackW[f]; pack != nil {
				pack(panel, raw, size, rows, cols)
			} else {
				k.PackFloats(panel, guard.Floats(decoded), rows, cols)
			}
			columns := ceilDiv(cols, 32) * 32
			for r := range ceilDiv(rows, 32) * 32 {
				for c := range columns {
					want := float32(0)
					if r < rows && c < cols {
						want = decoded[r*cols+c]
					}
					at := (r/32*columns+c/32*32)*64 + r%32*64 + c%32*2
					if !isBF16(panel[at:], want) {
						t.Fatalf("%v, %d rows of %d: row %d, column %d is % x, want %g", f, rows, cols, r, c, panel[at:at+2], want)
					}
				}
			}
		}
	}
}

func TestTileTokens(t *testing.T) {
	if !kerneltest.PacksTiles() {
		t.Skip("no AVX-512 with bf16")
	}
	level := tensor.Portable()
	panelsAMX(level)
	k := level.Panels
	r := rand.New(rand.NewPCG(2, 10))
	for _, cols := range kerneltest.Lengths {
		for _, front := range []bool{false, true} {
			guard, n := kerneltest.Fence{T: t, Front: front}, 1+r.IntN(40)
			x := guard.Floats(kerneltest.Gaussian(r, n*cols))
			for range n {
				x[r.IntN(len(x))] = math.Float32frombits(r.Uint32())
			}
			packed := guard.Bytes(k.XBytes(n, cols))
			for from := (n - 1) &^ 15; from >= 0; from -= 16 {
				k.PackX(packed, x, n, cols, from, min(from+16, n))
			}
			columns := ceilDiv(cols, 32) * 32
			for i := range ceilDiv(n, 16) * 16 {
				for c := range columns {
					want := float32(0)
					if i < n && c < cols {
						want = x[i*cols+c]
					}
					at := (i/16*columns+c/32*32)*32 + c%32/2*64 + i%16*4 + c%2*2
					if !isBF16(packed[at:], want) {
						t.Fatalf("%d tokens of %d: token %d, column %d is % x, want %g", n, cols, i, c, packed[at:at+2], want)
					}
				}
			}
		}
	}
}

// Products have the bits of the portable function, whatever goes together.
func TestTileProducts(t *testing.T) {
	var k *tensor.PanelKernels
	for _, l := range levels() {
		if l.Name == "amx" {
			k = l.Panels
		}
	}
	if k == nil {
		t.Skip("no AMX here: go test -exec 'go run ./internal/cmd/tiles' ./internal/kernels emulates it")
	}
	r := rand.New(rand.NewPCG(3, 10))
	shapes := [][3]int{{1, 1, 1}, {1, 32, 1}, {16, 32, 16}, {17, 64, 17}, {32, 96, 32}, {33, 100, 33}, {64, 33, 48}, {70, 160, 65},
		{3, 32*slabBlocks + 1, 5}, {40, 64*slabBlocks + 64, 20},
		{1, 32 * slabBlocks, callOps/(tileRows*32*slabBlocks) + 20}} // two calls of the assembly
	for range 20 {
		shapes = append(shapes, [3]int{1 + r.IntN(70), 1 + r.IntN(200), 1 + r.IntN(70)})
	}
	for i, s := range shapes {
		rows, cols, n := s[0], s[1], s[2]
		guard := kerneltest.Fence{T: t, Front: i%2 == 0}
		w, x := kerneltest.Gaussian(r, rows*cols), kerneltest.Gaussian(r, n*cols)
		for i := range w {
			switch r.IntN(200) {
			case 0:
				w[i] = []float32{0, float32(math.Copysign(0, -1)), 0x1p-126, 0x1p-149, 0x1p-100, -0x1p-64, 0x1p60}[r.IntN(7)]
			case 1:
				x[i%len(x)] = []float32{0, float32(math.Copysign(0, -1)), -0x1p-126, 0x1p-140, 0x1p-62, -0x1p-30, 0x1p40}[r.IntN(7)]
			}
		}
		x[r.IntN(len(x))] = []float32{1, float32(math.Inf(1)), float32(math.NaN()), 0x1.fffffep127}[i%4]
		got := multiplyPanels(t, k, tensor.F32, nil, guard.Floats(w), rows, cols, guard.Floats(x), n, guard.Bytes)
		ws, xs := toBF16(w), toBF16(x)
		for j := range n {
			for i := range rows {
				v, want := got[j*(rows+3)+i], tileProduct(ws[i*cols:(i+1)*cols], xs[j*cols:(j+1)*cols])
				if !kerneltest.Alike(v, want) {
					t.Fatalf("%d rows of %d, %d tokens: row %d, token %d is %g, want %g", rows, cols, n, i, j, v, want)
				}
			}
		}
	}
}
