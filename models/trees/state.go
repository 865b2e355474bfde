package trees

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
)

// stateMagic begins a stored state and fixes its version.
const stateMagic = "koinon/trees/state/1\n"

// MarshalBinary returns the canonical bytes of the state: magic, the digest of
// configuration and cells, the chain, ended, disclosure, best and losses as they
// were before the step in progress, the trees of closed steps, and the sums of the
// step in progress, from which a restart computes the rest again (trees 53).
func (m *Machine) MarshalBinary() ([]byte, error) {
	chain, losses, best, shown, sums := m.chain, len(m.losses), m.best, m.shown, [][]uint64(nil)
	if s := m.step; s != nil {
		chain, losses, best, shown, sums = s.chain, s.losses, s.best, s.shown, s.sums
	}
	b := append([]byte(stateMagic), m.root[:]...)
	b = append(b, chain[:]...)
	b = append(b, flag(m.ended))
	b = binary.AppendUvarint(b, uint64(shown.Cells))
	b = binary.AppendUvarint(b, uint64(shown.Small))
	b = binary.AppendUvarint(b, uint64(best))
	b = binary.AppendUvarint(b, uint64(losses))
	for _, v := range m.losses[:losses] {
		b = appendFloat64(b, v)
	}
	b = binary.AppendUvarint(b, uint64(len(m.done)))
	for _, t := range m.done {
		b = m.bins.appendTree(b, t)
	}
	b = binary.AppendUvarint(b, uint64(len(sums)))
	for _, sum := range sums {
		b = binary.AppendUvarint(b, uint64(len(sum)))
		for _, w := range sum {
			b = binary.LittleEndian.AppendUint64(b, w)
		}
	}
	return b, nil
}

// Unmarshal takes up a stored state of the same configuration and cells. It
// refuses bytes that MarshalBinary cannot have written.
func Unmarshal(cfg Config, bins *Bins, b []byte) (*Machine, error) {
	m, err := New(cfg, bins)
	if err != nil {
		return nil, err
	}
	rest, ok := bytes.CutPrefix(b, []byte(stateMagic))
	if !ok {
		return nil, fmt.Errorf("%w: not a state of version 1", ErrForm)
	}
	r := &reader{b: rest}
	if !bytes.Equal(r.take(32), m.root[:]) {
		r.fail("state of another configuration")
	}
	copy(m.chain[:], r.take(32))
	m.ended = r.take(1)[0] != 0
	m.shown.Cells, m.shown.Small = int64(r.uvarint(math.MaxInt)), int64(r.uvarint(math.MaxInt))
	m.best = r.uvarint(MaxTrees)
	for range r.count(MaxTrees+1, 8) {
		m.losses = append(m.losses, math.Float64frombits(binary.LittleEndian.Uint64(r.take(8))))
	}
	for range r.count(m.total, 9) {
		m.done = append(m.done, r.tree(bins))
	}
	sums := r.sums(m.params.Depth)
	if r.err == nil && len(r.b) > 0 {
		r.fail("%d bytes too many", len(r.b))
	}
	if r.err == nil {
		r.err = m.resume(sums)
	}
	if r.err != nil {
		return nil, r.err
	}
	if again, err := m.MarshalBinary(); err != nil || !bytes.Equal(again, b) {
		return nil, fmt.Errorf("%w: not canonical", ErrForm)
	}
	return m, nil
}

func (r *reader) sums(limit int) [][]uint64 {
	out := make([][]uint64, r.count(limit, 1))
	for i := range out {
		out[i] = make([]uint64, r.count(MaxWords, 8))
		for j := range out[i] {
			out[i][j] = binary.LittleEndian.Uint64(r.take(8))
		}
	}
	return out
}

// resume checks what was read and applies the sums of the step in progress.
func (m *Machine) resume(sums [][]uint64) error {
	for i, t := range m.done {
		if err := t.validate(m.bins); err != nil {
			return fmt.Errorf("%w: tree %d: %w", ErrForm, i, err)
		}
	}
	if len(m.losses) > 0 && m.index(m.best) >= len(m.losses) || len(m.losses) == 0 && m.best > 0 ||
		len(m.losses) > m.index(len(m.done)+m.perStep) {
		return fmt.Errorf("%w: best after %d trees, %d validation losses", ErrForm, m.best, len(m.losses))
	}
	if m.shown.Small > m.shown.Cells {
		return fmt.Errorf("%w: %d small cells of %d", ErrForm, m.shown.Small, m.shown.Cells)
	}
	m.begin()
	for _, sum := range sums {
		if err := m.Apply(sum); err != nil {
			return fmt.Errorf("%w: %w", ErrForm, err)
		}
	}
	return nil
}
