package synth

import (
	"errors"
	"fmt"

	"github.com/gogemma/gemma4/gguf"
)

// Drafter is the shape of a drafter's file, which guesses what a text model writes next. It has four layers, of which the last is global,
// and these read the keys and values of the model.
type Drafter struct {
	Name string // general.name
	Seed uint64 // of all weights
	Mix  Mix    // formats of the matrices; nil: F32

	Model Config // that it drafts for
	Width int    // of its own residual
	Heads int    // query heads, a multiple of the model's heads of keys and values
	MLP   int    // inner width
}

// What all drafters have in common.
const (
	drafterLayers = 4
	drafterArch   = "gemma4-assistant"
)

func (d Drafter) seed() uint64 { return d.Seed }

// Size returns the bytes of all tensors: the size of the file without metadata and padding. It is 0 if d is not a drafter.
func (d Drafter) Size() int64 { return count(d, weight.bytes) }

// Parameters returns the number of weights, 0 if d is not a drafter.
func (d Drafter) Parameters() int64 { return count(d, weight.values) }

// config returns the layers as those of a model that owns no keys and values.
func (d Drafter) config() Config {
	m := d.Model
	c := Config{
		Vocabulary: m.Vocabulary, Context: m.Context, Layers: drafterLayers, Width: d.Width, Heads: []int{d.Heads}, MLP: []int{d.MLP},
		HeadSize: m.HeadSize, HeadSizeSliding: m.HeadSizeSliding, Window: m.Window, SharedKV: drafterLayers,
	}
	for i := range drafterLayers {
		sliding := i < drafterLayers-1
		c.Sliding = append(c.Sliding, sliding)
		c.KVHeads = append(c.KVHeads, m.lastKVHeads(sliding))
	}
	return c
}

// lastKVHeads returns the heads of keys and values of the last layer of a kind that owns some, 0 if none does.
func (c Config) lastKVHeads(sliding bool) int {
	for i := c.Layers - c.SharedKV - 1; i >= 0; i-- {
		if c.Sliding[i] == sliding {
			return at(c.KVHeads, i)
		}
	}
	return 0
}

// check reports the first field that no drafter can have.
func (d Drafter) check() error {
	if err := d.Model.check(); err != nil {
		return err
	}
	for _, f := range []struct {
		name        string
		value, most int
	}{{"Width", d.Width, 1 << 17}, {"Heads", d.Heads, 1 << 12}, {"MLP", d.MLP, 1 << 20}} {
		if f.value < 1 || f.value > f.most {
			return fmt.Errorf("synth: %s is %d, want 1 to %d", f.name, f.value, f.most)
		}
	}
	for _, sliding := range []bool{true, false} {
		switch n := d.Model.lastKVHeads(sliding); {
		case n == 0:
			return fmt.Errorf("synth: Model has no layer with keys and values of the kind of the drafter's (sliding: %v)", sliding)
		case d.Heads%n != 0:
			return fmt.Errorf("synth: Heads is %d, want a multiple of the model's %d KV heads (sliding: %v)", d.Heads, n, sliding)
		}
	}
	for _, w := range d.weights() {
		if !w.format.Valid() {
			return fmt.Errorf("synth: %s is to be in %v, want a weight format", w.name, w.format)
		}
	}
	return nil
}

// weights lists all tensors.
func (d Drafter) weights() []weight {
	l, c := newLister(d.Mix), d.config()
	l.given("rope_freqs.weight", c.ropeFreqs()...)
	l.table("token_embd", d.Width, c.Vocabulary)
	l.vector("output_norm.weight", d.Width, 1)
	l.table("nextn.pre_projection", 2*d.Model.Width, d.Width)
	l.table("nextn.post_projection", d.Width, d.Model.Width)
	for i := range c.Layers {
		l.prefix = fmt.Sprintf("blk.%d.", i)
		c.layer(l, i)
	}
	return l.list
}

// metadata returns all keys that readers of drafters look for.
func (d Drafter) metadata() (*gguf.Metadata, error) {
	m, c := new(gguf.Metadata), d.config()
	var errs []error
	set := func(key string, v any) { errs = append(errs, m.Set(key, v)) }
	set("general.architecture", drafterArch)
	set("general.name", d.Name)
	set(drafterArch+".embedding_length_out", uint32(d.Model.Width))
	set(drafterArch+".nextn_predict_layers", uint32(c.Layers))
	c.setShape(set, drafterArch)
	c.setTokenizer(set)
	return m, errors.Join(errs...)
}
