package spool

import (
	"fmt"
	"slices"
	"sync"
)

// Memory keeps vectors in memory, for tests and for a federation in one process.
type Memory struct {
	mu      sync.RWMutex
	vectors map[Key][]byte
}

// NewMemory returns an empty spool.
func NewMemory() *Memory { return &Memory{vectors: map[Key][]byte{}} }

// WriteAt implements Store.
func (s *Memory) WriteAt(k Key, data []byte, offset int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	v := s.vectors[k]
	if end := int(offset) + len(data); end > len(v) {
		v = slices.Grow(v, end-len(v))[:end]
	}
	copy(v[offset:], data)
	s.vectors[k] = v
	return nil
}

// Sync implements Store; memory is as durable as it gets.
func (s *Memory) Sync(k Key) error {
	_, err := s.Size(k)
	return err
}

// ReadAt implements Store.
func (s *Memory) ReadAt(k Key, data []byte, offset int64) error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	v, ok := s.vectors[k]
	if !ok || int(offset)+len(data) > len(v) {
		return fmt.Errorf("%s: %w", k, ErrMissing)
	}
	copy(data, v[offset:])
	return nil
}

// Size implements Store.
func (s *Memory) Size(k Key) (int64, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	v, ok := s.vectors[k]
	if !ok {
		return 0, fmt.Errorf("%s: %w", k, ErrMissing)
	}
	return int64(len(v)), nil
}

// Remove implements Store.
func (s *Memory) Remove(k Key) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.vectors, k)
	return nil
}

// RemoveUploads implements Store.
func (s *Memory) RemoveUploads(run [16]byte, round uint32) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for k := range s.vectors {
		if k.Run == run && k.Round == round && k.Member != 0 {
			delete(s.vectors, k)
		}
	}
	return nil
}
