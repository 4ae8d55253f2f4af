package suffix

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"unsafe"
)

// longest returns by trial what Match must find: the length of the longest suffix of text that ends before it too, and the ends of all its
// earlier occurrences. Negative ids, each of which occurs once, are breaks.
func longest(text []int32) (length int, ends []int) {
	n := len(text)
	for length = n - 1; length > 0; length-- {
		suffix := text[n-length:]
		if slices.ContainsFunc(suffix, func(id int32) bool { return id < 0 }) {
			continue
		}
		for end := length; end < n; end++ {
			if slices.Equal(text[end-length:end], suffix) {
				ends = append(ends, end)
			}
		}
		if ends != nil {
			return length, ends
		}
	}
	return 0, nil
}

// check feeds text to a, an empty automaton, and compares every prefix with what trial finds. Ids below 0 are breaks.
func check(t *testing.T, a *Automaton, text []int32) {
	t.Helper()
	var want []int32
	for i, id := range text {
		if id >= 0 {
			want = append(want, id)
		} else if len(want) > 0 && want[len(want)-1] >= 0 {
			want = append(want, -1000-int32(i))
		}
		a.Add(id)
		if a.Len() != len(want) {
			t.Fatalf("%v: length %d after %d ids, want %d", text, a.Len(), i+1, len(want))
		}
		n, ends := longest(want)
		length, end := a.Match()
		if length != n || n > 0 && !slices.Contains(ends, end) || n == 0 && end != 0 {
			t.Fatalf("%v: the match of %d ids is %d before %d, want %d before one of %v", text, i+1, length, end, n, ends)
		}
		var draft []int32
		if n > 0 {
			whole := slices.Clone(want)
			for at := end; len(draft) < 9 && whole[at] >= 0; at++ {
				draft, whole = append(draft, whole[at]), append(whole, whole[at])
			}
		}
		for most := range 10 {
			got := a.Continue([]int32{-5}, most)
			if got[0] != -5 || !slices.Equal(got[1:], draft[:min(most, len(draft))]) {
				t.Fatalf("%v: %d ids go on with %v after [-5], want %v of %v", text, i+1, got, most, draft)
			}
		}
	}
	if n := len(want); len(a.states) > max(2*n, 2) || len(a.edges) > n {
		t.Errorf("%v: %d states and %d edges for %d ids", text, len(a.states), len(a.edges), n)
	}
}

// fibonacci returns the Fibonacci word of n ids: of all infinite words the one with the most repetition that never settles into a loop.
func fibonacci(n int) []int32 {
	a, b := []int32{0}, []int32{0, 1}
	for len(b) < n {
		a, b = b, append(slices.Clone(b), a...)
	}
	return b[:n]
}

// deBruijn returns a cyclic word over k ids in which every word of n ids occurs once (Fredricksen, Kessler and Maiorana).
func deBruijn(k, n int) (word []int32) {
	var extend func(t, p int)
	letters := make([]int32, n+1)
	extend = func(t, p int) {
		if t > n {
			if n%p == 0 {
				word = append(word, letters[1:p+1]...)
			}
			return
		}
		letters[t] = letters[t-p]
		extend(t+1, p)
		for id := letters[t-p] + 1; id < int32(k); id++ {
			letters[t] = id
			extend(t+1, t)
		}
	}
	extend(1, 1)
	return word
}

// random returns n ids below k, and a break with one in each of breaks places, none if that is 0.
func random(r *rand.Rand, n, k, breaks int) []int32 {
	text := make([]int32, n)
	for i := range text {
		if text[i] = r.Int32N(int32(k)); breaks > 0 && r.IntN(breaks) == 0 {
			text[i] = -1
		}
	}
	return text
}

func TestEveryPrefixOfARandomTextMatchesAsByTrial(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	a := New()
	for round := range 300 {
		a.Reset()
		check(t, a, random(r, r.IntN(60), 1+round%6, []int{0, 4, 20}[round%3]))
	}
}

func TestTextsMadeToBeHardMatchAsByTrial(t *testing.T) {
	one := make([]int32, 120)
	two := append(make([]int32, 60), one...)
	two[60] = 1
	for name, text := range map[string][]int32{
		"nothing":        nil,
		"one id":         one,
		"most states":    append([]int32{1}, one...),
		"most edges":     append(append([]int32{1}, one...), 2),
		"one id, parted": two,
		"fibonacci":      fibonacci(200),
		"de bruijn 2, 7": deBruijn(2, 7),
		"de bruijn 4, 3": append(deBruijn(4, 3), deBruijn(4, 3)...),
		"large ids":      {1<<31 - 1, 0, 1<<31 - 1, 0, 1 << 30, 1<<31 - 1, 0},
		"breaks alone":   {-1, -1, -7},
		"breaks between": {-1, 3, 4, -1, -1, 3, 4, -2, 4, 3, 4, -1},
	} {
		t.Run(name, func(t *testing.T) { check(t, New(), text) })
	}
}

func TestTheLatestOccurrenceIsContinued(t *testing.T) {
	a := New()
	for _, id := range []int32{1, 2, 3, 9, 1, 2, 4, 8, 1, 2} {
		a.Add(id)
	}
	if length, end := a.Match(); length != 2 || end != 6 {
		t.Errorf("the match is %d before %d, want 2 before 6", length, end)
	}
	if got := a.Continue(nil, 3); !slices.Equal(got, []int32{4, 8, 1}) {
		t.Errorf("it goes on with %v", got)
	}

	// Words that follow each other as in a text: what Match says is nearly always the latest occurrence.
	text := prose(3000)
	a.Reset()
	late, all := 0, 0
	for i, id := range text {
		a.Add(id)
		length, end := a.Match()
		if length < 2 {
			continue
		}
		latest := i
		for !slices.Equal(text[latest-length:latest], text[i+1-length:i+1]) {
			latest--
		}
		all++
		if end == latest {
			late++
		}
	}
	if t.Logf("%d of %d are the latest", late, all); all < 100 || late*100 < 95*all {
		t.Errorf("%d of %d matches are the latest occurrence, want 95%%", late, all)
	}
}

// prose returns n ids that repeat each other about as words do: each begins with what followed one of the last places of the id before it,
// four times in five, else is drawn by Zipf's law.
func prose(n int) []int32 {
	r := rand.New(rand.NewPCG(3, 4))
	zipf := rand.NewZipf(r, 1.1, 4, 100_000)
	before := map[int32][]int32{}
	text := make([]int32, 0, n)
	last := int32(0)
	for len(text) < n {
		id := int32(zipf.Uint64())
		if next := before[last]; len(next) > 0 && r.IntN(5) > 0 {
			id = next[len(next)-1-min(r.IntN(8), r.IntN(len(next)))]
		}
		before[last] = append(before[last], id)
		text, last = append(text, id), id
	}
	return text
}

func TestAResetAutomatonAllocatesNothing(t *testing.T) {
	text := prose(20_000)
	a := New()
	draft := make([]int32, 0, 8)
	feed := func() {
		a.Reset()
		for _, id := range text {
			a.Add(id)
			draft = a.Continue(draft[:0], 8)
		}
	}
	feed()
	if n := testing.AllocsPerRun(3, feed); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// bytes returns what the automaton takes, and what of that holds something.
func (a *Automaton) bytes() (held, used int) {
	held = 4*cap(a.text) + int(unsafe.Sizeof(state{}))*cap(a.states) + int(unsafe.Sizeof(edge{}))*cap(a.edges) + 4*cap(a.table)
	used = 4*len(a.text) + int(unsafe.Sizeof(state{}))*len(a.states) + int(unsafe.Sizeof(edge{}))*len(a.edges) + 4*len(a.table)
	return held, used
}

// texts are texts of n ids, from those that repeat nothing to those that repeat all.
func texts(n int) map[string][]int32 {
	r := rand.New(rand.NewPCG(5, 6))
	half := prose(n / 2)
	loop := make([]int32, n)
	for i := range loop {
		loop[i] = half[i%1000]
	}
	return map[string][]int32{
		"prose":     prose(n),
		"twice":     append(half, half...),
		"loop":      loop,
		"one id":    make([]int32, n),
		"two ids":   random(r, n, 2, 0),
		"new ids":   random(r, n, 262_144, 0),
		"fibonacci": fibonacci(n),
		"breaks":    random(r, n, 100, 10),
		"edges":     slices.Concat([]int32{1}, make([]int32, n-2), []int32{2}),
	}
}

func TestAnIdTakesAtMost84BytesAndWhatSlicesKeepInHand(t *testing.T) {
	const n = 1 << 16
	for name, text := range texts(n) {
		a := New()
		for _, id := range text {
			a.Add(id)
		}
		held, used := a.bytes()
		t.Logf("%-10s %5.1f bytes an id, %5.1f held; %.2f states and %.2f edges", name, float64(used)/n, float64(held)/n,
			float64(len(a.states))/n, float64(len(a.edges))/n)
		if used > 84*n || held > 128*n {
			t.Errorf("%s: %d bytes an id, %d held", name, used/n, held/n)
		}
	}
}

// FuzzMatch feeds ids of two bytes to an automaton: those above 65000 are breaks.
func FuzzMatch(f *testing.F) {
	for _, text := range []string{"", "abababab", "aabbaabb\xff\xffaabb", strings.Repeat("\x00", 40)} {
		f.Add([]byte(text))
	}
	a := New()
	f.Fuzz(func(t *testing.T, data []byte) {
		text := make([]int32, 0, 100)
		for len(data) >= 2 && len(text) < cap(text) {
			id := int32(binary.LittleEndian.Uint16(data))
			if id > 65000 {
				id = -1
			}
			text, data = append(text, id), data[2:]
		}
		a.Reset()
		check(t, a, text)
	})
}

func BenchmarkAdd(b *testing.B) {
	const n = 1 << 18
	texts := texts(n)
	for _, name := range []string{"prose", "twice", "one id", "two ids", "new ids", "fibonacci"} {
		b.Run(fmt.Sprintf("text=%s", name), func(b *testing.B) {
			b.ReportAllocs()
			a := New()
			for b.Loop() {
				a.Reset()
				for _, id := range texts[name] {
					a.Add(id)
				}
			}
			held, _ := a.bytes()
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/id")
			b.ReportMetric(float64(held)/n, "bytes/id")
		})
	}
}
