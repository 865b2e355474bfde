// Package synth makes synthetic national tables of two packs: document-risk,
// which applications' documents deserve an expert's examination first, and
// irregular-travel-trends, how many are refused entry where in a month.
//
// Every figure is either a public fact carried over with its source (below) or
// an assumption, chosen to be plausible and to teach. The tables say nothing
// about any state or nationality: groups are N1…N6, document models T01…T12.
// The world is fixed by the names of states and does not depend on the seed; a
// state's table depends on preset, state, rows and seed alone.
package synth

import (
	"fmt"
	"math"
	"slices"
)

// Source of the figures of applications: European Commission, DG Migration and Home Affairs, Visa
// statistics for consulates, 2024 (reuse under Decision 2011/833/EU). Codes are
// those of the source.
const Source = "European Commission, DG HOME, Visa statistics for consulates, 2024"

// applied is the number of short-stay visa applications lodged in 2024. IE is
// not in the Schengen figures: its entry is an assumption.
var applied = map[string]int{
	"AT": 262017, "BE": 255564, "BG": 160479, "CY": 111860, "CZ": 150629, "DE": 1512675, "DK": 132158,
	"EE": 12125, "ES": 1634887, "FI": 90611, "FR": 3072728, "GR": 710024, "HR": 42165, "HU": 251364,
	"IE": 150000, "IT": 1233316, "LT": 33532, "LU": 13007, "LV": 17654, "MT": 45578, "NL": 728656,
	"PL": 111538, "PT": 206420, "RO": 45627, "SE": 188623, "SI": 18171, "SK": 14215,
}

// trueRate is the share of files with a false document. Only FR has a public
// anchor: 51,341 refusals for document fraud in 2024 (Senate report 904,
// 2024-25) over 3.07 million applications, an upper bound because long-stay
// visas may be among them. The others are assumptions.
var trueRate = map[string]float64{"DE": .011, "FR": .017, "IT": .013, "PL": .022, "PT": .019}

// sltdRate: INTERPOL SLTD, 67,000 hits in 809 million searches (2013), doubled
// for files with prior doubt, which is an assumption.
const sltdRate = 2e-4

// falseDocuments: of the documents BAMF examined, 2.6 % (2016) and 4.6 % (2017)
// were found false. Files are less suspect than documents sent to an examiner,
// so no state's true rate may exceed it.
const falseDocuments = .046

// Demo5 are the states of the demo and of most benchmarks.
func Demo5() []string { return []string{"DE", "FR", "IT", "PL", "PT"} }

// EU27 are all Member States, by code.
func EU27() []string {
	out := make([]string, 0, len(applied))
	for s := range applied {
		out = append(out, s)
	}
	slices.Sort(out)
	return out
}

// DemoExponent makes the smallest of Demo5 large enough to be evaluated.
const DemoExponent = .5

// Sizes divides total rows among states in proportion to applied^exponent,
// each share rounded to the nearest row (half to even).
func Sizes(total int, states []string, exponent float64) ([]int, error) {
	weights, sum := make([]float64, len(states)), 0.0
	for i, s := range states {
		n, ok := applied[s]
		if !ok {
			return nil, fmt.Errorf("state %s: no figure of applications", s)
		}
		weights[i] = math.Pow(float64(n), exponent)
		sum += weights[i]
	}
	out := make([]int, len(states))
	for i, w := range weights {
		out[i] = int(math.RoundToEven(float64(total) * w / sum))
	}
	return out, nil
}

// SizesEU27 returns sizes for EU27: a fiftieth of the applications, at least
// 500 a state.
func SizesEU27() []int {
	total := 0
	for _, n := range applied {
		total += n
	}
	out, err := Sizes(total/50, EU27(), 1)
	if err != nil {
		panic(err) // EU27 are the states with a figure
	}
	for i := range out {
		out[i] = max(500, out[i])
	}
	return out
}
