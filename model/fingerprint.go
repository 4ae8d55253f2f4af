package model

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/gogemma/gemma4/gguf"
	"github.com/gogemma/gemma4/internal/cause"
	"github.com/gogemma/gemma4/internal/wait"
)

// A fingerprint tells models apart. It is a digest of
//
//   - all keys of the architecture and the tokenizer except chat templates: those change how a text is made, not what it means;
//   - the name, type and shape of every tensor;
//   - all bytes of tensors of up to 64 KB;
//   - all bytes of the token embeddings up to 256 MB, otherwise as much of them in samples of 4 KB, evenly spread;
//   - 64 MB of all other tensors in such samples, from each in proportion to its size, and at least 16: one in 40 to one in 300 of what a
//     model of 2.6 to 20 GB consists of.
//
// Keys and tensors are taken in the order of their names, so that a file in parts and the same file whole have one fingerprint. A change to
// none of the bytes that are read, such as to a single row of a large matrix, goes unseen.
type fingerprint struct {
	lock  chan struct{} // held by the call that may compute it
	value string        // empty: not known yet
}

const (
	sampled       = 64 << 10 // tensors of more bytes are sampled
	sampleBytes   = 4 << 10
	samplesLeast  = 16
	embeddingRead = 256 << 20
	othersRead    = 64 << 20
	embeddingName = "token_embd.weight"
)

// Fingerprint returns what files of saved texts know the model by. It is computed when it is first needed. If ctx ends before it is known,
// or a read fails, that is an error, and the next call tries again.
func (m *Model) Fingerprint(ctx context.Context) (string, error) {
	return m.fingerprintOf(ctx, fileVersion)
}

// fingerprintOf returns the fingerprint that files of a version have.
func (m *Model) fingerprintOf(ctx context.Context, version int) (string, error) {
	p := &m.fingerprints[version-1]
	if err := wait.Turn(ctx, p.lock); err != nil {
		return "", err
	}
	defer func() { <-p.lock }()
	if p.value != "" {
		return p.value, nil
	}
	compute := digest
	if version == 1 {
		compute = digest1
	}
	value, err := compute(ctx, m.file, m.Workers())
	if err != nil {
		return "", m.file.Locate(err)
	}
	p.value = value
	return value, nil
}

// extent is a part of a tensor that is read.
type extent struct {
	*gguf.Tensor
	from, size int64
}

// read returns the bytes, in place where they are in memory.
func (s extent) read() ([]byte, error) {
	if s.Mapped() {
		b, err := s.Data()
		if err != nil {
			return nil, err
		}
		return b[s.from:][:s.size], nil
	}
	b := make([]byte, s.size)
	_, err := s.ReadAt(b, s.from)
	return b, err
}

// digest computes the fingerprint of a model.
func digest(ctx context.Context, f *gguf.File, workers int) (string, error) {
	d := sha256.New()
	keys := slices.DeleteFunc(f.Metadata.Keys(), func(key string) bool {
		return !strings.HasPrefix(key, "gemma4.") && !strings.HasPrefix(key, "tokenizer.") ||
			strings.HasPrefix(key, "tokenizer.chat_template")
	})
	slices.Sort(keys)
	head, err := pick(f.Metadata, keys)
	if err == nil {
		err = gguf.Write(d, head, nil)
	}
	if err != nil {
		return "", err
	}
	tensors := slices.SortedFunc(slices.Values(f.Tensors), func(a, b *gguf.Tensor) int { return cmp.Compare(a.Name, b.Name) })
	extents := samples(tensors)
	sums := make([]byte, len(extents)*sumBytes)
	err = parallel(ctx, workers, len(extents), func(i int) error {
		b, err := extents[i].read()
		copy(sums[i*sumBytes:], pieceSums(b))
		return err
	})
	if err != nil {
		return "", err
	}
	for _, t := range tensors {
		fmt.Fprintf(d, "%s %v %v\n", t.Name, t.Type, t.Dims)
	}
	d.Write(sums)
	return hex.EncodeToString(d.Sum(nil)), nil
}

// pick returns some keys of m with their values.
func pick(m *gguf.Metadata, keys []string) (*gguf.Metadata, error) {
	out := new(gguf.Metadata)
	for _, key := range keys {
		v, _ := m.Value(key)
		if err := out.Set(key, v); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// samples returns what is read of tensors, no extent larger than a piece of a checksum.
func samples(tensors []*gguf.Tensor) (extents []extent) {
	var others int64 // bytes of tensors that share a budget
	for _, t := range tensors {
		if t.Size > sampled && t.Name != embeddingName {
			others += t.Size
		}
	}
	for _, t := range tensors {
		n := t.Size // bytes to read
		switch {
		case t.Size <= sampled:
		case t.Name == embeddingName:
			n = min(n, embeddingRead)
		default:
			n = min(n, max(n/((others+othersRead-1)/othersRead), samplesLeast*sampleBytes))
		}
		if n == t.Size {
			for at := int64(0); at < n; at += sumPiece {
				extents = append(extents, extent{t, at, min(sumPiece, n-at)})
			}
			continue
		}
		count := n / sampleBytes
		for i := range count {
			// Spread evenly: the first sample begins the tensor, and the last ends it.
			at := (t.Size - sampleBytes) / (count - 1) * i
			if i == count-1 {
				at = t.Size - sampleBytes
			}
			extents = append(extents, extent{t, at, sampleBytes})
		}
	}
	return extents
}

// digest1 computes the fingerprint in files of version 1: of the shape, of small tensors, and of four samples of others.
func digest1(ctx context.Context, f *gguf.File, _ int) (string, error) {
	const small, sample, samples = 64 << 10, 1 << 10, 4
	d := sha256.New()
	shape,
		err := pick(f.Metadata, slices.DeleteFunc(f.Metadata.Keys(), func(key string) bool { return !strings.HasPrefix(key, "gemma4.") }))
	if err == nil {
		err = gguf.Write(d, shape, nil)
	}
	if err != nil {
		return "", err
	}
	buf := make([]byte, small)
	for _, t := range f.Tensors {
		if ctx.Err() != nil {
			return "", cause.Of(ctx)
		}
		fmt.Fprintf(d, "%s %v %v\n", t.Name, t.Type, t.Dims)
		at, step, size := int64(0), int64(1), t.Size
		if t.Size > small {
			step, size = (t.Size-sample)/(samples-1), sample
		}
		for ; at+size <= t.Size; at += step {
			if _, err := t.ReadAt(buf[:size], at); err != nil {
				return "", err
			}
			d.Write(buf[:size])
		}
	}
	return hex.EncodeToString(d.Sum(nil)), nil
}
