package schedule

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/koinon-eu/koinon/models/feature"
)

// search is a plan's candidates, each a machine that has the encoder. Which of
// them trains next follows from how far they are and what they lost, so that
// nothing else is to be stored.
type search struct {
	rungs      []rung
	settings   []setting
	candidates []*Machine
}

// beginSearch gives every candidate the encoder and its initial parameters.
func (m *Machine) beginSearch(encoder *feature.Encoder) error {
	s := &search{settings: m.cfg.settings()}
	for i, setting := range s.settings {
		cfg := m.cfg
		cfg.Search, cfg.Architecture, cfg.Algorithm = nil, setting.architecture, setting.algorithm
		c := &Machine{cfg: cfg}
		if err := c.begin(encoder); err != nil {
			return fmt.Errorf("candidate %d: %w", i, err)
		}
		s.candidates = append(s.candidates, c)
	}
	s.rungs = m.cfg.Search.WithDefaults().rungs(len(s.candidates))
	m.encoder, m.shape, m.search, m.statistics = encoder, s.candidates[0].shape, s, nil
	return nil
}

// turn returns the candidate that trains next, or the one that is left, and
// those that are still in. A later loss of one that stayed is only ever lower,
// so that earlier rungs come out again as they did.
func (s *search) turn() (next int, live []int) {
	for i := range s.candidates {
		live = append(live, i)
	}
	for k, r := range s.rungs {
		for _, i := range live {
			if c := s.candidates[i]; c.round < r.rounds && !c.Stopped() {
				return i, live
			}
		}
		stay := 1
		if k+1 < len(s.rungs) {
			stay = s.rungs[k+1].live
		}
		slices.SortFunc(live, func(a, b int) int {
			return cmp.Or(cmp.Compare(s.candidates[a].lowest(), s.candidates[b].lowest()), cmp.Compare(a, b))
		})
		live = live[:stay]
		slices.Sort(live)
	}
	return live[0], live
}

// lowest is the lowest validation loss so far, +Inf before any.
func (m *Machine) lowest() float64 {
	lowest := math.Inf(1)
	for i := range m.judged.count() {
		lowest = min(lowest, m.judged.loss(i))
	}
	return lowest
}

// active is the machine whose parameters train: the candidate whose turn it is,
// or this one.
func (m *Machine) active() *Machine {
	if m.search == nil {
		return m
	}
	next, _ := m.search.turn()
	return m.search.candidates[next]
}

// Candidate is what a search tried, and how it fared.
type Candidate struct {
	Settings string  // what the grid decided; empty for the plan's own
	Rounds   int     // trained
	Loss     float64 // lowest validation loss a row, in nats; +Inf before it was judged
	Live     bool    // not given up
}

// Candidates returns the candidates of a search, the plan's own settings first;
// nil without one or before the encoder.
func (m *Machine) Candidates() []Candidate {
	if m.search == nil {
		return nil
	}
	var out []Candidate
	_, live := m.search.turn()
	for i, c := range m.search.candidates {
		out = append(out, Candidate{strings.Join(m.search.settings[i].words, ", "), c.round, c.lowest(), slices.Contains(live, i)})
	}
	return out
}

// appendSearch appends of every candidate u32 rounds, u32 length and its model.
func (m *Machine) appendSearch(b []byte) ([]byte, error) {
	for _, c := range m.search.candidates {
		model, err := c.model()
		if err != nil {
			return nil, err
		}
		b = binary.BigEndian.AppendUint32(b, uint32(c.round))
		b = binary.BigEndian.AppendUint32(b, uint32(len(model)))
		b = append(b, model...)
	}
	return b, nil
}

// restoreSearch takes back what appendSearch wrote.
func (m *Machine) restoreSearch(encoder *feature.Encoder, b []byte) error {
	if err := m.beginSearch(encoder); err != nil {
		return err
	}
	total := 0
	for i, c := range m.search.candidates {
		if len(b) < 8 || uint64(len(b)-8) < uint64(binary.BigEndian.Uint32(b[4:])) {
			return fmt.Errorf("%w: candidate %d is cut off", errState, i)
		}
		round, n := binary.BigEndian.Uint32(b), binary.BigEndian.Uint32(b[4:])
		if int64(round) > int64(c.cfg.Algorithm.Rounds) {
			return fmt.Errorf("%w: candidate %d after round %d", errState, i, round)
		}
		c.round = int(round)
		total += c.round
		if err := c.restoreParams(b[8 : 8+n]); err != nil {
			return fmt.Errorf("candidate %d: %w", i, err)
		}
		b = b[8+n:]
	}
	if len(b) > 0 || total != m.round {
		return fmt.Errorf("%w: candidates have had %d rounds of %d", errState, total, m.round)
	}
	return nil
}
