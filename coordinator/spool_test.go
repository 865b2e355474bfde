package coordinator_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/koinon-eu/koinon/coordinator"
	pb "github.com/koinon-eu/koinon/coordinator/federationpb"
	"github.com/koinon-eu/koinon/coordinator/rpc"
	"github.com/koinon-eu/koinon/coordinator/spool"
	"github.com/koinon-eu/koinon/crypto/secagg"
	"github.com/koinon-eu/koinon/deploy/service"

	"github.com/stretchr/testify/require"
)

// filling is a spool on a disk that a test fills: for vectors, for sums, or for both.
type filling struct {
	spool.Store
	vectors, sums atomic.Bool
	refused       atomic.Int64
}

// WriteAt implements spool.Store.
func (f *filling) WriteAt(k spool.Key, data []byte, offset int64) error {
	if k.Member != 0 && f.vectors.Load() || k.Member == 0 && f.sums.Load() {
		f.refused.Add(1)
		return fmt.Errorf("%w: spool %s", spool.ErrFull, k)
	}
	return f.Store.WriteAt(k, data, offset)
}

// A spool without room makes the round wait, readiness says why, and when there is room it goes on: no round is lost,
// whether the masked vectors found no room or the sum, and every chunk is stored before it counts.
func TestFullDiskOnSpool(t *testing.T) {
	for _, part := range []string{"vectors", "sums"} {
		t.Run(part, func(t *testing.T) {
			disk, health := &filling{}, &service.Health{}
			w := newWorld(t, func(cfg *coordinator.Config) {
				disk.Store = cfg.Spool
				cfg.Spool, cfg.Health = disk, health
			})
			full := &disk.vectors
			if part == "sums" {
				full = &disk.sums
			}
			p := plan(t)
			w.federate(p)
			w.until(p, "a closed round", func(r coordinator.Run) bool { return len(r.Rounds) > 1 })
			full.Store(true)
			require.Eventually(t, func() bool { return disk.refused.Load() > 5 && health.Reasons()["spool"] != "" }, 10*time.Second, time.Millisecond)
			require.Contains(t, health.Reasons()["spool"], "no space left for masked vectors")
			before, _ := w.c.RunByPlan(p.Digest())
			time.Sleep(100 * time.Millisecond)
			after, _ := w.c.RunByPlan(p.Digest())
			require.Len(t, after.Rounds, len(before.Rounds), "the round waits")
			full.Store(false)
			r := w.wait(p)
			require.Equal(t, coordinator.Evaluated, r.State, r.Reason)
			for _, round := range r.Rounds {
				require.Equal(t, "closed", round.Outcome)
				require.Equal(t, 5, round.Survivors.Len())
			}
			require.Empty(t, health.Reasons()["spool"])
			w.agree(p, r)
		})
	}
}

// S55: masked vectors are deleted when the next round is closed, the last ones when their window for spot checks has
// passed; sums stay.
func TestVectorsAreDeleted(t *testing.T) {
	window := 300 * time.Millisecond
	w := newWorld(t, func(cfg *coordinator.Config) { cfg.Window = window })
	p := plan(t)
	w.federate(p)
	r := w.wait(p)
	require.Equal(t, coordinator.Evaluated, r.State, r.Reason)
	stored := func(number uint32) (members []uint8) {
		for _, m := range secagg.Set(r.Rounds[0].Survivors).Members() {
			if _, err := w.spool.Size(spool.Key{Run: r.ID, Round: number, Member: m}); err == nil {
				members = append(members, m)
			}
		}
		return members
	}
	last := r.Rounds[len(r.Rounds)-1].Number
	for _, round := range r.Rounds {
		if round.Number != last {
			require.Empty(t, stored(round.Number))
		}
		_, err := w.spool.Size(spool.Key{Run: r.ID, Round: round.Number})
		require.NoError(t, err, "the sum stays")
	}
	require.Eventually(t, func() bool { return len(stored(last)) == 0 }, 10*time.Second, 5*time.Millisecond)
}

// slow is a spool that keeps one vector from becoming durable until it is deleted.
type slow struct {
	spool.Store
	member  uint8
	round   uint32
	deleted chan struct{}
	once    sync.Once
}

// Sync implements spool.Store.
func (s *slow) Sync(k spool.Key) error {
	if k.Member == s.member && k.Round == s.round {
		<-s.deleted
	}
	return s.Store.Sync(k)
}

// Remove implements spool.Store.
func (s *slow) Remove(k spool.Key) error {
	err := s.Store.Remove(k)
	if k.Member == s.member && k.Round == s.round {
		s.once.Do(func() { close(s.deleted) })
	}
	return err
}

// S32: a vector that is whole a moment too late is none of the sum, and its member cannot end the round with it.
func TestUploadDurableTooLate(t *testing.T) {
	disk := &slow{member: 5, round: 2, deleted: make(chan struct{})}
	w := newWorld(t, func(cfg *coordinator.Config) {
		disk.Store = cfg.Spool
		cfg.Spool = disk
	})
	p := plan(t, "mask: 200", "mask: 30")
	w.federate(p)
	r := w.wait(p)
	require.Equal(t, coordinator.Evaluated, r.State, r.Reason)
	require.Equal(t, "closed", r.Rounds[1].Outcome)
	require.False(t, r.Rounds[1].Survivors.Has(5))
}

// rotten is a spool that counts what is read of masked vectors, and may change it.
type rotten struct {
	spool.Store
	reads   atomic.Int64
	changed atomic.Bool
}

// ReadAt implements spool.Store.
func (s *rotten) ReadAt(k spool.Key, data []byte, offset int64) error {
	err := s.Store.ReadAt(k, data, offset)
	if k.Member != 0 {
		s.reads.Add(1)
		if s.changed.Load() {
			data[0] ^= 1
		}
	}
	return err
}

// S56, S71: the hashes of a round's masked vectors are computed once after a restart, however many nodes ask; and a chunk
// that has changed on the disk since is refused instead of being shown as a lie.
func TestSpotAfterRestartAndDamage(t *testing.T) {
	disk := &rotten{}
	w := newWorld(t, func(cfg *coordinator.Config) {
		disk.Store = cfg.Spool
		cfg.Spool = disk
	})
	p := plan(t)
	w.federate(p)
	r := w.wait(p)
	require.Equal(t, coordinator.Evaluated, r.State, r.Reason)
	w.agree(p, r)
	w.restart()
	last := r.Rounds[len(r.Rounds)-1].Number
	spot := func() (int64, error) {
		before, chunks := disk.reads.Load(), 0
		err := w.c.Spot(t.Context(), 1, r.ID, last, 0, func(*pb.SpotChunk) error { chunks++; return nil })
		if err == nil {
			require.Equal(t, 5, chunks)
		}
		return disk.reads.Load() - before, err
	}
	first, err := spot()
	require.NoError(t, err)
	require.EqualValues(t, 10, first)
	second, err := spot()
	require.NoError(t, err)
	require.EqualValues(t, 5, second)
	disk.changed.Store(true)
	_, err = spot()
	require.ErrorIs(t, err, rpc.ErrGone)
}
