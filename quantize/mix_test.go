package quantize

import (
	"bufio"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/gogemma/gemma4/gguf"
	"github.com/gogemma/gemma4/internal/convert"
	"github.com/gogemma/gemma4/internal/synth"
	"github.com/gogemma/gemma4/tensor"
)

// shape returns the metadata and tensors of a model, without their values.
func shape(t *testing.T, spec string) (*gguf.Metadata, []convert.Tensor) {
	t.Helper()
	s, err := synth.ParseShape(spec, 1)
	if err != nil {
		t.Fatal(err)
	}
	m, sources, err := synth.Build(s)
	if err != nil {
		t.Fatal(err)
	}
	var tensors []convert.Tensor
	for _, x := range sources {
		tensors = append(tensors, convert.Tensor{Name: x.Name, Dims: x.Dims, Format: tensor.Format(x.Type), Type: x.Type})
	}
	return m, tensors
}

// expected reads a row of mixes.txt.
func expected(t *testing.T, words []string) map[string]string {
	t.Helper()
	want := map[string]string{}
	for _, w := range words {
		kind, format, _ := strings.Cut(w, ":")
		format, list, some := strings.Cut(format, "@")
		if !some {
			want[kind] = format
		}
		for r := range strings.SplitSeq(list, ",") {
			if !some {
				break
			}
			from, to, is := strings.Cut(r, "-")
			if !is {
				to = from
			}
			a, err := strconv.Atoi(from)
			b, err2 := strconv.Atoi(to)
			if err != nil || err2 != nil {
				t.Fatalf("%q is no list of layers", list)
			}
			for i := a; i <= b; i++ {
				want[fmt.Sprintf("%s@%d", kind, i)] = format
			}
		}
	}
	return want
}

func TestEachTensorHasTheFormatThatItHasInLlamaCpp(t *testing.T) {
	f, err := os.Open("testdata/mixes.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	type model struct {
		m       *gguf.Metadata
		tensors []convert.Tensor
	}
	models := map[string]model{}
	for _, name := range []string{"e2b", "e4b", "12b", "26b", "31b"} {
		m, tensors := shape(t, name+":bf16")
		models[name] = model{m, tensors}
	}
	rows := 0
	for s := bufio.NewScanner(f); s.Scan(); {
		words := strings.Fields(s.Text())
		if words[0] == "#" {
			continue
		}
		rows++
		m, tensors := models[words[0]].m, models[words[0]].tensors
		kind, err := ParseType(words[1])
		if err != nil {
			t.Fatal(err)
		}
		want := expected(t, words[3:])
		for _, important := range []bool{false, true} {
			if words[2] == "-" && important || words[2] == "importance" && !important {
				continue
			}
			mix := newMix(kind, m, tensors, important)
			for _, x := range tensors {
				got := ""
				if matrix(x.Name, x.Dims) && !kept(x.Name, kind) {
					got = mix.format(x.Name, x.Dims).String()
				}
				layer, name := split(x.Name)
				name = strings.TrimSuffix(name, ".weight")
				w, ok := want[name]
				if !ok {
					w = want[fmt.Sprintf("%s@%d", name, layer)]
				}
				if got != w {
					t.Errorf("%s %s, importance %v: %s gets %q, want %q", words[0], kind, important, x.Name, got, w)
				}
			}
		}
	}
	if rows < 5*12 {
		t.Errorf("%d rows", rows)
	}
}

func TestTheOrderOfAFileChangesNothing(t *testing.T) {
	for _, spec := range []string{"e2b", "12b", "26b"} {
		m, tensors := shape(t, spec)
		a := newMix(Q4_K_M, m, tensors, false)
		other := slices.Clone(tensors)
		slices.SortFunc(other, func(a, b convert.Tensor) int { return strings.Compare(a.Name, b.Name) }) // blk.10 before blk.2
		b := newMix(Q4_K_M, m, other, false)
		for _, x := range tensors {
			if f, g := a.format(x.Name, x.Dims), b.format(x.Name, x.Dims); f != g {
				t.Errorf("%s: %s gets %v, in another order %v", spec, x.Name, f, g)
			}
		}
	}
}

func TestRowsThatAreNoWholeNumberOfBlocksGetAnotherFormat(t *testing.T) {
	for _, test := range []struct {
		f    tensor.Format
		n    int
		want tensor.Format
	}{
		{tensor.Q4_K, 512, tensor.Q4_K}, {tensor.Q4_K, 2112, tensor.Q5_0}, {tensor.Q5_K, 704, tensor.Q5_1},
		{tensor.Q6_K, 2112, tensor.Q8_0}, {tensor.IQ4_XS, 704, tensor.IQ4_NL}, {tensor.Q4_0, 704, tensor.Q4_0},
		{tensor.IQ4_NL, 96, tensor.IQ4_NL},
		{tensor.Q4_K, 72, tensor.F16}, {tensor.Q4_0, 40, tensor.F16}, {tensor.Q8_0, 1, tensor.F16}, {tensor.F32, 7, tensor.F32},
		{tensor.BF16, 7, tensor.BF16},
	} {
		if got := fit(test.f, test.n); got != test.want {
			t.Errorf("%v in rows of %d becomes %v, want %v", test.f, test.n, got, test.want)
		}
	}
}

func TestOfProjectorsAndDraftersMatricesAreQuantised(t *testing.T) {
	for spec, want := range map[string]map[string]string{
		"e2b-mmproj": {
			"v.patch_embd.weight": "", "v.position_embd.weight": "", "v.blk.3.attn_q.weight": "Q4_K", "v.blk.3.ln1.weight": "",
			"v.blk.3.attn_q_norm.weight": "", "v.blk.3.attn_q.input_min": "", "mm.input_projection.weight": "Q4_K",
			"a.conv1d.0.weight": "", "a.conv1d.1.weight": "", "a.conv1d.0.norm.weight": "", "a.input_projection.weight": "Q4_K",
			"a.blk.0.conv_dw.weight": "", "a.blk.0.conv_pw1.weight": "Q4_K", "a.blk.0.ffn_down_1.weight": "Q4_K",
			"a.blk.0.attn_v.weight": "Q4_K", "a.blk.0.per_dim_scale.weight": "", "a.pre_encode.out.bias": "",
		},
		"26b-mmproj": {"v.blk.0.ffn_down.weight": "F16", "v.blk.0.ffn_up.weight": "Q5_0", "v.std_bias": ""}, // rows of 4304 and 1152
		"12b-mmproj": {"v.patch_embd.weight": "", "v.patch_norm.1.weight": "", "mm.input_projection.weight": "Q4_K"},
		"e2b-draft": {
			"token_embd.weight": "Q6_K", "nextn.pre_projection.weight": "Q4_K", "nextn.post_projection.weight": "Q4_K",
			"blk.0.attn_q.weight": "Q4_K", "blk.0.ffn_down.weight": "Q4_K", "blk.3.ffn_down.weight": "Q6_K", "output_norm.weight": "",
		},
	} {
		m, tensors := shape(t, spec)
		mix := newMix(Q4_K_M, m, tensors, false)
		found := 0
		for _, x := range tensors {
			w, ok := want[x.Name]
			if !ok {
				continue
			}
			found++
			got := ""
			if matrix(x.Name, x.Dims) {
				got = mix.format(x.Name, x.Dims).String()
			}
			if got != w {
				t.Errorf("%s: %s gets %q, want %q", spec, x.Name, got, w)
			}
		}
		if found != len(want) {
			t.Errorf("%s: %d of %d tensors are there", spec, found, len(want))
		}
	}
}

func TestTypesAreFoundByName(t *testing.T) {
	for _, x := range Types() {
		for _, name := range []string{x.String(), strings.ToLower(x.String())} {
			if got, err := ParseType(name); err != nil || got != x {
				t.Errorf("%s is %v, %v", name, got, err)
			}
		}
		var y Type
		text, err := x.MarshalText()
		if err := y.UnmarshalText(text); err != nil || y != x {
			t.Errorf("%s is read as %v, %v", text, y, err)
		}
		if err != nil {
			t.Error(err)
		}
	}
	for name, want := range map[string]Type{"q4_k": Q4_K_M, "Q5_K": Q5_K_M} {
		if got, err := ParseType(name); err != nil || got != want {
			t.Errorf("%s is %v, %v", name, got, err)
		}
	}
	_, err := ParseType("Q4_K_XL")
	for _, x := range Types() {
		if err == nil || !strings.Contains(err.Error(), x.String()) {
			t.Errorf("error %v does not name %v", err, x)
		}
	}
}
