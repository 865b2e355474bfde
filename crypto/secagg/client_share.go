package secagg

import "fmt"

// meet is Advertised → Shared or, in version 2, → Drawn: the keys of U1 come in
// (§6).
func (c *Client) meet(frames []Frame) (ClientOutput, error) {
	if err := c.readAdverts(c.cfg.Roster, frames); err != nil {
		return ClientOutput{}, err
	}
	if !c.u1.Has(c.cfg.Self) || !frames[position(c.u1, c.cfg.Self)].equal(c.own[TypeAdvert]) {
		return ClientOutput{}, fmt.Errorf("%w: own advert", ErrAltered)
	}
	if err := c.checkFollowers(); err != nil {
		return ClientOutput{}, err
	}
	if c.spec.Version() == 2 {
		return c.reveal()
	}
	return c.deal()
}

// deal is the way to Shared: own seeds go out shared, committed and sealed.
func (c *Client) deal() (ClientOutput, error) {
	self := c.cfg.Self
	d, err := newDeal(self, c.cfg.Rho, c.h1, int(c.spec.Sums), c.holders(self), c.graph.threshold(self))
	if err != nil {
		return ClientOutput{}, err
	}
	defer d.wipeShares(self)
	c.keepDeal(d)
	send, err := c.dealFrames(d)
	if err != nil {
		return ClientOutput{}, err
	}
	c.state = stateShared
	return ClientOutput{Send: send}, nil
}

// keepDeal keeps the own seeds and the share of each that its dealer holds.
func (c *Client) keepDeal(d deal) {
	self := c.cfg.Self
	c.seeds = d.seeds
	c.shares = map[uint8][][32]byte{self: d.shares[self]}
	c.trees = map[uint8]merkleTree{self: newMerkleTree(shareLeaves(d.ids, c.h1, self, d.shares[self]))}
}

// readAdverts checks the adverts of U1 and computes h1. |U1| ≥ t comes first:
// a short list needs no further look.
func (v *transcriptView) readAdverts(r Roster, frames []Frame) error {
	u1, err := members(frames, TypeAdvert)
	if err != nil {
		return err
	}
	if !u1.SubsetOf(v.spec.Cohort) {
		return fmt.Errorf("%w: adverts of %v outside the cohort", ErrTranscript, u1.Minus(v.spec.Cohort))
	}
	if t := Threshold(v.spec.Cohort.Len()); u1.Len() < t {
		return fmt.Errorf("%w: %d adverts, %d needed", ErrTooFew, u1.Len(), t)
	}
	v.adverts = map[uint8]advert{}
	keys, nonces := map[[publicKeySize]byte]bool{}, map[[32]byte]bool{}
	byMember := map[uint8]Frame{}
	for _, f := range frames {
		m, err := checkAdvert(r, f, v.dspec)
		if err != nil {
			return err
		}
		if keys[m.pk] || nonces[m.nonce] {
			return fmt.Errorf("%w: key or nonce of %d is another member's", ErrTranscript, f.Sender)
		}
		keys[m.pk], nonces[m.nonce] = true, true
		v.adverts[f.Sender], byMember[f.Sender] = m, f
	}
	v.u1 = u1
	v.h1 = chain("h1", v.dspec, u1, byMember)
	if !sparse(v.spec.Cohort.Len()) {
		v.graph = completeGraph(v.spec.Cohort)
	}
	return nil
}

func checkAdvert(r Roster, f Frame, dspec [32]byte) (advert, error) {
	if err := r.verify(f, dspec); err != nil {
		return advert{}, err
	}
	m, err := parseAdvert(f.Body)
	if err != nil {
		return advert{}, err
	}
	if m.spec != dspec {
		return advert{}, fmt.Errorf("%w: advert of %d is for another spec", ErrTranscript, f.Sender)
	}
	if err := parseKey(m.pk); err != nil {
		return advert{}, fmt.Errorf("%w: key of %d: %w", ErrTranscript, f.Sender, err)
	}
	return m, nil
}

// checkFollowers wants c+1 members who checked the model themselves if anyone
// follows: one of them is honest (S62).
func (c *Client) checkFollowers() error {
	checked, followed := 0, false
	for _, m := range c.adverts {
		if m.follow {
			followed = true
		} else {
			checked++
		}
	}
	if need := c.cfg.Cohort.Len() - c.t + 1; followed && checked < need {
		return fmt.Errorf("%w: %d members checked it, %d needed", ErrModel, checked, need)
	}
	return nil
}

// dealFrames signs the commitments and seals the bundles (S20–S22): share,
// rows ascending, bundles ascending, and leaves in a batch of several sums.
func (c *Client) dealFrames(d deal) ([]Frame, error) {
	self := c.cfg.Self
	var rows []row
	var bundles []Frame
	for _, j := range c.holders(self).Members() {
		r := row{other: j}
		if j == self {
			r.shareRoot = c.trees[self].root()
		} else {
			r.shareRoot = MerkleRoot(shareLeaves(d.ids, c.h1, j, d.shares[j]))
			pair := d.seeds[pairID(self, j)]
			if pair != nil {
				r.pairRoot = MerkleRoot(commitments(pairID(self, j), c.h1, pair))
			}
			f, err := c.sealFor(d.sums, j, d.shares[j], pair)
			if err != nil {
				return nil, err
			}
			r.bundle = bundleDigest(f.Body)
			bundles = append(bundles, f)
		}
		rows = append(rows, r)
	}
	tree := newMerkleTree(rowLeaves(rows))
	selfRoot := MerkleRoot(commitments(selfID(self), c.h1, d.seeds[selfID(self)]))
	f, err := c.sign(TypeShare, share{h1: c.h1, selfRoot: selfRoot, rowRoot: tree.root()}.body())
	if err != nil {
		return nil, err
	}
	send := []Frame{f}
	for n := range rows {
		rows[n].path = tree.path(n)
		send = append(send, Frame{Type: TypeRow, Sender: self, Body: rows[n].body()})
	}
	send = append(send, bundles...)
	if d.sums > 1 {
		send = append(send, Frame{Type: TypeLeaves, Sender: self, Body: d.leaves(c.h1).body()})
	}
	return send, nil
}

// leaves returns the commitments one by one, from which the coordinator makes
// the path of each opened seed.
func (d deal) leaves(h1 [32]byte) leaves {
	m := leaves{hashes: make([][32]byte, d.sums*len(d.ids))}
	for n, id := range d.ids {
		for k, l := range commitments(id, h1, d.seeds[id]) {
			m.hashes[k*len(d.ids)+n] = l
		}
	}
	return m
}

func (c *Client) sealFor(m int, j uint8, shares [][32]byte, pair *secrets) (Frame, error) {
	plain := bundlePlain(m, shares, pair)
	defer clear(plain)
	pk := c.adverts[j].pk
	b, err := sealBundle(c.cfg.Seal, pk[:], bundleInfo(c.h1, c.cfg.Self, j), plain)
	if err != nil {
		return Frame{}, fmt.Errorf("bundle for %d: %w", j, err)
	}
	return Frame{Type: TypeBundle, Sender: c.cfg.Self, Body: b.body()}, nil
}

func rowLeaves(rows []row) [][32]byte {
	l := make([][32]byte, len(rows))
	for i := range rows {
		l[i] = leafHash(rows[i].leaf())
	}
	return l
}
