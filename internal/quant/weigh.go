package quant

// An importance is that of a row's columns: numbers of any unit, and what makes their mean 1. Without numbers all count the same.
type importance struct {
	numbers []float32
	factor  float64
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
	return importance{numbers, float64(len(numbers)) / sum}
}

// known reports whether columns differ in importance.
func (m importance) known() bool { return m.numbers != nil }

// weigh sets w to what the square of an error counts in each of x, which begins in the given column. Mean is the mean of squares around x.
func (m importance) weigh(l level, w, x []float32, column int, mean float32) {
	w = w[:len(x)]
	l.weigh(w, x, 2*mean)
	if !m.known() {
		return
	}
	for i, v := range m.numbers[column : column+len(x)] {
		w[i] *= float32(float64(v)*m.factor) + 1e-6 // more than 0: where nothing is important, all is the same
	}
}

// meanSquare returns the mean of the squares of x, whose number is a multiple of 4.
func meanSquare(x []float32) float32 {
	var a, b, c, d float32 // one sum would be waited for at each weight
	for v := x; len(v) >= 4; v = v[4:] {
		a += float32(v[0] * v[0])
		b += float32(v[1] * v[1])
		c += float32(v[2] * v[2])
		d += float32(v[3] * v[3])
	}
	return (a + b + (c + d)) / float32(len(x))
}
