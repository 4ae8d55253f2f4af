package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gogemma/gemma4/internal/machine"
	"github.com/gogemma/gemma4/internal/synth"
)

var measure = command("bench")

func TestBenchPrintsRows(t *testing.T) {
	var out, errs bytes.Buffer
	if status := measure([]string{"-json", "-p", "16", "-n", "4", "-d", "0,8", "-b", "1,2", "-r", "2"}, nil, &out, &errs); status != 0 {
		t.Fatalf("status %d: %s", status, errs.String())
	}
	var rows []row
	d := json.NewDecoder(&out)
	d.DisallowUnknownFields()
	if err := d.Decode(&rows); err != nil {
		t.Fatal(err)
	}
	if len(rows) != 6 {
		t.Fatalf("%d rows, want prefill and decode by 1 and 2 at two depths", len(rows))
	}
	for i, r := range rows {
		want := []string{"prefill", "decode", "decode"}[i%3]
		if r.Test != want || r.Depth != i/3*8 || r.Model != "nano" || r.Level == "" || r.Threads < 1 {
			t.Errorf("row %d is %+v", i, r)
		}
		if !(r.TokensPerSecond > 0 && r.FlopsPerToken > 0 && r.TFLOPS > 0 && r.PeakTFLOPS > 0 && r.MultiplyShare > 0 &&
			r.LoadSeconds > 0 && r.FirstTokenSeconds > 0) {
			t.Errorf("row %d lacks a figure: %+v", i, r)
		}
		if written := r.Test == "decode"; written != (r.BytesPerToken > 0 && r.ReadGBps > 0) || r.ReadShare > 1 {
			t.Errorf("row %d: bytes read %+v", i, r)
		}
	}
	if a, b := rows[1], rows[2]; b.BytesPerToken >= a.BytesPerToken {
		t.Errorf("two tokens a step read %g bytes each, one %g", b.BytesPerToken, a.BytesPerToken)
	}
}

func TestBenchPrintsTables(t *testing.T) {
	for flag, begin := range map[string]string{"-md": "| model", "-exact": "model"} {
		var out, errs bytes.Buffer
		if status := measure([]string{flag, "-p", "8", "-n", "0", "-r", "1"}, nil, &out, &errs); status != 0 {
			t.Fatalf("%s: status %d: %s", flag, status, errs.String())
		}
		if s := out.String(); !strings.HasPrefix(s, begin) || !strings.Contains(s, "prefill 8") || !strings.Contains(s, "%") {
			t.Errorf("%s prints %q", flag, s)
		}
	}
}

func TestBenchShowsNoShareAboveTheReadLoop(t *testing.T) {
	for _, test := range []struct {
		rate, share float64
		cell, field string
	}{
		{3.81, 0.5, "3.81 of 7.62, 50%", `"read_share": 0.5`},
		{7.62, 1, "7.62 of 7.62, 100%", `"read_share": 1`},
		{16.9, 2.22, "16.9 of 7.62, -", ""},
	} {
		rows := []row{{Test: "decode", ReadGBps: test.rate, RooflineGBps: 7.62, ReadShare: possible(test.share)}}
		var table, md, list bytes.Buffer
		if err := errors.Join(printTables(&table, rows, "", "  ", ""), printTables(&md, rows, "| ", " | ", " |"),
			printJSON(&list, rows)); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(table.String(), test.cell+"  ") || !strings.Contains(md.String(), "| "+test.cell) {
			t.Errorf("want %s:\n%s%s", test.cell, &table, &md)
		}
		if s := list.String(); !strings.Contains(s, test.field) || strings.Contains(s, "read_share") != (test.field != "") {
			t.Errorf("want %s:\n%s", test.field, s)
		}
	}
}

func TestBenchTellsTokensPerJoule(t *testing.T) {
	calls := 0
	p := plan{prompt: 16, written: 4, depths: []int{0}, steps: []int{1, 2}, repetitions: 3, joules: func() (float64, error) {
		calls++ // at a test's beginning and end, between which half a joule is taken, and a hundred before the next
		return 0.5*float64(calls) + 100*float64((calls-1)/2), nil
	}}
	s := source{name: "nano"}
	rows, err := s.measure(t.Context(), &p)
	if err != nil || len(rows) != 3 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	for i, want := range []float64{16 / 0.5, 4 / 0.5, 4 / 0.5} {
		if r := rows[i]; r.TokensPerJoule != want || !(r.Watts > 0) {
			t.Errorf("%s: %g tokens per joule at %g W, want %g", r.Test, r.TokensPerJoule, r.Watts, want)
		}
	}
	rows = append(rows, row{Test: "streams", TokensPerSecond: 1})
	var table, list bytes.Buffer
	if err := errors.Join(printTables(&table, rows, "| ", " | ", " |", power), printJSON(&list, rows)); err != nil {
		t.Fatal(err)
	}
	has(t, table.String(), `\| model .* \| tokens/s \| tokens/J \| p99 .*`, `.* prefill 16 .* \| 32 at \S+ W \| .*`,
		`.* decode 2 .* \| 8 at \S+ W \| .*`, `.* streams .* \| 1\.00 \| - \| .*`)
	if s := list.String(); strings.Count(s, `"tokens_per_joule": `) != 3 || strings.Count(s, `"watts": `) != 3 {
		t.Error(s)
	}

	failure := errors.New("the counter is gone")
	p.joules = func() (float64, error) { return 0, failure }
	if _, err := s.measure(t.Context(), &p); !errors.Is(err, failure) {
		t.Errorf("%v, want %v", err, failure)
	}
}

func TestBenchSaysWhyNoJoulesAreKnown(t *testing.T) {
	var out, errs bytes.Buffer
	if status := measure(strings.Fields("-power -p 8 -n 4 -r 1"), nil, &out, &errs); status != 0 {
		t.Fatalf("status %d: %s", status, errs.String())
	}
	if !strings.Contains(out.String(), "  tokens/J") {
		t.Errorf("no column of tokens per joule:\n%s", &out)
	}
	if _, err := machine.OpenEnergy(); err != nil && errs.String() != "gemma4 bench: no tokens per joule: "+err.Error()+"\n" {
		t.Errorf("%v: standard error says %q", err, errs.String())
	}
}

func TestBenchRefusesWrongFlags(t *testing.T) {
	for _, args := range [][]string{{"-d", "x"}, {"-b", "0"}, {"-r", "0"}, {"-p", "-1"}, {"-synth", "e9b:q4_0"}, {"-synth", "e2b:q9"},
		{"file"}, {"-md", "-json"}, {"-synth", "e9b-mmproj:q8_0"}, {"-image", "100"}, {"-sound", "-1"}, {"-video", "x"},
		{"-accept", "0"}, {"-accept", "1.5"}, {"-accept", "x"}, {"-edit", "10"}, {"-ask", ""}} {
		var out, errs bytes.Buffer
		if status := measure(args, nil, &out, &errs); status != 2 || errs.Len() == 0 {
			t.Errorf("%v: status %d, %q", args, status, errs.String())
		}
	}
	for flags, want := range map[string]string{
		"-m missing.gguf":       "missing.gguf",
		"-p 0 -n 0":             "nothing to measure",
		"-p 99999":              "needs 99999 positions, the context holds 4096",
		"-p 8 -n 64 -d 0,4090":  "needs 4154 positions",
		"-p 8 -n 4097 -b 4,512": "needs 4608 positions",
	} {
		measure.Fails(t, 1, want, "", strings.Fields(flags)...)
	}
}

func TestBenchMeasuresStreams(t *testing.T) {
	var out, errs bytes.Buffer
	args := []string{"-json", "-p", "0", "-n", "8", "-streams", "1,3", "-arriving", "200", "-r", "2"}
	if status := measure(args, nil, &out, &errs); status != 0 {
		t.Fatalf("status %d: %s", status, errs.String())
	}
	var rows []row
	if err := json.Unmarshal(out.Bytes(), &rows); err != nil || len(rows) != 5 {
		t.Fatalf("%d rows, want decode and two for each number of streams: %v", len(rows), err)
	}
	for i, r := range rows[1:] {
		if want := []int{1, 1, 3, 3}[i]; r.Test != "streams" || r.Tokens != want || !(r.TokensPerSecond > 0 && r.BetweenP99Seconds > 0) {
			t.Errorf("row %d is %+v", i, r)
		}
		if arrives := i%2 == 1; arrives != (r.Arriving == 200) || arrives != (r.ArrivingPerSecond > 0) {
			t.Errorf("row %d, a prompt that arrives: %+v", i, r)
		}
	}
	out.Reset()
	if err := printTables(&out, rows, "", "  ", ""); err != nil || !strings.Contains(out.String(), "streams 3, prompt 200") ||
		!strings.Contains(out.String(), " ms ") {
		t.Errorf("%v\n%s", err, &out)
	}
}

// projectorFile writes a projector of random weights.
func projectorFile(t *testing.T, spec string) string {
	t.Helper()
	p, err := synth.ParseProjector(spec)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "mmproj.gguf")
	if err := synth.WriteFile(t.Context(), path, p); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestBenchMeasuresPicturesAndSounds(t *testing.T) {
	path := projectorFile(t, "micro-e-mmproj:q8_0")
	args := []string{"-m", path, "-image", "70", "-video", "2", "-sound", "1", "-r", "2"}
	// In a process of its own no other test lets go of memory while it is measured what an encoding holds.
	shown, err := gemma4Process(t, append([]string{"bench", "-json"}, args...)...).Output()
	if err != nil {
		t.Fatal(err)
	}
	var rows []row
	d := json.NewDecoder(bytes.NewReader(shown))
	d.DisallowUnknownFields()
	if err := d.Decode(&rows); err != nil || len(rows) != 4 {
		t.Fatalf("%d rows, want a picture, a video, a sound and speech: %v", len(rows), err)
	}
	for i, want := range []row{{Test: "picture", Tokens: 70}, {Test: "video", Tokens: 140, Frames: 2}, {Test: "sound", Tokens: 25},
		{Test: "speech", Tokens: 25}} {
		r := rows[i]
		if r.Test != want.Test || r.Tokens != want.Tokens || r.Frames != want.Frames || r.Model != "mmproj.gguf" {
			t.Errorf("row %d is %+v", i, r)
		}
		if !(r.Seconds > 0 && r.TFLOPS > 0 && r.FlopsPerToken > 0 && r.ScratchBytes > 0 && r.HeldBytes > 0 && r.LoadSeconds > 0) {
			t.Errorf("row %d lacks a figure: %+v", i, r)
		}
		if r.Level == "portable" {
			continue
		}
		kinds := map[string]bool{}
		for _, p := range r.Parts {
			kinds[p.Kind] = true
			if p.TimeShare < 0 || p.Kind == "products" && !(p.TimeShare > 0 && p.PeakTFLOPS > 0 && p.MultiplyShare > 0) {
				t.Errorf("row %d: %+v", i, p)
			}
		}
		if attends := i < 2; !kinds["products"] || kinds["attention"] != attends {
			t.Errorf("row %d has the parts %v", i, kinds)
		}
	}
	var out, errs bytes.Buffer
	if status := measure(append(args, "-md"), nil, &out, &errs); status != 0 {
		t.Fatalf("status %d: %s", status, errs.String())
	}
	for _, want := range []string{"| model ", "picture of 70 tokens", "video of 2 frames, 140 tokens", "sound of 1 s, 25 tokens",
		"speech of 1 s, 25 tokens"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, &out)
		}
	}
}

func TestBenchMeasuresHowSpeechIsAnswered(t *testing.T) {
	c, err := synth.Parse("micro-e:q8_0")
	if err != nil {
		t.Fatal(err)
	}
	text := filepath.Join(t.TempDir(), "text.gguf")
	if err := synth.WriteFile(t.Context(), text, c); err != nil {
		t.Fatal(err)
	}
	args := strings.Fields("-p 0 -n 0 -image 0 -sound 0 -r 1 -m")
	args = append(args, text, "-m", projectorFile(t, "micro-e-mmproj:f16"))
	var out, errs bytes.Buffer
	if status := measure(append(args, "-spoken", "3"), nil, &out, &errs); status != 0 {
		t.Fatalf("status %d: %s", status, errs.String())
	}
	for _, want := range []string{"first word after 3 s of speech  ", "2 of 3 s of speech with a caption"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, &out)
		}
	}
	measure.Fails(t, 1, "nothing to measure", "", args...)
	measure.Fails(t, 1, "needs", "", append(args, "-spoken", "60")...)
	measure.Fails(t, 2, "-spoken needs a projector", "", "-spoken", "3")
}

func TestBenchMeasuresWhatAProjectorTakes(t *testing.T) {
	var out, errs bytes.Buffer
	args := []string{"-m", projectorFile(t, "micro-moe-mmproj:f16"), "-image", "0", "-video", "1", "-r", "1", "-exact"}
	if status := measure(args, nil, &out, &errs); status != 0 {
		t.Fatalf("status %d: %s", status, errs.String())
	}
	if s := out.String(); !strings.Contains(s, "video of 1 frames") || strings.Contains(s, "picture") || strings.Contains(s, "sound of") {
		t.Errorf("a projector of pictures alone: %s", s)
	}
}

func TestBenchMeasuresGuessesAhead(t *testing.T) {
	f := files(t, map[string]string{"questions.txt": "What is 2 + 3?\n\nWhat is the capital of Peru?\n"})
	var rows []row
	for _, args := range []string{"-accept 0.5,1 -edit 200", "-draft lookup", "-draft lookup -ask questions.txt"} {
		var out, errs bytes.Buffer
		if status := measure(append(words(args, f), "-json", "-p", "0", "-n", "24", "-r", "1"), nil, &out, &errs); status != 0 {
			t.Fatalf("%s: status %d: %s", args, status, errs.String())
		}
		var found []row
		if err := json.Unmarshal(out.Bytes(), &found); err != nil {
			t.Fatal(err)
		}
		rows = append(rows, found[1:]...)
	}
	if len(rows) != 5 {
		t.Fatalf("%d rows", len(rows))
	}
	for i, r := range rows {
		if r.Test != "draft" || r.Source != "lookup" || r.Accept != []float64{.5, 1, 0, 0, 0}[i] || r.Edited != []int{0, 0, 200, 0, 0}[i] {
			t.Errorf("row %d is %+v", i, r)
		}
		if !(r.PlainPerSecond > 0 && r.TokensPerSecond > 0 && r.Ratio > 0 && r.PerPass >= 0.9) || len(r.StepSeconds) != mostSteps ||
			(r.Predicted > 0) != (r.Accept > 0) || r.Accepted > r.Drafted || r.Accept == 1 && r.Accepted != r.Drafted {
			t.Errorf("row %d: %+v", i, r)
		}
	}
	var out bytes.Buffer
	if err := printTables(&out, rows, "", "  ", ""); err != nil || !strings.Contains(out.String(), "lookup, 50% right ") ||
		!strings.Contains(out.String(), "lookup, edit of 200 ") {
		t.Errorf("%v\n%s", err, &out)
	}
	measure.Fails(t, 1, "missing.gguf", "", "-draft", "missing.gguf")
	measure.Fails(t, 1, "no questions", "", "-draft", "lookup", "-ask", os.DevNull)
}

func TestCostsPredictWhatGuessesBring(t *testing.T) {
	// Steps for nothing but the first: eight tokens of a pass, if all guesses are right.
	r := row{Accept: 1, PlainPerSecond: 10, StepSeconds: []float64{.1, .1, .1, .1, .1, .1, .1, .1}}
	if got := r.predict(); math.Abs(got-8) > 1e-9 {
		t.Errorf("%g, want 8", got)
	}
	// A token costs as much beside its step as the step does: that does not become less.
	r.PlainPerSecond = 5
	if got := r.predict(); math.Abs(got-8*.2/(.1+8*.1)) > 1e-9 {
		t.Errorf("%g, want %g", got, 8*.2/(.1+8*.1))
	}
	// One guess, right by half, at the cost of a step: (1 + 0.5) tokens for 0.3 seconds instead of 0.2 each, and more do not help.
	r = row{Accept: .5, PlainPerSecond: 5, Drafted: 10, DraftSeconds: 1, StepSeconds: []float64{.2, .2, .4, .6, .8, 1, 1.2, 1.4}}
	if got := r.predict(); math.Abs(got-1) > 1e-9 {
		t.Errorf("%g, want 1", got)
	}
}

func TestEditIsOfTheSameFileWithThreeChanges(t *testing.T) {
	letters := func(text string, _ bool) (ids []int32) {
		for _, c := range text {
			ids = append(ids, c)
		}
		return ids
	}
	file, edited := edit(2000, letters)
	if n := len(file); n < 2000 || n > 2100 {
		t.Errorf("%d tokens", n)
	}
	a, b := strings.Split(string(file), "\n"), strings.Split(string(edited), "\n")
	same := 0
	for _, line := range b {
		if slices.Contains(a, line) {
			same++
		}
	}
	if len(b)-same != 2 || len(a) < len(b)-1 || len(a) > len(b)+3 {
		t.Errorf("%d lines became %d, of which %d are in the file", len(a), len(b), same)
	}
}
