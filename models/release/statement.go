package release

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/koinon-eu/koinon/models/card"
	"github.com/koinon-eu/koinon/models/release/canonical"
)

// Format is the version of the statement.
const Format = "koinon/release/v1"

// Statement says how a model came about. It is what people approve.
type Statement struct {
	Format     string      `json:"format"`
	Name       string      `json:"name"`       // of the release, see ValidName
	Federation string      `json:"federation"` // name
	Created    string      `json:"created"`    // RFC 3339, UTC, seconds
	Code       string      `json:"code"`       // version of the program that made it
	Purpose    string      `json:"purpose"`    // purpose code of the declaration
	Plan       Plan        `json:"plan"`
	Roster     Digest      `json:"roster"`
	Artifact   Digest      `json:"artifact"` // SHA-256 of model.koinon, by which the artifact is named
	Members    []string    `json:"members"`  // the cohort, all of whom approved the plan
	Rounds     []Round     `json:"rounds"`
	Gates      []Gate      `json:"gates"`
	Thresholds []Threshold `json:"thresholds"`
	Files      []File      `json:"files"` // every file but statement, approvals and signature, by name
}

// Plan names the plan that the members approved.
type Plan struct {
	Name   string `json:"name"`
	Digest Digest `json:"digest"`
}

// Round is one closed masked sum (secagg S53 to S58).
type Round struct {
	Round     uint32   `json:"round"`
	Kind      string   `json:"kind"` // statistics, train, evaluate
	Step      Digest   `json:"step"`
	Survivors []string `json:"survivors"`
	H3        Digest   `json:"h3"`
}

// Results of a gate with which a candidate may be released. A failed gate and
// one without enough data are no such results.
const (
	Pass     = "pass"
	Answered = card.Answered // a finding for which the plan asks an answer in writing
)

// Gate is a threshold fixed in the plan, with what the candidate reached.
type Gate struct {
	Metric string   `json:"metric"`
	Group  string   `json:"group,omitempty"` // group column
	Wanted string   `json:"wanted"`          // in words: "at least 0.8 (lower bound)"
	Value  *float64 `json:"value,omitempty"` // what was compared; absent for gates of another form
	Result string   `json:"result"`
	Answer string   `json:"answer,omitempty"` // what the approvers wrote, for Answered
}

// Threshold is an operating point: a row whose probability is at least Value
// belongs to the band Name.
type Threshold struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
}

// File is a file of the release.
type File struct {
	Name   string `json:"name"`
	Size   int64  `json:"size"` // bytes
	SHA256 Digest `json:"sha256"`
}

// Describe lists files for a statement, by name. Statement, approvals and
// signature are left out.
func Describe(files Files) []File {
	out := make([]File, 0, len(files))
	for name, data := range files {
		if name != StatementFile && name != ApprovalsFile && name != SignatureFile {
			out = append(out, File{Name: name, Size: int64(len(data)), SHA256: sha256.Sum256(data)})
		}
	}
	slices.SortFunc(out, func(a, b File) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// Marshal returns the canonical bytes of a valid statement.
func (s *Statement) Marshal() ([]byte, error) {
	if err := s.Validate(); err != nil {
		return nil, err
	}
	one := *s
	if one.Gates == nil {
		one.Gates = []Gate{}
	}
	if one.Thresholds == nil {
		one.Thresholds = []Threshold{}
	}
	b, err := canonical.Marshal(one)
	if err != nil {
		return nil, fmt.Errorf("statement: %w", err)
	}
	if len(b) > MaxStatement {
		return nil, fmt.Errorf("statement: %d bytes, limit %d", len(b), MaxStatement)
	}
	return b, nil
}

// ParseStatement reads canonical bytes and validates them; nothing else is
// accepted.
func ParseStatement(data []byte) (*Statement, error) {
	var s Statement
	if err := canonical.Unmarshal(data, MaxStatement, &s); err != nil {
		return nil, fmt.Errorf("statement: %w", err)
	}
	if s.Gates == nil || s.Thresholds == nil { // an empty list is written [], never null
		return nil, fmt.Errorf("statement: %w", canonical.ErrForm)
	}
	if err := s.Validate(); err != nil {
		return nil, err
	}
	return &s, nil
}

// StatementDigest is what approvers sign: SHA-256 of the canonical bytes.
func StatementDigest(statement []byte) Digest { return sha256.Sum256(statement) }

// Validate checks that a statement is complete and that every gate passed or
// was answered.
func (s *Statement) Validate() error {
	if err := s.validate(); err != nil {
		return fmt.Errorf("statement: %w", err)
	}
	return nil
}

func (s *Statement) validate() error {
	if s.Format != Format {
		return fmt.Errorf("format %.40q, this version reads %s", s.Format, Format)
	}
	if !ValidName(s.Name) {
		return fmt.Errorf("name %.100q is not valid", s.Name)
	}
	for _, f := range [][2]string{
		{"federation", s.Federation}, {"code", s.Code}, {"purpose", s.Purpose}, {"plan name", s.Plan.Name},
	} {
		if err := checkText(f[0], f[1]); err != nil {
			return err
		}
	}
	if err := checkTime("created", s.Created); err != nil {
		return err
	}
	for what, d := range map[string]Digest{"plan digest": s.Plan.Digest, "roster": s.Roster, "artifact": s.Artifact} {
		if d == (Digest{}) {
			return fmt.Errorf("%s is zero", what)
		}
	}
	if err := checkList("members", s.Members); err != nil {
		return err
	}
	return errors.Join(s.checkRounds(), s.checkGates(), s.checkThresholds(), s.checkFiles())
}

// checkList wants distinct names, at least one.
func checkList(what string, names []string) error {
	if len(names) == 0 || len(names) > 1024 {
		return fmt.Errorf("%d %s, want 1 to 1024", len(names), what)
	}
	for i, n := range names {
		if err := checkText(what, n); err != nil {
			return err
		}
		if slices.Contains(names[:i], n) {
			return fmt.Errorf("%s name %q twice", what, n)
		}
	}
	return nil
}

func (s *Statement) checkRounds() error {
	if len(s.Rounds) == 0 || len(s.Rounds) > maxList {
		return fmt.Errorf("%d rounds, want 1 to %d", len(s.Rounds), maxList)
	}
	for i, r := range s.Rounds {
		if i > 0 && r.Round <= s.Rounds[i-1].Round {
			return fmt.Errorf("round %d does not follow round %d", r.Round, s.Rounds[i-1].Round)
		}
		if err := checkText("kind of round", r.Kind); err != nil {
			return err
		}
		if err := checkList("survivors", r.Survivors); err != nil {
			return fmt.Errorf("round %d: %w", r.Round, err)
		}
		for _, name := range r.Survivors {
			if !slices.Contains(s.Members, name) {
				return fmt.Errorf("round %d: survivor %q is no member", r.Round, name)
			}
		}
	}
	return nil
}

func (s *Statement) checkGates() error {
	if len(s.Gates) > maxList {
		return fmt.Errorf("%d gates, limit %d", len(s.Gates), maxList)
	}
	for i, g := range s.Gates {
		if err := errors.Join(checkText("metric", g.Metric), checkText("wanted", g.Wanted)); err != nil {
			return fmt.Errorf("gate %d: %w", i+1, err)
		}
		switch g.Result {
		case Pass:
		case Answered:
			if err := checkText("answer", g.Answer); err != nil {
				return fmt.Errorf("gate %d (%s): %w", i+1, g.Metric, err)
			}
		default:
			return fmt.Errorf("gate %d (%s): result is %.40q; only a candidate that passes is released", i+1, g.Metric, g.Result)
		}
	}
	return nil
}

func (s *Statement) checkThresholds() error {
	if len(s.Thresholds) > 64 {
		return fmt.Errorf("%d thresholds, limit 64", len(s.Thresholds))
	}
	for _, t := range s.Thresholds {
		if err := checkText("threshold", t.Name); err != nil {
			return err
		}
		if t.Value < 0 || t.Value > 1 {
			return fmt.Errorf("threshold %s: %v is not a probability", t.Name, t.Value)
		}
	}
	return nil
}

func (s *Statement) checkFiles() error {
	if len(s.Files) > maxFiles {
		return fmt.Errorf("%d files, limit %d", len(s.Files), maxFiles)
	}
	present := make(map[string]bool, len(s.Files))
	folded := make(map[string]bool, len(s.Files))
	total := int64(0)
	for i, f := range s.Files {
		switch {
		case !ValidName(f.Name) || f.Name == StatementFile || f.Name == ApprovalsFile || f.Name == SignatureFile:
			return fmt.Errorf("file name %.100q is not valid", f.Name)
		case i > 0 && f.Name <= s.Files[i-1].Name:
			return fmt.Errorf("file %s is not in order", f.Name)
		case folded[strings.ToLower(f.Name)]:
			return fmt.Errorf("file %s differs from another by case only", f.Name)
		case f.Size < 0 || f.Size > MaxRelease:
			return fmt.Errorf("file %s: size %d", f.Name, f.Size)
		}
		if f.Name == ArtifactFile && f.SHA256 != s.Artifact {
			return fmt.Errorf("file %s is not artifact %s", f.Name, s.Artifact)
		}
		total += f.Size
		present[f.Name] = true
		folded[strings.ToLower(f.Name)] = true
	}
	if total > MaxRelease {
		return fmt.Errorf("files of %d bytes, limit %d", total, MaxRelease)
	}
	for _, name := range Content {
		if !present[name] {
			return fmt.Errorf("file %s is missing", name)
		}
	}
	return nil
}
