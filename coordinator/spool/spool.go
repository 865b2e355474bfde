// Package spool keeps masked vectors outside memory until they are summed, and the sums themselves (S32, S55).
// What lies here is masked or public: a vector without its mask never reaches the coordinator. Memory stays O(model)
// however many members upload, and a restart finds what was written.
package spool

import (
	"errors"
	"fmt"
	"io/fs"
)

// Key names one vector. Member 0 is the sum of the round.
type Key struct {
	Run    [16]byte
	Round  uint32
	Member uint8
}

// String is the key as a relative path.
func (k Key) String() string {
	if k.Member == 0 {
		return fmt.Sprintf("%x/%08d/sum", k.Run, k.Round)
	}
	return fmt.Sprintf("%x/%08d/%03d", k.Run, k.Round, k.Member)
}

// ErrMissing is returned when a vector, or the part asked for, was never written or is already deleted.
var ErrMissing = fmt.Errorf("spool: no such vector: %w", fs.ErrNotExist)

// ErrFull is returned when the disk has no room for what was to be written. Nothing is lost, and it works again as soon
// as there is room.
var ErrFull = errors.New("no space left for masked vectors and sums")

// Store holds vectors. Methods may be called from several goroutines; two writers of one vector must take turns.
type Store interface {
	// WriteAt stores bytes of a vector at an offset; it need not be durable before Sync. ErrFull without room for them.
	WriteAt(k Key, data []byte, offset int64) error
	// Sync makes what was written durable: it survives a power cut when Sync has returned nil.
	Sync(k Key) error
	// ReadAt fills data from an offset; ErrMissing when not all of it is there.
	ReadAt(k Key, data []byte, offset int64) error
	// Size is the length in bytes, up to the last byte written; ErrMissing without one.
	Size(k Key) (int64, error)
	// Remove deletes a vector; deleting none is no error.
	Remove(k Key) error
	// RemoveUploads deletes every member's vector of a round and keeps its sum.
	RemoveUploads(run [16]byte, round uint32) error
}

// missing turns "no such file" into ErrMissing and adds the key to every error.
func missing(k Key, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%s: %w", k, ErrMissing)
	case full(err):
		return fmt.Errorf("%w: spool %s: %w", ErrFull, k, err)
	}
	return fmt.Errorf("spool %s: %w", k, err)
}
