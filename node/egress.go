package node

import (
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/koinon-eu/koinon/deploy/service"
	"github.com/koinon-eu/koinon/node/egress"
	"github.com/koinon-eu/koinon/node/link"
)

// Egress records in the state directory what leaves. The serving node writes egress.log; commands of the operator
// write operator/egress.log, so that both are whole chains although they run at the same time.
type Egress struct {
	log  *egress.Log
	lock *service.Lock
}

// EgressPaths are the two records of a state directory.
func (d Dir) EgressPaths() (node, operator string) {
	return d.Path("egress.log"), d.Path("operator", "egress.log")
}

// BudgetPath is the ledger of a state directory.
func (d Dir) BudgetPath() string { return d.Path("budget.log") }

// lockWait is how long a command waits for another one to end.
const lockWait = 10 * time.Second

// OperatorEgress opens the record of the operator's commands, waiting for another command to end.
func (d Dir) OperatorEgress(now time.Time) (*Egress, error) {
	if err := os.MkdirAll(d.Path("operator"), 0o700); err != nil {
		return nil, err
	}
	lock, err := service.LockDir(d.Path("operator"))
	for end := now.Add(lockWait); errors.Is(err, service.ErrLocked) && time.Now().Before(end); {
		time.Sleep(50 * time.Millisecond)
		lock, err = service.LockDir(d.Path("operator"))
	}
	if err != nil {
		return nil, err
	}
	_, path := d.EgressPaths()
	log, err := egress.Open(path, slog.New(slog.DiscardHandler))
	if err != nil {
		_ = lock.Unlock()
		return nil, err
	}
	return &Egress{log: log, lock: lock}, nil
}

// Record writes one message down before it leaves. A masked vector is announced by its mask message, before any
// chunk: there the record is made to survive a power cut too.
func (e *Egress) Record(m link.Message) error {
	run := hex.EncodeToString(m.Run)
	if err := e.log.Record(time.Now().Unix(), egress.Describe(run, m.Round, m.Type, m.Why, m.Bytes)); err != nil {
		return fmt.Errorf("egress: %w", err)
	}
	if m.Type == "mask" {
		return e.log.Sync()
	}
	return nil
}

// Close closes the record.
func (e *Egress) Close() error {
	err := e.log.Close()
	if e.lock != nil {
		err = errors.Join(err, e.lock.Unlock())
	}
	return err
}
