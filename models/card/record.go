package card

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/koinon-eu/koinon/models/release/canonical"
)

// Format is the version of the record.
const Format = "koinon/card/v1"

// MaxRecord bounds card.json in bytes.
const MaxRecord = 4 << 20

// Record holds every fact a card is made of. A zero value, a nil pointer and
// an empty list all mean "not recorded"; a recorded "no", zero or "none" is
// therefore a pointer or a text.
type Record struct {
	Format     string `json:"format"`
	Name       string `json:"name"` // of the release
	Federation string `json:"federation,omitempty"`
	Created    string `json:"created,omitempty"` // RFC 3339
	Code       string `json:"code,omitempty"`    // program version
	Provider   string `json:"provider,omitempty"`
	Contact    string `json:"contact,omitempty"`

	Purpose   Purpose   `json:"purpose,omitzero"`
	Oversight Oversight `json:"oversight,omitzero"`
	Plan      Plan      `json:"plan,omitzero"`
	Data      Data      `json:"data,omitzero"`
	Model     Model     `json:"model,omitzero"`

	Figures  []Figure `json:"figures,omitempty"`
	Gates    []Gate   `json:"gates,omitempty"`
	Bands    []Band   `json:"bands,omitempty"`
	Intended []string `json:"intended_use,omitempty"`
	Excluded []string `json:"not_for,omitempty"`
	Limits   []string `json:"limits,omitempty"`
	Risks    []string `json:"risks,omitempty"`
	Tests    []string `json:"tests,omitempty"` // of robustness and cybersecurity, with their results
}

// Purpose is the declaration that the members approved with the plan.
type Purpose struct {
	Code       string            `json:"code,omitempty"`
	Unit       string            `json:"unit,omitempty"` // document, application, object, aggregate
	Target     string            `json:"target,omitempty"`
	Use        string            `json:"use,omitempty"`
	Profiling  *bool             `json:"profiling,omitempty"`
	AnnexIII   []string          `json:"annex_iii,omitempty"`
	Article63  string            `json:"art6_3,omitempty"`
	Article5   map[string]string `json:"art5,omitempty"`
	Regime     string            `json:"regime,omitempty"`
	LegalBasis string            `json:"legal_basis,omitempty"`
	Deployers  []string          `json:"deployers,omitempty"`
	Affected   []string          `json:"affected_groups,omitempty"`
	References map[string]string `json:"references,omitempty"` // DPIA, FRIA, registration
	ValidUntil string            `json:"valid_until,omitempty"`
	Lawpack    string            `json:"lawpack,omitempty"`
}

// Oversight says who stands between a score and a decision.
type Oversight struct {
	Verifiers        *int     `json:"verifiers,omitempty"`
	ReasonRequired   *bool    `json:"reason_required,omitempty"`
	ExaminationShare *float64 `json:"random_examination_share,omitempty"` // of cases looked at whatever their score
}

// Plan names how the model was trained.
type Plan struct {
	Name      string   `json:"name,omitempty"`
	Digest    string   `json:"digest,omitempty"`
	Members   []string `json:"members,omitempty"`
	Rounds    *int     `json:"rounds,omitempty"` // of training
	Algorithm string   `json:"algorithm,omitempty"`
	Privacy   string   `json:"privacy,omitempty"` // secure aggregation, noise
	MinCohort *int     `json:"min_cohort,omitempty"`
}

// Data describes what the members hold; counts are masked sums over them.
type Data struct {
	Schema    string            `json:"schema,omitempty"`
	Rows      *int64            `json:"rows,omitempty"`      // trained on
	Counted   string            `json:"counted,omitempty"`   // how, where Rows and Positives are not those of this training exactly
	Positives *int64            `json:"positives,omitempty"` // of Rows
	Cases     *int64            `json:"cases,omitempty"`     // counted in Rows, of a label that counts
	Evaluated *int64            `json:"evaluated,omitempty"` // rows the figures are from
	Features  []Feature         `json:"features,omitempty"`
	Groups    []Group           `json:"groups,omitempty"` // evaluated, never features
	Denied    []string          `json:"denied,omitempty"` // columns that may not be features
	Sets      map[string]string `json:"datasets,omitempty"`
}

// Feature is an input column.
type Feature struct {
	Name      string `json:"name"`
	Type      string `json:"type"`
	Unit      string `json:"unit,omitempty"`
	Missing   string `json:"missing,omitempty"` // what an empty field means
	Why       string `json:"why,omitempty"`
	ProxyOf   string `json:"proxy_of,omitempty"`
	Contested string `json:"contested,omitempty"`
}

// Group is a column whose values figures are reported for.
type Group struct {
	Name   string   `json:"name"`
	Values []string `json:"values,omitempty"`
}

// Model is what scores.
type Model struct {
	Architecture string  `json:"architecture,omitempty"`
	Parameters   *int    `json:"parameters,omitempty"`
	Digest       string  `json:"digest,omitempty"` // of the artifact
	Stop         *Stop   `json:"stop,omitempty"`   // of a plan with early stopping
	Tried        []Tried `json:"tried,omitempty"`  // of a plan with a search, its own settings first
	From         string  `json:"from,omitempty"`   // NAME@DIGEST of the release that training started from
}

// Tried is a candidate of a search for settings.
type Tried struct {
	Settings string   `json:"settings,omitempty"` // empty for the plan's own
	Rounds   int      `json:"rounds"`
	Loss     *float64 `json:"loss,omitempty"` // lowest validation loss a row, in nats
	Chosen   bool     `json:"chosen,omitempty"`
}

// Stop says which of the parameters of a run with early stopping these are.
type Stop struct {
	Rounds int      `json:"rounds"`         // training rounds that were run
	Chosen int      `json:"chosen"`         // the parameters are those after so many
	Loss   *float64 `json:"loss,omitempty"` // their validation loss a row, in nats, if they were judged
}

// Figure is a number of the report. Pointer is its place in report.json
// (RFC 6901); Low and High, the ends of its 95 % interval, have places of their
// own. A nil Value is a figure that could not be measured.
type Figure struct {
	Name    string   `json:"name"`
	Group   string   `json:"group,omitempty"` // "sex = F"
	Value   *float64 `json:"value,omitempty"`
	Pointer string   `json:"pointer"`

	Low         *float64 `json:"low,omitempty"`
	LowPointer  string   `json:"low_pointer,omitempty"`
	High        *float64 `json:"high,omitempty"`
	HighPointer string   `json:"high_pointer,omitempty"`
}

// Gate is a threshold fixed before training, and what came of it.
type Gate struct {
	Metric string   `json:"metric"`
	Group  string   `json:"group,omitempty"`
	Wanted string   `json:"wanted"`
	Value  *float64 `json:"value,omitempty"`
	Result string   `json:"result"` // the report's outcome, or Answered
	Answer string   `json:"answer,omitempty"`
}

// Band is a range of scores with a name.
type Band struct {
	Name  string  `json:"name"`
	From  float64 `json:"from"` // probability
	Means string  `json:"means,omitempty"`
}

// Marshal returns card.json: the canonical form of the record.
func (r *Record) Marshal() ([]byte, error) {
	if err := r.Validate(); err != nil {
		return nil, err
	}
	b, err := canonical.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("card: %w", err)
	}
	if len(b) > MaxRecord {
		return nil, fmt.Errorf("card: %d bytes, limit %d", len(b), MaxRecord)
	}
	return b, nil
}

// Parse reads card.json; anything but the canonical form is refused.
func Parse(data []byte) (*Record, error) {
	var r Record
	if err := canonical.Unmarshal(data, MaxRecord, &r); err != nil {
		return nil, fmt.Errorf("card: %w", err)
	}
	if err := r.Validate(); err != nil {
		return nil, err
	}
	return &r, nil
}

// Validate checks the little a record cannot be without: its format, its name
// and where its figures stand in the report.
func (r *Record) Validate() error {
	if r.Format != Format {
		return fmt.Errorf("card: format %.40q, this version reads %s", r.Format, Format)
	}
	if strings.TrimSpace(r.Name) == "" || !utf8.ValidString(r.Name) {
		return errors.New("card: no name")
	}
	for i, f := range r.Figures {
		if f.Name == "" || !strings.HasPrefix(f.Pointer, "/") ||
			(f.Low != nil) != (f.LowPointer != "") || (f.High != nil) != (f.HighPointer != "") {
			return fmt.Errorf("card: figure %d (%.40q) does not point into the report", i+1, f.Name)
		}
	}
	return nil
}
