package main

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"

	"github.com/koinon-eu/koinon/models/feature"
)

// synthetic writes rows training rows and a quarter as many test rows of
// standard normal numbers. The log-odds of the label are linear in all of them;
// one counts more where another is positive, and a third by its size.
func synthetic(rows, columns int, seed uint64) []byte {
	r := rand.New(rand.NewPCG(seed, 0x7261696e))
	weights := make([]float64, columns)
	for i := range weights {
		weights[i] = r.NormFloat64() / 4
	}
	var b bytes.Buffer
	b.WriteString("y,split")
	for i := range columns {
		fmt.Fprintf(&b, ",x%d", i)
	}
	b.WriteByte('\n')
	x, line := make([]float64, columns), make([]byte, 0, 16*columns)
	for i := range rows + rows/4 {
		z := -1.0
		line = line[:0]
		for j := range x {
			x[j] = float64(float32(r.NormFloat64()))
			z += x[j] * weights[j]
			line = append(line, ',')
			line = strconv.AppendFloat(line, x[j], 'g', -1, 32)
		}
		z += x[0]*max(x[1], 0) + 0.7*math.Abs(x[2])
		y, split := "0", "train"
		if r.Float64() < 1/(1+math.Exp(-z)) {
			y = "1"
		}
		if i >= rows {
			split = "test"
		}
		b.WriteString(y + "," + split)
		b.Write(line)
		b.WriteByte('\n')
	}
	return b.Bytes()
}

func readSynthetic(text []byte, columns int) (*feature.Table, error) {
	var s strings.Builder
	s.WriteString("name: synthetic\nlabel: {column: y, positive: \"1\"}\nsplit: {column: split, test: test}\ncolumns:\n")
	for i := range columns {
		fmt.Fprintf(&s, "  x%d: {type: number}\n", i)
	}
	schema, err := feature.ParseSchema([]byte(s.String()))
	if err != nil {
		return nil, err
	}
	return feature.ReadCSV(bytes.NewReader(text), schema, feature.Limits{})
}
