// Package pause finds where a long sound may be cut, its pauses, by energy. Sounds are mono samples at 16 kHz. The same samples give the
// same cuts, in whatever pieces they come.
package pause

import "math"

// frame is the samples that one decision is about: 20 ms. Times below are in frames.
const frame = 320

const (
	shortest = 20  // a pause: 400 ms
	window   = 10  // over which the quietest moment is measured where there is no pause
	last     = 250 // how far back from the longest piece that moment is looked for: 5 s
	onset    = 3   // loud frames in a row that are speech, and no click
	lead     = 15  // how much silence before speech belongs to it: 300 ms
	silence  = 50  // what is worth being a segment of its own: 1 s
)

// A meter tells quiet frames from loud ones: quiet are those near the floor, the level of what is always there. The floor is at most the
// quietest level of late; it rises by 2 dB a second, so that a fan that starts is taken for silence after some seconds, and speech, which
// dips between words, never is.
type meter struct {
	floor float64 // in dB
}

const (
	beginning = -50.0 // dB: the floor before anything was heard
	deepest   = -75.0 // the floor of digital silence
	rise      = 2.0 / 50
	margin    = 10.0 // above the floor sound is loud
)

// quiet judges the next frame by its energy, the sum of its samples' squares.
func (m *meter) quiet(energy float64) bool {
	if !(energy < math.MaxFloat64) {
		energy = math.MaxFloat64 // not a number
	}
	level := 10 * math.Log10(energy/frame+1e-12)
	m.floor = max(deepest, min(level, m.floor+rise))
	return level < m.floor+margin
}

// energy adds the squares of samples to sum, one after the other.
func energy(sum float64, samples []float32) float64 {
	for _, x := range samples {
		sum += float64(x) * float64(x)
	}
	return sum
}

// quietest returns the frame of energies from begin to end in whose middle sound may be cut best where there is no pause: the middle of
// the window of least energy, the last one of equals.
func quietest(energies []float64, begin, end int) int {
	best, least := end, math.Inf(1)
	for f := begin; f <= end; f++ {
		sum := 0.0
		for _, e := range energies[max(0, f-window/2):min(len(energies), f+window/2)] {
			sum += e
		}
		if sum <= least {
			best, least = f, sum
		}
	}
	return best
}

// Split cuts samples into consecutive pieces of at most most samples, given as [begin, end): together they are all of it. It cuts in the
// middle of the last pause that still makes a piece of that length, or, where there is none in the last two thirds, at the quietest moment
// of the last five seconds. No piece of a sound that is cut is shorter than a second or, if that is less, a quarter of most, which is
// 16,000 or more. A sound of no samples has no pieces.
func Split(samples []float32, most int) (pieces [][2]int) {
	if len(samples) == 0 {
		return nil
	}
	s := NewSplitter(most)
	begin := 0
	for _, cut := range append(s.Push(samples), s.Close()...) {
		pieces = append(pieces, [2]int{begin, cut})
		begin = cut
	}
	return append(pieces, [2]int{begin, len(samples)})
}

// Spoken reports whether there is speech in samples: something louder than what is always there, and longer than a click.
func Spoken(samples []float32) bool {
	d := NewDetector(len(samples))
	for _, s := range append(d.Push(samples), d.Close()...) {
		if s.Spoken {
			return true
		}
	}
	return false
}

// pauseBefore returns the frame in the middle of the last pause between the frames earliest and latest, or -1. Of a pause that goes on
// after latest, the part before it counts.
func pauseBefore(quiet []bool, earliest, latest int) int {
	for end := latest; end >= earliest+shortest; end-- {
		begin := end
		for begin > earliest && quiet[begin-1] {
			begin--
		}
		if end-begin >= shortest {
			after := end
			for after < len(quiet) && quiet[after] {
				after++
			}
			return min((begin+after)/2, end)
		}
		end = min(end, begin+1)
	}
	return -1
}
