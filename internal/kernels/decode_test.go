package kernels

import (
	"math/rand/v2"
	"testing"

	"github.com/gogemma/gemma4/internal/kernels/kerneltest"
	"github.com/gogemma/gemma4/tensor"
)

func TestDecodeKernels(t *testing.T) {
	aboveLevels(t, func(t *testing.T, k *tensor.Kernels) {
		r := rand.New(rand.NewPCG(9, 21))
		for _, format := range tensor.Formats() {
			if k.Decode[format] == nil {
				continue
			}
			kerneltest.Fences(t, func(f kerneltest.Fence) {
				for _, count := range []int{0, 1, 2, 3, 4, 5, 8, 9, 40} {
					n := count * format.BlockLen()
					for try := range 6 {
						src := make([]byte, format.RowBytes(n))
						switch {
						case try == 0 && count > 0:
							src = kerneltest.Blocks(r, format, 1, n)
						case try == 1: // all bits set
							for i := range src {
								src[i] = 0xFF
							}
						case try == 2: // all values and scales 0
						default: // any bytes: scales are infinite or NaN now and then
							for i := range src {
								src[i] = byte(r.Uint32())
							}
						}
						src = f.CopyOf(src)
						got, want := f.Floats(make([]float32, n)), make([]float32, n)
						k.DecodeRow(format, got, src)
						format.Decode(want, src)
						kerneltest.Equal(t, got, want, "%v, %d blocks, try %d", format, count, try)
					}
				}
			})
		}
		if k.Decode[tensor.MXFP4] != nil { // all scales
			src := make([]byte, 17)
			for e := range 256 {
				for i := range src {
					src[i] = byte(r.Uint32())
				}
				src[0] = byte(e)
				got, want := make([]float32, 32), make([]float32, 32)
				k.DecodeRow(tensor.MXFP4, got, src)
				tensor.MXFP4.Decode(want, src)
				kerneltest.Equal(t, got, want, "MXFP4, scale %d", e)
			}
		}
	})
}
