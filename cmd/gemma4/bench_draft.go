package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/cmd/gemma4/internal/cli"
	"github.com/gogemma/gemma4/internal/synth"
	"github.com/gogemma/gemma4/nano"
	"github.com/gogemma/gemma4/sampler"
)

// mostSteps are the positions of the largest step whose cost is measured: the token at hand, and as many guesses as are made of themselves.
const mostSteps = 8

// draftPlan is what is measured of guesses ahead.
type draftPlan struct {
	source string    // what guesses: lookup, a file or a synthetic drafter; empty: nothing does
	accept []float64 // probabilities that a simulated guess is right
	edited int       // tokens of a file that is returned with changes
	asked  []string  // questions to answer
}

// draftFlags defines the flags of the plan, but for the file of questions, which it returns.
func (p *plan) draftFlags(flags *cli.Program) (questions *string) {
	flags.Group("tests of guesses ahead")
	flags.StringVar(&p.source, "draft", "",
		"what guesses: lookup, or the GGUF `file` of a drafter, or a synthetic one such as e2b-draft:q4_0, or nano, the embedded one")
	flags.Values("draft", cli.Values{List: drafters(), Files: "*.gguf"})
	const accept = "`probabilities` that a guess is right, separated by commas: guesses are simulated, at the cost of the drafter if any"
	flags.Func("accept", accept, func(text string) error {
		p.accept = nil
		for word := range strings.SplitSeq(text, ",") {
			x, err := strconv.ParseFloat(strings.TrimSpace(word), 64)
			if err != nil || !(x > 0 && x <= 1) {
				return errors.New("expected numbers above 0, up to 1, separated by commas")
			}
			p.accept = append(p.accept, x)
		}
		p.source = cmp.Or(p.source, lookupSource)
		return nil
	})
	flags.Func("edit", "`tokens` of a file that is returned with three changes", func(text string) (err error) {
		if p.edited, err = strconv.Atoi(text); err != nil || p.edited < 100 {
			return errors.New("expected a number of at least 100")
		}
		p.source = cmp.Or(p.source, lookupSource)
		return nil
	})
	questions = new(string)
	flags.FileVar(questions, "ask", "`file` of questions, one a line, to answer with guesses and without (default: -n tokens of any text)")
	return questions
}

// drafters returns what completion offers: lookup, and the usual synthetic drafters.
func drafters() []string {
	list := []string{lookupSource, "nano"}
	for _, drafter := range synth.Drafters() {
		list = append(list, drafter+":q4_0", drafter+":q8_0")
	}
	return list
}

// readQuestions reads the questions of a file, if it is named.
func (p *plan) readQuestions(file string) error {
	if file == "" {
		return nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); line != "" {
			p.asked = append(p.asked, line)
		}
	}
	if len(p.asked) == 0 {
		return fmt.Errorf("%s: no questions: one is expected in each line", file)
	}
	return nil
}

// findDrafter has models opened with the drafter of the plan, which is written first if it is a synthetic one that is not there.
func (p *plan) findDrafter(ctx context.Context, stderr io.Writer) error {
	switch p.source {
	case "", lookupSource:
		return nil
	case "nano":
		p.loader.Drafter.Bytes = nano.Drafter()
		return nil
	}
	p.loader.Drafter.Path = p.source
	if _, err := synth.ParseShape(p.source, 0); err != nil {
		return nil
	}
	path, err := synthetic(ctx, p.source, stderr)
	p.loader.Drafter.Path = path
	return err
}

// draftRows returns the tests of the plan.
func (p *plan) draftRows(s *source) (rows []row) {
	if p.source == "" {
		return nil
	}
	add := func(r row) {
		r.Test, r.Source, r.Tokens = "draft", filepath.Base(p.source), p.written
		rows = append(rows, r)
	}
	for _, share := range p.accept {
		add(row{Accept: share})
	}
	if p.edited > 0 {
		add(row{Edited: p.edited})
	}
	if len(rows) == 0 {
		add(row{})
	}
	return rows
}

// trial is what is generated with guesses and without.
type trial struct {
	*bench
	begun   *gemma4.Session // holds the prompt, but for its last token; nil: questions are asked
	last    int32
	begin   int // positions of the prompt
	options gemma4.GenerateOptions
}

// measureDrafts fills the row with the medians of the repetitions: of pairs of a generation with guesses and one without, in turn.
func (b *bench) measureDrafts(r *row) error {
	t, err := b.newTrial(r)
	if err != nil {
		return err
	}
	defer t.close()
	truth, _, err := t.run(gemma4.Draft{Off: true}) // pages and buffers come in
	if err != nil {
		return err
	}
	if len(truth) < 2 {
		return errors.New("nothing to guess: a single token is written")
	}
	var speed, plain, ratio, share, bandwidth []float64
	var steps [mostSteps][]float64
	var all gemma4.Result
	passes := int64(0)
	for i := range b.plan.repetitions + 1 {
		roof, err := b.m.Roofline()
		if err != nil {
			return err
		}
		var ahead, alone gemma4.Result
		var took int64
		for j := range 2 {
			guesses := (i+j)%2 == 1
			d := gemma4.Draft{Off: true}
			if guesses {
				d = r.draft(t.begin, truth, uint64(i))
			}
			before := b.m.Stats().Decode.Passes
			ids, result, err := t.run(d)
			if err != nil {
				return err
			}
			if !slices.Equal(ids, truth) {
				return fmt.Errorf("run %d, guesses %v: the text is another one", i, guesses)
			}
			if guesses {
				ahead, took = result, b.m.Stats().Decode.Passes-before
			} else {
				alone = result
			}
		}
		if i == 0 {
			continue // what steps cost, and how guesses fare, is learned
		}
		for n := range steps {
			seconds, err := t.step(n + 1)
			if err != nil {
				return err
			}
			steps[n] = append(steps[n], seconds)
		}
		v, w := ahead.GenerateSpeed(), alone.GenerateSpeed()
		speed, plain, ratio = append(speed, v), append(plain, w), append(ratio, v/w)
		bytes, err := b.m.WriteBytes(1, r.Depth+len(truth)/2, b.plan.cache)
		if err != nil {
			return err
		}
		r.BytesPerToken = float64(bytes)
		bandwidth, share = append(bandwidth, roof.ReadBytes), append(share, w*float64(bytes)/roof.ReadBytes)
		passes += took
		all.Generated += ahead.Generated
		for _, d := range ahead.Drafts {
			r.Drafted, r.Accepted = r.Drafted+d.Drafted, r.Accepted+d.Accepted
			r.DraftSeconds += d.Duration.Seconds()
		}
	}
	r.TokensPerSecond, r.PlainPerSecond, r.Ratio = median(speed), median(plain), median(ratio)
	r.Spread = (slices.Max(ratio) - slices.Min(ratio)) / r.Ratio
	r.ReadGBps, r.RooflineGBps, r.ReadShare = r.PlainPerSecond*r.BytesPerToken/1e9, median(bandwidth)/1e9, possible(median(share))
	r.PerPass = float64(all.Generated) / float64(max(1, passes))
	for n := range steps {
		r.StepSeconds = append(r.StepSeconds, median(steps[n]))
	}
	r.Predicted = r.predict()
	r.PeakRSSBytes = peakRSS()
	return nil
}

// predict returns how many times as fast guesses that are right with the row's probability should be: with the best length for what steps
// cost, and what a token costs beside its step, as the generations without guesses tell. It is 0 where that probability is not known.
func (r *row) predict() float64 {
	if r.Accept == 0 {
		return 0
	}
	plain, guess := 1/r.PlainPerSecond, 0.0
	if r.Drafted > 0 {
		guess = r.DraftSeconds / float64(r.Drafted)
	}
	beside := max(0, plain-r.StepSeconds[0])
	best := 1.0
	for n := 1; n < mostSteps; n++ {
		tokens := float64(n + 1) // of a pass, if all are right
		if r.Accept < 1 {
			tokens = (1 - math.Pow(r.Accept, float64(n+1))) / (1 - r.Accept)
		}
		best = max(best, tokens*plain/(r.StepSeconds[n]+tokens*beside+float64(n)*guess))
	}
	return best
}

// newTrial returns what a row's test is about.
func (b *bench) newTrial(r *row) (*trial, error) {
	t := &trial{bench: b}
	t.options = gemma4.GenerateOptions{MaxTokens: b.plan.written, Sampling: sampler.Overrides{Temperature: new(0.0)}}
	if len(b.plan.asked) > 0 && r.Accept == 0 && r.Edited == 0 {
		return t, nil
	}
	t.options.Sampling.Suppress = b.m.Tokenizer().Ends()
	prompt := b.ids[:20]
	if r.Edited > 0 {
		file, edited := edit(r.Edited, b.m.Tokenizer().Encode)
		prompt = append(slices.Clone(prompt), file...)
		t.options.MaxTokens = len(edited)
		t.options.Process = func(generated []int32, logits []float32) { logits[edited[len(generated)]] = math.MaxFloat32 }
	}
	if need := r.Depth + len(prompt) + t.options.MaxTokens + mostSteps; need > b.s.Context() {
		return nil, &gemma4.ContextError{Need: need, Limit: b.s.Context()}
	}
	s, err := b.m.NewSession(gemma4.SessionOptions{Cache: b.plan.cache, Context: b.s.Context()})
	if err != nil {
		return nil, err
	}
	t.begun, t.last, t.begin = s, prompt[len(prompt)-1], r.Depth+len(prompt)
	if err = b.fill(s, r.Depth); err == nil {
		err = s.Read(b.ctx, gemma4.Input{Tokens: prompt[:len(prompt)-1]})
	}
	if err != nil {
		s.Close()
	}
	return t, err
}

func (t *trial) close() {
	if t.begun != nil {
		t.begun.Close()
	}
}

// run generates once, and returns what, and how it went.
func (t *trial) run(d gemma4.Draft) (ids []int32, all gemma4.Result, err error) {
	o := t.options
	o.Draft = d
	if t.begun != nil {
		s, err := t.begun.Fork() // which has looked up nothing of what was generated before
		if err != nil {
			return nil, all, err
		}
		defer s.Close()
		for tok, err := range s.Generate(t.ctx, []gemma4.Input{{Tokens: []int32{t.last}}}, o) {
			if err != nil {
				return nil, all, err
			}
			if tok.ID >= 0 {
				ids = append(ids, tok.ID)
			}
		}
		return ids, s.Result(), nil
	}
	c, err := t.m.NewChat(gemma4.ChatOptions{SessionOptions: gemma4.SessionOptions{Cache: t.plan.cache}, GenerateOptions: o})
	if err != nil {
		return nil, all, err
	}
	defer c.Close()
	for _, question := range t.plan.asked {
		c.Messages = nil
		for tok, err := range c.Ask(t.ctx, question) {
			if err != nil {
				return nil, all, err
			}
			if tok.ID >= 0 {
				ids = append(ids, tok.ID)
			}
		}
		r := c.Result()
		all.Generated += r.Generated
		all.GenerateTime += r.GenerateTime
		all.Drafts = append(all.Drafts, r.Drafts...)
	}
	return ids, all, nil
}

// step returns the seconds of a step of n positions behind the prompt, the median of five.
func (t *trial) step(n int) (float64, error) {
	s, err := t.bench.s, error(nil)
	if t.begun != nil {
		if s, err = t.begun.Fork(); err != nil {
			return 0, err
		}
		defer s.Close()
	} else if err := t.fill(s, 40); err != nil {
		return 0, err
	}
	var all []float64
	for range 5 {
		if _, err := s.Write(t.ctx, t.ids[:1]...); err != nil { // what was read for another step is gone from the caches
			return 0, err
		}
		c := startWatch()
		if _, err := s.Write(t.ctx, t.ids[:n]...); err != nil {
			return 0, err
		}
		all = append(all, c.stop().seconds)
		if _, err := s.Rewind(s.Len() - n - 1); err != nil {
			return 0, err
		}
	}
	return median(all), nil
}

// draft returns what guesses in a row's test, where the text has the truth from position begin on. Simulated guesses are right with the
// row's probability, each by itself: they take the place of a drafter's, or cost nothing.
func (r *row) draft(begin int, truth []int32, seed uint64) gemma4.Draft {
	lookup := r.Source == lookupSource
	switch {
	case r.Accept == 0 && lookup:
		return gemma4.Draft{Alone: true}
	case r.Edited > 0:
		return gemma4.Draft{}
	case r.Accept == 0:
		return gemma4.Draft{Match: -1}
	}
	random := rand.New(rand.NewPCG(seed, 1))
	replace := func(position int, guessed []int32) {
		for i := range guessed {
			guessed[i] = truth[min(position+i-begin, len(truth)-1)]
			if random.Float64() >= r.Accept {
				guessed[i] ^= 1
			}
		}
	}
	if !lookup {
		return gemma4.Draft{Match: -1, Process: replace}
	}
	return gemma4.Draft{Match: -1, Alone: true, Guess: func(text []int32, n int) []int32 {
		guess := make([]int32, n)
		replace(len(text), guess)
		return guess
	}}
}

// lookupSource is what -draft calls lookup.
const lookupSource = "lookup"

// edit returns the tokens of a file of about n, and of the same with three changes: a line that is another, one that is new, and one that
// is gone.
func edit(n int, encode func(text string, markup bool) []int32) (file, edited []int32) {
	var lines []string
	random := rand.New(rand.NewPCG(7, 8))
	names := strings.Fields("count total first last index width height offset limit length start end left right value result")
	name := func() string { return names[random.IntN(len(names))] }
	for tokens := 0; tokens < n; {
		x := name()
		line := [...]string{
			fmt.Sprintf("func %s%d(%s, %s int) (%s int) {", name(), len(lines), name(), name(), x),
			fmt.Sprintf("\t%s := %s + %d*%s", x, name(), random.IntN(100), name()),
			fmt.Sprintf("\tif %s > %s {\n\t\treturn %s - %d\n\t}", x, name(), name(), random.IntN(10)),
			fmt.Sprintf("\treturn %s\n}\n", x),
		}[len(lines)%4]
		lines = append(lines, line)
		tokens += len(encode(line+"\n", false))
	}
	file = encode(strings.Join(lines, "\n")+"\n", false)
	changed := slices.Clone(lines)
	q := len(changed) / 4
	changed[q] = "\t// what stood here is another line now"
	changed = slices.Insert(changed, 2*q, "\tlog.Println(\"here\")")
	changed = slices.Delete(changed, 3*q, 3*q+1)
	return file, encode(strings.Join(changed, "\n")+"\n", false)
}

// share returns the part of the guesses that were right, 0 if there were none.
func (r *row) share() float64 { return float64(r.Accepted) / float64(cmp.Or(r.Drafted, 1)) }
