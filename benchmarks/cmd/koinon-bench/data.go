package main

import (
	"bytes"
	"compress/gzip"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strconv"

	"github.com/koinon-eu/koinon/deploy/cli"
	"github.com/koinon-eu/koinon/models/feature"
	"github.com/koinon-eu/koinon/node/dataset"
	"github.com/koinon-eu/koinon/node/dataset/parquet"
)

type dataCommand struct {
	Rows    int    `default:"300000" placeholder:"N" help:"Rows of the synthetic table."`
	Columns int    `default:"30" placeholder:"N" help:"Number columns, all standard normal."`
	Repeat  int    `default:"3" placeholder:"N" help:"Runs of each reader; the one of least CPU time counts."`
	Seed    uint64 `default:"1" help:"Decides the table."`
	Dir     string `placeholder:"DIR" type:"path" help:"Write the files there and leave them, for the same in other libraries."`
	JSON    bool   `name:"json" help:"Print JSON."`
}

// Help shows an example.
func (dataCommand) Help() string {
	return `Times how a node reads its table: from a CSV file, the same gzipped, a Parquet file (snappy) and the cache, each from the
file to columns held to the schema, and encoding the columns for training. "named" is with the SHA-256 of the file, which
a node's service takes on the way; the cache is found by it. encoding/csv with strconv, and nothing else,
is the yardstick. CPU time is the process's own, user and system.

Example:
  koinon-bench data --rows 300000 --columns 30`
}

// dataResult is one way to read the table.
type dataResult struct {
	Reader  string  `json:"reader"`
	Bytes   int64   `json:"bytes"`
	CPU     float64 `json:"cpu_s"`
	Wall    float64 `json:"wall_s"`
	RowsCPU float64 `json:"rows_per_cpu_s"`
}

// Run writes the table in each format and reads it back.
func (c *dataCommand) Run(std cli.Streams) error {
	if c.Rows < 1000 || c.Rows > maxTrainRows || c.Columns < 3 || c.Columns > maxTrainColumns || c.Repeat < 1 {
		return cli.Usagef("want 1000 to %d rows, 3 to %d columns and at least one run", maxTrainRows, maxTrainColumns)
	}
	dir := c.Dir
	if dir == "" {
		var err error
		if dir, err = os.MkdirTemp("", "koinon-bench-data-*"); err != nil {
			return err
		}
		defer func() { _ = os.RemoveAll(dir) }()
	}
	schema, err := c.write(dir)
	if err != nil {
		return err
	}
	results, err := c.measure(dir, schema)
	if err != nil {
		return err
	}
	if c.JSON {
		return json.NewEncoder(std.Out).Encode(results)
	}
	t := cli.NewTable("READER", "MB", "CPU s", "WALL s", "ROWS PER CPU s")
	for _, r := range results {
		t.Row(r.Reader, fmt.Sprintf("%.0f", float64(r.Bytes)/1e6), fmt.Sprintf("%.2f", r.CPU), fmt.Sprintf("%.2f", r.Wall), fmt.Sprintf("%.0f", r.RowsCPU))
	}
	return t.Print(std.Out)
}

// Files of the benchmark, in its folder.
const (
	dataCSV     = "table.csv"
	dataGzip    = "table.csv.gz"
	dataParquet = "table.parquet"
	dataCache   = "cache"
)

// write makes the files.
func (c *dataCommand) write(dir string) (*feature.Schema, error) {
	text := synthetic(c.Rows-c.Rows/5, c.Columns, c.Seed) // and a quarter of those held out
	table, err := readSynthetic(text, c.Columns)
	if err != nil {
		return nil, err
	}
	c.Rows = table.Rows()
	if err := os.WriteFile(filepath.Join(dir, dataCSV), text, 0o600); err != nil {
		return nil, err
	}
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	if _, err := z.Write(text); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(dir, dataGzip), zipped.Bytes(), 0o600); err != nil {
		return nil, err
	}
	return table.Schema(), writeParquet(filepath.Join(dir, dataParquet), table)
}

func writeParquet(path string, t *feature.Table) (err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	var names []string
	var columns [][]float32
	for _, c := range t.Schema().Columns {
		names, columns = append(names, c.Name), append(columns, t.Number(c.Name))
	}
	row := -1
	return parquet.WriteNumbers(f, names, t.Rows(), func(x []float32) int32 {
		row++
		for i, column := range columns {
			x[i] = column[row]
		}
		return int32(t.Label()[row])
	})
}

// measure reads each file; all must give as many rows.
func (c *dataCommand) measure(dir string, s *feature.Schema) ([]dataResult, error) {
	noSplit := *s // the Parquet file has numbers only
	noSplit.Split = nil
	cache := &dataset.Cache{Dir: filepath.Join(dir, dataCache)}
	defer func() { _ = os.RemoveAll(cache.Dir) }()
	open := func(name string, s *feature.Schema, cache *dataset.Cache) func() (int, error) {
		return func() (int, error) {
			t, err := dataset.OpenWith(filepath.Join(dir, name), s, dataset.Options{Cache: cache})
			if err != nil {
				return 0, err
			}
			return t.Rows(), nil
		}
	}
	encode, err := encoding(filepath.Join(dir, dataCSV), s)
	if err != nil {
		return nil, err
	}
	if _, err := open(dataCSV, s, cache)(); err != nil { // fills the cache
		return nil, err
	}
	var out []dataResult
	for _, r := range []struct {
		name, file string
		read       func() (int, error)
	}{
		{"encoding/csv, strconv", dataCSV, func() (int, error) { return plainRead(filepath.Join(dir, dataCSV)) }},
		{"csv", dataCSV, open(dataCSV, s, nil)},
		{"csv, named", dataCSV, func() (int, error) {
			t, _, err := dataset.OpenNamed(filepath.Join(dir, dataCSV), s, dataset.Options{})
			return t.Rows(), err
		}},
		{"csv.gz", dataGzip, open(dataGzip, s, nil)},
		{"parquet", dataParquet, open(dataParquet, &noSplit, nil)},
		{"cache", dataCSV, open(dataCSV, s, cache)},
		{"encode", "", encode},
	} {
		result := dataResult{Reader: r.name}
		if r.file != "" {
			info, err := os.Stat(filepath.Join(dir, r.file))
			if err != nil {
				return nil, err
			}
			result.Bytes = info.Size()
		}
		if err := c.best(&result, r.read); err != nil {
			return nil, fmt.Errorf("%s: %w", r.name, err)
		}
		out = append(out, result)
	}
	return out, nil
}

func (c *dataCommand) best(out *dataResult, read func() (int, error)) error {
	for i := range c.Repeat {
		runtime.GC() // of what the run before has left
		s := newStopwatch()
		rows, err := read()
		if err != nil {
			return err
		}
		s.phase(out.Reader)
		if rows != c.Rows {
			return fmt.Errorf("%d rows of %d", rows, c.Rows)
		}
		if p := s.phases[0]; i == 0 || p.CPU < out.CPU {
			out.CPU, out.Wall = p.CPU, p.Wall
		}
	}
	out.RowsCPU = float64(c.Rows) / max(out.CPU, 1e-9)
	return nil
}

// encoding returns how all rows of a table are encoded with its own statistics.
func encoding(path string, s *feature.Schema) (func() (int, error), error) {
	t, err := dataset.Open(path, s)
	if err != nil {
		return nil, err
	}
	st := feature.NewStatistics(s)
	for !st.Done() {
		sum, err := st.Count(t)
		if err == nil {
			err = st.Apply(sum)
		}
		if err != nil {
			return nil, err
		}
	}
	e, err := st.Encoder()
	if err != nil {
		return nil, err
	}
	return func() (int, error) {
		m, err := e.Encode(t, feature.SelectAll)
		if err != nil {
			return 0, err
		}
		return m.Rows, nil
	}, nil
}

// plainRead is what a program does that trusts its file: encoding/csv and
// strconv, into one slice a column.
func plainRead(path string) (rows int, err error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	r := csv.NewReader(f)
	r.ReuseRecord = true
	header, err := r.Read()
	if err != nil {
		return 0, err
	}
	columns := make([][]float32, len(header)-2) // after label and split
	for ; ; rows++ {
		record, err := r.Read()
		if errors.Is(err, io.EOF) {
			return rows, nil
		}
		if err != nil {
			return rows, err
		}
		for i, field := range record[2:] {
			v, err := strconv.ParseFloat(field, 32)
			if err != nil {
				return rows, err
			}
			columns[i] = append(columns[i], float32(v))
		}
	}
}
