package model

import (
	"slices"
	"testing"

	"github.com/gogemma/gemma4/tensor"
)

func TestOfEqualExpertsTheFirstAreChosen(t *testing.T) {
	m := &Model{Config: Config{Experts: 5, ExpertsUsed: 3}, kernels: tensor.Portable(), pool: tensor.NewPool(1)}
	defer m.Close()
	p := m.NewPass()
	p.moe = mixture{prob: []float32{1, 2, 3, 2, 2}, expert: make([]int, 3), weight: make([]float32, 3)}
	p.choose(nil, 0)
	if want := []int{2, 1, 3}; !slices.Equal(p.moe.expert, want) {
		t.Errorf("experts %v, want %v", p.moe.expert, want)
	}
	if w := p.moe.weight; w[1] != w[2] || w[0] <= w[1] {
		t.Errorf("weights %v, want two that are equal behind a larger one", w)
	}
}
