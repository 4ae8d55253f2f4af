package kernels

import (
	"unsafe"

	"github.com/gogemma/gemma4/tensor"
)

// Panels are some rows of weights that many tokens are multiplied with. At avx2 they are bytes or words, by format, at avx512 bytes, and
// of weights that are floats at both levels floats. The layouts stand in the assembly, panels_*_products_amd64.s and
// panels_*_floats_amd64.s. Those of amx are in files of their own, amx_*.

const panelHeader = 64 // bytes; the first tells the panel's form, the others align what follows

// panelFormats are the formats that have a packer in assembly at each level. Others are decoded and packed as floats.
var panelFormats = [...]tensor.Format{
	tensor.Q4_0, tensor.Q5_0, tensor.Q8_0, tensor.Q4_K, tensor.Q5_K, tensor.Q6_K, tensor.IQ4_NL, tensor.IQ4_XS, tensor.MXFP4,
}

// panelTokens is how many tokens a call of the assembly takes at most: some 0.2 ms.
const panelTokens = 3072

// panelLoop multiplies a slab of a panel with n tokens. Products are added to dst, or dst is set if add is 0. Rows are bits of exist.
type panelLoop func(dst *float32, stride int, w, x *byte, n, blocks int, exist, add uint32)

// panelLayout is how columns lie in a panel and in tokens. A block is 32 columns, or of floats one.
type panelLayout struct {
	slab  int // blocks that are summed up before their sums are added to dst
	block int // bytes of a panel's block
	token int // bytes of a token's slab
}

// tokens returns the bytes of n tokens of so many blocks: a slab of all tokens after another.
func (l panelLayout) tokens(n, blocks int) int { return ceilDiv(blocks, l.slab) * n * l.token }

// multiply multiplies all blocks of a panel, which begin at w, with n tokens.
func (l panelLayout) multiply(loop panelLoop, dst []float32, stride int, w []byte, rows int, x []byte, n, blocks int) {
	if n == 0 || rows == 0 {
		return
	}
	_ = dst[(n-1)*stride+rows-1]
	exist, add := uint32(1<<rows-1), uint32(0)
	for b := 0; b < blocks; b += l.slab {
		some := min(l.slab, blocks-b)
		tokens := x[b/l.slab*n*l.token:][:n*l.token]
		panel := &w[b*l.block:][:some*l.block][0]
		for t := 0; t < n; t += panelTokens {
			loop(&dst[t*stride], stride, panel, &tokens[t*l.token], min(panelTokens, n-t), some, exist, add)
		}
		add = exist
	}
}

// point sets the pointers of a vector's lanes to rows of w from the first on, each so long; lanes behind the last row point to that.
func point[T any](lanes []*T, w []T, length, first, rows int) {
	for r := range lanes {
		lanes[r] = &w[min(first+r, rows-1)*length]
	}
}

// ceilDiv returns how many pieces of the given length n comes to, the last one perhaps shorter.
func ceilDiv(n, length int) int { return (n + length - 1) / length }

// rowMask has a bit for each of up to 16 rows.
func rowMask(rows int) uint32 { return 1<<max(0, min(16, rows)) - 1 }

// lastMask has a bit for each column of a row's last block of 32.
func lastMask(cols int) uint32 { return 0xFFFFFFFF >> ((32 - cols%32) % 32) }

// The weights that nibbles stand for, without their scale.
var (
	q4Table  = [16]int8{-8, -7, -6, -5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5, 6, 7}
	iq4Table = [16]int8{-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113}
	fp4Table = [16]int8{0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12}
)

// floatsOf views the beginning of b, which is aligned or on a machine that does not mind, as n floats.
func floatsOf(b []byte, n int) []float32 {
	return unsafe.Slice((*float32)(unsafe.Pointer(unsafe.SliceData(b[:4*n]))), n)
}

func bytesOf(x []float32) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(x))), 4*len(x))
}
