package gemma4

import (
	"math/rand/v2"
	"testing"

	"github.com/gogemma/gemma4/internal/kernels/kerneltest"
	"github.com/gogemma/gemma4/internal/machine"
	"github.com/gogemma/gemma4/tensor"
)

func init() {
	if kerneltest.Emulated() {
		emulated = func() *tensor.Kernels { return copyOf(amx()) }
	}
}

// TestReadLoopsReadTheSame: a processor runs one of the two.
func TestReadLoopsReadTheSame(t *testing.T) {
	if !machine.Supports(machine.AVX512...) {
		t.Skip("no AVX-512")
	}
	r := rand.New(rand.NewPCG(8, 9))
	b := make([]byte, 16*sumBlock)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	for rounds := 1; rounds <= len(b)/sumBlock; rounds++ {
		if near, far := sumAVX512Near(&b[0], rounds), sumAVX512(&b[0], rounds); near != far || far == 0 {
			t.Fatalf("%d rounds: %x where lines are fetched into the first-level cache, %x else", rounds, near, far)
		}
	}
}
