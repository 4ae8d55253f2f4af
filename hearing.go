package gemma4

import (
	"context"
	"encoding/binary"
	"fmt"
	"hash"
	"math"
	"time"

	"github.com/gogemma/gemma4/internal/pause"
	"github.com/gogemma/gemma4/model"
)

// SampleRate is how many samples a second a sound has.
const SampleRate = 16000

// longestSound is how many samples of a sound the models take in one piece: 30 s.
const longestSound = 30 * SampleRate

// timeOf returns how long so many samples sound.
func timeOf(samples int) time.Duration { return time.Duration(samples) * (time.Second / SampleRate) }

// sound is a piece of a sound, as a part of a text.
type sound struct {
	samples []float32
	ids     []uint64 // of its tokens
	s       *senses
}

// SoundInput returns a sound of up to 30 s as a part of a text, one channel of 16,000 samples a second from −1 to 1. Its embeddings are
// made when they are read, and only if neither the session nor its prefix cache has heard the same at this place. The samples must not be
// changed until then. The two markers that belong around it are tokens: <|audio> before it, <audio|> behind it.
//
// Too few samples for a token are an error, and so is a model that takes no sounds ([ErrSense]).
func (m *Model) SoundInput(samples []float32) (Input, error) {
	s, err := m.ears()
	if err != nil {
		return Input{}, fmt.Errorf("gemma4: a sound: %w", err)
	}
	if len(samples) > longestSound {
		return Input{}, fmt.Errorf("gemma4: a sound of %d samples, the models take %d, or 30 s, at a time", len(samples), longestSound)
	}
	x, err := s.sound(samples)
	if err != nil {
		return Input{}, wrap(err)
	}
	return x.input(), nil
}

// sounds returns a sound of any length in pieces of up to 30 s, cut at pauses.
func (s *senses) sounds(samples []float32) (pieces []*sound, err error) {
	if len(samples) <= longestSound {
		x, err := s.sound(samples)
		if err != nil {
			return nil, err
		}
		return []*sound{x}, nil
	}
	for _, span := range pause.Split(samples, longestSound) {
		if s.SoundTokens(span[1]-span[0]) == 0 { // what is left at the end, shorter than any sound of speech
			continue
		}
		x, err := s.sound(samples[span[0]:span[1]])
		if err != nil {
			return nil, err
		}
		pieces = append(pieces, x)
	}
	return pieces, nil
}

func (s *senses) sound(samples []float32) (*sound, error) {
	n := s.SoundTokens(len(samples))
	if n == 0 {
		return nil, fmt.Errorf("a sound of %d samples is too short: it has no token (a second has %d samples)", len(samples), SampleRate)
	}
	return &sound{samples, s.soundIDs(samples, n), s}, nil
}

// soundIDs returns those of the n tokens of a sound. Each is that of all samples up to the last that its token sees, so that the beginning
// of a longer sound is the same as far as it goes.
func (s *senses) soundIDs(samples []float32, n int) []uint64 {
	h := s.soundDigest()
	ids, done := make([]uint64, n), 0
	for i := range ids {
		need := s.SoundReach(i)
		if need > len(samples) { // it sees the end
			writeSamples(h, samples[done:])
			fmt.Fprint(h, "end")
			done = len(samples)
		} else {
			writeSamples(h, samples[done:need])
			done = need
		}
		ids[i] = identityOf(h)
	}
	return ids
}

func (s *senses) soundDigest() hash.Hash { return s.digest("sound") }

func writeSamples(h hash.Hash, samples []float32) {
	var b [4 * 256]byte
	for len(samples) > 0 {
		n := min(len(samples), len(b)/4)
		for i, x := range samples[:n] {
			binary.LittleEndian.PutUint32(b[4*i:], math.Float32bits(x))
		}
		h.Write(b[:4*n])
		samples = samples[n:]
	}
}

func (x *sound) input() Input {
	last := x.ids[len(x.ids)-1]
	return Input{IDs: x.ids, Later: &model.Later{Count: len(x.ids), Make: func(ctx context.Context) ([]float32, error) {
		return x.s.encode(ctx, last, &x.s.heard, func() ([]float32, error) { return x.s.hearing.Hear(ctx, x.samples) })
	}}}
}
