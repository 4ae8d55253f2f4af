package sampler

import (
	"math"
	"testing"
)

func TestLogProbsAreThoseOfTheSoftmax(t *testing.T) {
	logits := logs(0.1, 0.4, 0.05, 0.3, 0.15)
	for i := range logits {
		logits[i] += 40 // a constant cancels
	}
	p := NewLogProbs(logits)
	for id, want := range []float64{0.1, 0.4, 0.05, 0.3, 0.15} {
		if got := p.Of(int32(id)); math.Abs(got-math.Log(want)) > 1e-5 {
			t.Errorf("log-probability of %d is %v, want log %v", id, got, want)
		}
	}
	top := TopLogProbs(logits, 3)
	for i, want := range []int32{1, 3, 4} {
		if len(top) != 3 || top[i].ID != want || top[i].LogProb != p.Of(want) {
			t.Fatalf("top %v, want ids 1, 3, 4", top)
		}
	}
}

func TestTopLogProbsTakesTheLowerIdOfEqualOnes(t *testing.T) {
	for _, n := range []int{1, 3, 6, 100} {
		top := TopLogProbs([]float32{1, 2, 2, mask, 2, 1}, n)
		want := []int32{1, 2, 4, 0, 5}
		want = want[:min(n, len(want))]
		if len(top) != len(want) {
			t.Fatalf("%d of %d candidates: %v", len(top), n, top)
		}
		for i := range want {
			if top[i].ID != want[i] {
				t.Errorf("candidate %d of %d is %v, want id %d", i, n, top[i], want[i])
			}
		}
	}
}

func TestLogProbsOfOddRows(t *testing.T) {
	for name, logits := range map[string][]float32{
		"empty": nil, "NaN": {1, nan, 2}, "+Inf": {1, 2, inf}, "all −Inf": {mask, mask}, "last NaN": {5, 1, nan},
	} {
		p := NewLogProbs(logits)
		if len(p.Top(2)) != 0 || len(TopLogProbs(logits, -1)) != 0 {
			t.Errorf("%s: %v", name, p.Top(2))
		}
		for id := range logits {
			if got := p.Of(int32(id)); !math.IsNaN(got) {
				t.Errorf("%s: log-probability of %d is %v", name, id, got)
			}
		}
	}
	p := NewLogProbs([]float32{math.MaxFloat32, -math.MaxFloat32, mask})
	if p.Of(0) != 0 || p.Of(1) > -6e38 || !math.IsInf(p.Of(2), -1) || !math.IsInf(p.Of(-1), -1) || !math.IsInf(p.Of(3), -1) {
		t.Error(p.Of(0), p.Of(1), p.Of(2), p.Of(-1), p.Of(3))
	}
}
