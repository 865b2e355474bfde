package spool

import (
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"

	"github.com/koinon-eu/koinon/crypto/prg"
	"github.com/koinon-eu/koinon/crypto/ring"

	"golang.org/x/sync/errgroup"
)

// chunkWords is one chunk of S53 in words.
const chunkWords = 65536 / 8

// Sum adds the masked vectors of the survivors and takes the opened streams off, chunk by chunk: what it returns
// is the sum, words long. check judges every chunk again before it is added, so that a vector that changed on the
// disk stops the sum instead of falsifying it; it may be called from several goroutines.
func Sum(s Store, run [16]byte, round uint32, survivors []uint8, words int, streams []prg.Stream,
	check func(member uint8, chunk uint32, data []byte) error,
) ([]uint64, error) {
	for _, member := range survivors {
		k := Key{run, round, member}
		if size, err := s.Size(k); err != nil || size != 8*int64(words) {
			return nil, errors.Join(err, fmt.Errorf("spool %s: %d bytes, want %d words", k, size, words))
		}
	}
	total := make([]uint64, words)
	var group errgroup.Group
	group.SetLimit(runtime.GOMAXPROCS(0))
	for start := 0; start < words; start += chunkWords {
		group.Go(func() error {
			part := total[start:min(start+chunkWords, words)]
			data := make([]byte, 8*len(part))
			for _, member := range survivors {
				if err := s.ReadAt(Key{run, round, member}, data, 8*int64(start)); err != nil {
					return err
				}
				if err := check(member, uint32(start/chunkWords), data); err != nil {
					return err
				}
				for i := range part {
					part[i] += binary.LittleEndian.Uint64(data[8*i:])
				}
			}
			prg.Apply(part, uint64(start), streams)
			return nil
		})
	}
	return total, group.Wait()
}

// WriteSum stores a sum durably.
func WriteSum(s Store, run [16]byte, round uint32, sum []uint64) error {
	k := Key{Run: run, Round: round}
	if err := s.WriteAt(k, ring.AppendLE(make([]byte, 0, 8*len(sum)), sum), 0); err != nil {
		return err
	}
	return s.Sync(k)
}

// ReadSum returns a stored sum.
func ReadSum(s Store, run [16]byte, round uint32) ([]uint64, error) {
	k := Key{Run: run, Round: round}
	size, err := s.Size(k)
	if err != nil {
		return nil, err
	}
	data := make([]byte, size)
	if err := s.ReadAt(k, data, 0); err != nil {
		return nil, err
	}
	return ring.FromLE(data)
}
