package rpc

import (
	"sync"

	pb "github.com/koinon-eu/koinon/coordinator/federationpb"
	"github.com/koinon-eu/koinon/crypto/secagg"
)

// queueLength bounds what waits for one node. A node that does not read loses its session, not the others' round: it
// comes back and the round repeats what it missed (S30).
const queueLength = 256

// Hub knows which nodes have a session and queues messages for them. Its methods never block.
type Hub struct {
	mu   sync.Mutex
	live map[uint8]*seat
	seen map[uint8]Presence
}

// Presence is what a node said about itself in its newest hello.
type Presence struct {
	Version       string
	RosterVersion uint32 // accepted by its operator
	Serving       bool
	LastSeen      int64 // Unix seconds
}

// seat is one session. The newest session of a member takes its place; the older one ends.
type seat struct {
	member uint8
	queue  chan *pb.CoordinatorMessage
	gone   chan struct{}
	once   sync.Once
}

func (s *seat) end() { s.once.Do(func() { close(s.gone) }) }

// NewHub returns a hub without sessions.
func NewHub() *Hub { return &Hub{live: map[uint8]*seat{}, seen: map[uint8]Presence{}} }

func (h *Hub) sit(member uint8, p Presence) *seat {
	s := &seat{member: member, queue: make(chan *pb.CoordinatorMessage, queueLength), gone: make(chan struct{})}
	h.mu.Lock()
	defer h.mu.Unlock()
	if old := h.live[member]; old != nil {
		old.end()
	}
	h.live[member], h.seen[member] = s, p
	return s
}

// leave removes a session and reports whether it was the member's newest.
func (h *Hub) leave(s *seat, now int64) bool {
	s.end()
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.live[s.member] != s {
		return false
	}
	delete(h.live, s.member)
	p := h.seen[s.member]
	p.LastSeen = now
	h.seen[s.member] = p
	return true
}

// end ends the session of a member, if it has one.
func (h *Hub) end(member uint8) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if s := h.live[member]; s != nil {
		s.end()
	}
}

// note updates what is known of a member that was heard of.
func (h *Hub) note(member uint8, change func(*Presence)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	p := h.seen[member]
	change(&p)
	h.seen[member] = p
}

// Send queues a message for each member of a set that has a session. A full queue ends the session.
func (h *Hub) Send(to secagg.Set, m *pb.CoordinatorMessage) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for member, s := range h.live {
		if !to.Has(member) {
			continue
		}
		select {
		case s.queue <- m:
		default:
			s.end()
		}
	}
}

// Broadcast queues a message for every session.
func (h *Hub) Broadcast(m *pb.CoordinatorMessage) {
	var all secagg.Set
	for i := range all {
		all[i] = 0xff
	}
	h.Send(all, m)
}

// Connected returns the members with a session.
func (h *Hub) Connected() secagg.Set {
	h.mu.Lock()
	defer h.mu.Unlock()
	var set secagg.Set
	for member := range h.live {
		set = set.With(member)
	}
	return set
}

// Presence returns what is known of a member's node, and whether it has a session.
func (h *Hub) Presence(member uint8) (Presence, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	_, live := h.live[member]
	return h.seen[member], live
}

// Close ends every session.
func (h *Hub) Close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, s := range h.live {
		s.end()
	}
}
