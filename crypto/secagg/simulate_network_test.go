package secagg_test

import (
	"github.com/koinon-eu/koinon/coordinator/round"
	"github.com/koinon-eu/koinon/crypto/secagg"
)

// simNetwork is what lies between the nodes and an honest coordinator. Each
// fault has a chance in per mille of a packet, drawn once for a history; most
// histories have only some of them.
type simNetwork struct {
	s                                    *simulation
	c                                    *simCoordinator
	delay                                int
	reorder, twice, damage, cut, silence int
	crash, restart                       int // per mille of a tick

	up    secagg.Set
	epoch map[uint8]int
	last  map[[2]uint8]int64 // link → when its last packet arrives
	hurt  secagg.Set         // members of whom no answer can be expected in this round
}

func newSimNetwork(s *simulation, c *simCoordinator) *simNetwork {
	n := &simNetwork{s: s, c: c, delay: 1 + s.rnd.IntN(4), up: s.cohort(), epoch: map[uint8]int{}, last: map[[2]uint8]int64{}}
	for _, fault := range []struct {
		rate *int
		most int
	}{{&n.reorder, 60}, {&n.twice, 200}, {&n.damage, 30}, {&n.cut, 60}, {&n.silence, 20}, {&n.crash, 8}, {&n.restart, 12}} {
		if s.chance(30) {
			*fault.rate = 1 + s.rnd.IntN(fault.most)
		}
	}
	if s.weak == "forgetful" {
		n.crash, n.cut, n.delay = 80, 0, 1
	}
	return n
}

func (n *simNetwork) per1000(rate int) bool { return rate > 0 && n.s.rnd.IntN(1000) < rate }

// carry plans the arrival of something on a link; what was on its way when the
// connection was cut does not arrive.
func (n *simNetwork) carry(link [2]uint8, member uint8, arrive func()) {
	at := n.s.queue.Now() + int64(n.s.rnd.IntN(n.delay))
	if n.per1000(n.reorder) {
		n.hurt = n.hurt.With(member)
		at = n.s.queue.Now() + int64(n.s.rnd.IntN(12))
	} else {
		at = max(at, n.last[link])
		n.last[link] = at
	}
	epoch := n.epoch[member]
	n.s.queue.After(at-n.s.queue.Now(), 0, func() {
		if n.epoch[member] == epoch {
			arrive()
		}
	})
}

// toNode carries a packet to a member's node.
func (n *simNetwork) toNode(to uint8, run [16]byte, round uint32, p []secagg.Frame) {
	if !n.up.Has(to) {
		return
	}
	if n.per1000(n.cut) {
		n.disconnect(to, 1+n.s.rnd.IntN(12))
		return
	}
	if n.per1000(n.silence) { // lost, and nobody notices
		n.hurt = n.hurt.With(to)
		n.s.note(0, int(to), p, "lost on the way")
		return
	}
	if n.per1000(n.damage) {
		n.hurt = n.hurt.With(to)
		if p = n.s.damaged(p); p == nil {
			return
		}
	}
	for range 1 + map[bool]int{true: 1}[n.per1000(n.twice)] {
		n.carry([2]uint8{0, to}, to, func() { n.s.nodes[to].receive(run, round, p) })
	}
}

// toCoordinator carries a packet of a member's node.
func (n *simNetwork) toCoordinator(se *simSession, round uint32, p []secagg.Frame) {
	from := se.node.i
	switch {
	case !n.up.Has(from):
		return
	case n.per1000(n.cut):
		n.disconnect(from, 1+n.s.rnd.IntN(12))
		return
	case n.per1000(n.silence):
		n.hurt = n.hurt.With(from)
		n.s.note(int(from), 0, p, "lost on the way")
		return
	case n.per1000(n.damage):
		n.hurt = n.hurt.With(from)
		if p = n.s.damaged(p); p == nil {
			return
		}
	}
	for range 1 + map[bool]int{true: 1}[n.per1000(n.twice)] {
		n.carry([2]uint8{from, 0}, from, func() { n.c.receive(se, round, p) })
	}
}

// left carries a node's word that it is not in the round.
func (n *simNetwork) left(from uint8, number uint32) {
	if n.up.Has(from) {
		n.carry([2]uint8{from, 0}, from, func() {
			if n.c.last == number {
				n.c.step(round.Left{Member: from, Reason: "not in this round"})
			}
		})
	}
}

// upload carries a vector, again and again until it is stored or the session
// has ended.
func (n *simNetwork) upload(se *simSession) {
	from := se.node.i
	if se.over() || !se.uploading {
		return
	}
	cargo, round := se.cargo, se.round
	n.s.queue.After(4+int64(n.delay), 1, func() {
		if se.round == round {
			n.upload(se)
		}
	})
	if !n.up.Has(from) || n.per1000(n.cut) {
		return
	}
	for q := range cargo.Chunks {
		data := cargo.Chunk(q)
		if n.per1000(n.damage) {
			data[n.s.rnd.IntN(len(data))] ^= 1
		}
		n.carry([2]uint8{from, 1}, from, func() { n.c.chunk(se, round, uint32(q), data) })
	}
}

// disconnect cuts a member off for some ticks; when it is back the coordinator
// and the node repeat what may have been lost (S30).
func (n *simNetwork) disconnect(i uint8, ticks int) {
	if !n.up.Has(i) {
		return
	}
	n.up, n.hurt = n.up.Without(i), n.hurt.With(i)
	n.epoch[i]++
	n.s.trace.Note(n.s.queue.Now(), -1, int(i), "connection cut", "")
	n.c.step(round.Disconnected{Member: i})
	n.s.queue.After(int64(ticks), 2, func() { n.reconnect(i) })
}

func (n *simNetwork) reconnect(i uint8) {
	if n.c.down > 0 {
		n.s.queue.After(int64(n.c.down+n.s.rnd.IntN(4)), 2, func() { n.reconnect(i) })
		return
	}
	n.up = n.up.With(i)
	n.s.trace.Note(n.s.queue.Now(), -1, int(i), "connected", "")
	n.c.step(round.Connected{Member: i})
	if se := n.s.nodes[i].sessions[n.c.run]; se != nil && !se.over() && len(se.last) > 0 {
		n.toCoordinator(se, se.round, se.last)
	}
}

// tick draws what befalls whole machines.
func (n *simNetwork) tick() {
	if n.per1000(n.crash) {
		i := n.s.pick(n.s.cohort())
		n.s.trace.Note(n.s.queue.Now(), -1, int(i), "crash", "")
		n.s.nodes[i].crash()
		n.disconnect(i, 1+n.s.rnd.IntN(10))
	}
	if n.per1000(n.crash / 2) { // partition
		for _, i := range n.s.some(n.s.cohort(), 1).Members() {
			n.disconnect(i, 1+n.s.rnd.IntN(25))
		}
	}
	if n.per1000(n.restart) {
		n.c.crash()
	}
}
