package model

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"slices"

	"github.com/gogemma/gemma4/gguf"
)

// A segment follows a saved text and says what has become of it: the first positions of the text before it stay, others follow. It is
//
//	8 bytes  segmentMagic
//
// 4 the checksum of the file or segment before, which also ends with it
//
//	4        zeros
//	8        length of the GGUF file
//	4        zeros
//	4        CRC-32C of these 28
//	         zeros up to a multiple of 64, counted from the beginning of the whole file
//	         a GGUF file
//	4        the checksum of everything from segmentMagic on
//
// all numbers with the lowest byte first. The keys of the GGUF file are
//
//	general.architecture      gemma4-segment
//	gemma4.session.kept       how many first positions of the text before stay
//	gemma4.session.positions  of the text that it becomes
//	gemma4.session.unmarked   marks up to kept that are gone, ascending
//	gemma4.session.marks      new ones, ascending
//	gemma4.session.dropped    pages of sliding layers that are gone, of those before the page that kept lies in, ascending
//	gemma4.session.pages      of sliding layers that are in this segment, ascending
//
// and those of the writer. Its tensors hold pages as in the file, from the one that kept lies in on.
//
// A program that is killed while appending leaves part of a segment at the end of the file: there it is left out. Anywhere else, what does
// not fit is damage.
const (
	segmentMagic        = "gemma4\x00+"
	segmentHead         = 32
	segmentArchitecture = "gemma4-segment"
)

// MaxSegments is the most segments that a file may have: opening takes some memory for each, more than a hostile one takes in the file.
const MaxSegments = 1000

// WriteSegment writes to w, which appends to a file, what has become of the text since: its first positions, kept of them, have stayed.
// Otherwise it is like WriteSnapshot.
func (m *Model) WriteSegment(w io.Writer, t *Snapshot, from *Written, kept int, more *gguf.Metadata, tensors ...gguf.Source) (*Written,
	error) {
	if t.config != &m.Config || t.format != from.format || t.adapted != from.adapted {
		return nil, errors.New("model: a snapshot of another model or format, or with other adapters")
	}
	if from.Segments >= MaxSegments {
		return nil, fmt.Errorf("model: the saved text has %d segments, no more are possible", from.Segments)
	}
	kept = max(0, min(kept, from.n, t.n))
	first := kept / pageLen
	held := t.held()
	head := more.Clone()
	if err := set(head, []keyValue{
		{"general.architecture", segmentArchitecture},
		{"general.alignment", uint32(fileAlignment)},
		{"gemma4.session.kept", uint32(kept)},
		{"gemma4.session.positions", uint32(t.n)},
		{"gemma4.session.unmarked", positions(without(upTo(from.marks, kept), t.marks))},
		{"gemma4.session.marks", positions(without(t.marks, upTo(from.marks, kept)))},
		{"gemma4.session.dropped", positions(without(upTo(from.held, first-1), held))},
		{"gemma4.session.pages", positions(held[len(upTo(held, first-1)):])},
	}); err != nil {
		return nil, err
	}
	tensors = append(slices.Clip(tensors), m.sources(t, first)...)
	size, err := gguf.Size(head, tensors)
	if err != nil {
		return nil, err
	}
	start := appendSegmentHead(nil, from.Bytes, from.Sum, size)
	sum, err := stream(w, int64(len(start))+size, func(w io.Writer) error {
		if _, err := w.Write(start); err != nil {
			return err
		}
		return gguf.Write(w, head, tensors)
	})
	if err != nil {
		return nil, err
	}
	return t.written(from.Bytes+int64(len(start))+size+sumBytes, sum, from.Segments+1), nil
}

// appendSegmentHead appends what comes before the GGUF file of a segment that begins at byte at.
func appendSegmentHead(b []byte, at int64, before uint32, size int64) []byte {
	h := append([]byte(segmentMagic), make([]byte, segmentHead-len(segmentMagic))...)
	binary.LittleEndian.PutUint32(h[8:], before)
	binary.LittleEndian.PutUint64(h[16:], uint64(size))
	binary.LittleEndian.PutUint32(h[28:], crc32.Checksum(h[:28], castagnoli))
	return append(append(b, h...), make([]byte, segmentPadding(at))...)
}

// segmentPadding returns how many zeros follow the head of a segment that begins at byte at.
func segmentPadding(at int64) int { return int(-(at + segmentHead) & (fileAlignment - 1)) }

// segmentSize returns the length of the GGUF file of a segment that data begins with, or −1 if it does not begin with its head.
func segmentSize(data []byte) int64 {
	if len(data) < segmentHead || string(data[:len(segmentMagic)]) != segmentMagic {
		return -1
	}
	size := int64(binary.LittleEndian.Uint64(data[16:]))
	if binary.LittleEndian.Uint32(data[28:]) != crc32.Checksum(data[:28], castagnoli) || size < 0 {
		return -1
	}
	return size
}

// without returns the numbers of a that b lacks; both ascend.
func without(a, b []int) (out []int) {
	for _, n := range a {
		if _, found := slices.BinarySearch(b, n); !found {
			out = append(out, n)
		}
	}
	return out
}

// upTo returns those of the ascending numbers that are at most n.
func upTo(list []int, n int) []int {
	i, _ := slices.BinarySearch(list, n+1)
	return list[:i]
}

// readSegments applies the segments that begin at byte at, after a part with the given checksum.
func (m *Model) readSegments(ctx context.Context, s *SavedText, at int, before uint32) error {
	data := s.file.data
	for i := 1; at < len(data); i++ {
		body := at + segmentHead + segmentPadding(int64(at))
		size := segmentSize(data[at:])
		if size < 0 || size > int64(len(data)-body-sumBytes) || binary.LittleEndian.Uint32(data[at+8:]) != before {
			return m.torn(data, at, i)
		}
		end := body + int(size)
		sum, err := checksum(ctx, data[at:end], m.Workers())
		if err != nil {
			return err
		}
		if sum != binary.LittleEndian.Uint32(data[end:]) {
			return m.torn(data, at, i)
		}
		if i > MaxSegments {
			return fmt.Errorf("segment %d: expected at most %d", i, MaxSegments)
		}
		if err := m.readSegment(s, data[body:end]); err != nil {
			return fmt.Errorf("segment %d: %w", i, err)
		}
		at, before = end+sumBytes, sum
	}
	s.Written = s.written(int64(len(data)), before, len(s.Heads)-1)
	return nil
}

// torn returns an error unless what begins at byte at, where segment i should, may be one whose writer was killed: nothing may follow it.
func (m *Model) torn(data []byte, at, i int) error {
	if size := segmentSize(data[at:]); size >= 0 {
		at += segmentHead + segmentPadding(int64(at))
		at += int(min(size, int64(len(data)-at)))
	}
	for rest := data[min(at+1, len(data)):]; ; rest = rest[1:] {
		j := bytes.Index(rest, []byte(segmentMagic))
		if j < 0 {
			return nil
		}
		if rest = rest[j:]; segmentSize(rest) >= 0 {
			return fmt.Errorf("segment %d: %w", i, errDamaged)
		}
	}
}

// readSegment applies one segment.
func (m *Model) readSegment(s *SavedText, data []byte) error {
	head, err := parse(data)
	if err != nil {
		return err
	}
	if is, err := head.Metadata.Text("general.architecture"); err != nil || is != segmentArchitecture {
		return fmt.Errorf("general.architecture is %.40q, expected %q", is, segmentArchitecture)
	}
	t, k := s.Snapshot, &keys{m: head.Metadata}
	kept := k.integer("session.kept", 0, t.n)
	n := k.integer("session.positions", kept, min(m.Context, len(s.file.data)))
	first, all := kept/pageLen, (n+pageLen-1)/pageLen
	unmarked := k.ascending("session.unmarked", 1, kept)
	marks := k.ascending("session.marks", 1, n)
	dropped := k.ascending("session.dropped", 0, first-1)
	held := k.ascending("session.pages", first, all-1)
	if k.err != nil {
		return k.err
	}
	t.n = n
	t.marks = slices.Concat(without(upTo(t.marks, kept), unmarked), marks)
	slices.Sort(t.marks)
	t.marks = slices.Compact(t.marks)
	for i, pages := range t.pages {
		if m.Layers[i].Sliding {
			for _, b := range dropped {
				pages[b] = nil
			}
		}
	}
	s.Heads = append(s.Heads, head)
	return m.readPages(t, head, data, held, first)
}
