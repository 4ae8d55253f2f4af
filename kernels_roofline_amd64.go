package gemma4

import "github.com/gogemma/gemma4/tensor"

// The roofline of reading: as fast as the level can, and nothing else. That of multiplying stands beside the panels.

//go:noescape
func sumAVX2(p *byte, lines int) uint64

//go:noescape
func sumAVX512(p *byte, lines int) uint64

// sumBlock is how many bytes one round of the sum loops reads.
const sumBlock = 256

func sumWith(sum func(p *byte, lines int) uint64) func(b []byte) uint64 {
	return func(b []byte) (s uint64) {
		if n := len(b) / sumBlock; n > 0 {
			s = sum(&b[0], n)
			b = b[n*sumBlock:]
		}
		for _, v := range b {
			s += uint64(v)
		}
		return s
	}
}

func rooflineAVX2(k *tensor.Kernels) {
	k.Sum = sumWith(sumAVX2)
}

func rooflineAVX512(k *tensor.Kernels) {
	k.Sum = sumWith(sumAVX512)
}
