package secagg

import (
	"context"
	"sync"
	"time"

	"github.com/koinon-eu/koinon/coordinator/journal"
	"github.com/koinon-eu/koinon/coordinator/round"
	"github.com/koinon-eu/koinon/coordinator/spool"
)

// The phases of a round as they are measured: Unmask ends when the sum is begun, Publish when the result is sent.
var phases = []string{"advertise", "share", "mask", "agree", "unmask", "publish"}

// probe watches the coordinator from below: its journal says when each phase ended, its spool when the sum was begun,
// and both how long the disk was waited for.
type probe struct {
	mu      sync.Mutex
	marks   []time.Time // begin, then the end of each phase
	reading bool
	fsync   span
	failed  string // why the round was aborted
}

// span adds up the time in which at least one of several things was going on.
type span struct {
	open  int
	since time.Time
	total time.Duration
}

func (s *span) begin(now time.Time) {
	if s.open++; s.open == 1 {
		s.since = now
	}
}

func (s *span) end(now time.Time) {
	if s.open--; s.open == 0 {
		s.total += now.Sub(s.since)
	}
}

// reset makes the probe ready for a round.
func (p *probe) reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.marks, p.reading, p.fsync.total, p.failed = nil, false, 0, ""
}

// mark notes that a phase has ended.
func (p *probe) mark() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.marks = append(p.marks, time.Now())
}

// syncing measures a call that forces something to the disk.
func (p *probe) syncing(call func() error) error {
	p.mu.Lock()
	p.fsync.begin(time.Now())
	p.mu.Unlock()
	err := call()
	p.mu.Lock()
	p.fsync.end(time.Now())
	p.mu.Unlock()
	return err
}

// seen notes what a record that was just appended says about the round.
func (p *probe) seen(kind string, body []byte) {
	switch kind {
	case round.KindOpened, round.KindPhase:
		p.mark()
	case round.KindClosed:
		p.mark()
	case round.KindAborted:
		if r, err := round.DecodeRecord(kind, body); err == nil && r.Abort != nil {
			p.mu.Lock()
			p.failed = r.Abort.Reason
			p.mu.Unlock()
		}
	}
}

// read notes the first read of the spool after Agree, with which the sum begins.
func (p *probe) read() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.reading && len(p.marks) == len(phases)-1 {
		p.reading = true
		p.marks = append(p.marks, time.Now())
	}
}

type probedJournal struct {
	journal.Journal
	probe *probe
}

// Append implements journal.Journal.
func (j probedJournal) Append(ctx context.Context, entries ...journal.Entry) (records []journal.Record, err error) {
	err = j.probe.syncing(func() error {
		records, err = j.Journal.Append(ctx, entries...)
		return err
	})
	for _, r := range records {
		j.probe.seen(r.Kind, r.Body)
	}
	return records, err
}

type probedSpool struct {
	spool.Store
	probe   *probe
	noFsync bool
}

// Sync implements spool.Store.
func (s probedSpool) Sync(k spool.Key) error {
	if s.noFsync {
		return nil
	}
	return s.probe.syncing(func() error { return s.Store.Sync(k) })
}

// ReadAt implements spool.Store.
func (s probedSpool) ReadAt(k spool.Key, data []byte, offset int64) error {
	if k.Member != 0 {
		s.probe.read()
	}
	return s.Store.ReadAt(k, data, offset)
}
