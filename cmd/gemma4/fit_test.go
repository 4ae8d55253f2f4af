package main

import (
	"bytes"
	"encoding/json"
	"io"
	"strings"
	"testing"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/cmd/gemma4/internal/cli"
	"github.com/gogemma/gemma4/internal/fit"
	"github.com/gogemma/gemma4/internal/synth"
	"github.com/gogemma/gemma4/nano"
)

var fits = command("fit")

// fitted returns what the command says as JSON.
func fitted(t *testing.T, args ...string) *fitReport {
	t.Helper()
	var r fitReport
	d := json.NewDecoder(strings.NewReader(fits.Good(t, "", append([]string{"-json"}, args...)...)))
	d.DisallowUnknownFields()
	if err := d.Decode(&r); err != nil {
		t.Fatal(err)
	}
	return &r
}

func TestFitTellsMemoryOfSizes(t *testing.T) {
	r := fitted(t, "-rates=false", "-memory", "2GB", "e2b:q4_0")
	if r.Machine.Available != 2e9 || r.Machine.Level != "" || len(r.Models) != 1 {
		t.Fatalf("%+v", r)
	}
	m := r.Models[0]
	if m.Model != "e2b:q4_0" || m.File < 33e8 || m.Weights > 15e8 || len(m.Needs) != 6 || m.Decode != 0 { // contexts of 4K, 32K and 128K
		t.Errorf("%+v", m)
	}
	for i, n := range m.Needs {
		want := fit.Fits
		if n.Context > 1<<16 {
			want = fit.TooBig
		}
		if n.Total != m.Weights+m.Working+n.Bytes || n.Fits != want && n.Cache == "f16" || i%3 > 0 && n.Bytes <= m.Needs[i-1].Bytes {
			t.Errorf("%+v", n)
		}
	}
	if l := m.Longest; len(l) != 2 || l[0].Cache != "f16" || l[0].Context < 32<<10 || l[1].Context <= l[0].Context {
		t.Errorf("%+v", l)
	}
	if r := fitted(t, "-rates=false", "12B"); len(r.Models) != len(fit.Mixes()) || r.Models[1].Model != "12b:q4_k_m" {
		t.Errorf("%d models of a size", len(r.Models))
	}
}

func TestFitShowsTables(t *testing.T) {
	out := fits.Good(t, "", "-rates=false", "-memory", "10GB")
	has(t, out, `10\.00 GB are available`, `model file weights buffers fits longest, f16 q8_0`,
		`e2b:q4_k_m 3\.40 GB 1\.47 GB 0\.15 GB yes 128K 128K`, `12b:q8_0 12\.65 GB 12\.65 GB 0\.20 GB no - -`,
		`keys and values cache 4K 32K 128K 256K`, `e2b f16 39\.3 MB 0\.22 GB 0\.82 GB`,
		`31b q8_0 0\.84 GB 1\.62 GB 4\.29 GB 7\.85 GB`)
	out = fits.Good(t, "", "-rates=false", "-memory", "10GB", "31b:q4_0")
	has(t, out, `31b:q4_0: 30\.7 billion parameters, Q4_0, Q6_K; a file of 17\.64 GB, weights 17\.64 GB, buffers 0\.28 GB`,
		`context cache keys and values in all fits`, `256K q8_0 7\.85 GB 25\.77 GB no`)
	for line := range strings.Lines(out) {
		if strings.TrimRight(line, " \n")+"\n" != line && line != "\n" {
			t.Errorf("%q ends with blanks", line)
		}
	}
}

func TestASharePastItsLimitIsNotTold(t *testing.T) {
	for of, want := range map[float64]string{0.25: " (25% of the read loop)", 1.02: "", 0: ""} {
		if got := shareOf(possible(of), "the read loop"); got != want {
			t.Errorf("%v: %q, want %q", of, got, want)
		}
	}
}

func TestFitForetellsRatesOfAFile(t *testing.T) {
	path := filepathOf(t, "tiny-moe:q4_k_m")
	r := fitted(t, "-threads", "1", path)
	if m := r.Models[0]; m.Model != path || !(m.Prompt > 0 && m.Decode > 0 && m.PromptPeak >= 0) || r.Machine.Threads != 1 ||
		!(r.Machine.ReadGBps > 0 && r.Machine.PeakTFLOPS > 0) || len(m.Needs) != 2 { // its context is 4096
		t.Errorf("%+v of %+v", m, r.Machine)
	} else {
		for _, n := range m.Needs {
			if !(n.Prompt > 0 && n.Decode > 0) {
				t.Errorf("%+v", n)
			}
		}
	}
	has(t, fits.Good(t, "", path), `context cache keys and values in all fits prompt decode`,
		`a prompt of 512 is read at \S+ tokens/s .*, an answer written at .*`)
}

// filepathOf writes a synthetic model.
func filepathOf(t *testing.T, spec string) string {
	t.Helper()
	c, err := synth.Parse(spec)
	if err != nil {
		t.Fatal(err)
	}
	path := t.TempDir() + "/model.gguf"
	if err := synth.WriteFile(t.Context(), path, c); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestFitRefusesWhatItDoesNotKnow(t *testing.T) {
	fits.Fails(t, 1, "sizes are e2b, e4b, 12b, 26b, 31b, with a format (q4_0, q4_k_m, q8_0, bf16) or without", "", "nobody/has:7b")
	fits.Fails(t, 1, `unknown mix "q1"`, "", "e2b:q1")
	fits.Fails(t, 2, "one model at a time", "", "e2b", "12b")
	fits.Fails(t, 2, "expected a number of bytes", "", "-memory", "much")
	fits.Fails(t, 1, "general.architecture: missing", "", write(t, nil))
}

func TestBenchSetsMeasurementsBesideWhatFitForetells(t *testing.T) {
	out := measure.Good(t, "", "-p", "16", "-n", "4", "-b", "1,2", "-r", "1", "-fit", "-md")
	has(t, out, `\| model .* \| tokens/s \| foretold \| p99 .*`, `\| nano .* prefill 16 .* \| \S+ \| \S+, [+-]\d+% \| - .*`,
		`\| nano .* decode 2 .* \| \S+ \| - \| - .*`)
	if strings.Contains(measure.Good(t, "", "-p", "16", "-n", "0", "-r", "1"), "foretold") {
		t.Error("something is foretold that nobody asked for")
	}
}

func TestSwappingIsSaidBeforeItHappens(t *testing.T) {
	m, err := nano.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	need, err := m.Memory(4096, gemma4.CacheF16)
	if err != nil {
		t.Fatal(err)
	}
	model := sum(modelDemands(need, m.Info()))
	all := model + need.Cache + need.History
	for name, x := range map[string]struct {
		room    fit.Room
		o       gemma4.SessionOptions
		context int
		want    []string // nothing is said if there is nothing
	}{
		"nothing is known": {fit.Room{}, gemma4.SessionOptions{}, 4096, nil},
		"it fits":          {fit.Room{Available: all}, gemma4.SessionOptions{}, 4096, nil},
		"a byte too much": {fit.Room{Available: all - 1}, gemma4.SessionOptions{}, 4096,
			[]string{"weights (3.", "keys and values of 4096 positions in f16", "will swap", "-ctx ", " fits, or -cache q8_0 fits"}},
		"the limit of a group":   {fit.Room{Total: 1 << 40, Limit: all - 1}, gemma4.SessionOptions{}, 4096, []string{"will swap"}},
		"no room for the model":  {fit.Room{Available: model - 1}, gemma4.SessionOptions{}, 4096, []string{"read from disk", "gemma4 fit"}},
		"a short one fits":       {fit.Room{Available: all - 1}, gemma4.SessionOptions{}, 1024, nil},
		"little memory is asked": {fit.Room{Available: all - 1}, gemma4.SessionOptions{Memory: 1 << 20}, 4096, nil},
		"in 8 bits already": {fit.Room{Available: model + 1<<20}, gemma4.SessionOptions{Cache: gemma4.CacheQ8}, 4096,
			[]string{": the machine will swap when they are full; -ctx "}},
	} {
		got, err := swapping(m, x.o, x.context, x.room)
		if err != nil || (got == "") != (x.want == nil) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
		for _, w := range x.want {
			if !strings.Contains(got, w) {
				t.Errorf("%s: %q lacks %q", name, got, w)
			}
		}
	}
}

func TestServeDividesWhatIsLeftBesideTheModel(t *testing.T) {
	m, err := nano.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	need, err := m.Memory(4096, gemma4.CacheF16)
	if err != nil {
		t.Fatal(err)
	}
	model := sum(modelDemands(need, m.Info()))
	for name, x := range map[string]struct {
		room   fit.Room
		given  int64 // by -memory
		memory int64
		want   string // said; empty: nothing
	}{
		"much":               {fit.Room{Available: 1 << 40}, 0, 8 * need.Cache, ""},
		"little":             {fit.Room{Available: model + 8<<20}, 0, 4 << 20, ""},
		"less":               {fit.Room{Available: model - 1<<20}, 0, (model - 1<<20) / 16, "gemma4 fit tells"},
		"given too much":     {fit.Room{Available: model + 8<<20}, 8 << 20, 8 << 20, "-memory 6MB -prefix-memory 1MB fit"},
		"given all there is": {fit.Room{Available: model + 10<<20}, 8 << 20, 8 << 20, ""},
	} {
		var errs bytes.Buffer
		v := &service{Program: cli.New("gemma4", serveCommand(), nil, io.Discard, &errs), m: m, prefixes: -1,
			session: &gemma4.SessionOptions{Memory: x.given}}
		v.options.Queue.Slots = 8
		if err := v.memory(x.room); err != nil || v.options.Queue.Memory != x.memory {
			t.Errorf("%s: %d bytes, expected %d; %v", name, v.options.Queue.Memory, x.memory, err)
		}
		if got := errs.String(); (got == "") != (x.want == "") || !strings.Contains(got, x.want) {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func TestRatesAreMeasuredWhereThereIsMemoryForThat(t *testing.T) {
	for available, measured := range map[int64]bool{0: true, measuring: true, 8 << 30: true, measuring - 1: false, 64 << 20: false} {
		if why := cannotMeasure(available); (why == "") != measured {
			t.Errorf("%d bytes: %q", available, why)
		}
	}
}

func TestExpertsThatMemoryDoesNotHoldAreTold(t *testing.T) {
	for memory, told := range map[string]bool{"8GB": true, "64GB": false} {
		out := fits.Good(t, "", "-memory", memory, "-rates=false", "26b:q4_0")
		if strings.Contains(out, "12.85 GB, of which a token goes through 0.80 GB") != told {
			t.Errorf("with %s the experts are told of: %v\n%s", memory, !told, out)
		}
	}
}
