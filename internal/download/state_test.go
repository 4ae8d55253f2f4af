package download

import (
	"bytes"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// Any slot may be torn when a process is killed: the other one counts.
func TestTornStates(t *testing.T) {
	old := state{"x", 100, `"a"`, spans{{0, 10}}}
	now := state{"x", 100, `"a"`, spans{{0, 10}, {20, 30}}}
	file := append(now.encode(8), old.encode(7)...)
	for torn := range slotBytes {
		b := bytes.Clone(file)
		copy(b[:torn], strings.Repeat("\x00", torn))
		want, number := now, uint64(8)
		if torn > 0 {
			want, number = old, 7
		}
		if got, n, ok := decodeState(bytes.NewReader(b)); !ok || n != number || !reflect.DeepEqual(got, want) {
			t.Fatalf("%d bytes are zeros: state %v of writing %d, expected %v of %d", torn, got, n, want, number)
		}
		if _, _, ok := decodeState(bytes.NewReader(file[:torn])); ok != (torn > bytes.IndexByte(file, '\n')) {
			t.Fatalf("%d bytes are there: a state is %v", torn, ok)
		}
	}
}

// A state with a bit that is another is none.
func TestFlippedStates(t *testing.T) {
	s := state{"x", 100, `"a"`, spans{{0, 10}}}
	page := s.encode(7)
	for i := range bytes.IndexByte(page, '\n') {
		for bit := range 8 {
			b := bytes.Clone(page)
			b[i] ^= 1 << bit
			letter := i < 8 && bit == 5 && page[i] >= 'a' // of the checksum, large in place of small
			if got, _, ok := decodeSlot(b); ok && !letter {
				t.Errorf("bit %d of byte %d: state %v", bit, i, got)
			}
		}
	}
}

// More ranges than a slot takes are left out at the end.
func TestStatesFitTheirSlot(t *testing.T) {
	s := state{identity: "x", size: largest}
	for i := range int64(1000) {
		s.have = append(s.have, span{largest/2 + 10*i, largest/2 + 10*i + 5})
	}
	page := s.encode(1 << 62)
	got, _, ok := decodeSlot(page)
	if !ok || len(page) != slotBytes || len(got.have) < 50 || !reflect.DeepEqual(got.have, s.have[:len(got.have)]) {
		t.Errorf("%d ranges in %d bytes", len(got.have), len(page))
	}
}

// Whatever is in a state's file, what is read of it makes sense, and is read the same when it is written again.
func FuzzState(f *testing.F) {
	s := state{"SHA-256 abc", 100, `"tag"`, spans{{0, 10}, {20, 30}}}
	f.Add(s.encode(1))
	f.Add(append(s.encode(4), s.encode(3)...))
	for _, text := range []string{"", "{}", "null", `{"size":-2}`, `{"have":[[0,0]]}`, `{"have":[[5,1]]}`, `{"have":[[-5,1]]}`,
		`{"have":[[0,5],[5,9]]}`, `{"size":3,"have":[[0,5]]}`, `{"number":18446744073709551615}`, `{"size":9e18}`,
		`{"size":-1,"have":[[0,9223372036854775807]]}`} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		text, _, _ := bytes.Cut(b, []byte{'\n'})
		for _, file := range [][]byte{b, fmt.Appendf(nil, "%08x %s\n", crc32.ChecksumIEEE(text), text)} { // hostile, and as if it were ours
			s, number, ok := decodeState(bytes.NewReader(file))
			if !ok {
				continue
			}
			var built spans
			for _, x := range s.have {
				if x.from < 0 || x.to > largest || s.size >= 0 && x.to > s.size {
					t.Fatalf("range %v of %d bytes", x, s.size)
				}
				built = built.add(x)
			}
			if len(built) != len(s.have) || s.size < -1 || s.size > largest {
				t.Fatalf("state %v", s)
			}
			again, n, ok := decodeSlot(s.encode(number))
			if len(s.identity) < 500 && (!ok || n != number || !reflect.DeepEqual(again.have, s.have) && len(again.have) == len(s.have)) {
				t.Fatalf("state %v of writing %d is read as %v of %d", s, number, again, n)
			}
		}
	})
}

// A state that is hostile costs no more than what it tells of.
func TestHostileStatesStartAnew(t *testing.T) {
	path := filepath.Join(folder(t), "file")
	f := File{Path: path, URL: "http://hub.test/file", Size: 100, SHA256: sumOf(nil)}
	for _, text := range []string{"", "x", strings.Repeat("9", 10000), "00000000 ", "ffffffff {}\n", strings.Repeat("\n", 10000)} {
		if err := os.WriteFile(recordPath(path), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		if got := held(&f); got != 0 {
			t.Errorf("%.20q: %d bytes are held", text, got)
		}
		p, err := openPart(&f, 1, new(tally))
		if err != nil {
			t.Fatal(err)
		}
		if p.old || p.state.have != nil {
			t.Errorf("%.20q: state %v", text, p.state)
		}
		if err := p.discard(); err != nil {
			t.Fatal(err)
		}
	}
}
