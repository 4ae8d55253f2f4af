package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/gogemma/gemma4/cmd/gemma4/internal/cli"
)

// row is one test of one model. Rates are medians of the repetitions, and so are the shares, each of which has a roofline
// measured beside it.
type row struct {
	Model             string  `json:"model"`
	Level             string  `json:"level"`
	Threads           int     `json:"threads"`
	Test              string  `json:"test"`              // prefill, decode, streams, draft; picture, video …; first word, caption
	Tokens            int     `json:"tokens"`            // of the prompt, or per step; or streams; of all pictures or the sound
	Frames            int     `json:"frames,omitzero"`   // of a video
	Arriving          int     `json:"arriving,omitzero"` // tokens of a prompt that is read meanwhile
	Depth             int     `json:"depth"`
	TokensPerSecond   float64 `json:"tokens_per_second"` // of all streams together
	ArrivingPerSecond float64 `json:"arriving_tokens_per_second,omitzero"`
	BetweenP99Seconds float64 `json:"between_tokens_p99_seconds,omitzero"`
	Foretold          float64 `json:"foretold_tokens_per_second,omitzero"`
	Spread            float64 `json:"spread"` // (fastest − slowest) / median
	BytesPerToken     float64 `json:"bytes_per_token"`
	DiskBytes         float64 `json:"disk_bytes_per_token,omitzero"`
	ReadGBps          float64 `json:"read_gbps"`
	RooflineGBps      float64 `json:"roofline_gbps"`
	ReadShare         float64 `json:"read_share,omitzero"` // 0: nothing is read, or none is possible
	FlopsPerToken     float64 `json:"flops_per_token"`
	TFLOPS            float64 `json:"tflops"`
	PeakTFLOPS        float64 `json:"peak_tflops"`
	MultiplyShare     float64 `json:"multiply_share"`
	TokensPerJoule    float64 `json:"tokens_per_joule,omitzero"` // of all that the processors take; 0: nobody asks, or it is not known
	Watts             float64 `json:"watts,omitzero"`
	PeakRSSBytes      int64   `json:"peak_rss_bytes"`
	LoadSeconds       float64 `json:"load_seconds"`
	FirstTokenSeconds float64 `json:"first_token_seconds"`

	// Of guesses ahead.
	Source         string    `json:"draft,omitempty"`                  // what guesses: lookup, or a drafter
	Accept         float64   `json:"accept,omitzero"`                  // probability that a simulated guess is right
	Edited         int       `json:"edited,omitzero"`                  // tokens of a file that is returned with changes
	PlainPerSecond float64   `json:"plain_tokens_per_second,omitzero"` // without guesses
	Ratio          float64   `json:"ratio,omitzero"`                   // of the two, as the median of pairs
	Predicted      float64   `json:"predicted_ratio,omitzero"`         // by what steps and guesses cost
	PerPass        float64   `json:"tokens_per_pass,omitzero"`
	Drafted        int64     `json:"draft_tokens,omitzero"`          // guessed and checked, in all repetitions,
	Accepted       int64     `json:"draft_accepted_tokens,omitzero"` // and of them those that were right
	DraftSeconds   float64   `json:"draft_seconds,omitzero"`         // that guessing took
	StepSeconds    []float64 `json:"step_seconds,omitempty"`         // of 1, 2 … positions

	// Of adapters; the plain rate and the ratio are those of drafts.
	Adapter      string `json:"adapter,omitempty"`
	AdapterBytes int64  `json:"adapter_bytes,omitzero"` // read for each token, beside the model's

	// Of projectors, and of speech.
	Spoken       int     `json:"spoken_seconds,omitzero"`
	Seconds      float64 `json:"seconds,omitzero"`
	BusySeconds  float64 `json:"busy_seconds,omitzero"`  // of all processors; 0: the system does not tell
	ScratchBytes int64   `json:"scratch_bytes,omitzero"` // that were announced
	HeldBytes    int64   `json:"held_bytes,omitzero"`    // that were found
	Parts        []part  `json:"parts,omitempty"`
}

// part is a kind of work that a projector does.
type part struct {
	Kind          string  `json:"kind"`                    // as the meter calls it
	TimeShare     float64 `json:"time_share"`              // of the time of all workers
	TFLOPS        float64 `json:"tflops,omitzero"`         // of all workers while they do nothing else
	PeakTFLOPS    float64 `json:"peak_tflops,omitzero"`    // of the instruction
	MultiplyShare float64 `json:"multiply_share,omitzero"` // of that peak
}

func printJSON(w io.Writer, rows []row) error {
	if len(rows) == 0 {
		return errNoRows
	}
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(rows)
}

// column is one of a table.
type column struct {
	title string
	cell  func(r *row) string
}

var columns = []column{
	{"model", func(r *row) string { return r.Model }},
	{"level", func(r *row) string { return r.Level }},
	{"threads", func(r *row) string { return fmt.Sprint(r.Threads) }},
	{"test", func(r *row) string {
		if r.Arriving > 0 {
			return fmt.Sprintf("%s %d, prompt %d", r.Test, r.Tokens, r.Arriving)
		}
		return fmt.Sprintf("%s %d", r.Test, r.Tokens)
	}},
	{"depth", func(r *row) string { return fmt.Sprint(r.Depth) }},
	{"tokens/s", func(r *row) string { return fmt.Sprintf("%.2f", r.TokensPerSecond) }},
	{"p99", func(r *row) string {
		if r.BetweenP99Seconds == 0 {
			return "-"
		}
		return fmt.Sprintf("%.0f ms", 1000*r.BetweenP99Seconds)
	}},
	{"spread", func(r *row) string { return fmt.Sprintf("%.0f%%", 100*r.Spread) }},
	{"GB/s", func(r *row) string { return of(r.ReadGBps, r.RooflineGBps, r.ReadShare) }},
	{"TFLOP/s", func(r *row) string { return of(r.TFLOPS, r.PeakTFLOPS, r.MultiplyShare) }},
	{"peak memory", func(r *row) string { return cli.Bytes(r.PeakRSSBytes) }},
	{"load", func(r *row) string { return fmt.Sprintf("%.2f s", r.LoadSeconds) }},
	{"first token", func(r *row) string { return fmt.Sprintf("%.2f s", r.FirstTokenSeconds) }},
}

// foretold is the column of -fit: what it says, with how far it is off.
var foretold = column{"foretold", func(r *row) string {
	if r.Foretold == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f, %+.0f%%", r.Foretold, 100*(r.Foretold/r.TokensPerSecond-1))
}}

// power is the column of -power.
var power = column{"tokens/J", func(r *row) string {
	if r.TokensPerJoule == 0 {
		return "-"
	}
	return fmt.Sprintf("%.3g at %.3g W", r.TokensPerJoule, r.Watts)
}}

// fromDisk is the column of what disks have read, where it is more than a page here and there.
var fromDisk = column{"from disk", func(r *row) string {
	return fmt.Sprintf("%s per token, %s/s", cli.Bytes(int64(r.DiskBytes)), cli.Bytes(int64(r.DiskBytes*r.TokensPerSecond)))
}}

// leastFromDisk is how many bytes per token are worth to be told.
const leastFromDisk = 1 << 20

// senseColumns are those of projectors.
var senseColumns = []column{
	columns[0], columns[1], columns[2],
	{"test", func(r *row) string {
		switch r.Test {
		case "video":
			return fmt.Sprintf("video of %d frames, %d tokens", r.Frames, r.Tokens)
		case "sound", "speech":
			return fmt.Sprintf("%s of %d s, %d tokens", r.Test, r.Spoken, r.Tokens)
		case "first word":
			return fmt.Sprintf("first word after %d s of speech", r.Spoken)
		case "caption":
			return fmt.Sprintf("2 of %d s of speech with a caption", r.Spoken)
		}
		return fmt.Sprintf("%s of %d tokens", r.Test, r.Tokens)
	}},
	{"seconds", func(r *row) string { return fmt.Sprintf("%.3g", r.Seconds) }},
	{"spread", func(r *row) string { return fmt.Sprintf("%.0f%%", 100*r.Spread) }},
	{"processors", func(r *row) string { return of(r.BusySeconds, 0, 1) }},
	{"TFLOP/s", func(r *row) string { return of(r.TFLOPS, 0, 1) }},
	{"products", func(r *row) string { return r.parts("products", "half products", "float products") }},
	{"attention", func(r *row) string { return r.parts("attention") }},
	{"softmax", func(r *row) string { return r.parts("softmax") }},
	{"rest", func(r *row) string {
		if r.Parts == nil {
			return "-"
		}
		return fmt.Sprintf("%.0f%%", 100*r.rest())
	}},
	{"scratch", func(r *row) string {
		if r.ScratchBytes == 0 {
			return "-"
		}
		return cli.Bytes(r.HeldBytes) + " of " + cli.Bytes(r.ScratchBytes)
	}},
}

// draftColumns are those of guesses ahead.
var draftColumns = []column{
	columns[0], columns[1], columns[2],
	{"guesses", func(r *row) string {
		text := cmp.Or(r.Source, lookupSource)
		if r.Accept > 0 {
			text += fmt.Sprintf(", %g%% right", 100*r.Accept)
		}
		if r.Edited > 0 {
			text += fmt.Sprintf(", edit of %d", r.Edited)
		}
		return text
	}},
	columns[4],
	{"plain", func(r *row) string { return fmt.Sprintf("%.2f", r.PlainPerSecond) }},
	{"GB/s", func(r *row) string { return of(r.ReadGBps, r.RooflineGBps, r.ReadShare) }},
	{"tokens/s", func(r *row) string { return fmt.Sprintf("%.2f", r.TokensPerSecond) }},
	{"ratio", func(r *row) string { return fmt.Sprintf("%.2f", r.Ratio) }},
	{"spread", func(r *row) string { return fmt.Sprintf("%.0f%%", 100*r.Spread) }},
	{"by cost", func(r *row) string { return of(r.Predicted, 0, 1) }},
	{"tokens/pass", func(r *row) string { return fmt.Sprintf("%.2f", r.PerPass) }},
	{"right", func(r *row) string {
		if r.Drafted == 0 {
			return "-"
		}
		return fmt.Sprintf("%.0f%%", 100*r.share())
	}},
	{"ms of a step of 1 … 8", func(r *row) string {
		var cells []string
		for _, s := range r.StepSeconds {
			cells = append(cells, fmt.Sprintf("%.3g", 1000*s))
		}
		return strings.Join(cells, " ")
	}},
}

// parts shows what some kinds of work take of the time, and how near to its peak each is.
func (r *row) parts(kinds ...string) string {
	var cells []string
	for _, p := range r.Parts {
		if !slices.Contains(kinds, p.Kind) {
			continue
		}
		cell := fmt.Sprintf("%.0f%%", 100*p.TimeShare)
		if p.PeakTFLOPS > 0 {
			cell += ": " + of(p.TFLOPS, p.PeakTFLOPS, p.MultiplyShare)
		}
		cells = append(cells, cell)
	}
	if len(cells) == 0 {
		return "-"
	}
	return strings.Join(cells, "; ")
}

// rest returns the share of the time that is none of the columns' before it.
func (r *row) rest() float64 {
	share := 1.0
	for _, p := range r.Parts {
		if p.Kind != "packing" {
			share -= p.TimeShare
		}
	}
	return max(0, share)
}

// possible returns a share of a limit that was measured, or 0 for more than that: the weights came from the processor's cache, or the
// machine has drifted.
func possible(share float64) float64 {
	if share > 1 {
		return 0
	}
	return share
}

// of shows a rate, its roofline and its share of it, unless that is 0.
func of(rate, roof, share float64) string {
	switch {
	case rate == 0:
		return "-"
	case roof == 0:
		return fmt.Sprintf("%.3g", rate)
	case share == 0:
		return fmt.Sprintf("%.3g of %.3g, -", rate, roof)
	}
	return fmt.Sprintf("%.3g of %.3g, %.0f%%", rate, roof, 100*share)
}

// printTables prints a table of models, with what else was asked beside their speed, one of guesses ahead and one of projectors, as far as
// there are any.
func printTables(w io.Writer, rows []row, begin, between, end string, asked ...column) error {
	if len(rows) == 0 {
		return errNoRows
	}
	tables := []struct {
		columns []column
		rows    []row
	}{
		{columns: slices.Insert(slices.Clone(columns), 6, asked...)}, {columns: draftColumns}, {columns: senseColumns},
		{columns: adapterColumns},
	}
	for _, r := range rows {
		kind := 0
		switch {
		case r.Adapter != "":
			kind = 3
		case r.Ratio > 0:
			kind = 1
		case r.Seconds > 0:
			kind = 2
		}
		tables[kind].rows = append(tables[kind].rows, r)
	}
	if slices.ContainsFunc(rows, func(r row) bool { return r.DiskBytes >= leastFromDisk }) {
		tables[0].columns = append(slices.Clone(tables[0].columns), fromDisk)
	}
	printed := false
	for _, t := range tables {
		if len(t.rows) == 0 {
			continue
		}
		if printed {
			fmt.Fprintln(w)
		}
		if err := printTable(w, t.columns, t.rows, begin, between, end); err != nil {
			return err
		}
		printed = true
	}
	return nil
}

// printTable prints the rows in columns of equal width.
func printTable(w io.Writer, columns []column, rows []row, begin, between, end string) error {
	lines := [][]string{nil}
	width := make([]int, len(columns))
	for i, c := range columns {
		lines[0] = append(lines[0], c.title)
		width[i] = utf8.RuneCountInString(c.title)
	}
	for i := range rows {
		var cells []string
		for j, c := range columns {
			cells = append(cells, c.cell(&rows[i]))
			width[j] = max(width[j], utf8.RuneCountInString(cells[j]))
		}
		lines = append(lines, cells)
	}
	for i, cells := range lines {
		for j, cell := range cells {
			cells[j] = cell + strings.Repeat(" ", width[j]-utf8.RuneCountInString(cell))
		}
		if _, err := fmt.Fprintln(w, strings.TrimRight(begin+strings.Join(cells, between)+end, " ")); err != nil {
			return err
		}
		if i == 0 && begin != "" {
			fmt.Fprintln(w, "|"+strings.Repeat("---|", len(columns)))
		}
	}
	return nil
}
