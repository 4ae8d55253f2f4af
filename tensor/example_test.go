package tensor_test

import (
	"fmt"
	"log"

	"github.com/gogemma/gemma4/tensor"
)

// A row of 64 weights in Q8_0 is two blocks of 34 bytes.
func ExampleFormat_Decode() {
	row := make([]float32, 64)
	for i := range row {
		row[i] = float32(i) / 64
	}
	packed := make([]byte, tensor.Q8_0.RowBytes(len(row)))
	if err := tensor.Q8_0.Encode(packed, row); err != nil {
		log.Fatal(err)
	}
	tensor.Q8_0.Decode(row, packed)
	fmt.Printf("%d bytes, %.4f %.4f … %.4f\n", len(packed), row[0], row[1], row[63])
	// Output: 68 bytes, 0.0000 0.0153 … 0.9844
}

// What a row is made of: integers, with a scale for each 16 of them.
func ExampleFormat_Unpack() {
	row := make([]float32, 32)
	for i := range row {
		row[i] = float32(i-16) / 4
	}
	packed := make([]byte, tensor.Q4_0.RowBytes(len(row)))
	if err := tensor.Q4_0.Encode(packed, row); err != nil {
		log.Fatal(err)
	}
	var s tensor.SuperBlock
	tensor.Q4_0.Unpack(&s, packed)
	fmt.Println(s.Q[:8], "times", s.Scale[0])
	// Output: [-8 -7 -7 -6 -6 -5 -5 -4] times 0.5
}

// Two tokens are multiplied with a matrix of three rows, by four goroutines.
func ExampleMatMul() {
	const rows, cols, tokens = 3, 32, 2
	weights := make([]float32, rows*cols)
	for i := range weights {
		weights[i] = float32(i/cols + 1) // row r is all r + 1
	}
	data := make([]byte, tensor.F16.RowBytes(len(weights)))
	if err := tensor.F16.Encode(data, weights); err != nil {
		log.Fatal(err)
	}
	w, err := tensor.New("example", tensor.F16, data, rows, cols)
	if err != nil {
		log.Fatal(err)
	}
	x, y := make([]float32, tokens*cols), make([]float32, tokens*rows)
	x[0], x[cols+1] = 1, 0.5

	pool := tensor.NewPool(4)
	defer pool.Close()
	mm := tensor.NewMatMul(pool, tensor.Portable())
	if err := mm.Run(tensor.Exact, tensor.Product{Dst: y, X: x, N: tokens, W: w}); err != nil {
		log.Fatal(err)
	}
	fmt.Println(y[:rows], y[rows:])
	// Output: [1 2 3] [0.5 1 1.5]
}

// squares is a region: each of its chunks is one square.
type squares []int

func (s squares) Do(worker, chunk int) { s[chunk] = chunk * chunk }

// A pool runs anything that falls into independent chunks.
func ExamplePool() {
	pool := tensor.NewPool(2)
	defer pool.Close()
	s := make(squares, 6)
	if err := pool.Run(len(s), s); err != nil {
		log.Fatal(err)
	}
	fmt.Println(s)
	// Output: [0 1 4 9 16 25]
}
