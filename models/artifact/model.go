package artifact

import (
	"encoding/hex"
	"errors"
	"fmt"
	"math"

	"github.com/koinon-eu/koinon/models/arch"
	"github.com/koinon-eu/koinon/models/feature"
	"github.com/koinon-eu/koinon/models/trees"
)

// Limits of an artifact, compiled in.
const (
	MaxBytes    = 1 << 28
	MaxHeader   = 1 << 20
	MaxEncoder  = 1 << 26
	maxBands    = 16
	maxText     = 1 << 12
	maxBandName = 64
)

// Band is a range of scores with a name: from From (inclusive) up to the next
// band. It advises; it decides nothing.
type Band struct {
	Name string  `json:"name"`
	From float64 `json:"from"` // probability
}

// Header is what an artifact says about itself.
type Header struct {
	Name         string    `json:"name"`
	Purpose      string    `json:"purpose"` // what scores may be used for, shown with each
	Plan         string    `json:"plan"`    // digest of the plan, 64 hex digits
	Architecture arch.Spec `json:"architecture"`
	Threshold    float64   `json:"threshold"` // operating point: flagged from this probability up
	Bands        []Band    `json:"bands"`     // ascending, the first from 0

	// FineTuned names, by digest, the model that a node has fitted to its own rows. Such an artifact stays on that
	// node: it is no release and cannot be one.
	FineTuned string `json:"fine_tuned,omitempty"`
}

// ErrFineTuned refuses a model that a node has fitted to its own rows where a released one is wanted.
var ErrFineTuned = errors.New("model is fine-tuned on one node and no release")

// Model is a parsed artifact.
type Model struct {
	Header   Header
	Encoder  *feature.Encoder
	Params   []float32
	Ensemble *trees.Ensemble // of architecture trees, which has no parameters
}

// BandsAt makes three bands of an operating threshold and a higher one: low,
// raised, high. With equal thresholds there is no raised band; above 1 nothing
// can reach a band, and it is left out.
func BandsAt(operating, high float64) []Band {
	bands := []Band{{Name: "low"}}
	if operating > 0 && operating <= 1 && operating < high {
		bands = append(bands, Band{Name: "raised", From: operating})
	}
	if high > 0 && high <= 1 && high >= operating {
		bands = append(bands, Band{Name: "high", From: high})
	}
	return bands
}

// Forecast names the only band of a model that forecasts counts, and
// NoThreshold is its operating point: nothing is flagged.
const (
	Forecast    = "forecast"
	NoThreshold = 2.0
)

// ForecastBands are the bands of a model that forecasts counts.
func ForecastBands() []Band { return []Band{{Name: Forecast}} }

// Forecasts reports whether the model's scores are expected counts.
func (m *Model) Forecasts() bool { return m.Header.Architecture.Counts() }

// Shape returns the encoder's width.
func (m *Model) Shape() arch.Shape {
	return arch.Shape{Numbers: m.Encoder.Numbers(), Cards: m.Encoder.Categories()}
}

// Validate says what is wrong with a model.
func (m *Model) Validate() error {
	if m.Encoder == nil {
		return errors.New("artifact: no encoder")
	}
	if err := m.Encoder.Validate(); err != nil {
		return fmt.Errorf("artifact: %w", err)
	}
	if err := m.Header.validate(); err != nil {
		return fmt.Errorf("artifact: %w", err)
	}
	if m.Forecasts() != m.Encoder.Schema.Label.IsCount() {
		return fmt.Errorf("artifact: architecture %s does not fit the schema's label", m.Header.Architecture.Kind)
	}
	if err := m.validateEnsemble(); err != nil {
		return fmt.Errorf("artifact: %w", err)
	}
	n, err := m.Header.Architecture.Params(m.Shape())
	if err != nil {
		return fmt.Errorf("artifact: %w", err)
	}
	if len(m.Params) != n {
		return fmt.Errorf("artifact: %d parameters, architecture has %d", len(m.Params), n)
	}
	for i, v := range m.Params {
		if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
			return fmt.Errorf("artifact: parameter %d is not finite", i)
		}
	}
	return nil
}

func (h Header) validate() error {
	if err := h.Architecture.Validate(); err != nil {
		return err
	}
	if h.Name == "" || len(h.Name) > maxText || len(h.Purpose) > maxText {
		return fmt.Errorf("name of %d and purpose of %d bytes, want 1 and 0 to %d", len(h.Name), len(h.Purpose), maxText)
	}
	if !isDigest(h.Plan) {
		return fmt.Errorf("plan digest %.70q is not 64 hex digits", h.Plan)
	}
	if h.FineTuned != "" && !isDigest(h.FineTuned) {
		return fmt.Errorf("digest %.70q of the fine-tuned model is not 64 hex digits", h.FineTuned)
	}
	// Above 1 nothing is flagged; the tally says so with +Inf, which JSON cannot.
	if !(h.Threshold >= 0 && h.Threshold <= 2) {
		return fmt.Errorf("threshold %v is not between 0 and 2", h.Threshold)
	}
	if len(h.Bands) == 0 || len(h.Bands) > maxBands || h.Bands[0].From != 0 {
		return fmt.Errorf("%d bands, want 1 to %d, the first from 0", len(h.Bands), maxBands)
	}
	for i, b := range h.Bands {
		if b.Name == "" || len(b.Name) > maxBandName || !(b.From >= 0 && b.From <= 1) || i > 0 && b.From <= h.Bands[i-1].From {
			return fmt.Errorf("band %d %.70q from %v: want a name and an ascending probability", i, b.Name, b.From)
		}
	}
	return nil
}

func isDigest(text string) bool {
	d, err := hex.DecodeString(text)
	return err == nil && len(d) == 32 && hex.EncodeToString(d) == text
}

// Band returns the name of the band of a probability.
func (h Header) Band(probability float64) string {
	name := h.Bands[0].Name
	for _, b := range h.Bands[1:] {
		if probability >= b.From {
			name = b.Name
		}
	}
	return name
}
