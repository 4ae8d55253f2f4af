package download

import (
	"bytes"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"io"
	"slices"
	"strconv"
)

// state is what is known of a part.
type state struct {
	identity string // of the file that it is a part of
	size     int64  // of that file; below 0: unknown
	etag     string // a strong one, with its quotes; "": there was none
	have     spans  // that are there
}

// The file of a state has two slots of a page each, which are written in turn: whatever happens while one is written, the other is whole.
// Both are there from the beginning, so that a disk that is full still takes them. A slot is a checksum, in hexadecimal digits, and the
// state as JSON, in one line.
const slotBytes, slots = 4096, 2

// longestETag is the longest that is kept. One that is longer is like none.
const longestETag = 256

// slot is a state in its file.
type slot struct {
	Number   uint64     `json:"number"` // of the writing: the larger one is the newer
	Identity string     `json:"identity"`
	Size     int64      `json:"size"`
	ETag     string     `json:"etag,omitempty"`
	Have     [][2]int64 `json:"have"` // ranges [from, to), in order
}

// encode returns the state as the slot of the number-th writing. What does not fit is left out at the end: it will be fetched again.
func (s *state) encode(number uint64) []byte {
	w := slot{Number: number, Identity: s.identity, Size: s.size, ETag: s.etag, Have: [][2]int64{}}
	for _, x := range s.have {
		w.Have = append(w.Have, [2]int64{x.from, x.to})
	}
	for {
		text, _ := json.Marshal(w) // such a struct always can be
		line := fmt.Appendf(nil, "%08x %s\n", crc32.ChecksumIEEE(text), text)
		if len(line) <= slotBytes {
			return append(line, bytes.Repeat([]byte{'\n'}, slotBytes-len(line))...)
		}
		if len(w.Have) == 0 {
			w.ETag, w.Identity = "", "" // nothing like it is ever made
			continue
		}
		w.Have = w.Have[:len(w.Have)/2]
	}
}

// decodeState returns the newest state in a file, and the number of its writing. ok is false if there is none that makes sense.
func decodeState(file io.ReaderAt) (s state, number uint64, ok bool) {
	page := make([]byte, slotBytes)
	for i := range int64(slots) {
		n, _ := file.ReadAt(page, i*slotBytes)
		if read, at, whole := decodeSlot(page[:n]); whole && (!ok || at > number) {
			s, number, ok = read, at, true
		}
	}
	return s, number, ok
}

// decodeSlot returns the state in a slot.
func decodeSlot(page []byte) (s state, number uint64, ok bool) {
	line, _, whole := bytes.Cut(page, []byte{'\n'})
	sum, text, cut := bytes.Cut(line, []byte{' '})
	want, err := strconv.ParseUint(string(sum), 16, 32)
	if !whole || !cut || err != nil || uint32(want) != crc32.ChecksumIEEE(text) {
		return state{}, 0, false
	}
	var r slot
	if json.Unmarshal(text, &r) != nil ||
		r.Size < -1 || r.Size > largest || len(r.ETag) > longestETag || r.Number > 1<<62 {
		return state{}, 0, false
	}
	s = state{identity: r.Identity, size: r.Size, etag: r.ETag}
	before := int64(-1) // where the last range ended
	for _, x := range r.Have {
		if x[0] <= before || x[0] >= x[1] || x[1] > largest || r.Size >= 0 && x[1] > r.Size {
			return state{}, 0, false
		}
		s.have, before = append(s.have, span{x[0], x[1]}), x[1]
	}
	return s, r.Number, true
}

// clone returns a copy that shares nothing.
func (s *state) clone() state {
	c := *s
	c.have = slices.Clone(s.have)
	return c
}
