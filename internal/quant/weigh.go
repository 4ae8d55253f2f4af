package quant

import "math"

// An importance is that of a row's columns: numbers of any unit, and what makes their mean 1. Without numbers all count the same.
type importance struct {
	numbers []float32
	factor  float32
}

// newImportance returns the importance that numbers stand for, which are finite and not negative.
func newImportance(numbers []float32) importance {
	var sum float64
	for _, v := range numbers {
		sum += float64(v)
	}
	if sum == 0 {
		return importance{}
	}
	return importance{numbers, float32(float64(len(numbers)) / sum)}
}

// known reports whether columns differ in importance.
func (m importance) known() bool { return m.numbers != nil }

// weigh sets w to what the square of an error counts in each of x, which begins in the given column. Mean is the mean of squares around x.
func (m importance) weigh(w, x []float32, column int, mean float32) {
	w = w[:len(x)]
	for i, v := range x {
		w[i] = float32(math.Sqrt(float64(2*mean + float32(v*v))))
	}
	if !m.known() {
		return
	}
	for i, v := range m.numbers[column : column+len(x)] {
		w[i] *= float32(v*m.factor) + 1e-3 // more than 0: where nothing is important, all is the same
	}
}

// meanSquare returns the mean of the squares of x.
func meanSquare(x []float32) float32 {
	var sum float32
	for _, v := range x {
		sum += float32(v * v)
	}
	return sum / float32(len(x))
}
