package model

import (
	"context"
	"path/filepath"
	"slices"
	"testing"

	"github.com/gogemma/gemma4/gguf"
	"github.com/gogemma/gemma4/internal/synth"
	"github.com/gogemma/gemma4/tensor"
)

// openPaged returns a small model with experts, mapped from a file, that has so much memory for weights.
func openPaged(t *testing.T, resident int64) *Model {
	t.Helper()
	c, err := synth.Parse("tiny-moe:q8_0")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "model.gguf")
	if err := synth.WriteFile(context.Background(), path, c); err != nil {
		t.Fatal(err)
	}
	f, err := gguf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	m, err := New(f, Options{Workers: 2, Resident: resident})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	if !m.layers[0].experts.stacks[0].IsPaged() {
		t.Skip("this system does not map files")
	}
	return m
}

// asked lists the stretches that a model asks for.
func asked(m *Model) *[]stretch {
	var list []stretch
	lock := make(chan struct{}, 1)
	m.fetch = func(t *gguf.Tensor, from, to int64) error {
		lock <- struct{}{}
		list = append(list, stretch{t, from, to})
		<-lock
		return nil
	}
	return &list
}

func TestExpertsAreReadAheadWhereMemoryIsShort(t *testing.T) {
	ctx := context.Background()
	var logits [2][]float32
	for i, resident := range []int64{1 << 40, 1 << 20} {
		m := openPaged(t, resident)
		if short := i > 0; (m.fetch != nil) != short {
			t.Fatalf("with %d bytes for %d of weights experts are read ahead: %v", resident, m.file.Size(), !short)
		}
		if i == 0 {
			m.fetch = nil
		}
		var list *[]stretch
		if i > 0 {
			list = asked(m)
		}
		s, err := m.NewSequence(SequenceOptions{Cache: tensor.F16})
		if err != nil {
			t.Fatal(err)
		}
		p := m.NewPass()
		if err := p.Read(ctx, &Chunk{Sequence: s, Input: []Input{{Tokens: []int32{3, 1, 4, 1, 5, 9}}}}); err != nil {
			t.Fatal(err)
		}
		for id := range int32(12) {
			if list != nil {
				*list = nil
			}
			out, err := p.Write(ctx, s, 7*id)
			if err != nil {
				t.Fatal(err)
			}
			logits[i] = append(logits[i], out...)
			if list == nil {
				continue
			}
			last := m.layers[len(m.layers)-1].experts
			for e := range m.Experts {
				chosen := p.moe.first[e] < p.moe.first[e+1]
				for _, x := range last.stretches(last.stretches(nil, e, false), e, true) {
					if slices.Contains(*list, x) != chosen {
						t.Errorf("bytes %d to %d of %s: asked for %v, of a chosen expert %v", x.from, x.to, x.t.Name, !chosen, chosen)
					}
				}
			}
		}
	}
	if !slices.Equal(logits[0], logits[1]) {
		t.Error("what is read ahead changes logits")
	}
}

func TestForetoldExpertsAreReadIfTheyComeTrue(t *testing.T) {
	m := openPaged(t, 1<<20)
	m.room = 1 << 40
	list := asked(m)
	s, err := m.NewSequence(SequenceOptions{Cache: tensor.F16})
	if err != nil {
		t.Fatal(err)
	}
	p := m.NewPass()
	count := func(r record) int {
		*list = nil
		records := p.ahead.record(p)
		for i := range records {
			records[i] = r
		}
		if _, err := p.Write(context.Background(), s, 5); err != nil {
			t.Fatal(err)
		}
		return len(*list)
	}
	chosen := count(record{})
	if told := p.ahead.record(p)[0].told; told != len(m.layers)-1 {
		t.Errorf("%d layers of a token are judged, want all but the first, %d", told, len(m.layers)-1)
	}
	if n := count(record{recordLeast, recordLeast / 2}); n != chosen {
		t.Errorf("%d stretches are read where half of what was foretold came true, %d without", n, chosen)
	}
	if n := count(record{recordLeast, recordLeast}); n != chosen/len(m.layers)*(2*len(m.layers)-1) {
		t.Errorf("%d stretches are read where all came true, %d without", n, chosen)
	}
	m.room = 1
	if n := count(record{recordLeast, recordLeast}); n != chosen {
		t.Errorf("%d stretches are read where memory does not hold two layers, %d without", n, chosen)
	}
}

func TestRecordsForgetWhatIsLongAgo(t *testing.T) {
	var r record
	for range 10 * recordLength {
		r.add(false)
	}
	for n := 0; !r.holds(); n++ {
		if n > 10*recordLength {
			t.Fatalf("%+v does not hold after %d that came true", r, n)
		}
		r.add(true)
	}
}
