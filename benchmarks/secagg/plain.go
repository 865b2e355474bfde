package secagg

import (
	"context"
	"fmt"
	"sync"

	pb "github.com/koinon-eu/koinon/coordinator/federationpb"
	"github.com/koinon-eu/koinon/coordinator/rpc"
	"github.com/koinon-eu/koinon/coordinator/spool"
	"github.com/koinon-eu/koinon/crypto/secagg"
)

// plainDriver is the least that can stand behind the services and sum vectors that nobody masks: the same frames,
// connections and spool, each vector durable before it counts, but no keys, hashes, agreement or openings. It is what
// secure aggregation is compared with.
type plainDriver struct {
	rpc.Driver // what nobody calls here
	spool      spool.Store
	hub        *rpc.Hub

	mu    sync.Mutex
	round plainRound
	have  map[uint8]*bitmap
	whole int
	done  chan struct{} // closed when every vector is whole
	ready bool          // the sum can be fetched
}

// bitmap says which chunks of a vector are stored.
type bitmap struct {
	bits  []byte
	count int
}

// sum runs one round: nodes are told to begin by a notice, and by another that the sum is there.
func (d *plainDriver) sum(ctx context.Context, p plainRound, probe *probe) error {
	d.mu.Lock()
	d.round, d.have, d.whole, d.done, d.ready = p, map[uint8]*bitmap{}, 0, make(chan struct{}), false
	done := d.done
	d.mu.Unlock()
	probe.mark()
	d.tell()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-done:
	}
	probe.mark()
	all := func(uint8, uint32, []byte) error { return nil }
	j := spool.Job{Run: p.Run, Round: p.Round, Survivors: p.Members, Words: p.Words, Check: all}
	if _, _, err := spool.Sum(d.spool, j); err != nil {
		return err
	}
	d.mu.Lock()
	d.ready = true
	d.mu.Unlock()
	d.tell()
	probe.mark()
	return nil
}

func (d *plainDriver) tell() {
	d.hub.Broadcast(&pb.CoordinatorMessage{Message: &pb.CoordinatorMessage_Notice{Notice: &pb.Notice{Sync: true}}})
}

// Joined implements rpc.Driver.
func (d *plainDriver) Joined(uint8) {}

// Gone implements rpc.Driver.
func (d *plainDriver) Gone(uint8) {}

// Chunk implements rpc.Driver.
func (d *plainDriver) Chunk(_ context.Context, member uint8, at rpc.Vector, index uint32, data []byte) (bool, error) {
	d.mu.Lock()
	words := d.round.Words
	d.mu.Unlock()
	if len(data) != secagg.ChunkBytes(words, index) {
		return false, fmt.Errorf("chunk %d of %d bytes: %w", index, len(data), secagg.ErrUpload)
	}
	k := spool.Key{Run: at.Run, Round: at.Round, Member: member}
	if err := d.spool.WriteAt(k, data, int64(index)*secagg.ChunkSize); err != nil {
		return false, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	b := d.of(member)
	if bit := byte(1) << (index % 8); b.bits[index/8]&bit == 0 {
		b.bits[index/8] |= bit
		b.count++
	}
	return b.count == secagg.Chunks(words), nil
}

func (d *plainDriver) of(member uint8) *bitmap {
	if d.have[member] == nil {
		d.have[member] = &bitmap{bits: make([]byte, (secagg.Chunks(d.round.Words)+7)/8)}
	}
	return d.have[member]
}

// Whole implements rpc.Driver.
func (d *plainDriver) Whole(_ context.Context, member uint8, at rpc.Vector) error {
	if err := d.spool.Sync(spool.Key{Run: at.Run, Round: at.Round, Member: member}); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.whole++; d.whole == len(d.round.Members) {
		close(d.done)
	}
	return nil
}

// Have implements rpc.Driver.
func (d *plainDriver) Have(_ context.Context, member uint8, _ rpc.Vector) ([]byte, bool, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	b := d.of(member)
	return append([]byte(nil), b.bits...), b.count == secagg.Chunks(d.round.Words), nil
}

// Sum implements rpc.Driver.
func (d *plainDriver) Sum(_ context.Context, _ uint8, run [16]byte, number uint32) (*rpc.Sum, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.ready {
		return nil, rpc.ErrNotFound
	}
	k := spool.Key{Run: run, Round: number}
	return &rpc.Sum{
		Size:   8 * int64(d.round.Words),
		ReadAt: func(data []byte, offset int64) error { return d.spool.ReadAt(k, data, offset) },
	}, nil
}
