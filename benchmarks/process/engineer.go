package process

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

// Verified is what `pull` and `verify` print of a release that holds.
type Verified struct {
	Name      string     `json:"name"`
	Statement string     `json:"statement"`
	Key       string     `json:"key"` // the release key that signed it
	Approvals []Approval `json:"approvals"`
	Pinned    bool       `json:"approvers_pinned"`
	Files     int        `json:"files"`
	Bytes     int        `json:"bytes"`
}

// Advisory is what `score` says of one row.
type Advisory struct {
	Row     int      `json:"row"`
	ID      string   `json:"id"`
	Score   float64  `json:"score"`
	Band    string   `json:"band"`
	Flagged bool     `json:"flagged"`
	Factors []Factor `json:"factors"`
	Notice  string   `json:"notice"`
}

// Factor is a column that moved a score, by the change of its logit.
type Factor struct {
	Column string  `json:"column"`
	Effect float64 `json:"effect"`
}

// Trust copies the trust file that init made (release key, approvers'
// keys, authority of the web site) into dir, as an admin would hand it to an
// engineer by another way than the web site. It returns the copy's path.
func (f *Federation) Trust(dir string) (string, error) {
	data, err := os.ReadFile(filepath.Join(f.CoordinatorDir(), "trust.yaml"))
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	path := filepath.Join(dir, "trust.yaml")
	return path, os.WriteFile(path, data, 0o600)
}

// Pull fetches a release over HTTPS into a new directory.
func (f *Federation) Pull(ctx context.Context, url, trust, dir string) (v Verified, err error) {
	err = runJSON(ctx, &v, "", f.path(engineerProgram), "pull", url, "--trust", trust, "--output", dir)
	return v, err
}

// Verify checks a release directory offline.
func (f *Federation) Verify(ctx context.Context, trust, dir string) (v Verified, err error) {
	err = runJSON(ctx, &v, "", f.path(engineerProgram), "verify", dir, "--trust", trust)
	return v, err
}

// Score advises on every row of a table.
func (f *Federation) Score(ctx context.Context, trust, dir, table string) ([]Advisory, error) {
	text, err := run(ctx, "", f.path(engineerProgram), "score", "--model", dir, "--input", table, "--trust", trust)
	if err != nil {
		return nil, err
	}
	var out []Advisory
	dec := json.NewDecoder(bytes.NewReader(text))
	for dec.More() {
		var a Advisory
		if err := dec.Decode(&a); err != nil {
			return nil, fmt.Errorf("koinon score: %w", err)
		}
		out = append(out, a)
	}
	return out, nil
}

// Tamper flips one bit in the middle of a file and returns what undoes it.
func Tamper(path string) (undo func() error, err error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	data[len(data)/2] ^= 1
	undo = func() error {
		data[len(data)/2] ^= 1
		return os.WriteFile(path, data, info.Mode().Perm())
	}
	return undo, os.WriteFile(path, data, info.Mode().Perm())
}
