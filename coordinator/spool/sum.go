package spool

import (
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"

	"github.com/koinon-eu/koinon/crypto/prg"
	"github.com/koinon-eu/koinon/crypto/ring"
	"github.com/koinon-eu/koinon/crypto/secagg"

	"golang.org/x/sync/errgroup"
)

// chunkWords is one chunk of S53 in words.
const chunkWords = secagg.ChunkSize / 8

// Job is a sum to be taken from a spool.
type Job struct {
	Run       [16]byte
	Round     uint32
	Survivors []uint8
	Words     int          // of every vector
	Streams   []prg.Stream // to be applied to the sum
	// Check judges every chunk again before it is added, so that a vector that changed on the disk stops the sum
	// instead of falsifying it. It is called from several goroutines.
	Check func(member uint8, chunk uint32, data []byte) error
}

// Sum adds the masked vectors of the survivors and applies the opened streams. It goes chunk by chunk, each once
// through the processor's cache: read, check, add, unmask, hash, store. What it returns is the sum and the root of its
// chunks (S53); the sum is stored and durable. After an error none is stored.
func Sum(s Store, j Job) (sum []uint64, root [32]byte, err error) {
	for _, member := range j.Survivors {
		k := Key{j.Run, j.Round, member}
		if size, err := s.Size(k); err != nil || size != 8*int64(j.Words) {
			return nil, root, errors.Join(err, fmt.Errorf("spool %s: %d bytes, want %d words", k, size, j.Words))
		}
	}
	a := adder{store: s, job: j, total: make([]uint64, j.Words), hashes: make([][32]byte, secagg.Chunks(j.Words))}
	k := Key{Run: j.Run, Round: j.Round}
	var group errgroup.Group
	for range runtime.GOMAXPROCS(0) {
		group.Go(a.work)
	}
	if err = group.Wait(); err == nil {
		err = s.Sync(k)
	}
	if err != nil {
		return nil, root, errors.Join(err, s.Remove(k))
	}
	return a.total, secagg.MerkleRoot(a.hashes), nil
}

// adder is shared by the goroutines of a sum, each of which takes the next chunk.
type adder struct {
	store  Store
	job    Job
	total  []uint64
	hashes [][32]byte
	next   atomic.Int64
	failed atomic.Bool
}

func (a *adder) work() error {
	buffer := make([]byte, secagg.ChunkSize)
	for !a.failed.Load() {
		q := int(a.next.Add(1)) - 1
		if q >= len(a.hashes) {
			break
		}
		if err := a.chunk(q, buffer); err != nil {
			a.failed.Store(true)
			return err
		}
	}
	return nil
}

func (a *adder) chunk(q int, buffer []byte) error {
	j, start := a.job, q*chunkWords
	part := a.total[start:min(start+chunkWords, j.Words)]
	data, offset := buffer[:8*len(part)], 8*int64(start)
	for _, member := range j.Survivors {
		if err := a.store.ReadAt(Key{j.Run, j.Round, member}, data, offset); err != nil {
			return err
		}
		if err := j.Check(member, uint32(q), data); err != nil {
			return err
		}
		add(part, data)
	}
	prg.Apply(part, uint64(start), j.Streams)
	data = ring.AppendLE(data[:0], part)
	a.hashes[q] = secagg.ChunkHash(uint32(q), data)
	return a.store.WriteAt(Key{Run: j.Run, Round: j.Round}, data, offset)
}

// add adds a chunk's words to a part of the sum.
func add(part []uint64, data []byte) {
	for len(part) >= 4 && len(data) >= 32 {
		part[0] += binary.LittleEndian.Uint64(data[0:8])
		part[1] += binary.LittleEndian.Uint64(data[8:16])
		part[2] += binary.LittleEndian.Uint64(data[16:24])
		part[3] += binary.LittleEndian.Uint64(data[24:32])
		part, data = part[4:], data[32:]
	}
	for i := range part {
		part[i] += binary.LittleEndian.Uint64(data[8*i:])
	}
}

// ReadSum returns a stored sum.
func ReadSum(s Store, run [16]byte, round uint32) ([]uint64, error) {
	k := Key{Run: run, Round: round}
	size, err := s.Size(k)
	if err != nil {
		return nil, err
	}
	if size%8 != 0 || size > 8*ring.MaxWords {
		return nil, fmt.Errorf("spool %s: %d bytes are no vector", k, size)
	}
	words := make([]uint64, size/8)
	buffer := make([]byte, min(size, secagg.ChunkSize))
	for start := 0; start < len(words); start += chunkWords {
		part := words[start:min(start+chunkWords, len(words))]
		data := buffer[:8*len(part)]
		if err := s.ReadAt(k, data, 8*int64(start)); err != nil {
			return nil, err
		}
		for i := range part {
			part[i] = binary.LittleEndian.Uint64(data[8*i:])
		}
	}
	return words, nil
}
