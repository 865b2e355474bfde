package secagg

import (
	"crypto/sha256"
	"encoding/binary"
)

// packetID names a packet of the coordinator: one of each is allowed (S30).
type packetID struct {
	first Type
	k     uint16 // 0 for the packets of the set-up
}

func packetOf(frames []Frame) packetID {
	k, _ := sumNumber(frames[0])
	return packetID{first: frames[0].Type, k: k}
}

// sumNumber returns k of a message, 0 for one that belongs to the set-up; not ok
// when the body is too short to have it.
func sumNumber(f Frame) (k uint16, ok bool) {
	at := 0
	switch f.Type {
	case TypeSpec, TypeAdvert, TypeReveal, TypeShare, TypeComplaint, TypeDispute:
		return 0, true
	case TypeSum:
		at = 20
	}
	if len(f.Body) < at+2 {
		return 0, false
	}
	return binary.BigEndian.Uint16(f.Body[at:]), true
}

// answer is a packet of the coordinator and what it got (S30). Once its sum is
// over only a digest of the packet is kept.
type answer struct {
	frames []Frame
	send   []Frame
	over   bool
	digest [32]byte
}

// answer notes a packet that was answered. One that ended its sum is over.
func (c *Client) answer(id packetID, frames, send []Frame) answer {
	a := answer{frames: frames, send: send}
	if c.state == stateWaiting && id.k == c.last {
		a.close()
	}
	return a
}

// close forgets the packet and the answer; an unmask of an aborted sum has
// shares of seeds that are not to be opened.
func (a *answer) close() {
	a.digest, a.over = packetDigest(a.frames), true
	a.frames, a.send = nil, nil
}

func (a answer) is(frames []Frame) bool {
	if a.over {
		return a.digest == packetDigest(frames)
	}
	return equalPackets(a.frames, frames)
}

// again answers a duplicate (S30). A repeated share packet, or from the second
// sum of a batch on a repeated sum, asks a member that has masked for its upload,
// as after a restart of the coordinator (S65).
func (c *Client) again(first Type, a answer) ClientOutput {
	out := ClientOutput{Send: a.send}
	if !a.over && (first == TypeShare || first == TypeSum) {
		switch c.state {
		case stateReady:
			out.Want = true
		case stateMasked:
			out.Send, out.Upload = c.maskFrames(), c.upload
		}
	}
	return out
}

func packetDigest(frames []Frame) (d [32]byte) {
	h := sha256.New()
	for _, f := range frames {
		h.Write(f.append(nil))
	}
	h.Sum(d[:0])
	return d
}

func equalPackets(a, b []Frame) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if !a[i].equal(b[i]) {
			return false
		}
	}
	return true
}
