package coordinator

import (
	"fmt"

	"github.com/koinon-eu/koinon/coordinator/round"
	"github.com/koinon-eu/koinon/coordinator/rpc"
	"github.com/koinon-eu/koinon/crypto/secagg"
)

// event is something for the goroutine that owns the run.
type event struct {
	Event  any    // a round.Event for the open round, or have; nil: look again at what can start
	number uint32 // of the round it is for; 0: whichever is open
	k      uint32 // of a vector: the sum's place in its batch
	tick   bool
	stop   string // ends the run, with this reason
	sum    *sumDone
	reply  chan answer // buffered; nil when nobody waits
}

type answer struct {
	complete bool
	bitmap   []byte
	err      error
}

// have asks which chunks of a member's vector are stored; it never reaches the machine.
type have struct{ member uint8 }

// ofBatch reports whether an event concerns a batch also between two of its sums.
func ofBatch(e any) bool {
	switch e.(type) {
	case round.Tick, round.Connected, round.Disconnected, round.Left, round.Stop:
		return true
	}
	return false
}

// outdated reports whether an event is the end of a session whose member has another one already: the word on an end
// may be overtaken by that on the next beginning, and a member that is back must not be taken for lost.
func (r *run) outdated(e any) bool {
	gone, ok := e.(round.Disconnected)
	if !ok {
		return false
	}
	_, live := r.c.hub.Presence(gone.Member)
	return live
}

// notOpen refuses an event for a round that is not open; what was for no round in particular is passed over.
func notOpen(e event) error {
	if e.tick || e.stop != "" || e.number == 0 {
		return nil
	}
	return fmt.Errorf("no round %d is open: %w", e.number, secagg.ErrStale)
}

// addressed checks that an event is for the present sum. A node leaves a batch, whichever of its sums it names.
func (r *run) addressed(e event) error {
	open := r.round.Number()
	k, _ := r.round.Batch()
	_, left := e.Event.(round.Left)
	switch {
	case e.number == 0, left && e.number >= r.round.First() && e.number <= open:
		return nil
	case e.number != open:
		return fmt.Errorf("round %d is over, %d is open: %w", e.number, open, secagg.ErrStale)
	case e.k != 0 && e.k != uint32(k):
		return fmt.Errorf("sum %d of round %d: %w", e.k, e.number, rpc.ErrNotFound)
	}
	return nil
}
