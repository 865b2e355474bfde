package schedule

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/koinon-eu/koinon/models/arch"
	"github.com/koinon-eu/koinon/models/feature"
)

// magic begins a stored state and fixes its version.
const magic = "koinon/schedule/1\n"

// MaxState bounds a stored state.
const MaxState = 1 << 30

var errState = errors.New("stored state is malformed")

// MarshalBinary returns the canonical bytes of the state: magic, ordinal u32,
// round u32, then four parts with a u32 length each (statistics or nothing,
// encoder or nothing, parameters and optimiser memory or cells and trees,
// evaluate words), all
// big-endian. A restart takes them up with UnmarshalMachine instead of
// replaying every sum.
func (m *Machine) MarshalBinary() ([]byte, error) {
	b := []byte(magic)
	b = binary.BigEndian.AppendUint32(b, m.ordinal)
	b = binary.BigEndian.AppendUint32(b, uint32(m.round))
	var statistics, encoder, model, words []byte
	if m.statistics != nil {
		var err error
		if statistics, err = m.statistics.MarshalBinary(); err != nil {
			return nil, err
		}
	} else {
		var err error
		encoder = m.encoder.Canonical()
		if model, err = m.model(); err != nil {
			return nil, err
		}
	}
	for _, w := range m.words {
		words = binary.BigEndian.AppendUint64(words, uint64(w))
	}
	for _, part := range [][]byte{statistics, encoder, model, words} {
		b = binary.BigEndian.AppendUint32(b, uint32(len(part)))
		b = append(b, part...)
	}
	if len(b) > MaxState {
		return nil, fmt.Errorf("state has %d bytes, at most %d", len(b), MaxState)
	}
	return b, nil
}

// model returns the part of a stored state that holds the model.
func (m *Machine) model() ([]byte, error) {
	if m.forest != nil {
		return m.storedForest()
	}
	var b []byte
	for _, v := range m.params {
		b = binary.BigEndian.AppendUint32(b, math.Float32bits(v))
	}
	return m.optimizer.AppendState(b), nil
}

// UnmarshalMachine takes up a stored state of the same configuration. It
// refuses bytes that MarshalBinary cannot have written.
func UnmarshalMachine(cfg Config, b []byte) (*Machine, error) {
	m, err := New(cfg)
	if err != nil {
		return nil, err
	}
	if err := m.restore(b); err != nil {
		return nil, err
	}
	if again, err := m.MarshalBinary(); err != nil || !bytes.Equal(again, b) {
		return nil, fmt.Errorf("%w: not canonical", errState)
	}
	return m, nil
}

func (m *Machine) restore(b []byte) error {
	if len(b) > MaxState || len(b) < len(magic)+8 || string(b[:len(magic)]) != magic {
		return errState
	}
	b = b[len(magic):]
	m.ordinal = binary.BigEndian.Uint32(b)
	round := binary.BigEndian.Uint32(b[4:])
	if int64(round) > int64(m.cfg.Algorithm.Rounds) || round > m.ordinal {
		return fmt.Errorf("%w: round %d at step %d", errState, round, m.ordinal)
	}
	m.round = int(round)
	b = b[8:]
	var parts [4][]byte
	for i := range parts {
		if len(b) < 4 || uint64(len(b)-4) < uint64(binary.BigEndian.Uint32(b)) {
			return errState
		}
		n := binary.BigEndian.Uint32(b)
		parts[i], b = b[4:4+n], b[4+n:]
	}
	if len(b) != 0 {
		return fmt.Errorf("%w: %d bytes too many", errState, len(b))
	}
	if len(parts[0]) > 0 {
		return m.restoreStatistics(parts)
	}
	return m.restoreModel(parts)
}

// restoreStatistics takes up a state before the encoder.
func (m *Machine) restoreStatistics(parts [4][]byte) error {
	if m.round > 0 || len(parts[1]) > 0 || len(parts[2]) > 0 || len(parts[3]) > 0 {
		return fmt.Errorf("%w: a model before its encoder", errState)
	}
	statistics, err := unmarshalStatistics(m.cfg, parts[0])
	if err != nil {
		return err
	}
	if statistics.Done() {
		return fmt.Errorf("%w: statistics without their encoder", errState)
	}
	m.statistics = statistics
	return nil
}

// restoreModel takes up a state with an encoder.
func (m *Machine) restoreModel(parts [4][]byte) error {
	encoder, err := feature.ParseEncoder(parts[1])
	if err != nil {
		return err
	}
	if encoder.Schema.Digest() != m.cfg.Schema.Digest() {
		return fmt.Errorf("%w: encoder of another schema", errState)
	}
	if m.cfg.Architecture.Kind == arch.Trees {
		if err := m.restoreForest(encoder, parts[2]); err != nil {
			return err
		}
		return m.restoreTally(parts[3])
	}
	if err := m.begin(encoder); err != nil {
		return err
	}
	model := parts[2]
	if len(model) < 4*len(m.params) {
		return fmt.Errorf("%w: %d bytes for %d parameters", errState, len(model), len(m.params))
	}
	for i := range m.params {
		m.params[i] = math.Float32frombits(binary.BigEndian.Uint32(model[4*i:]))
		if v := float64(m.params[i]); math.IsNaN(v) || math.IsInf(v, 0) {
			return fmt.Errorf("%w: parameter %d is not finite", errState, i)
		}
	}
	if err := m.optimizer.SetState(model[4*len(m.params):]); err != nil {
		return err
	}
	return m.restoreTally(parts[3])
}

func (m *Machine) restoreTally(b []byte) error {
	if len(b) == 0 {
		return nil
	}
	if len(b)%8 != 0 || m.kind() != Evaluate {
		return fmt.Errorf("%w: evaluation of %d bytes after round %d", errState, len(b), m.round)
	}
	for ; len(b) > 0; b = b[8:] {
		m.words = append(m.words, int64(binary.BigEndian.Uint64(b)))
	}
	tally, err := m.TallySchema().Parse(m.words)
	m.tally = tally
	return err
}
