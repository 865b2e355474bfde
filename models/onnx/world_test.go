package onnx_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/models/arch"
	"github.com/koinon-eu/koinon/models/artifact"
	"github.com/koinon-eu/koinon/models/feature"
	"github.com/koinon-eu/koinon/models/trees"
	"github.com/koinon-eu/koinon/models/trees/treestest"
)

// A column may have the name of an output, spaces and brackets; `year` has a
// mean far from 0 for its spread; `route` has more values than a word has bits.
const schemaText = `
name: toy
label: {column: y, positive: "1"}
columns:
  score: {type: number}
  "speed [m/s]": {type: number, unit: m/s}
  year: {type: number, range: [1999990, 2000030]}
  rare: {type: number}
  route: {type: category}
  flag: {type: boolean}
  office: {type: category, values: [north, south, "east, upper", Ünïted]}
  constant: {type: number}
`

const numbersText = `
name: numbers
label: {column: y, positive: "1"}
columns:
  score: {type: number}
  "speed [m/s]": {type: number, unit: m/s}
`

const categoriesText = `
name: categories
label: {column: y, positive: "1"}
columns:
  route: {type: category}
  flag: {type: boolean}
`

const header = "y,score,speed [m/s],year,rare,route,flag,office,constant\n"

// table makes rows to train on, or rows to score with values that training has
// never seen.
func table(t testing.TB, schema string, rows int, scoring bool) (*feature.Table, [][]string) {
	r := rand.New(rand.NewPCG(11, 12))
	if scoring {
		r = rand.New(rand.NewPCG(13, 14))
	}
	pick := func(odds int, usual string, unusual ...string) string {
		if r.IntN(odds) > 0 {
			return usual
		}
		return unusual[r.IntN(len(unusual))]
	}
	var cells [][]string
	for i := range rows {
		a, speed, year, route, office := r.IntN(4000)-2000, r.IntN(500), 2000000+r.IntN(20), r.IntN(13)*r.IntN(13), r.IntN(4)
		signal := a/500 + speed%7 - year%5 + 3*(route%3) + r.IntN(9)
		row := []string{
			"0", fmt.Sprintf("%d.%02d", a/100, r.IntN(100)), pick(3, fmt.Sprint(speed), ""), fmt.Sprintf("%d.5", year),
			fmt.Sprint(i % 3), fmt.Sprintf("R%03d", route), []string{"0", "1", "true", "False", "TRUE"}[r.IntN(5)],
			[]string{"north", "south", "east, upper", "Ünïted"}[office], "7",
		}
		if row[2] == "" {
			signal += 4
		}
		if signal > 9 {
			row[0] = "1"
		}
		if !scoring && i < 9 {
			row[4], row[5] = "", ""
		}
		if scoring {
			row[1] = pick(9, row[1], "", "3.4e38", "-3.4e38", "1e-44", "0", "-0", "12345678")
			row[2] = pick(9, row[2], "-1e9", "1e30", "250.00001")
			row[3] = pick(9, row[3], "", "0", "1999999.9", "2000019.6", "1e12")
			row[4] = pick(9, row[4], "", "-5", "1e9")
			row[5] = pick(5, row[5], "", "never seen", "R", " R001", "r001", "R001 ")
			row[6] = pick(5, row[6], "")
			row[7] = pick(5, row[7], "", "west", "NORTH")
			row[8] = pick(2, row[8], "")
		}
		cells = append(cells, row)
	}
	s, err := feature.ParseSchema([]byte(schema))
	require.NoError(t, err)
	out, err := feature.FromRecords(strings.Split(strings.TrimSpace(header), ","), cells, s, feature.Limits{Scoring: scoring})
	require.NoError(t, err)
	return out, cells
}

// model makes a model of a kind on the training table. Parameters are random;
// trees grow.
func model(t testing.TB, schema string, spec arch.Spec) *artifact.Model {
	rows, _ := table(t, schema, 4000, false)
	return modelOf(t, rows, spec)
}

func modelOf(t testing.TB, rows *feature.Table, spec arch.Spec) *artifact.Model {
	statistics := feature.NewStatistics(rows.Schema())
	for !statistics.Done() {
		sum, err := statistics.Count(rows)
		require.NoError(t, err)
		require.NoError(t, statistics.Apply(sum))
	}
	encoder, err := statistics.Encoder()
	require.NoError(t, err)
	m := &artifact.Model{
		Header: artifact.Header{
			Name: "toy-1", Purpose: "order of examination", Plan: strings.Repeat("ab", 32),
			Architecture: spec.WithDefaults(), Threshold: 0.4, Bands: artifact.BandsAt(0.4, 0.7),
		},
		Encoder: encoder,
	}
	if spec.Kind == arch.Trees {
		m.Ensemble = grow(t, *m.Header.Architecture.Trees, statistics, encoder, rows)
	}
	n, err := m.Header.Architecture.Params(m.Shape())
	require.NoError(t, err)
	r := rand.New(rand.NewPCG(3, 4))
	for range n {
		m.Params = append(m.Params, float32(r.Float64()-0.5))
	}
	require.NoError(t, m.Validate())
	return m
}

func grow(t testing.TB, p trees.Params, statistics *feature.Statistics, encoder *feature.Encoder, rows *feature.Table) *trees.Ensemble {
	bins, err := trees.NewBins(statistics, encoder, p.Bins, p.Floor)
	require.NoError(t, err)
	machine, err := trees.New(trees.Config{Params: p, Rows: encoder.Rows, Positives: encoder.Positives}, bins)
	require.NoError(t, err)
	member, err := treestest.New(bins, encoder, rows)
	require.NoError(t, err)
	for !machine.Done() {
		require.NoError(t, machine.Apply(treestest.Sum(machine, member)))
	}
	return machine.Ensemble()
}
