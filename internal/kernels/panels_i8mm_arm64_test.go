package kernels

import (
	"bytes"
	"encoding/binary"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/gogemma/gemma4/internal/kernels/kerneltest"
	"github.com/gogemma/gemma4/internal/machine"
	"github.com/gogemma/gemma4/tensor"
)

// putBF16 sets number i of vector v in columns of so many vectors.
func putBF16(columns []byte, vectors, v, i int, x float32) {
	binary.LittleEndian.PutUint16(columns[8*(i/4*vectors+v)+2*(i%4):], tensor.ToBF16(x))
}

// putFloat sets a float at so many bytes.
func putFloat(dst []byte, at int, x float32) {
	binary.LittleEndian.PutUint32(dst[at:], math.Float32bits(x))
}

// rowSpans makes in plain Go, of rows whose units are given, the panel that spanPanels pack. Weights that there are none of remain as they
// are: they are multiplied with 0.
func rowSpans(dst []byte, f tensor.Format, units [][]unit, cols int) {
	k, n := kindOf(f), spansLen(cols)
	if !isPacked(f) {
		k = plain
	}
	shift, centre := finer(f)
	pair, size := 64*rowColumns(k, n), rowSpan(k)
	dst[0] = byte(k)
	columns := dst[panelHeader:][:stripsHeight/8*pair]
	strips := dst[panelHeader+len(columns):][:stripsHeight*n*size/4]
	clear(columns)
	for r := range stripsHeight {
		at := func(i int) (*unit, int, int) { // the unit of weight i, its place in there and its lane
			if r >= len(units) || i >= cols {
				return &unit{}, 0, 0
			}
			return &units[r][i/64], i % 64, i % 64 / 16
		}
		c, v := columns[r/8*pair:][:pair], r%8
		for s := range n {
			strip := strips[(r/4*n+s)*size:][:size]
			var sum, scales float32
			for j := range spanLen {
				if u, i, _ := at(s*spanLen + j); r < len(units) && s*spanLen+j < cols {
					strip[32*(j/8)+8*(r%4)+j%8] = byte((int(u.q[i]) - centre) << shift)
				}
			}
			scale, each := 4*spanLen, 32 // where the next scale stands, and of how many weights it is
			if k == groups {
				each = 16
			}
			for j := 0; j < spanLen; j += each {
				u, _, lane := at(s*spanLen + j)
				finer := float32(math.Ldexp(float64(u.scale[lane]), -shift))
				scales += finer
				for twice := range 2 {
					putFloat(strip, scale+8*(r%4)+4*twice, finer)
				}
				scale += 32
			}
			for twice := range 2 {
				putFloat(strip, scale+8*(r%4)+4*twice, -1.5*(1<<23)*scales)
			}
			for j := 0; j < spanLen; j += 32 {
				var half [2]float32
				for h := range half {
					total := 0
					for i := range 16 {
						u, i, _ := at(s*spanLen + j + 16*h + i)
						total += int(u.q[i])
					}
					u, _, lane := at(s*spanLen + j + 16*h)
					half[h] = float32(float32(total)*u.scale[lane]) - 16*u.min[lane]
				}
				sum += half[0] + half[1]
				if k == mins {
					u, _, lane := at(s*spanLen + j)
					putBF16(c, 8, v, 4*midColumns(n)+3*s+j/32, u.min[lane]-float32(centre)*u.scale[lane])
				}
			}
			putBF16(c, 8, v, 2*s, sum)
			putBF16(c, 8, v, 2*s+1, sum-tensor.FromBF16(tensor.ToBF16(sum)))
		}
	}
}

// isPacked reports whether panels know a format's units.
func isPacked(f tensor.Format) bool {
	for _, u := range unpacked {
		if u == f {
			return kindOf(f) != groupMins
		}
	}
	return false
}

// tokenSpans does the same with up to four tokens.
func tokenSpans(dst []byte, x []float32, tokens, cols int) {
	n := spansLen(cols)
	mids, sums := dst[:32*midColumns(n)], dst[32*midColumns(n):][:32*offsetColumns(n)]
	strip := dst[len(mids)+len(sums):]
	clear(dst)
	for t := range tokens {
		q := make([]goSpan, n)
		spans(q, x[t*cols:(t+1)*cols])
		for s := range q {
			g, strip := &q[s], strip[s*tokenSpan:][:tokenSpan]
			for j, v := range g.q {
				strip[32*(j/8)+8*t+j%8] = byte(v)
			}
			for _, at := range []int{0, 8} { // t0 t1 t0 t1 t2 t3 t2 t3
				putFloat(strip, 4*spanLen+16*(t/2)+4*(t%2)+at, g.scale)
			}
			putBF16(mids, 4, t, 2*s, g.mid)
			putBF16(mids, 4, t, 2*s+1, g.mid)
			for j, sum := range g.sums {
				putBF16(sums, 4, t, 3*s+j, -sum)
			}
		}
	}
}

// TestSpansArePackedAsInGo: all bytes that are multiplied, of panels and of tokens, whatever their number and the length of rows.
func TestSpansArePackedAsInGo(t *testing.T) {
	if !machine.Supports(machine.I8MM...) {
		t.Skip("no SMMLA or no BFMMLA")
	}
	p := spanPanels(tensor.Portable().Quantize)
	r := rand.New(rand.NewPCG(21, 9))
	for _, f := range append(unpacked[:], tensor.F32) {
		if f != tensor.F32 && !isPacked(f) {
			continue
		}
		step := max(f.BlockLen(), 32)
		for _, c := range []struct{ rows, blocks int }{{1, 1}, {32, 2}, {4, 3}, {7, 4}, {8, 5}, {31, 6}, {3, 23}, {5, 24}, {2, 51}} {
			cols := c.blocks * step
			if f == tensor.F32 {
				cols -= c.rows % 16
			}
			size := f.RowBytes(cols)
			w := kerneltest.Fence{T: t, Front: c.rows%2 == 1}.CopyOf(kerneltest.Blocks(r, f, c.rows, cols))
			got, want := make([]byte, p.WBytes(cols)), make([]byte, p.WBytes(cols))
			for i := range got { // what lay there before must not matter
				got[i] = 0x55
			}
			var units [][]unit
			for i := range c.rows {
				row := make([]unit, tensor.Q8Len(cols))
				if f == tensor.F32 {
					floats := make([]float32, cols)
					f.Decode(floats, w[i*size:(i+1)*size])
					for from := 0; from < cols; from += 64 * packUnits {
						quantizer(tensor.Portable().Quantize).round(row[from/64:], floats[from:min(from+64*packUnits, cols)])
					}
				} else {
					unpack(f, row, w[i*size:(i+1)*size])
				}
				units = append(units, row)
			}
			if pack := p.PackW[f]; pack != nil {
				pack(got, w, size, c.rows, cols)
			} else {
				floats := make([]float32, c.rows*cols)
				f.Decode(floats, w)
				p.PackFloats(got, floats, c.rows, cols)
			}
			copy(want, got)
			rowSpans(want, f, units, cols)
			if i := firstDifference(got[panelHeader:], want[panelHeader:]); i >= 0 || got[0] != want[0] {
				t.Fatalf("%v, %d rows of %d: byte %d differs", f, c.rows, cols, panelHeader+i)
			}
		}
	}
	for cols := 1; cols < 2000; cols += 1 + cols/5 {
		for n := 1; n <= 4; n++ {
			x := kerneltest.Fence{T: t, Front: cols%2 == 1}.Floats(kerneltest.Gaussian(r, n*cols))
			x[r.IntN(n*cols)] *= 100
			got, want := make([]byte, p.XBytes(n, cols)), make([]byte, p.XBytes(n, cols))
			p.PackX(got, x, n, cols, 0, n)
			tokenSpans(want, x, n, cols)
			if i := firstDifference(got, want); i >= 0 {
				t.Fatalf("%d tokens of %d: byte %d differs", n, cols, i)
			}
		}
	}
}

// firstDifference returns where two texts of one length differ, or −1.
func firstDifference(a, b []byte) int {
	if bytes.Equal(a, b) {
		return -1
	}
	for i := range a {
		if a[i] != b[i] {
			return i
		}
	}
	return len(a)
}

// TestTokensOfSpansHaveTheirBitsInAnyNumber: one or two that are left over are multiplied by functions of their own.
func TestTokensOfSpansHaveTheirBitsInAnyNumber(t *testing.T) {
	if !machine.Supports(machine.I8MM...) {
		t.Skip("no SMMLA or no BFMMLA")
	}
	p := spanPanels(tensor.Portable().Quantize)
	r := rand.New(rand.NewPCG(22, 9))
	for _, f := range []tensor.Format{tensor.Q4_0, tensor.Q4_K, tensor.Q6_K} {
		const rows, most = 32, 10
		cols := 2 * max(f.BlockLen(), 96)
		w, x := kerneltest.Blocks(r, f, rows, cols), kerneltest.Gaussian(r, most*cols)
		panel := make([]byte, p.WBytes(cols))
		p.PackW[f](panel, w, f.RowBytes(cols), rows, cols)
		var all []float32
		for n := most; n > 0; n-- {
			packed, dst := make([]byte, p.XBytes(n, cols)), make([]float32, n*rows)
			p.PackX(packed, x, n, cols, 0, n)
			p.Multiply(dst, rows, panel, rows, packed, n, cols, nil)
			if n == most {
				all = dst
			}
			for i, v := range dst {
				if math.Float32bits(v) != math.Float32bits(all[i]) {
					t.Fatalf("%v, %d tokens: row %d of token %d is %g, of %d tokens %g", f, n, i%rows, i/rows, v, most, all[i])
				}
			}
		}
	}
}
