package gemma4

// A text is taken for a loop when its end has been written that many times over, in that many tokens. Tables of zeros, refrains and
// laughter have fewer, and lists of similar lines do not repeat token by token; who is caught in a loop never stops.
const (
	loopTimes  = 4
	loopTokens = 512
	loopWindow = loopTimes * loopTokens // the longest loop has loopTokens
	loopStride = 64                     // tokens between two looks
)

// loops looks for a loop at the end of a text.
type loops struct {
	ids     [loopWindow]int32 // the last ones, a ring
	n       int               // of the text
	borders [loopWindow + 1]int16
}

// push appends a token and reports whether the text has come into a loop. It looks every few tokens, which costs some hundred steps for
// each.
func (l *loops) push(id int32) bool {
	l.ids[l.n%loopWindow] = id
	l.n++
	return l.n%loopStride == 0 && l.n >= loopTokens && l.look()
}

// look finds, for each end of the text, how much of it is also the end of what comes before its last tokens: the rest is the shortest
// period of that end. It is the failure function of Knuth, Morris and Pratt, of the text read backwards.
func (l *loops) look() bool {
	last := func(i int) int32 { return l.ids[(l.n-1-i)%loopWindow] }
	b := &l.borders
	b[0] = -1
	for i := range min(l.n, loopWindow) {
		k := b[i]
		for k >= 0 && last(int(k)) != last(i) {
			k = b[k]
		}
		b[i+1] = k + 1
		if n := i + 1; n >= loopTokens && n >= loopTimes*(n-int(k)-1) {
			return true
		}
	}
	return false
}
