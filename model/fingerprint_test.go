package model

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gogemma/gemma4/gguf"
)

// fingerprint returns that of a draft.
func (d *draft) fingerprint(t testing.TB) string {
	t.Helper()
	m, err := d.open(t)
	if err != nil {
		t.Fatal(err)
	}
	f, err := m.Fingerprint(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// TestModelsAreToldApart changes one weight or key, or nothing that a text depends on.
func TestModelsAreToldApart(t *testing.T) {
	whole := newDraft(t, "moe")
	whole.set(".tokenizer.ggml.tokens", []string{"a", "b"})
	whole.set(".tokenizer.ggml.token_type", []int32{1, 1})
	whole.set(".tokenizer.ggml.bos_token_id", uint32(0))
	whole.set(".tokenizer.chat_template", "{{ messages }}")
	want := whole.fingerprint(t)
	for what, change := range map[string]func(d *draft){
		"the window":      func(d *draft) { d.set("attention.sliding_window", uint32(16)) },
		"the base":        func(d *draft) { d.set("rope.freq_base", float32(5000)) },
		"a token":         func(d *draft) { d.set(".tokenizer.ggml.tokens", []string{"a", "c"}) },
		"a type":          func(d *draft) { d.set(".tokenizer.ggml.token_type", []int32{1, 3}) },
		"merges":          func(d *draft) { d.set(".tokenizer.ggml.merges", []string{"a b"}) },
		"the first token": func(d *draft) { d.set(".tokenizer.ggml.bos_token_id", uint32(1)) },
		"a norm":          func(d *draft) { d.alter(t, "blk.2.attn_norm.weight", 5) },
		"a matrix":        func(d *draft) { d.alter(t, "blk.1.ffn_up.weight", 0) },
		"an embedding":    func(d *draft) { d.alter(t, "token_embd.weight", 12345) },
		"the last one":    func(d *draft) { d.alter(t, "token_embd.weight", -1) },
	} {
		d := whole.clone()
		change(d)
		if d.fingerprint(t) == want {
			t.Errorf("another model has the same fingerprint: %s differs", what)
		}
	}
	same := whole.clone()
	same.set(".general.name", "another name")
	same.set(".general.sampling.top_k", uint32(7))
	same.set(".tokenizer.chat_template", "another")
	slices.Reverse(same.tensors)
	base, err := same.Float("gemma4.rope.freq_base")
	if err != nil {
		t.Fatal(err)
	}
	same.Delete("gemma4.rope.freq_base")
	same.set("rope.freq_base", float32(base)) // after all others
	if same.fingerprint(t) != want {
		t.Error("the same weights in another order, with another name, advice and template, have another fingerprint")
	}
}

// alter changes a byte of a tensor, counted from its end where i is negative.
func (d *draft) alter(t testing.TB, name string, i int) {
	var b bytes.Buffer
	s := &d.tensors[d.index(name)]
	if err := s.Write(&b); err != nil {
		t.Fatal(err)
	}
	data := b.Bytes()
	data[(i+len(data))%len(data)] ^= 1
	*s = gguf.NewSource(s.Name, s.Type, s.Dims, data)
}

// TestLargeTensorsAreSampled changes some of 128 MB, of which every other sample is read.
func TestLargeTensorsAreSampled(t *testing.T) {
	d := &draft{new(gguf.Metadata), nil}
	d.zero("large.weight", gguf.F32, 1<<12, 1<<13)
	d.zero("token_embd.weight", gguf.F32, 1<<12, 1<<11)
	f := d.file(t)
	print := func() string {
		t.Helper()
		s, err := digest(ctx, f, 2)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	want := print()
	for _, c := range []struct {
		tensor    string
		from, len int
	}{
		{"large.weight", 0, 1}, {"large.weight", 1<<27 - 1, 1}, {"large.weight", 77777777, 8 << 10}, {"large.weight", 1, 8 << 10},
		{"token_embd.weight", 12345678, 1}, {"token_embd.weight", 1<<25 - 1, 1},
	} {
		data, err := f.Tensor(c.tensor).Data()
		if err != nil {
			t.Fatal(err)
		}
		change := func() {
			for i := range c.len {
				data[c.from+i] ^= 1
			}
		}
		if change(); print() == want {
			t.Errorf("%d bytes of %s from %d on differ unseen", c.len, c.tensor, c.from)
		}
		change()
	}
	if print() != want {
		t.Error("the test did not take back what it changed")
	}
}

func TestSamplesAreSpreadAndBounded(t *testing.T) {
	const mb = 1 << 20
	for _, sizes := range [][]int64{{1, 64 << 10, 64<<10 + 1}, {40 * mb, 20 * mb}, {300 * mb, 1000 * mb, 7 * mb, 100 << 10},
		{1 << 40, 1 << 41, 3 << 39}} {
		tensors := []*gguf.Tensor{{Name: "token_embd.weight", Size: sizes[0]}}
		var total int64
		for i, n := range sizes[1:] {
			tensors = append(tensors, &gguf.Tensor{Name: strconv.Itoa(i), Size: n})
		}
		spans := samples(tensors)
		for _, x := range tensors {
			at, gap, read := int64(0), int64(0), int64(0) // where the last sample ends
			for _, s := range spans {
				if s.Tensor != x {
					continue
				}
				if s.from < at || s.size < 1 || s.size > sumPiece || s.from+s.size > x.Size {
					t.Fatalf("%d bytes: a sample of %d at %d, behind one that ends at %d", x.Size, s.size, s.from, at)
				}
				gap = max(gap, s.from-at)
				at = s.from + s.size
				read += s.size
			}
			total += read
			if at != x.Size {
				t.Errorf("%d bytes: the last sample ends at %d", x.Size, at)
			}
			if whole := x.Size <= sampled || x.Name == embeddingName && x.Size <= embeddingRead; whole && gap > 0 {
				t.Errorf("%d bytes of %s are left out", gap, x.Name)
			}
			if most := 2 * x.Size / (read / min(read, sampleBytes)); gap > most {
				t.Errorf("%d bytes: %d are left out together, expected at most %d", x.Size, gap, most)
			}
		}
		if most := int64(embeddingRead + othersRead + len(sizes)*samplesLeast*sampleBytes); total > most {
			t.Errorf("%v: %d bytes are read, expected at most %d", sizes, total, most)
		}
	}
}

// hook is a reader that calls a function before each read.
type hook struct {
	*bytes.Reader
	before func() error
}

func (h *hook) ReadAt(p []byte, off int64) (int, error) {
	if h.before != nil {
		if err := h.before(); err != nil {
			return 0, err
		}
	}
	return h.Reader.ReadAt(p, off)
}

// hooked returns a model that is read from a hook.
func hooked(t testing.TB) (*Model, *hook) {
	t.Helper()
	d := newDraft(t, "e")
	var b bytes.Buffer
	if err := gguf.Write(&b, d.Metadata, d.tensors); err != nil {
		t.Fatal(err)
	}
	h := &hook{Reader: bytes.NewReader(b.Bytes())}
	f, err := gguf.OpenReaderAt(gguf.Part{Name: "hook", ReaderAt: h, Size: int64(b.Len())})
	if err != nil {
		t.Fatal(err)
	}
	m, err := New(f, Options{Workers: 2})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	return m, h
}

func TestFingerprintsCanBeCancelledAndTriedAgain(t *testing.T) {
	m, h := hooked(t)
	broken, why := errors.New("broken"), errors.New("why")
	var reads atomic.Int32
	h.before = func() error { reads.Add(1); return broken }
	if _, err := m.Fingerprint(ctx); !errors.Is(err, broken) {
		t.Errorf("a read that fails: %v", err)
	}
	if n := reads.Load(); n > 2 {
		t.Errorf("%d reads though the first ones fail", n)
	}
	for version := 1; version <= fileVersion; version++ {
		cancelled, cancel := context.WithCancelCause(ctx)
		reads.Store(0)
		h.before = func() error {
			if reads.Add(1) == 3 {
				cancel(why)
			}
			return nil
		}
		if _, err := m.fingerprintOf(cancelled, version); !errors.Is(err, context.Canceled) || !errors.Is(err, why) {
			t.Errorf("cancelled: %v", err)
		}
		if n := reads.Load(); n > 5 {
			t.Errorf("%d reads, cancelled in the third", n)
		}
		// One waits for another that computes it, and not longer than it wants to.
		began, goOn := make(chan struct{}), make(chan struct{})
		var once atomic.Bool
		h.before = func() error {
			if once.CompareAndSwap(false, true) {
				close(began)
			}
			<-goOn
			return nil
		}
		first := make(chan string)
		go func() { f, _ := m.fingerprintOf(ctx, version); first <- f }()
		<-began
		if _, err := m.fingerprintOf(cancelled, version); !errors.Is(err, context.Canceled) {
			t.Errorf("waited for another: %v", err)
		}
		close(goOn)
		f := <-first
		h.before = func() error { return broken } // it is known now
		if again, err := m.fingerprintOf(ctx, version); err != nil || again != f || len(f) != 64 {
			t.Errorf("%q, again %q, %v", f, again, err)
		}
	}
}

// TestFingerprintsTakeTimeLinearInTheMetadata compares it with opening the file, which looks at each key once. Whatever else a machine does
// only adds to the time, so that the shortest of all tries within a minute counts, and one that is short enough is the last.
func TestFingerprintsTakeTimeLinearInTheMetadata(t *testing.T) {
	timed := func(f func() error) time.Duration {
		began := time.Now()
		if err := f(); err != nil {
			t.Fatal(err)
		}
		return time.Since(began)
	}
	d := manyKeys(t)
	open := func() error { d.file(t); return nil }
	opening := timed(open)
	for range 4 {
		opening = min(opening, timed(open))
	}
	f := d.file(t)
	for i, compute := range []func(context.Context, *gguf.File, int) (string, error){digest1, digest} {
		once := func() error { _, err := compute(ctx, f, 1); return err }
		took, most := timed(once), 10*opening // a look at all keys for each is 40 times as much
		for end := time.Now().Add(time.Minute); took > most && time.Now().Before(end); {
			took = min(took, timed(once))
		}
		t.Logf("65,000 keys: %v for the fingerprint of version %d, %v to write and open", took, i+1, opening)
		if took > most {
			t.Errorf("version %d: %v, %v to write and open", i+1, took, opening)
		}
	}
}

// manyKeys returns a model with 65,000 keys, half of them the architecture's.
func manyKeys(t testing.TB) *draft {
	t.Helper()
	d := newDraft(t, "e")
	for i := range 65000 - d.Len() {
		d.set(fmt.Sprintf("%s.tag.%d", []string{"tag", ".general"}[i%2], i), uint32(i))
	}
	return d
}

func BenchmarkFingerprintOf65000Keys(b *testing.B) {
	f := manyKeys(b).file(b)
	for b.Loop() {
		if _, err := digest(ctx, f, 2); err != nil {
			b.Fatal(err)
		}
	}
}
