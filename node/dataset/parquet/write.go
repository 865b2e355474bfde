package parquet

import (
	"io"

	lib "github.com/parquet-go/parquet-go"
)

// WriteNumbers writes a table of one column of 0 and 1, named y, and number
// columns with names in ascending order, compressed with snappy: for tests and
// benchmarks. Row i is what next writes into x, and the label it returns.
func WriteNumbers(w io.Writer, names []string, rows int, next func(x []float32) int32) error {
	group := lib.Group{"y": lib.Leaf(lib.Int32Type)}
	for _, name := range names {
		group[name] = lib.Leaf(lib.FloatType)
	}
	schema := lib.NewSchema("numbers", group) // columns stand in the order of their names
	place := make([]int, len(names))
	label := 0
	for i, path := range schema.Columns() {
		for k, name := range names {
			if path[0] == name {
				place[k] = i
			}
		}
		if path[0] == "y" {
			label = i
		}
	}
	out := lib.NewWriter(w, schema, lib.Compression(&lib.Snappy), lib.MaxRowsPerRowGroup(1<<17))
	x, row := make([]float32, len(names)), make(lib.Row, len(names)+1)
	for range rows {
		y := next(x)
		row[label] = lib.ValueOf(y).Level(0, 0, label)
		for k, v := range x {
			row[place[k]] = lib.ValueOf(v).Level(0, 0, place[k])
		}
		if _, err := out.WriteRows([]lib.Row{row}); err != nil {
			return err
		}
	}
	return out.Close()
}
