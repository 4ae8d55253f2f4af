package synth

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/gogemma/gemma4/gguf"
	"github.com/gogemma/gemma4/tensor"
)

// Checkpoint is a model, with its projector, or a drafter as their maker publishes them: a folder of safetensors and JSON. It is small: its
// files are in memory. The weights are those of the shapes, in another format, under the maker's names and in the maker's order.
type Checkpoint struct {
	Model     Shape         // a Config or a Drafter
	Projector *Projector    // nil: none
	Format    tensor.Format // of all tensors: F32, F16 or BF16
	Shards    int           // files; below 2: one, without an index
	Layers    bool          // config.json says layer by layer how heads differ, as newer ones do
}

// Write writes the checkpoint into a folder.
func (c Checkpoint) Write(dir string) error {
	files, err := c.Files()
	if err != nil {
		return err
	}
	tensors, err := c.tensors()
	if err != nil {
		return err
	}
	shards := max(c.Shards, 1)
	place := map[string]string{}
	for i := range shards {
		name := "model.safetensors"
		if shards > 1 {
			name = fmt.Sprintf("model-%05d-of-%05d.safetensors", i+1, shards)
		}
		part := tensors[len(tensors)*i/shards : len(tensors)*(i+1)/shards]
		data, _ := header(part, c.Format)
		for _, t := range part {
			values, err := t.values()
			if err != nil {
				return err
			}
			b := make([]byte, c.Format.RowBytes(len(values)))
			if err := c.Format.Encode(b, values); err != nil {
				return err
			}
			data = append(data, b...)
			place[t.name] = name
		}
		files[name] = data
	}
	if shards > 1 {
		files["model.safetensors.index.json"] = marshal(map[string]any{"metadata": map[string]any{"total_size": 1}, "weight_map": place})
	}
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			return fmt.Errorf("synth: %w", err)
		}
	}
	return nil
}

// Header returns how model.safetensors begins if there is one file, up to its data, and the file's size.
func (c Checkpoint) Header() ([]byte, int64, error) {
	tensors, err := c.tensors()
	if err != nil {
		return nil, 0, err
	}
	h, size := header(tensors, c.Format)
	return h, size, nil
}

// Files returns the files beside the weights, by name.
func (c Checkpoint) Files() (map[string][]byte, error) {
	m, err := c.Model.metadata()
	if err != nil {
		return nil, err
	}
	config, err := c.Config()
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{"config.json": config, "tokenizer_config.json": tokenizerConfig(m)}
	if files["tokenizer.json"], err = TokenizerJSON(m); err != nil {
		return nil, err
	}
	if model, ok := c.Model.(Config); ok {
		sampling := map[string]any{"do_sample": true, "temperature": 1.0, "top_k": 64, "top_p": 0.95}
		if model.Suppress != nil {
			sampling["suppress_tokens"] = model.Suppress
		}
		files["generation_config.json"] = marshal(sampling)
		if model.ChatTemplate != "" {
			files["chat_template.jinja"] = []byte(model.ChatTemplate)
		}
	}
	return files, nil
}

// marshal returns what cannot fail as JSON.
func marshal(v any) []byte {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		panic(err)
	}
	return b
}

// entry is a tensor of a checkpoint.
type entry struct {
	name   string
	shape  []int // the slowest dimension first
	source gguf.Source
	change func(v []float32) []float32 // from GGUF's order; nil: the same
}

// values returns the tensor's numbers in the maker's order.
func (e entry) values() ([]float32, error) {
	var b bytes.Buffer
	if err := e.source.Write(&b); err != nil {
		return nil, err
	}
	n := 1
	for _, d := range e.source.Dims {
		n *= d
	}
	v := make([]float32, n)
	tensor.Format(e.source.Type).Decode(v, b.Bytes())
	if e.change != nil {
		v = e.change(v)
	}
	return v, nil
}

// header returns the beginning of a file of tensors, and its size.
func header(tensors []entry, f tensor.Format) ([]byte, int64) {
	table := map[string]any{"__metadata__": map[string]string{"format": "pt"}}
	end := int64(0)
	for _, t := range tensors {
		n := int64(f.BlockBytes())
		for _, d := range t.shape {
			n *= int64(d)
		}
		table[t.name] = map[string]any{"dtype": f.String(), "shape": t.shape, "data_offsets": []int64{end, end + n}}
		end += n
	}
	text := marshal(table)
	for len(text)%8 != 0 {
		text = append(text, ' ')
	}
	return append(binary.LittleEndian.AppendUint64(nil, uint64(len(text))), text...), int64(8+len(text)) + end
}

// tensors lists all of them.
func (c Checkpoint) tensors() ([]entry, error) {
	prefix := "model."
	if c.Projector != nil {
		prefix = "model.language_model."
	}
	var list []entry
	add := func(s Shape, own func(name string, dims []int) (string, []int, func([]float32) []float32)) error {
		_, sources, err := Build(s)
		for _, x := range sources {
			if x.Name == "rope_freqs.weight" {
				continue
			}
			name, shape, change := own(x.Name, x.Dims)
			if name == "" {
				return fmt.Errorf("synth: a checkpoint has no %s", x.Name)
			}
			list = append(list, entry{name, shape, x, change})
		}
		return err
	}
	err := add(c.Model, func(name string, dims []int) (string, []int, func([]float32) []float32) {
		return wordName(prefix, name), backwards(dims), nil
	})
	if c.Projector != nil && err == nil {
		err = add(*c.Projector, c.Projector.own)
	}
	return list, err
}
