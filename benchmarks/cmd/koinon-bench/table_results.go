package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// tableRun is one finished run: a line of the results file.
type tableRun struct {
	tableJob
	Rows       int         `json:"rows"`
	Parameters int         `json:"parameters"`
	Model      string      `json:"model"`
	Nodes      []tableNode `json:"nodes"`
	Federated  *float64    `json:"federated"` // AUROC over all held-out rows
	Pooled     *float64    `json:"pooled"`
	Seconds    float64     `json:"cpu_seconds"`
}

// tableNode is one node's AUROC on its held-out rows; null where one class is missing.
type tableNode struct {
	Name      string   `json:"name"`
	Train     int      `json:"train"`
	Test      int      `json:"test"`
	Positives int      `json:"positives"`
	Alone     *float64 `json:"alone"`
	Federated *float64 `json:"federated"`
}

// key tells runs apart: the settings and the seed.
func (j tableJob) key() string {
	text, err := json.Marshal(j)
	if err != nil { // only NaN or Inf can fail
		panic("table: job does not marshal: " + err.Error())
	}
	return string(text)
}

// results is the file of finished runs. A line is written whole, after its run; what an interruption left of a line is
// cut off when the file is opened.
type results struct {
	file *os.File
	runs map[string]tableRun
}

func openResults(path string) (*results, error) {
	r := &results{runs: map[string]tableRun{}}
	text, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	whole := bytes.LastIndexByte(text, '\n') + 1
	for i, line := range bytes.Split(text[:whole], []byte("\n")) {
		if len(line) == 0 {
			continue
		}
		var run tableRun
		if err := json.Unmarshal(line, &run); err != nil {
			return nil, fmt.Errorf("%s, line %d: %w", path, i+1, err)
		}
		r.runs[run.key()] = run
	}
	if r.file, err = os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o600); err != nil {
		return nil, err
	}
	err = r.file.Truncate(int64(whole))
	if err == nil {
		_, err = r.file.Seek(int64(whole), 0)
	}
	if err != nil {
		return nil, errors.Join(err, r.file.Close())
	}
	return r, nil
}

func (r *results) add(run tableRun) error {
	line, err := json.Marshal(run)
	if err != nil {
		return err
	}
	if _, err := r.file.Write(append(line, '\n')); err != nil {
		return err
	}
	r.runs[run.key()] = run
	return nil
}
