package secagg

import (
	"fmt"
	"slices"
)

// release is Agreed → Released: with t members agreed on the same h3 the step
// is locked and the shares go out (S25, S26). In Released a further certificate
// is answered with the stored bytes.
func (c *Client) release(frames []Frame) (ClientOutput, error) {
	if len(frames) != 1 {
		return ClientOutput{}, fmt.Errorf("%w: packet of %d frames", ErrCertificate, len(frames))
	}
	if err := c.checkCertificate(c.cfg.Roster, frames[0]); err != nil {
		return ClientOutput{}, err
	}
	if c.state == stateReleased {
		return ClientOutput{Send: []Frame{c.own[TypeUnmask]}}, nil
	}
	if err := c.checkLock(); err != nil {
		return ClientOutput{}, err
	}
	f, err := c.sign(TypeUnmask, c.unmaskBody())
	if err != nil {
		return ClientOutput{}, err
	}
	c.state = stateReleased
	out := ClientOutput{Send: []Frame{f}}
	if c.spec.Version() == 1 { // there the place was locked before agree (V13)
		out.Store = []Fact{c.lockFact()}
	}
	return out, nil
}

// checkCertificate wants t valid signatures of distinct survivors over the
// agree body with this view's g and h3.
func (v *transcriptView) checkCertificate(r Roster, f Frame) error {
	m, err := parseCertificate(f.Body)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrCertificate, err)
	}
	body := agree{k: v.sum.K, g: v.g, h3: v.h3}.body()
	for _, s := range m.signs {
		a := Frame{Type: TypeAgree, Sender: s.member, Body: body, Signature: s.signature[:]}
		if !v.u3.Has(s.member) || r.verify(a, v.dspec) != nil {
			return fmt.Errorf("%w: signature of %d", ErrCertificate, s.member)
		}
	}
	if t := Threshold(v.spec.Cohort.Len()); m.k != v.sum.K || len(m.signs) < t {
		return fmt.Errorf("%w: %d signatures for sum %d, %d needed", ErrCertificate, len(m.signs), m.k, t)
	}
	return nil
}

// unmaskBody gives exactly the shares of S25: which seeds are asked for follows
// from U2_k and U3 alone, never from a request (S24).
func (c *Client) unmaskBody() []byte {
	m := unmask{k: c.sum.K, h3: c.h3}
	ids := map[uint8][]secretID{}
	for _, id := range c.toOpenBy(c.cfg.Self) {
		d := id.dealer()
		if ids[d] == nil {
			ids[d] = dealt(d, c.holders(d))
		}
		n := int(c.sum.K-1)*len(ids[d]) + slices.Index(ids[d], id)
		m.items = append(m.items, unmaskItem{secret: id, share: c.shares[d][n], path: c.trees[d].path(n)})
	}
	return m.body()
}
