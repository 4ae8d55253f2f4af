package fit

import (
	"context"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/gguf"
	"github.com/gogemma/gemma4/internal/synth"
	"github.com/gogemma/gemma4/model"
	"github.com/gogemma/gemma4/tensor"
)

// byName sorts tensors.
func byName(a, b Tensor) int { return strings.Compare(a.Name, b.Name) }

func TestSizesHaveTheTensorsOfSyntheticFiles(t *testing.T) {
	for _, size := range sizes {
		for _, format := range []string{"q4_0", "q8_0", "q6_k", "bf16"} {
			c, err := synth.Parse(size.name + ":" + format)
			if err != nil {
				t.Fatal(err)
			}
			s := &Shape{size.config(), nil}
			s.Tensors = tensors(s.Config, func(name string, _, _ int) tensor.Format {
				if name == "ffn_gate_inp" {
					return tensor.F32
				}
				return c.Mix(name)
			})
			if s.Bytes() != c.Size() || s.Parameters() != c.Parameters() {
				t.Errorf("%s in %s: %d weights in %d bytes, expected %d in %d", size.name, format, s.Parameters(), s.Bytes(),
					c.Parameters(), c.Size())
			}
			if format != "q4_0" {
				continue // vocabularies take time
			}
			_, sources, err := synth.Build(c)
			if err != nil {
				t.Fatal(err)
			}
			var want []Tensor
			for _, x := range sources {
				want = append(want, Tensor{x.Name, x.Dims, tensor.Format(x.Type)})
			}
			slices.SortFunc(want, byName)
			slices.SortFunc(s.Tensors, byName)
			if !slices.EqualFunc(s.Tensors, want, func(a, b Tensor) bool {
				return a.Name == b.Name && slices.Equal(a.Dims, b.Dims) && a.Format == b.Format
			}) {
				t.Errorf("%s in %s: tensors differ", size.name, format)
			}
		}
	}
}

// open returns a synthetic model's file.
func open(t *testing.T, spec string) *gguf.File {
	t.Helper()
	c, err := synth.Parse(spec)
	if err != nil {
		t.Fatal(err)
	}
	f, err := gguf.OpenBytes(synth.Bytes(c))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func TestSizesHaveTheLayersOfFiles(t *testing.T) {
	for _, size := range sizes {
		want, err := Of(open(t, size.name+"-narrow:q8_0")) // narrow in weights alone
		if err != nil {
			t.Fatal(err)
		}
		c := size.config()
		if c.Context != want.Context || c.Window != want.Window || c.Owners != want.Owners {
			t.Errorf("%s: %+v, expected %+v", size.name, c, want.Config)
		}
		for i, l := range want.Layers {
			l.MLPWidth, l.RopeBase = c.Layers[i].MLPWidth, 0
			if l != c.Layers[i] {
				t.Errorf("%s: layer %d is %+v, expected %+v", size.name, i, c.Layers[i], l)
			}
		}
	}
}

func TestQ4_0HasThePublishedSizes(t *testing.T) {
	for name, gigabytes := range map[string]float64{"e2b": 3.35, "e4b": 5.15, "12b": 6.98, "26b": 14.44, "31b": 17.65} {
		s, err := Size(name, "q4_0")
		if err != nil {
			t.Fatal(err)
		}
		if missing := gigabytes*1e9 - float64(s.Bytes()); missing < 5e6 || missing > 25e6 { // metadata, and rounding
			t.Errorf("%s: %d bytes of weights, the published file has %g GB", name, s.Bytes(), gigabytes)
		}
	}
}

func TestUnknownSizesAndMixesAreNamed(t *testing.T) {
	for _, x := range [][3]string{{"7b", "q4_0", "e2b, e4b, 12b, 26b, 31b"}, {"e2b", "q3_0", "q4_0, q4_k_m, q8_0, bf16"}} {
		if _, err := Size(x[0], x[1]); err == nil || !strings.Contains(err.Error(), x[2]) {
			t.Errorf("%s in %s: %v", x[0], x[1], err)
		}
	}
	if _, err := Size("E2B", "q4_0"); err == nil {
		t.Error("sizes are written small")
	}
}

var shapes = []string{"tiny-e:q4_0", "tiny-e4:q4_k_m", "tiny-dense:q8_0", "tiny-moe:q4_k_m", "micro-moe:q8_0"}

func TestWorkIsThatOfTheModel(t *testing.T) {
	for _, spec := range shapes {
		f := open(t, spec)
		s, err := Of(f)
		if err != nil {
			t.Fatal(err)
		}
		m, err := model.New(f, model.Options{Workers: 1})
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		for _, depth := range []int{0, 7, 40, 300} {
			for _, cache := range []tensor.Format{tensor.F16, tensor.Q8_0} {
				if strings.HasPrefix(spec, "micro") && cache == tensor.Q8_0 {
					continue // their heads are smaller than a block
				}
				if got, want := s.DecodeBytes(depth, cache), m.WriteBytes(1, depth, cache); got != want {
					t.Errorf("%s: %d bytes are read behind %d positions in %v, the model says %d", spec, got, depth, cache, want)
				}
			}
		}
		seq, err := m.NewSequence(model.SequenceOptions{Cache: tensor.F16})
		if err != nil {
			t.Fatal(err)
		}
		p := m.NewPass()
		const n = 20
		err = p.Read(context.Background(), &model.Chunk{Sequence: seq, Input: []model.Input{{Tokens: make([]int32, n)}},
			Want: func(pos int) bool { return pos == n-1 }})
		if err != nil {
			t.Fatal(err)
		}
		if got, want := s.PromptOps(n), float64(p.Ops())/n; math.Abs(got-want) > 1e-6*want {
			t.Errorf("%s: %g multiply-adds for a token of a prompt, the model does %g", spec, got, want)
		}
		before := p.Ops()
		if _, err := p.Write(context.Background(), seq, 5); err != nil {
			t.Fatal(err)
		}
		sum := 0.0
		for _, ops := range s.DecodeWork(n, tensor.F16).Products {
			sum += ops
		}
		if got := float64(p.Ops() - before); got != sum {
			t.Errorf("%s: %g multiply-adds to write a token, the model does %g", spec, sum, got)
		}
	}
}

func TestShapesThatNoModelHasDoNoHarm(t *testing.T) {
	c := &model.Config{Width: 1, Context: 9, Window: 1, Owners: 1, PerLayer: 3, Experts: 2, ExpertsUsed: 1, ExpertWidth: 1,
		Layers: []model.LayerConfig{{Heads: 1, KVHeads: 1, HeadDim: 1 << 18}}}
	for _, list := range [][]Tensor{nil, {{"blk.0.attn_qkv.weight", []int{7}, tensor.Q4_0}, {"blk.x.y", nil, tensor.F32}},
		{{"token_embd.weight", []int{1 << 29, 1}, tensor.Q8_0}, {"blk.0.ffn_down_exps.weight", []int{32, 1, 1, 1 << 30}, tensor.Q8_0}}} {
		s := &Shape{c, list}
		s.Formats()
		s.DecodeBytes(8, tensor.F16)
		p, err := NewProbe(tensor.Portable(), 1, []tensor.Format{tensor.F16}, s)
		if err != nil {
			continue // it is told that heads are too large
		}
		if err := p.Round(context.Background()); err != nil {
			t.Log(err)
		}
		p.Close()
	}
}

// even are rates at which all kinds of work go, by number.
func even(s *Shape, products, attention float64) *Rates {
	r := &Rates{Products: map[Product]float64{}, Attention: map[Attention]float64{}, GELU: math.Inf(1), Norm: math.Inf(1)}
	for _, w := range []*Work{s.DecodeWork(0, tensor.F16), s.PromptWork(512, 0, tensor.F16)} {
		for key := range w.Products {
			r.Products[key] = products
		}
		for key := range w.Attention {
			r.Attention[key] = attention
		}
	}
	return r
}

func TestRatesAddUp(t *testing.T) {
	near := func(what string, got, want float64) {
		t.Helper()
		if math.Abs(got-want) > 1e-9*want {
			t.Errorf("%s: %g, expected %g", what, got, want)
		}
	}
	s, err := Of(open(t, "tiny-dense:q8_0")) // 6 layers of 8 heads of 64, the last one of 128; a window of 16
	if err != nil {
		t.Fatal(err)
	}
	weights := 0.0
	for i := range s.Tensors {
		if x := &s.Tensors[i]; len(x.Dims) > 1 {
			weights += float64(x.values())
		}
	}
	r := even(s, 1e9, math.Inf(1))
	near("products alone", r.Decode(s, 99, tensor.F16), 1e9/weights)
	r = even(s, math.Inf(1), 1e9)
	near("attention alone", r.Decode(s, 99, tensor.F16), 1e9/(2*8*64*(5*16+2*100)))
	near("attention of a prompt", r.Prompt(s, 2, 0, tensor.F16), 2*1e9/(2*8*64*(5*(1+2)+2*3))) // the last one's is that behind it
	r.Region = 1e-6
	r.Attention = even(s, 1, math.Inf(1)).Attention
	near("regions alone", r.Decode(s, 99, tensor.F16), 1e6/(6*layerRegions))
	r.Region, r.GELU = 0, 1e9
	near("activations alone", r.Decode(s, 99, tensor.F16), 1e9/(6*768))
}

func TestPositionsAreSeenByEach(t *testing.T) {
	s := &Shape{&model.Config{Window: 16, Layers: []model.LayerConfig{{}, {Sliding: true}}}, nil}
	for _, pos := range []int{0, 3, 15, 16, 40} {
		for _, n := range []int{1, 2, 13, 30} {
			for layer := range 2 {
				sum := 0
				for i := range n {
					sum += s.seen(layer, pos+i)
				}
				if got := s.seenBy(layer, pos, n); got != float64(sum) {
					t.Errorf("layer %d: %d from %d on see %g, expected %d", layer, n, pos, got, sum)
				}
			}
		}
	}
}

func TestDepthAndExpertsCost(t *testing.T) {
	for _, name := range Sizes() {
		s, err := Size(name, "q4_0")
		if err != nil {
			t.Fatal(err)
		}
		r := even(s, 5e10, 5e10)
		last := math.Inf(1)
		for _, depth := range []int{0, 100, 4096, 32768, s.Context - 1} {
			now := r.Decode(s, depth, tensor.F16)
			if !(now < last && now > 0) {
				t.Errorf("%s: %g tokens per second behind %d positions, %g before", name, now, depth, last)
			}
			last = now
		}
		if short, long := r.Prompt(s, 512, 0, tensor.F16), r.Prompt(s, s.Context, 0, tensor.F16); !(long < short && long > 0) {
			t.Errorf("%s: a long prompt is read at %g tokens per second, a short one at %g", name, long, short)
		}
	}
	dense, _ := Size("31b", "q4_0")
	experts, _ := Size("26b", "q4_0")
	if a, b := dense.DecodeBytes(0, tensor.F16), experts.DecodeBytes(0, tensor.F16); b*5 > a {
		t.Errorf("a token of 26B reads %d bytes, one of 31B %d", b, a)
	}
}

func TestMemoryIsHeldAgainstTheRoom(t *testing.T) {
	for _, x := range []struct {
		room  Room
		bytes int64
		want  Verdict
	}{
		{Room{}, 1, Unknown},
		{Room{Total: 100}, 100, Fits},
		{Room{Total: 100}, 101, TooBig},
		{Room{Total: 100, Available: 60}, 60, Fits},
		{Room{Total: 100, Available: 60}, 61, Crowded},
		{Room{Total: 100, Available: 60}, 101, TooBig},
		{Room{Total: 100, Limit: 80, Available: 60}, 81, TooBig},
		{Room{Total: 100, Limit: 80, Available: 60}, 80, Crowded},
		{Room{Available: 60}, 60, Fits},
		{Room{Available: 60}, 61, TooBig},
		{Room{Limit: 80}, 80, Fits},
	} {
		if got := x.room.Holds(x.bytes); got != x.want {
			t.Errorf("%d bytes in %+v: %s, expected %s", x.bytes, x.room, got, x.want)
		}
	}
}

func TestTheLongestContextFitsJustSo(t *testing.T) {
	s, err := Size("12b", "q4_k_m")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range []tensor.Format{tensor.F16, tensor.Q8_0} {
		const room = 17 << 29
		n := s.Longest(room, f)
		if fits, more := s.Memory(n, f).Total(), s.Memory(n+1, f).Total(); n == s.Context || fits > room || more <= room {
			t.Errorf("%v: %d positions take %d bytes, one more %d, of %d", f, n, fits, more, int64(room))
		}
	}
	if n := s.Longest(1<<40, tensor.F16); n != s.Context {
		t.Errorf("%d positions fit in a terabyte", n)
	}
	if n := s.Longest(1<<30, tensor.F16); n != 0 {
		t.Errorf("%d positions fit where the weights do not", n)
	}
}

func TestAProbeMeasuresAllThatIsAsked(t *testing.T) {
	caches := []tensor.Format{tensor.F16, tensor.Q8_0}
	var list []*Shape
	for _, spec := range shapes[:4] {
		s, err := Of(open(t, spec))
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, s)
	}
	k, err := gemma4.BestKernels()
	if err != nil {
		t.Fatal(err)
	}
	p, err := NewProbe(k, 2, caches, list...)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if err := p.Round(context.Background()); err != nil {
		t.Fatal(err)
	}
	r := p.Rates()
	for i, s := range list {
		for _, c := range caches {
			for what, rate := range map[string]float64{
				"decode": r.Decode(s, 300, c), "prompt": r.Prompt(s, 600, 0, c), "reading": r.ReadBytes, "multiplying": r.MultiplyAdds,
			} {
				if !(rate > 0) || math.IsInf(rate, 1) {
					t.Errorf("%s, %v: %s goes at %g", shapes[i], c, what, rate)
				}
			}
		}
	}
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	if err := p.Round(ended); err == nil {
		t.Error("a probe goes on when its context has ended")
	}
}
