package llama

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gogemma/gemma4/gguf"
	"github.com/gogemma/gemma4/internal/quant"
	"github.com/gogemma/gemma4/internal/synth"
	"github.com/gogemma/gemma4/tensor"
)

// A quantizer is the program made of quantize.c, and the folder of llama.cpp's libraries.
type quantizer struct{ program, libraries string }

// newQuantizer builds the program. Without the libraries, or a compiler, the test is skipped.
func newQuantizer(t *testing.T) quantizer {
	t.Helper()
	libraries := "node_modules/@node-llama-cpp/linux-x64/bins/linux-x64"
	if _, err := os.Stat(libraries); err != nil {
		t.Skipf("llama.cpp's libraries are not here, `npm ci` in this folder brings them: %v", err)
	}
	compiler, err := exec.LookPath("gcc")
	if err != nil {
		t.Skipf("no compiler is here: %v", err)
	}
	libraries, err = filepath.Abs(libraries)
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(t.TempDir(), "quantize")
	build := exec.Command(compiler, "-O2", "-Wall", "-Werror", "-o", program, "testdata/quantize.c", "-ldl")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return quantizer{program, libraries}
}

// run runs the program and returns what it writes to both of its outputs.
func (q quantizer) run(t *testing.T, in []byte, args ...string) (stdout []byte, stderr string) {
	t.Helper()
	c := exec.CommandContext(t.Context(), q.program, append([]string{q.libraries}, args...)...)
	c.Stdin = bytes.NewReader(in)
	var said strings.Builder
	c.Stderr = &said
	out, err := c.Output()
	if err != nil {
		t.Fatalf("%v: %v\n%s", args, err, said.String())
	}
	return out, said.String()
}

// rows returns x, rows of n weights, as llama.cpp encodes it, and how long that took per weight, in ns.
func (q quantizer) rows(t *testing.T, f tensor.Format, x []float32, n int, importance []float32) (blocks []byte, ns float64) {
	t.Helper()
	known, in := 0, make([]byte, 4*(len(importance)+len(x)))
	if importance != nil {
		known = 1
	}
	if err := tensor.F32.Encode(in, append(importance[:len(importance):len(importance)], x...)); err != nil {
		t.Fatal(err)
	}
	blocks, said := q.run(t, in, "rows", fmt.Sprint(uint32(f)), fmt.Sprint(n), fmt.Sprint(len(x)/n), fmt.Sprint(known))
	if _, err := fmt.Sscan(said, &ns); err != nil {
		t.Fatalf("%q: %v", said, err)
	}
	if len(blocks) != f.RowBytes(len(x)) {
		t.Fatalf("%v: llama.cpp writes %d bytes, want %d", f, len(blocks), f.RowBytes(len(x)))
	}
	return blocks, ns
}

// off returns the root of the mean of the squares by which blocks, decoded, are off x, weighed by importance where there is any.
func off(f tensor.Format, blocks []byte, x []float32, importance []float32) float64 {
	y := make([]float32, len(x))
	f.Decode(y, blocks)
	var sum, all float64
	for i, v := range x {
		w := 1.0
		if importance != nil {
			w = float64(importance[i%len(importance)])
		}
		e := float64(v) - float64(y[i])
		sum += w * e * e
		all += w
	}
	return math.Sqrt(sum / all)
}

// A matrix is rows of n weights.
type matrix struct {
	name string
	n    int
	x    []float32
}

// random returns matrices of random numbers: normal ones, ones with heavy tails, and ones of which a few columns are large.
func random() []matrix {
	const n, rows = 1024, 64
	r := rand.New(rand.NewPCG(15, 1))
	normal, heavy, columns := make([]float32, n*rows), make([]float32, n*rows), make([]float32, n*rows)
	for i := range normal {
		normal[i] = float32(0.03 * r.NormFloat64())
		columns[i] = float32(0.03 * r.NormFloat64())
		if i%n%97 == 5 {
			columns[i] *= 12
		}
		var squares float64 // Student's t with four degrees of freedom
		for range 4 {
			squares += math.Pow(r.NormFloat64(), 2)
		}
		heavy[i] = float32(0.03 * r.NormFloat64() / math.Sqrt(squares/4))
	}
	return []matrix{{"normal", n, normal}, {"heavy tails", n, heavy}, {"large columns", n, columns}}
}

// shaped returns pieces of the matrices of a layer of E2B's shape, with the random weights of package synth.
func shaped(t *testing.T) (list []matrix) {
	t.Helper()
	c, err := synth.Parse("e2b-short:f32")
	if err != nil {
		t.Fatal(err)
	}
	_, sources, err := synth.Build(c)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range sources {
		switch s.Name {
		case "blk.1.attn_q.weight", "blk.1.ffn_down.weight":
			list = append(list, matrix{"e2b " + short(s.Name), s.Dims[0], head(t, s, 64)})
		}
	}
	return list
}

// head returns the first rows of a tensor that is to be written.
func head(t *testing.T, s gguf.Source, rows int) []float32 {
	t.Helper()
	var b bytes.Buffer
	_ = s.Write(&limited{&b, 4 * rows * s.Dims[0]}) // stops when it has enough
	x := make([]float32, rows*s.Dims[0])
	tensor.F32.Decode(x, b.Bytes())
	return x
}

// limited is a writer that takes so many bytes.
type limited struct {
	b    *bytes.Buffer
	room int
}

func (l *limited) Write(p []byte) (int, error) {
	n := min(len(p), l.room)
	l.room -= n
	l.b.Write(p[:n])
	if n < len(p) {
		return n, bytes.ErrTooLarge
	}
	return n, nil
}

// nanoFile is nano with all its weights, where the reference material is.
const nanoFile = "../../../../shared/nano/nano-f32.gguf"

// trained returns matrices of nano, which has been trained, or none where the reference material is missing.
func trained(t *testing.T) (list []matrix) {
	t.Helper()
	f, err := gguf.Open(nanoFile)
	if errors.Is(err, fs.ErrNotExist) {
		t.Logf("left out: %v", err)
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, name := range []string{
		"token_embd.weight", "blk.1.attn_q.weight", "blk.3.attn_output.weight", "blk.5.ffn_down.weight", "blk.6.ffn_gate.weight",
	} {
		list = append(list, matrix{"nano " + short(name), f.Tensor(name).Dims[0], floats(t, f.Tensor(name))})
	}
	return list
}

func short(name string) string { return strings.TrimSuffix(name, ".weight") }

// floats returns the weights of a tensor.
func floats(t *testing.T, x *gguf.Tensor) []float32 {
	t.Helper()
	data, err := x.Data()
	if err != nil {
		t.Fatal(err)
	}
	f := tensor.Format(x.Type)
	y := make([]float32, len(data)/f.BlockBytes()*f.BlockLen())
	f.Decode(y, data)
	return y
}

// worst is how much larger an error may be than llama.cpp's.
const worst = 1.01

// TestErrorsOfRows compares the errors of each format, with and without importance, with those of llama.cpp's ggml_quantize_chunk. Its
// table has a column for each matrix: the error as a share of llama.cpp's, = if the bytes are the same.
func TestErrorsOfRows(t *testing.T) {
	q := newQuantizer(t)
	matrices := slices.Concat(random(), shaped(t), trained(t))
	r := rand.New(rand.NewPCG(15, 2))
	var table strings.Builder
	fmt.Fprint(&table, "ns a weight: ours, llama.cpp's; errors as shares of llama.cpp's on")
	for _, m := range matrices {
		fmt.Fprintf(&table, " %s;", m.name)
	}
	for _, f := range quant.Formats() {
		if f == tensor.F32 || f == tensor.F16 || f == tensor.BF16 {
			continue
		}
		for _, known := range []bool{false, true} {
			var ours, theirs float64 // ns
			var shares strings.Builder
			weights := 0
			for _, m := range matrices {
				var importance []float32
				if known {
					importance = make([]float32, m.n)
					for i := range importance {
						importance[i] = float32(math.Exp(1.5 * r.NormFloat64()))
					}
				}
				got := make([]byte, f.RowBytes(len(m.x)))
				fastest := time.Hour // of three: the machine may have other things to do
				for range 3 {
					begin := time.Now()
					if err := quant.Encode(f, got, m.x, m.n, importance); err != nil {
						t.Fatal(err)
					}
					fastest = min(fastest, time.Since(begin))
				}
				ours += float64(fastest.Nanoseconds())
				want, ns := q.rows(t, f, m.x, m.n, importance)
				theirs += ns * float64(len(m.x))
				weights += len(m.x)
				if bytes.Equal(got, want) {
					fmt.Fprintf(&shares, "%7s", "=")
					continue
				}
				share := off(f, got, m.x, importance) / off(f, want, m.x, importance)
				fmt.Fprintf(&shares, "%7.4f", share)
				if !(share <= worst) {
					t.Errorf("%v, importance %t, %s: the error is %.4f of llama.cpp's, want %v", f, known, m.name, share, worst)
				}
			}
			with := ""
			if known {
				with = "importance"
			}
			fmt.Fprintf(&table, "\n%-6v %-10s %6.1f %6.1f  %s", f, with, ours/float64(weights), theirs/float64(weights), shares.String())
		}
	}
	t.Log(table.String())
}
