package coordinator

import (
	"github.com/koinon-eu/koinon/crypto/secagg"
	"github.com/koinon-eu/koinon/models/schedule"
)

// place names a step of this run by its kind and its number among the steps of that kind, which a run that is started
// again shares (S33). A record that lacks the number has the ordinal, which counts the statistics before it as well.
func (r *run) place(kind uint8, ordinal, number uint32) [32]byte {
	if number == 0 {
		number = ordinal
		switch schedule.Kind(kind) {
		case schedule.Train:
			for _, c := range r.closed {
				if schedule.Kind(c.Kind) == schedule.Statistics {
					number--
				}
			}
		case schedule.Evaluate:
			number = 1
		}
	}
	return secagg.LockName(r.c.id, r.plan.Digest, kind, number)
}

// lock says with whom a place of a plan was, or may have been, released, in any run of it (S33, S35).
type lock struct {
	survivors secagg.Set // the newest ones, of whom all must be in the sum again
	ever      secagg.Set // all who were, once: a node that missed a later release holds to the larger set
}

// setLock notes with which survivors a step of this run was, or may have been, released.
func (r *run) setLock(kind uint8, ordinal, number uint32, survivors secagg.Set) {
	name := r.place(kind, ordinal, number)
	r.c.mu.Lock()
	defer r.c.mu.Unlock()
	r.c.locks[name] = lock{survivors: survivors, ever: r.c.locks[name].ever.Union(survivors)}
}

func (c *Coordinator) lock(name [32]byte) (lock, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	l, ok := c.locks[name]
	return l, ok
}
