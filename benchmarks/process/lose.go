package process

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// Lost says what became of the round in which a node was killed.
type Lost struct {
	Round  Round // as it ended
	Missed int   // rounds that were over before the node could be stopped in them
}

// maxTries bounds how many rounds LoseInMask may miss: on a loaded machine a
// round can be over before its process stands still.
const maxTries = 20

// errMissed means that the round was not waiting in Mask for this node alone.
var errMissed = errors.New("the round went on without waiting in Mask")

// LoseInMask kills a member's node in the Mask phase of a training round: its
// peers hold shares of its masks and its own part has not come. The node is
// stopped when its log says that its share packet is on its way, or, for the
// next round of a batch, that its answer in Unmask is; once `run show` says that
// the round stands in Mask, it is killed. It is started again as soon as the
// round has closed without it. Rounds below first are let pass.
// tell, if not nil, hears what happens when it does.
func (f *Federation) LoseInMask(ctx context.Context, plan, member string, first int, tell func(string)) (Lost, error) {
	if tell == nil {
		tell = func(string) {}
	}
	var lost Lost
	for ; lost.Missed < maxTries; lost.Missed++ {
		round, err := f.stopInMask(ctx, plan, member, first)
		if err == nil {
			tell(fmt.Sprintf("round %d stands in Mask and waits for the masked vector of %s: kill -9", round, member))
			lost.Round, err = f.killStopped(ctx, plan, member, round)
		}
		if !errors.Is(err, errMissed) {
			return lost, err
		}
		first = round + 1
	}
	return lost, fmt.Errorf("%s could not be stopped in Mask in %d rounds: %w", member, maxTries, errMissed)
}

// stopInMask leaves the node paused and its round in Mask, or with errMissed running.
func (f *Federation) stopInMask(ctx context.Context, plan, member string, first int) (int, error) {
	node, round := f.nodes[member], 0
	_, err := node.Follow().Next(ctx, "a training round of "+member, func(e Entry) bool {
		round = e.Number("round")
		if e.Is("phase", "kind", "train", "phase", "unmask") {
			round++
		} else if !e.Is("phase", "kind", "train", "phase", "share") {
			return false
		}
		return round >= first
	})
	if err != nil {
		return 0, err
	}
	if err := node.Pause(); err != nil {
		return 0, err
	}
	if err := f.waitsInMask(ctx, plan, round); err != nil {
		return round, errors.Join(err, node.Resume())
	}
	return round, nil
}

// settle is how long a round must stand in Mask to be believed that it waits:
// the others' parts take milliseconds.
const settle = 250 * time.Millisecond

// waitsInMask waits until a training round, perhaps one that is not open yet,
// stands in Mask and stays there.
func (f *Federation) waitsInMask(ctx context.Context, plan string, number int) error {
	since := time.Time{}
	deadline := time.Now().Add(3 * time.Second)
	for {
		r, err := f.Run(ctx, plan)
		if err != nil {
			return err
		}
		switch round := r.Round(number); {
		case round.Number == 0 && time.Now().Before(deadline):
		case round.Kind != "train" || round.Outcome != "" || round.Phase != "share" && round.Phase != "mask" || time.Now().After(deadline):
			return errMissed
		case round.Phase == "mask" && since.IsZero():
			since = time.Now()
		case round.Phase == "mask" && time.Since(since) >= settle:
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(settle / 5):
		}
	}
}

// killStopped kills the paused node, waits for the round's end, and starts the node again.
func (f *Federation) killStopped(ctx context.Context, plan, member string, number int) (Round, error) {
	log := f.coordinator.Follow()
	if err := f.nodes[member].Kill(); err != nil {
		return Round{}, err
	}
	_, err := log.Next(ctx, "round "+strconv.Itoa(number)+" to close without "+member, func(e Entry) bool {
		return e.Number("round") == number && (e.Message == "round closed" || e.Message == "round aborted")
	})
	if err != nil {
		return Round{}, err
	}
	r, err := f.Run(ctx, plan)
	if err != nil {
		return Round{}, err
	}
	if err := f.StartNodes(ctx, member); err != nil {
		return Round{}, err
	}
	round := r.Round(number)
	if !round.Closed() || round.Lost(member) != "mask" {
		return round, errMissed
	}
	return round, nil
}
