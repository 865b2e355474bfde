package journal

import (
	"context"
	"sync"
)

// Memory keeps records in memory, for tests and for a federation in one
// process. The zero value is empty and ready.
type Memory struct {
	mu      sync.RWMutex
	records []Record
	closed  bool
}

// NewMemory returns an empty journal in memory.
func NewMemory() *Memory { return &Memory{} }

// Append implements Journal; durable here means until the process ends.
func (m *Memory) Append(ctx context.Context, entries ...Entry) ([]Record, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return nil, ErrClosed
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	var prev [32]byte
	if n := len(m.records); n > 0 {
		prev = m.records[n-1].Digest
	}
	records, err := Chain(uint64(len(m.records)), prev, entries)
	if err != nil {
		return nil, err
	}
	for _, r := range records {
		m.records = append(m.records, r.clone())
	}
	return records, nil
}

// Read implements Journal.
func (m *Memory) Read(ctx context.Context, from uint64, fn func(Record) error) error {
	m.mu.RLock()
	records, closed := m.records, m.closed
	m.mu.RUnlock()
	if closed {
		return ErrClosed
	}
	from = max(from, 1)
	if from > uint64(len(records)) {
		return ctx.Err()
	}
	for _, r := range records[from-1:] {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := fn(r.clone()); err != nil {
			return err
		}
	}
	return nil
}

// Close implements Journal.
func (m *Memory) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	return nil
}

func (r Record) clone() Record {
	r.Body = append([]byte{}, r.Body...)
	return r
}
