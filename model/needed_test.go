package model

import (
	"context"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/gogemma/gemma4/gguf"
	"github.com/gogemma/gemma4/internal/machine"
	"github.com/gogemma/gemma4/tensor"
)

// disk is a reader that counts and, if it is told to, fails.
type disk struct {
	io.ReaderAt
	reads, bytes atomic.Int64
	failAt       atomic.Int64 // this read fails, if it is not 0
	kind         atomic.Int64 // how: with an error, with too few bytes, with a panic
}

var (
	errDisk  = errors.New("the disk is gone")
	errPanic = errors.New("the reader panics")
)

func (r *disk) ReadAt(p []byte, off int64) (int, error) {
	if n := r.reads.Add(1); n == r.failAt.Load() {
		switch r.kind.Load() {
		case 1:
			return len(p) - 1, nil
		case 2:
			panic(errPanic)
		}
		return 0, errDisk
	}
	n, err := r.ReaderAt.ReadAt(p, off)
	r.bytes.Add(int64(n))
	return n, err
}

// openNeeded opens a model, all parts of it, of which that many bytes may be kept in memory.
func openNeeded(t testing.TB, path string, workers int, resident int64) (*Model, *disk) {
	t.Helper()
	paths := []string{path}
	if prefix, ok := strings.CutSuffix(path, "-00001-of-00003.gguf"); ok {
		var err error
		if paths, err = filepath.Glob(prefix + "-0000?-of-00003.gguf"); err != nil {
			t.Fatal(err)
		}
	}
	reader := &disk{}
	var parts []gguf.Part
	for _, path := range paths {
		file, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { file.Close() })
		info, err := file.Stat()
		if err != nil {
			t.Fatal(err)
		}
		if len(paths) == 1 {
			reader.ReaderAt = file
			parts = append(parts, gguf.Part{Name: path, ReaderAt: reader, Size: info.Size()})
		} else {
			parts = append(parts, gguf.Part{Name: path, ReaderAt: file, Size: info.Size()})
		}
	}
	f, err := gguf.OpenReaderAt(parts...)
	if err != nil {
		t.Fatal(err)
	}
	m, err := New(f, Options{Workers: workers, Resident: resident})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close(); f.Close() })
	return m, reader
}

func TestWeightsReadWhenNeededGiveTheSameLogits(t *testing.T) {
	for _, name := range append(microModels, tinyModels...) {
		t.Run(name, func(t *testing.T) {
			g := readGolden(t, name)
			run := func(m *Model) (read_, written []float32) {
				read_ = read(t, newSession(t, m, SequenceOptions{Cache: tensor.F32, Batch: 7}), Input{Tokens: g.IDs[:12]})
				s := newSession(t, m, SequenceOptions{Cache: tensor.F32})
				for _, id := range g.IDs[:3] {
					l, err := s.Write(context.Background(), id)
					if err != nil {
						t.Fatal(err)
					}
					written = append(written, l...)
				}
				return read_, written
			}
			wantRead, wantWritten := run(openModel(t, g.model, 2))
			if w := worst(wantRead, g.logits[:len(wantRead)]); strings.HasPrefix(name, "micro") && !(w <= 1e-3) {
				t.Errorf("logits of the mapped model are off by %g", w)
			}
			for _, resident := range []int64{-1, 30000, 1 << 40} {
				m, _ := openNeeded(t, g.model, 2, resident)
				if needed := m.piece > 0; needed != (resident < 1<<40) {
					t.Errorf("%d bytes may be kept: weights are read when they are needed: %v", resident, needed)
				}
				gotRead, gotWritten := run(m)
				if worst(gotRead, wantRead) != 0 || worst(gotWritten, wantWritten) != 0 {
					t.Errorf("%d bytes may be kept: logits of read tokens differ by %g, of written ones by %g", resident,
						worst(gotRead, wantRead), worst(gotWritten, wantWritten))
				}
			}
		})
	}
}

// TestWeightsThatCannotBeReadFailThePass: whichever read it is, and whether it returns an error, too few bytes, or panics.
func TestWeightsThatCannotBeReadFailThePass(t *testing.T) {
	for _, name := range []string{"micro-e", "micro-moe", "micro-dense"} {
		g := readGolden(t, name)
		m, reader := openNeeded(t, g.model, 2, -1)
		s := newSession(t, m, SequenceOptions{Cache: tensor.F32, Batch: 2})
		last := func(err error) []float32 {
			if err != nil {
				return nil
			}
			return slices.Clone(s.pass.logits[:m.Vocabulary])
		}
		want := func(pos int) bool { return pos == 10 }
		for what, step := range map[string]func() ([]float32, error){
			"written": func() ([]float32, error) {
				logits, err := s.Write(ctx, g.IDs[8])
				return slices.Clone(logits), err
			},
			"read": func() ([]float32, error) { // in two passes: one or none of them counts
				err := s.Read(ctx, []Input{{Tokens: g.IDs[8:11]}}, want, func(int, []float32) error { return nil })
				return last(err), err
			},
		} {
			s.Truncate(0)
			read(t, s, Input{Tokens: g.IDs[:8]})
			before := reader.reads.Load()
			right, err := step()
			if err != nil {
				t.Fatal(err)
			}
			reads := reader.reads.Load() - before
			if reads < int64(7*len(m.Layers)) {
				t.Fatalf("%s, %s: %d reads, expected several for each of %d layers", name, what, reads, len(m.Layers))
			}
			for fail := int64(1); fail <= reads; fail++ {
				s.Truncate(8)
				reader.failAt.Store(reader.reads.Load() + fail)
				kind := int(fail % 3)
				reader.kind.Store(int64(kind))
				failure := func() (failure any) {
					defer func() {
						if r := recover(); r != nil {
							failure = r
						}
					}()
					_, err := step()
					return err
				}()
				err, _ := failure.(error)
				if wanted := []error{errDisk, io.ErrUnexpectedEOF, errPanic}[kind]; !errors.Is(err, wanted) ||
					kind != 2 && !strings.Contains(err.Error(), name+".gguf: tensor ") {
					t.Fatalf("%s, %s, read %d fails: error %v", name, what, fail, failure)
				}
				if n := s.Len(); n != 8 && (what == "written" || n != 10) {
					t.Fatalf("%s, %s, read %d fails: the session has %d positions, want 8", name, what, fail, n)
				}
				s.Truncate(8)
				if got, err := step(); err != nil || worst(got, right) != 0 {
					t.Fatalf("%s, %s, after read %d failed: logits are off by %g, error %v", name, what, fail, worst(got, right), err)
				}
			}
			t.Logf("%s, %s: %d reads failed", name, what, reads)
		}
	}
}

func TestWhatIsKeptInMemoryIsReadOnce(t *testing.T) {
	g := readGolden(t, "micro-e")
	written := func(resident int64) int64 {
		m, reader := openNeeded(t, g.model, 1, resident)
		s := newSession(t, m, SequenceOptions{Cache: tensor.F32})
		before := reader.bytes.Load()
		if _, err := s.Write(context.Background(), g.IDs[0]); err != nil {
			t.Fatal(err)
		}
		return reader.bytes.Load() - before
	}
	m := openModel(t, g.model, 1)
	entry := int64(m.perLayerTable.Format.RowBytes(m.perLayerTable.Cols()))
	all := m.WriteBytes(1, 0, tensor.F32)
	if got := written(1 << 40); got != entry {
		t.Errorf("with all weights in memory a token reads %d bytes, want %d, its entry of the per-layer table", got, entry)
	}
	half, none := written(all/2), written(-1)
	if !(entry < half && half < none) {
		t.Errorf("a token reads %d bytes with half of the weights in memory, %d with none", half, none)
	}
}

func TestWritingWithWeightsReadWhenNeededAllocatesNothing(t *testing.T) {
	g := readGolden(t, "micro-e4")
	m, _ := openNeeded(t, g.model, 2, -1)
	s := newSession(t, m, SequenceOptions{Cache: tensor.F16})
	ctx := context.Background()
	for _, id := range g.IDs[:4] {
		s.Write(ctx, id)
	}
	if n := testing.AllocsPerRun(20, func() { s.Write(ctx, g.IDs[4]) }); n != 0 {
		t.Errorf("%v allocations per token", n)
	}
}

func TestOnlyAWorkingSetThatDoesNotFitIsAnError(t *testing.T) {
	g := readGolden(t, "micro-e")
	m, _ := openNeeded(t, g.model, 1, -1)
	if err := m.fit(&m.Config, 2, 0); err != nil {
		t.Errorf("nobody knows what is free: %v", err)
	}
	if err := m.fit(&m.Config, 2, 1<<30); err != nil {
		t.Errorf("a gigabyte is free: %v", err)
	}
	if err := m.fit(&m.Config, 2, 1000); err == nil ||
		!strings.Contains(err.Error(), "bytes of memory beside the weights, which are read when they are needed; 1000 are free") {
		t.Errorf("a kilobyte is free: %v", err)
	}
	mapped := openModel(t, g.model, 1)
	if err := mapped.fit(&mapped.Config, 2, 1000); err != nil {
		t.Errorf("the system decides which pages of a map are in memory: %v", err)
	}
	if a, b := spare(0), spare(1<<20); a < 1<<29 || b != 3<<18 {
		t.Errorf("of unknown memory %d bytes are taken, of a megabyte %d", a, b)
	}
}

func TestAContextThatCannotBeAddressedIsCutToWhatCan(t *testing.T) {
	d := newDraft(t, "dense")
	d.set("context_length", uint32(1<<28))
	m, err := d.open(t)
	if err != nil {
		t.Fatal(err)
	}
	m.Layers[1].KVHeads = 1 << 12 // more than 64 bits address, too; no token goes through
	m.Layers[0].MLPWidth = 1 << 18
	s := newSession(t, m, SequenceOptions{Cache: tensor.F32})
	most := machine.Addressable()
	if n := s.Limit(); n >= m.Context || m.CacheBytes(n, tensor.F32, 0) > most || m.CacheBytes(n+1, tensor.F32, 0) <= most {
		t.Errorf("a context of %d positions takes %d bytes, one more %d; %d can be addressed", n, m.CacheBytes(n, tensor.F32, 0),
			m.CacheBytes(n+1, tensor.F32, 0), most)
	}
	if _, err := m.NewSequence(SequenceOptions{Context: s.Limit() + 1, Cache: tensor.F32}); err == nil ||
		!strings.Contains(err.Error(), "more than this machine can address") {
		t.Errorf("one position more, asked for: %v", err)
	}
	if s := newSession(t, m, SequenceOptions{Context: 256, History: math.MaxInt64}); s.history.budget <= 0 {
		t.Errorf("a budget of %d pages of history from all bytes there are", s.history.budget)
	}
	if _, err := m.NewSequence(SequenceOptions{Context: s.Limit() / 2, Batch: s.Limit() / 2, Cache: tensor.F32}); err == nil ||
		!strings.Contains(err.Error(), "a step of") {
		t.Errorf("a step of the whole context: %v", err)
	}
}
