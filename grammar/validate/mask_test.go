//go:build linux

package validate

import (
	"flag"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gogemma/gemma4/grammar"
)

var large = flag.String("large", "", "the `FILE` with the vocabulary that masks are timed for")

// now returns the time that this thread has had of its processor: others may be busy on the machine.
func now() time.Duration {
	var t unix.Timespec
	unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t)
	return time.Duration(t.Nano())
}

// TestMaskTimes times the masks of texts that were made with the small vocabulary, read in the tokens of the large one.
func TestMaskTimes(t *testing.T) {
	if *store == "" || *large == "" {
		t.Skip("-schemastore and -large name no files")
	}
	runtime.LockOSThread()
	small := vocabulary(t)
	*vocab = *large
	v := vocabulary(t)
	r := rand.New(rand.NewPCG(1, 2))
	var masks, firsts []time.Duration
	var slow []string
	filepath.WalkDir(*store, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".json") || !strings.Contains(path, "schemas") {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		start := now()
		g, err := grammar.Schema(v, text, grammar.SchemaOptions{})
		if err != nil {
			return nil
		}
		g.Start().Mask()
		firsts = append(firsts, now()-start)
		h, err := grammar.Schema(small, text, grammar.SchemaOptions{})
		if err != nil {
			return nil
		}
		for range *count {
			text, _ := generate(h, r, 60)
			s := g.Start()
			for _, id := range v.Tokenizer().EncodeLiteral(text, nil) {
				start := now()
				s.Mask()
				took := now() - start
				if masks = append(masks, took); took > 3*time.Millisecond && len(slow) < 30 {
					slow = append(slow, filepath.Base(path)+" before "+v.Tokenizer().Text(id)+" "+took.String())
				}
				var ok bool
				if s, ok = s.Accept(id); !ok {
					t.Errorf("%s: %.200s: token %q refused", path, text, v.Tokenizer().Text(id))
					break
				}
			}
		}
		return nil
	})
	for name, list := range map[string][]time.Duration{"masks": masks, "schema and first mask": firsts} {
		slices.Sort(list)
		var sum time.Duration
		for _, d := range list {
			sum += d
		}
		at := func(p float64) time.Duration { return list[int(p*float64(len(list)-1))] }
		t.Logf("%s: %d, mean %v, p50 %v, p90 %v, p99 %v, p99.9 %v, max %v", name, len(list),
			sum/time.Duration(len(list)), at(.5), at(.9), at(.99), at(.999), at(1))
	}
	t.Log("slow:\n", strings.Join(slow, "\n"))
}
