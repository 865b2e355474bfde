package secagg

import (
	"context"
	"encoding/json"
	"time"
)

// side is the coordinator's side as the nodes' side uses it: in this process or in one of its own.
type side interface {
	// open starts a coordinator for so many members and invites each.
	open(ctx context.Context, o opening) (opened, error)
	// submit offers a plan; it starts when every member has approved it.
	submit(ctx context.Context, plan []byte) error
	// wait returns when the round of a plan is closed; an aborted one is an error.
	wait(ctx context.Context, plan [32]byte) (measured, error)
	// plain sums so many vectors in plain: it tells the nodes to begin, and when the sum can be fetched.
	plain(ctx context.Context, p plainRound) (measured, error)
	// used returns the CPU seconds of the coordinator's process between two times, and its peak memory.
	used(ctx context.Context, from, to time.Time) (usage, error)
	// forget deletes what the spool has of the round that was measured last, and begins a new peak.
	forget(ctx context.Context) error
	close() error
}

// opening is what a coordinator needs to know.
type opening struct {
	Dir     string
	Members []string
	Params  int
	Bits    int
	NoFsync bool
}

// opened is what nodes need to know of a coordinator.
type opened struct {
	Address string // of the federation service
	Plain   string // of the same service in front of the plain sum
	Root    []byte // certificate of the authority, DER
	Key     []byte // that signs rosters
	Invites []invited
}

// invited is an invite without what is the same for all.
type invited struct {
	Server string
	Secret []byte
}

// plainRound says what is summed in plain.
type plainRound struct {
	Run     [16]byte
	Round   uint32
	Members []uint8 // whose vectors are in the sum
	Words   int
}

// measured is what the coordinator's side has seen of a round.
type measured struct {
	Run   [16]byte
	Marks []time.Time // begin, then the end of each phase
	CPU   []float64   // seconds of the coordinator's process in each phase
	Fsync float64     // seconds in which the disk was waited for
}

// usage is what a process has used.
type usage struct {
	CPU  float64
	Peak int64
}

// request and reply carry the calls of a side to another process, one JSON value a line.
type request struct {
	Call string
	Args json.RawMessage
}

type reply struct {
	Result json.RawMessage
	Error  string `json:",omitempty"`
}
