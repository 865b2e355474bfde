package metrics

import (
	"fmt"
	"math"
)

// Other is the value index of a row whose group value is missing or not listed.
const Other = -1

// Count tallies one node's rows: scores are probabilities, labels 0 or 1 (a
// row with label −1, not examined, is left out), groups[c][row] the value
// index of group column c or Other. The result has Words() words, each at most
// IntMax; its gain words are zero until SetGain.
func (s TallySchema) Count(scores []float64, labels []int8, groups [][]int16) ([]int64, error) {
	if err := s.Validate(); err != nil {
		return nil, err
	}
	if err := s.checkRows(scores, labels, groups); err != nil {
		return nil, err
	}
	words := make([]int64, s.Words())
	width := s.stratumWords()
	for row, p := range scores {
		y := labels[row]
		if y < 0 {
			continue
		}
		r := s.row(p, y)
		r.addTo(words[:width])
		at := width
		for c, g := range s.Groups {
			v := int(groups[c][row])
			if v == Other {
				v = len(g.Values)
			}
			r.addTo(words[at+v*width : at+(v+1)*width])
			at += (len(g.Values) + 1) * width
		}
	}
	return words, nil
}

func (s TallySchema) checkRows(scores []float64, labels []int8, groups [][]int16) error {
	if len(scores) > MaxRows {
		return fmt.Errorf("tally: %d rows, at most %d", len(scores), MaxRows)
	}
	if len(labels) != len(scores) {
		return fmt.Errorf("tally: %d labels for %d scores", len(labels), len(scores))
	}
	if len(groups) != len(s.Groups) {
		return fmt.Errorf("tally: %d group columns, schema has %d", len(groups), len(s.Groups))
	}
	for row, p := range scores {
		if !(p >= 0 && p <= 1) {
			return fmt.Errorf("tally: row %d: score %v is not a probability", row, p)
		}
		if labels[row] < -1 || labels[row] > 1 {
			return fmt.Errorf("tally: row %d: label %d, want 0, 1 or -1", row, labels[row])
		}
	}
	for c, g := range s.Groups {
		if len(groups[c]) != len(scores) {
			return fmt.Errorf("tally: group column %q has %d rows, want %d", g.Name, len(groups[c]), len(scores))
		}
		for row, v := range groups[c] {
			if v < Other || int(v) >= len(g.Values) {
				return fmt.Errorf("tally: row %d: group column %q has no value %d", row, g.Name, v)
			}
		}
	}
	return nil
}

// rowWords is what one row adds to every stratum it belongs to.
type rowWords struct {
	count, cell                    int // offsets within a stratum
	found, score, squared, logLoss int64
	last                           int
}

func (s TallySchema) row(p float64, y int8) rowWords {
	bins := s.bins()
	d := p - float64(y)
	return rowWords{
		count:   int(y)*bins + s.Bin(p),
		cell:    2*bins + 3*calibrationCell(p),
		last:    2*bins + 3*CalibrationCells,
		found:   int64(y),
		score:   fixed(p),
		squared: fixed(d * d),
		logLoss: fixed(logLoss(p, y)),
	}
}

func (r rowWords) addTo(stratum []int64) {
	stratum[r.count]++
	stratum[r.cell]++
	stratum[r.cell+1] += r.found
	stratum[r.cell+2] += r.score
	stratum[r.last] += r.squared
	stratum[r.last+1] += r.logLoss
}

// fixed rounds x to the nearest multiple of 1/One.
func fixed(x float64) int64 { return int64(math.RoundToEven(x * One)) }

// calibrationCell is the cell [i/10, (i+1)/10) of p; 1 is in the last.
func calibrationCell(p float64) int {
	return min(int(p*CalibrationCells), CalibrationCells-1)
}

// logLossFloor keeps the log loss of a certain and wrong score finite: 36.04.
const logLossFloor = 1.0 / (1 << 52)

func logLoss(p float64, y int8) float64 {
	if y == 0 {
		p = 1 - p
	}
	return -math.Log(min(max(p, logLossFloor), 1-logLossFloor))
}
