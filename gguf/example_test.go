package gguf_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"

	"github.com/gogemma/gemma4/gguf"
)

// exampleFile writes a small model and returns its path.
func exampleFile(dir string) string {
	m := new(gguf.Metadata)
	m.Set("general.architecture", "gemma4")
	m.Set("gemma4.block_count", uint32(35))
	m.Set("tokenizer.ggml.tokens", []string{"<pad>", "<eos>", "<bos>"})
	path := filepath.Join(dir, "model.gguf")
	err := gguf.WriteFile(path, m, []gguf.Source{
		gguf.NewSource("output_norm.weight", gguf.F32, []int{2}, make([]byte, 8)),
		gguf.NewSource("token_embd.weight", gguf.Q8_0, []int{64, 3}, make([]byte, 2*3*34)),
	})
	if err != nil {
		log.Fatal(err)
	}
	return path
}

func ExampleOpen() {
	dir, _ := os.MkdirTemp("", "")
	defer os.RemoveAll(dir)
	path := exampleFile(dir)

	f, err := gguf.Open(path)
	if err != nil {
		log.Fatal(err)
	}
	defer f.Close()
	for _, t := range f.Tensors {
		data, err := t.Data()
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(t.Name, t.Type, t.Dims, len(data), "bytes")
	}
	// Output:
	// output_norm.weight F32 [2] 8 bytes
	// token_embd.weight Q8_0 [64 3] 204 bytes
}

func ExampleMetadata() {
	dir, _ := os.MkdirTemp("", "")
	defer os.RemoveAll(dir)
	f, err := gguf.Open(exampleFile(dir))
	if err != nil {
		log.Fatal(err)
	}
	defer f.Close()

	layers, err := f.Metadata.Int("gemma4.block_count")
	fmt.Println(layers, err)
	shared, err := f.Metadata.Int("gemma4.attention.shared_kv_layers")
	if errors.Is(err, gguf.ErrMissing) {
		shared = 0 // an optional key has a default
	}
	fmt.Println(shared)
	tokens, err := f.Metadata.Strings("tokenizer.ggml.tokens")
	fmt.Println(tokens, err)
	// Output:
	// 35 <nil>
	// 0
	// [<pad> <eos> <bos>] <nil>
}

func ExampleMetadata_Value() {
	m := new(gguf.Metadata)
	m.Set("general.name", "demo")
	m.Set("demo.width", uint32(64))
	m.Set("demo.heads", []int32{8, 8, 4})
	for _, key := range m.Keys() {
		switch v, _ := m.Value(key); v := v.(type) {
		case *gguf.Array:
			fmt.Printf("%s = %d × %s\n", key, v.Len(), v.Type())
		default:
			fmt.Printf("%s = %v (%T)\n", key, v, v)
		}
	}
	// Output:
	// general.name = demo (string)
	// demo.width = 64 (uint32)
	// demo.heads = 3 × int32
}

// A file is written in one pass: the sources write when their turn comes.
func ExampleWrite() {
	m := new(gguf.Metadata)
	m.Set("general.name", "demo")
	var file bytes.Buffer
	err := gguf.Write(&file, m, []gguf.Source{{
		Name: "ones.weight", Type: gguf.BF16, Dims: []int{8, 1000},
		Write: func(w io.Writer) error {
			row := bytes.Repeat([]byte{0x80, 0x3f}, 8)
			for range 1000 {
				if _, err := w.Write(row); err != nil {
					return err
				}
			}
			return nil
		},
	}})
	if err != nil {
		log.Fatal(err)
	}
	f, err := gguf.OpenBytes(file.Bytes())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(f.Tensor("ones.weight").Size, "bytes at", f.Tensor("ones.weight").Offset)
	// Output: 16000 bytes at 128
}

// A model is split, and opened again by any of its parts.
func ExampleWriteSplit() {
	dir, _ := os.MkdirTemp("", "")
	defer os.RemoveAll(dir)
	whole, err := gguf.Open(exampleFile(dir))
	if err != nil {
		log.Fatal(err)
	}
	defer whole.Close()

	var sources []gguf.Source
	for _, t := range whole.Tensors {
		sources = append(sources, t.Source())
	}
	paths, err := gguf.WriteSplit(filepath.Join(dir, "small.gguf"), 2, whole.Metadata, sources)
	if err != nil {
		log.Fatal(err)
	}
	f, err := gguf.Open(paths[1])
	if err != nil {
		log.Fatal(err)
	}
	defer f.Close()
	for _, t := range f.Tensors {
		fmt.Println(t.Name, "in", filepath.Base(paths[t.Part]))
	}
	// Output:
	// output_norm.weight in small-00001-of-00002.gguf
	// token_embd.weight in small-00002-of-00002.gguf
}
