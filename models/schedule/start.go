package schedule

import (
	"errors"
	"fmt"
	"slices"

	"github.com/koinon-eu/koinon/models/arch"
	"github.com/koinon-eu/koinon/models/feature"
)

// Start is the released model from which training goes on instead of from the
// seed (S59). Its encoder is taken over with its parameters, which mean nothing
// under another one: a plan with a start has no statistics sums. The plan holds
// the digest only; whoever makes a machine adds the rest (package start).
type Start struct {
	Artifact     [32]byte // SHA-256 of the artifact
	Architecture arch.Spec
	Encoder      *feature.Encoder
	Params       []float32
}

// ErrNoStart says that a machine of a plan with a start was to be made without
// its model.
var ErrNoStart = errors.New("the released model that the plan starts from is not here")

// Check says why a model does not fit a configuration.
func (s *Start) Check(c Config) error {
	c = c.WithDefaults()
	if s.Encoder == nil {
		return ErrNoStart
	}
	if s.Encoder.Schema.Digest() != c.Schema.Digest() {
		return errors.New("warm start: the release was trained under another schema, so that its encoder does not fit")
	}
	was, is := s.Architecture.WithDefaults(), c.Architecture
	if was.Kind != is.Kind || !slices.Equal(was.Hidden, is.Hidden) || was.Embedding != is.Embedding {
		return fmt.Errorf("warm start: the release is %s, the plan's architecture is %s", archWords(was), archWords(is))
	}
	n, err := is.Params(arch.Shape{Numbers: s.Encoder.Numbers(), Cards: s.Encoder.Categories()})
	if err == nil && n != len(s.Params) {
		err = fmt.Errorf("warm start: the release has %d parameters, the plan's architecture %d", len(s.Params), n)
	}
	return err
}

func archWords(s arch.Spec) string {
	if s.Kind != arch.MLP {
		return s.Kind
	}
	return fmt.Sprintf("%s, hidden %v, embedding %s", s.Kind, s.Hidden, s.Embedding)
}

// warm takes encoder and parameters of the start; the optimiser begins afresh.
func (m *Machine) warm() error {
	s := m.cfg.Start
	if err := s.Check(m.cfg); err != nil {
		return err
	}
	if err := m.begin(s.Encoder); err != nil {
		return err
	}
	copy(m.params, s.Params)
	m.cfg.Start = &Start{Artifact: s.Artifact}
	return nil
}
