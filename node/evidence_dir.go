package node

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/koinon-eu/koinon/coordinator/federation"
	"github.com/koinon-eu/koinon/deploy/service"
)

const evidenceExt = ".evidence"

// Limits of the evidence folder: a coordinator that lies must not be able to fill a disk with the proofs of it. The
// first ones are the ones that count, so a full folder takes no more.
const (
	maxEvidenceFiles = 64
	maxEvidenceTotal = 128 << 20
)

// KeepEvidence implements Store. What is kept under a name already stays as it is.
func (d Dir) KeepEvidence(name string, data []byte) error {
	path := d.Path(evidenceName, name)
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	entries, err := os.ReadDir(d.Path(evidenceName))
	if err != nil {
		return err
	}
	total := int64(len(data))
	for _, e := range entries {
		if info, err := e.Info(); err == nil {
			total += info.Size()
		}
	}
	if len(entries) >= maxEvidenceFiles || total > maxEvidenceTotal {
		return fmt.Errorf("%s is full: %d files, %d MiB; move some away", d.Path(evidenceName), len(entries), total>>20)
	}
	return service.WriteFile(path, data, 0o600)
}

// KeptEvidence is a file of the evidence folder.
type KeptEvidence struct {
	File     string // its path
	Evidence federation.Evidence
	Err      error // why it cannot be read
}

// Evidence lists the evidence that this node keeps, by round.
func (d Dir) Evidence() ([]KeptEvidence, error) {
	entries, err := os.ReadDir(d.Path(evidenceName))
	if err != nil {
		return nil, err
	}
	var out []KeptEvidence
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), evidenceExt) || strings.HasPrefix(e.Name(), ".") {
			continue // written at this moment, or somebody else's
		}
		kept := KeptEvidence{File: d.Path(evidenceName, e.Name())}
		b, err := d.read(filepath.Join(evidenceName, e.Name()), federation.MaxEvidenceBytes)
		if err == nil {
			kept.Evidence, err = federation.DecodeEvidence(b)
		}
		kept.Err = err
		out = append(out, kept)
	}
	return out, nil
}

// ReadEvidence reads a file of evidence: a path, or the name of one that this node keeps.
func (d Dir) ReadEvidence(file string) (federation.Evidence, error) {
	path := file
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) && filepath.Base(file) == file {
		path = d.Path(evidenceName, file)
	}
	b, err := readFile(path, federation.MaxEvidenceBytes)
	if err != nil {
		return federation.Evidence{}, err
	}
	e, err := federation.DecodeEvidence(b)
	if err != nil {
		return e, fmt.Errorf("%s: %w", path, err)
	}
	return e, nil
}

// ReadRoster reads a roster as a state directory keeps it, from any place, and verifies its signature by the key in it:
// whoever names the file trusts it.
func ReadRoster(path string) (*federation.Roster, error) {
	_, r, err := Dir(filepath.Dir(path)).readRoster(filepath.Base(path))
	return r, err
}

func readFile(path string, limit int64) ([]byte, error) {
	return Dir(filepath.Dir(path)).read(filepath.Base(path), limit)
}
