package main

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"strconv"

	"github.com/koinon-eu/koinon/deploy/cli"
	"github.com/koinon-eu/koinon/models/artifact"
)

// forecastNotice goes with every forecast.
const forecastNotice = "Advisory only: an expected number for planning, about no person; a human decides."

// forecast is one line of JSON of a model that forecasts counts.
type forecast struct {
	Row      int               `json:"row"`
	ID       string            `json:"id,omitempty"`
	Expected float64           `json:"expected"`
	Interval [2]int64          `json:"interval80"`
	Factors  []artifact.Factor `json:"factors"`
	Model    string            `json:"model"`
	Notice   string            `json:"notice"`
}

type jsonForecasts struct {
	enc   *json.Encoder
	model string
}

func newForecasts(format string, w io.Writer, factors int, model string) printer {
	if format == "csv" {
		return &csvForecasts{w: csv.NewWriter(w), factors: factors, model: model}
	}
	return &jsonForecasts{enc: cli.NewJSONEncoder(w), model: model}
}

func (p *jsonForecasts) begin() error { return nil }
func (p *jsonForecasts) end() error   { return nil }

func (p *jsonForecasts) row(number int, a artifact.Advisory) error {
	if a.Factors == nil {
		a.Factors = []artifact.Factor{}
	}
	return p.enc.Encode(forecast{number, a.ID, a.Score, a.Interval, a.Factors, p.model, forecastNotice})
}

type csvForecasts struct {
	w       *csv.Writer
	factors int
	model   string
}

func (p *csvForecasts) begin() error {
	header := []string{"row", "id", "expected", "low80", "high80"}
	for i := range p.factors {
		header = append(header, fmt.Sprintf("factor_%d", i+1), fmt.Sprintf("effect_%d", i+1))
	}
	return p.w.Write(append(header, "model", "notice"))
}

func (p *csvForecasts) row(number int, a artifact.Advisory) error {
	fields := []string{
		strconv.Itoa(number), harmless(a.ID), decimal(a.Score), strconv.FormatInt(a.Interval[0], 10), strconv.FormatInt(a.Interval[1], 10),
	}
	for i := range p.factors {
		if i < len(a.Factors) {
			fields = append(fields, harmless(a.Factors[i].Column), decimal(a.Factors[i].Effect))
		} else {
			fields = append(fields, "", "")
		}
	}
	return p.w.Write(append(fields, p.model, forecastNotice))
}

func (p *csvForecasts) end() error {
	p.w.Flush()
	return p.w.Error()
}
