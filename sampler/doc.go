// Package sampler picks the next id from the logits of a position.
//
//	s, err := sampler.New(len(logits), sampler.Default())
//	...
//	id, err := s.Sample(logits, len(text)) // pick the next id
//	s.Accept(id)                           // and remember it, for the penalties
//
// # The chain
//
// A [Sampler] takes logits through these steps, always in this order. A step whose option is zero does nothing.
//
//	1 penalties     lower the logits of ids among the last PenaltyWindow accepted ones
//	2 bias          add a number to the logits of chosen ids; then whatever Sampler.Process does
//	3 suppress      some ids can never be picked, and of the others only those that a mask allows
//	4 top-k         keep the TopK highest logits
//	5 typical       keep the ids whose surprise is closest to the expected one, until their share is Typical
//	6 top-p         keep the most likely ids, until their share is TopP
//	7 min-p         keep the ids at least MinP times as likely as the most likely one
//	8 temperature   divide the logits that are left by Temperature
//	9 draw          one id, each with its probability, by a race
//
// The order of the filters and the place of the temperature after them are those of llama.cpp's default chain, so that settings carry over.
// Shares are taken of what the steps before have left, at temperature 1: a high temperature chooses more evenly among the survivors, it
// does not let more ids survive. (Elsewhere the temperature often comes first; at Gemma's own temperature of 1 there is no difference.)
//
// Temperature 0, the zero value, is greedy: after steps 1 to 3 the highest logit wins, and steps 4 to 9 are skipped.
// The formulas:
//
//	repetition   l > 0: l / RepeatPenalty, else l · RepeatPenalty                  (Keskar et al. 2019, CTRL)
//	frequency    l − FrequencyPenalty · (how often the id occurs in the window)    (OpenAI's API)
//	presence     l − PresencePenalty                                               (OpenAI's API)
//	typical      by |−log p − entropy|, smallest first                             (Meister et al. 2022)
//	top-p        by p, greatest first                                              (Holtzman et al. 2019)
//	min-p        p ≥ MinP · greatest p                                             (Nguyen et al. 2024)
//
// Where two ids tie, the lower one comes first, in every step.
//
// # Odd logits
//
// A logit of −Inf means "never". Who allows only some ids, such as a grammar's, need not write it: [Sampler.SampleBits] takes a mask beside
// all logits, [Sampler.SampleIDs] the logits of those ids alone.
// NaN and +Inf are the mark of a broken computation: Sample returns an error that names the id. When every id is
// masked or suppressed it returns [ErrNoCandidate].
//
// # The race
//
// The draw is an exponential race, also known as the Gumbel-max trick: of the ids that are left the one with the highest score wins,
//
//	score  =  (logit − highest logit left) / Temperature  −  log(−log u)
//
// of equal scores the lowest id. Each id wins with its probability. u is a hash of the seed, the position in the text and the id, so that
// who beats whom does not depend on how many draws came before, or on who else takes part:
//
//	u    =  (⌊n / 2¹²⌋ + ½) / 2⁵²
//	n    =  mix(base + γ·(id + 1))                              γ = 0x9e3779b97f4a7c15, all modulo 2⁶⁴
//	base =  mix(mix(Seed) + γ·position)
//	mix  :  z ^= z >> 30; z *= 0xbf58476d1ce4e5b9; z ^= z >> 27; z *= 0x94d049bb133111eb; z ^= z >> 31
//
// So the text of a seed is a function of the logits alone: whoever draws at a position, whether continuing from a fork or a restored text,
// checking several positions in one pass or working in a batch, draws the same id from the same logits. A drafter that races with the same
// seed and position, on logits that are nearly the model's, nearly always draws what the model will draw. Taking its id where that is the
// model's own draw, and the model's draw where it is not, is exact: the text is the one that the model alone would have written.
//
// # Determinism
//
// The same options, logits, positions and accepted ids give the same ids on every architecture: exponentials and logarithms are computed
// here in float64 without fused multiply-add; sums run in a fixed order.
//
// # Probabilities
//
// [Sampler.Distribution] and [Sampler.Probability] report what the last draw chose among. [LogProbs] reads the model's own
// log-probabilities off the logits as they are, untouched by any option, as an API reports them.
package sampler
