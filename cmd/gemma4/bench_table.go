package main

import (
	"encoding/json"
	"fmt"
	"io"
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
	Test              string  `json:"test"`              // prefill, decode or streams
	Tokens            int     `json:"tokens"`            // of the prompt, or per step; or streams
	Arriving          int     `json:"arriving,omitzero"` // tokens of a prompt that is read meanwhile
	Depth             int     `json:"depth"`
	TokensPerSecond   float64 `json:"tokens_per_second"` // of all streams together
	ArrivingPerSecond float64 `json:"arriving_tokens_per_second,omitzero"`
	BetweenP99Seconds float64 `json:"between_tokens_p99_seconds,omitzero"`
	Spread            float64 `json:"spread"` // (fastest − slowest) / median
	BytesPerToken     float64 `json:"bytes_per_token"`
	ReadGBps          float64 `json:"read_gbps"`
	RooflineGBps      float64 `json:"roofline_gbps"`
	ReadShare         float64 `json:"read_share,omitzero"` // 0: nothing is read, or none is possible
	FlopsPerToken     float64 `json:"flops_per_token"`
	TFLOPS            float64 `json:"tflops"`
	PeakTFLOPS        float64 `json:"peak_tflops"`
	MultiplyShare     float64 `json:"multiply_share"`
	PeakRSSBytes      int64   `json:"peak_rss_bytes"`
	LoadSeconds       float64 `json:"load_seconds"`
	FirstTokenSeconds float64 `json:"first_token_seconds"`
}

func printJSON(w io.Writer, rows []row) error {
	if len(rows) == 0 {
		return errNoRows
	}
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(rows)
}

var columns = []struct {
	title string
	cell  func(r *row) string
}{
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

// possible returns a share of the read loop's rate, or 0 for one above it: the weights came from the processor's cache, or the machine has
// drifted.
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
	case share == 0:
		return fmt.Sprintf("%.3g of %.3g, -", rate, roof)
	}
	return fmt.Sprintf("%.3g of %.3g, %.0f%%", rate, roof, 100*share)
}

// printTable prints the rows in columns of equal width.
func printTable(w io.Writer, rows []row, begin, between, end string) error {
	if len(rows) == 0 {
		return errNoRows
	}
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
