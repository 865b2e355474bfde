package main

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/koinon-eu/koinon/deploy/cli"
	"github.com/koinon-eu/koinon/models/artifact"
)

// notice goes with every score.
const notice = "Advisory only: a human decides and gives the reason."

// printer writes advisories as JSON lines or CSV.
type printer interface {
	begin() error
	row(number int, a artifact.Advisory) error
	end() error
}

func newPrinter(format string, w io.Writer, factors int, model string) printer {
	if format == "csv" {
		return &csvPrinter{w: csv.NewWriter(w), factors: factors, model: model}
	}
	return &jsonPrinter{enc: cli.NewJSONEncoder(w), model: model}
}

// advisory is one line of JSON. Row counts the rows of the input from 1,
// header excluded.
type advisory struct {
	Row     int               `json:"row"`
	ID      string            `json:"id,omitempty"`
	Score   float64           `json:"score"`
	Band    string            `json:"band"`
	Flagged bool              `json:"flagged"`
	Factors []artifact.Factor `json:"factors"`
	Model   string            `json:"model"`
	Notice  string            `json:"notice"`
}

type jsonPrinter struct {
	enc   *json.Encoder
	model string
}

func (p *jsonPrinter) begin() error { return nil }
func (p *jsonPrinter) end() error   { return nil }

func (p *jsonPrinter) row(number int, a artifact.Advisory) error {
	if a.Factors == nil {
		a.Factors = []artifact.Factor{}
	}
	return p.enc.Encode(advisory{number, a.ID, a.Score, a.Band, a.Flagged, a.Factors, p.model, notice})
}

type csvPrinter struct {
	w       *csv.Writer
	factors int
	model   string
	fields  []string
}

func (p *csvPrinter) begin() error {
	header := []string{"row", "id", "score", "band", "flagged"}
	for i := range p.factors {
		header = append(header, fmt.Sprintf("factor_%d", i+1), fmt.Sprintf("effect_%d", i+1))
	}
	return p.w.Write(append(header, "model", "notice"))
}

func (p *csvPrinter) row(number int, a artifact.Advisory) error {
	p.fields = append(p.fields[:0], strconv.Itoa(number), harmless(a.ID), decimal(a.Score), a.Band, strconv.FormatBool(a.Flagged))
	for i := range p.factors {
		if i < len(a.Factors) {
			p.fields = append(p.fields, harmless(a.Factors[i].Column), decimal(a.Factors[i].Effect))
		} else {
			p.fields = append(p.fields, "", "")
		}
	}
	return p.w.Write(append(p.fields, p.model, notice))
}

func (p *csvPrinter) end() error {
	p.w.Flush()
	return p.w.Error()
}

// harmless puts an apostrophe before text that a spreadsheet would take for a
// formula.
func harmless(text string) string {
	if text != "" && strings.IndexByte("=+-@\t\r", text[0]) >= 0 {
		return "'" + text
	}
	return text
}

func decimal(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }
