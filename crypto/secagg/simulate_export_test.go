package secagg

import (
	"crypto/ed25519"
	"crypto/hpke"
	"fmt"
	"math"
	"slices"
)

// What the simulation needs to look into a client, and to switch single checks
// of one off to see that it would notice.

// Remembering makes a roster ask verified in place of ed25519.Verify.
func Remembering(r Roster, verified func(key ed25519.PublicKey, message, signature []byte) bool) Roster {
	r.verified = verified
	return r
}

// UseKey replaces the private key of a client that has advertised by a stand-in.
func UseKey(c *Client, private func(pk []byte) (hpke.PrivateKey, error)) {
	if c.sk == nil {
		return
	}
	sk, err := private(c.sk.PublicKey().Bytes())
	if err != nil {
		panic(err)
	}
	c.sk = sk
}

// SimView is what a client believes.
type SimView struct {
	H1, G, H3  [32]byte
	U1, U2, U3 Set // U2 is U2_k
	T          int
	K          uint16
	Next       Set // between two sums: U2_{k+1}, and prev of the next
	Prev       [32]byte
}

// ViewOf returns what a client believes at present.
func ViewOf(c *Client) SimView {
	return SimView{H1: c.h1, G: c.g, H3: c.h3, U1: c.u1, U2: c.eligible, U3: c.u3, T: c.t, K: c.sum.K, Next: c.next, Prev: c.prev}
}

// BodySet returns the set in a survivors message, none if it is damaged.
func BodySet(f Frame) (s Set) {
	if m, err := parseSurvivors(f.Body); err == nil {
		s = m.set
	}
	return s
}

// AccusedIn returns the dealer in a complaint or dispute.
func AccusedIn(f Frame) uint8 { return f.Body[0] }

// CheatVector masks a vector that no honest encoder makes.
func CheatVector(c *Client, words []uint64) (ClientOutput, error) {
	before := c.sum
	c.sum.IntMax, c.sum.WeightCap = math.MaxInt64, math.MaxUint32
	out, err := c.Vector(words)
	c.sum = before
	return out, err
}

// LowerThreshold makes a client believe in another threshold (S5 off).
func LowerThreshold(c *Client, t int) { c.t, c.minSurvivors = t, t }

// ShrinkCohort makes a client take N from the spec (S5 off).
func ShrinkCohort(c *Client, opening Frame) {
	if s, err := ParseSpec(opening.Body); err == nil && s.Cohort.Len() >= MinCohort {
		c.cfg.Cohort, c.t = s.Cohort, Threshold(s.Cohort.Len())
	}
}

// Unlock makes a client forget what was released before (S33 off).
func Unlock(c *Client) { c.cfg.Lock = nil }

// AgreeToAny is `agree` without the comparison of the masks' transcripts, of U3
// with U2 and of U3 with t (S23, S24 off).
func AgreeToAny(c *Client, frames []Frame) (ClientOutput, error) {
	m, err := parseSurvivors(frames[0].Body)
	if c.state != stateMasked || err != nil {
		return c.fail(ClientOutput{}, fmt.Errorf("%w: no survivors", ErrTranscript))
	}
	byMember, roots := map[uint8]Frame{}, map[uint8][32]byte{}
	for _, f := range frames[1:] {
		byMember[f.Sender] = f
	}
	c.u3, c.roots = m.set, roots
	c.h3 = chain("h3", [32]byte{}, m.set, byMember)
	f, err := c.sign(TypeAgree, agree{k: c.sum.K, h3: c.h3}.body())
	if err != nil {
		return ClientOutput{}, err
	}
	c.state = stateAgreed
	return ClientOutput{Send: []Frame{f}}, nil
}

// ReleaseFor is `release` that is content with fewer signatures, or with none at
// all (t = 0), and does not look at the lock again.
func ReleaseFor(c *Client, frames []Frame, t int) (ClientOutput, error) {
	m, err := parseCertificate(frames[0].Body)
	if err != nil || c.state != stateAgreed || len(m.signs) < t {
		return c.fail(ClientOutput{}, fmt.Errorf("%w: %d signatures", ErrCertificate, len(m.signs)))
	}
	items := unmask{k: c.sum.K, h3: c.h3}
	for _, id := range c.toOpen() {
		d := id.dealer()
		ids := dealt(d, c.u1)
		n := int(c.sum.K-1)*len(ids) + slices.Index(ids, id)
		if slices.Contains(ids, id) && n < len(c.shares[d]) {
			items.items = append(items.items, unmaskItem{secret: id, share: c.shares[d][n]})
		}
	}
	f, err := c.sign(TypeUnmask, items.body())
	if err != nil {
		return ClientOutput{}, err
	}
	c.state = stateReleased
	lock := Fact{Kind: FactLock, Round: c.sum.Round, Lock: c.lockName(), Survivors: c.u3, Excused: c.excused, H3: c.h3}
	return ClientOutput{Store: []Fact{lock}, Send: []Frame{f}}, nil
}

// MakeEvidence puts frames together as evidence.
func MakeEvidence(kind uint8, frames ...Frame) []byte { return evidence(kind, frames...) }

// MakeMask makes a member's mask for any transcript and vector.
func MakeMask(s Signer, spec [32]byte, sender uint8, k uint16, g [32]byte, words []uint64) Frame {
	return SignFrame(s, TypeMask, spec, sender, mask{k: k, g: g, root: SumRoot(words), words: uint32(len(words))}.body())
}

// OwnAdvert returns the advert a client has sent.
func OwnAdvert(c *Client) []Frame { return []Frame{c.own[TypeAdvert]} }

// ServerH3 returns the server's h3.
func ServerH3(s *Server) [32]byte { return s.h3 }
