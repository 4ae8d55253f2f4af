package model

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/gogemma/gemma4/tensor"
)

// tower is a graph that is no text: layers of a feed-forward part, each of which then adds a number to the residual of a position, and
// at the end the square of everything.
type tower struct {
	regions[tower, towerLayer]
	x, h, gate, up, out []float32
}

type towerLayer struct {
	norm, postNorm []float32
	gate, up, down *tensor.Tensor
	shift          float32
}

func newTower(pool *tensor.Pool, width int) *tower {
	t := new(tower)
	t.regions = newRegions[tower, towerLayer](t, pool, tensor.Portable(), width, 1e-6)
	return t
}

// forward takes n positions through the layers, whose hidden vectors are as long as those given.
func (t *tower) forward(n, hidden int, input []float32, layers []towerLayer) error {
	t.err = nil
	for _, buf := range []*[]float32{&t.x, &t.h, &t.out} {
		grow(buf, len(input))
	}
	grow(&t.gate, n*hidden)
	grow(&t.up, n*hidden)
	copy(t.x, input)
	for i := range layers {
		l := &layers[i]
		t.norm(n, t.h, t.x, l.norm)
		t.multiply(tensor.Product{Dst: t.gate, X: t.h, N: n, W: l.gate}, tensor.Product{Dst: t.up, X: t.h, N: n, W: l.up})
		t.gelu(t.gate, t.up)
		t.multiply(tensor.Product{Dst: t.out, X: t.gate, N: n, W: l.down})
		t.add(n, t.x, t.out, l.postNorm)
		t.each(n, l, (*tower).shift)
	}
	t.slices(t.x, (*tower).square)
	return t.err
}

func (t *tower) shift(l *towerLayer, i int) {
	width := t.vectors.width
	for j := range t.x[i*width : (i+1)*width] {
		t.x[i*width+j] += l.shift * float32(i)
	}
}

func (t *tower) square(x []float32) {
	for i := range x {
		x[i] *= x[i]
	}
}

// exactTower does in float64, position by position, what forward does.
func exactTower(n, hidden int, input []float32, layers []towerLayer) (out []float64) {
	width := len(input) / n
	norm := func(x []float64, weight []float32) []float64 {
		sum, y := 0.0, make([]float64, len(x))
		for _, v := range x {
			sum += v * v
		}
		for i, v := range x {
			y[i] = v / math.Sqrt(sum/float64(len(x))+1e-6) * float64(weight[i])
		}
		return y
	}
	times := func(x []float64, w *tensor.Tensor, rows int) []float64 {
		y, values := make([]float64, rows), w.Float32()
		for r := range y {
			for i, v := range x {
				y[r] += v * float64(values[r*len(x)+i])
			}
		}
		return y
	}
	for p := range n {
		x := make([]float64, width)
		for i := range x {
			x[i] = float64(input[p*width+i])
		}
		for _, l := range layers {
			h := norm(x, l.norm)
			gate, up := times(h, l.gate, hidden), times(h, l.up, hidden)
			for i, v := range gate {
				gate[i] = v / 2 * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(v+0.044715*v*v*v))) * up[i]
			}
			for i, v := range norm(times(gate, l.down, width), l.postNorm) {
				x[i] += v + float64(l.shift)*float64(p)
			}
		}
		for _, v := range x {
			out = append(out, v*v)
		}
	}
	return out
}

func TestAGraphThatIsNoTextRunsInRegions(t *testing.T) {
	const n, width, hidden = 40, 64, 96 // more than one slice of 2048
	r := rand.New(rand.NewPCG(1, 2))
	gaussian := func(n int, scale float64) []float32 {
		x := make([]float32, n)
		for i := range x {
			x[i] = float32(scale * r.NormFloat64())
		}
		return x
	}
	matrix := func(rows, cols int) *tensor.Tensor {
		data := make([]byte, 4*rows*cols)
		if err := tensor.F32.Encode(data, gaussian(rows*cols, 1/math.Sqrt(float64(cols)))); err != nil {
			t.Fatal(err)
		}
		w, err := tensor.New("w", tensor.F32, data, rows, cols)
		if err != nil {
			t.Fatal(err)
		}
		return w
	}
	layers := make([]towerLayer, 3)
	for i := range layers {
		layers[i] = towerLayer{gaussian(width, 1), gaussian(width, 1), matrix(hidden, width), matrix(hidden, width), matrix(width, hidden),
			float32(i) / 64}
	}
	input := gaussian(n*width, 1)
	exact := exactTower(n, hidden, input, layers)
	var one []float32
	for _, workers := range []int{1, 3} {
		pool := tensor.NewPool(workers)
		defer pool.Close()
		g := newTower(pool, width)
		if err := g.forward(n, hidden, input, layers); err != nil {
			t.Fatal(err)
		}
		for i, want := range exact {
			if got := float64(g.x[i]); !(math.Abs(got-want) <= 1e-4*(1+want)) {
				t.Fatalf("%d workers: number %d is %v, want %v", workers, i, got, want)
			}
		}
		if one == nil {
			one = slices.Clone(g.x)
		} else if !slices.Equal(g.x, one) {
			t.Errorf("%d workers give other bits than one", workers)
		}
		if n := testing.AllocsPerRun(10, func() { g.forward(n, hidden, input, layers) }); n != 0 {
			t.Errorf("%d workers: %v allocations", workers, n)
		}
	}
}

func TestTheFirstErrorEndsAGraph(t *testing.T) {
	const width = 32
	pool := tensor.NewPool(2)
	defer pool.Close()
	ones, square := make([]float32, width), make([]byte, 4*width*width)
	for i := range ones {
		ones[i] = 1
	}
	w, err := tensor.New("w", tensor.F32, square, width, width)
	if err != nil {
		t.Fatal(err)
	}
	failing, err := tensor.NewReader("failing", tensor.F32, gone{}, int64(len(square)), width, width)
	if err != nil {
		t.Fatal(err)
	}
	sound := towerLayer{ones, ones, w, w, w, 1}
	broken := sound
	broken.down = failing
	g := newTower(pool, width)
	input := slices.Concat(ones, ones)
	if err := g.forward(2, width, input, []towerLayer{sound, broken, sound}); !errors.Is(err, errGone) {
		t.Fatalf("%v, want %v", err, errGone)
	}
	// The products are 0, so that each layer adds its shift to the second position alone, and the square is never reached.
	if x := g.x[width]; x != 2 {
		t.Errorf("after the error the residual is %v, want 2, as the first layer has left it", x)
	}
	if err := g.forward(2, width, input, []towerLayer{sound, sound}); err != nil || g.x[width] != 9 {
		t.Errorf("the next run: %v, residual %v, want none and 9", err, g.x[width])
	}
}

// gone is a reader whose file cannot be read any more.
type gone struct{}

var errGone = errors.New("gone")

func (gone) ReadAt([]byte, int64) (int, error) { return 0, errGone }
