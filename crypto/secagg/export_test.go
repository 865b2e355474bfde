package secagg

import (
	"slices"

	"github.com/koinon-eu/koinon/crypto/prg"
)

// What lying members and coordinators need to make messages of their own.

// SignFrame signs a body as any sender.
func SignFrame(s Signer, t Type, spec [32]byte, sender uint8, body []byte) Frame {
	f, err := sign(s, t, spec, sender, body)
	if err != nil {
		panic(err)
	}
	return f
}

// ForgeDeal remakes a client's share packet with shares changed before they are
// committed to and sealed. The client goes on with them.
func ForgeDeal(c *Client, change func(shares map[uint8][][32]byte)) []Frame {
	d, err := newDeal(c.cfg.Self, c.cfg.Rho, c.h1, int(c.spec.Sums), c.holders(c.cfg.Self), c.graph.threshold(c.cfg.Self))
	if err != nil {
		panic(err)
	}
	change(d.shares)
	c.keepDeal(d)
	frames, err := c.dealFrames(d)
	if err != nil {
		panic(err)
	}
	id := packetID{first: TypeAdvert}
	if sparse(int(c.spec.N)) {
		id.first = TypeReveal
	}
	c.answered[id] = answer{frames: c.answered[id].frames, send: frames}
	return frames
}

// ForgeBundle replaces the bundle for j in a client's share packet and signs
// commitments that match it. make gets the public key of j and the right info.
func ForgeBundle(c *Client, packet []Frame, j uint8, replace func(pk, info []byte) []byte) []Frame {
	packet = slices.Clone(packet)
	holders := c.holders(c.cfg.Self)
	n := holders.Len()
	m, err := parseShare(packet[0].Body)
	if err != nil {
		panic(err)
	}
	pk := c.adverts[j].pk
	at := 1 + n + position(holders.Without(c.cfg.Self), j)
	packet[at].Body = replace(pk[:], bundleInfo(c.h1, c.cfg.Self, j))
	var rows []row
	for _, f := range packet[1 : 1+n] {
		r, err := parseRow(f.Body)
		if err != nil {
			panic(err)
		}
		if r.other == j {
			r.bundle = bundleDigest(packet[at].Body)
		}
		rows = append(rows, r)
	}
	leaves := rowLeaves(rows)
	for i := range rows {
		rows[i].path = MerklePath(leaves, i)
		packet[1+i].Body = rows[i].body()
	}
	m.rowRoot = MerkleRoot(leaves)
	f, err := c.sign(TypeShare, m.body())
	if err != nil {
		panic(err)
	}
	packet[0] = f
	return packet
}

// SealGarbage seals a plaintext of the right size that is not what was promised.
func SealGarbage(seal Seal, pk, info []byte, m, q int, withSeed bool) []byte {
	plain := bundlePlain(m, make([][32]byte, m*q), nil)
	if withSeed {
		plain = append(plain, make([]byte, 32*m)...)
	}
	b, err := sealBundle(seal, pk, info, plain)
	if err != nil {
		panic(err)
	}
	return b.body()
}

// Dealt returns how many seeds a member deals.
func Dealt(i uint8, u1 Set) int { return len(dealt(i, u1)) }

// Deals reports whether i deals the seed of the pair.
func Deals(i, j uint8) bool { return pairID(i, j).dealer() == i }

// ForgeUnmask changes one share of an unmask message.
func ForgeUnmask(s Signer, spec [32]byte, f Frame, item int) Frame {
	m, err := parseUnmask(f.Body)
	if err != nil {
		panic(err)
	}
	m.items[item%len(m.items)].share[7] ^= 1
	return SignFrame(s, TypeUnmask, spec, f.Sender, m.body())
}

// UnmaskSecrets lists (kind, a, b) of the shares in an unmask message.
func UnmaskSecrets(f Frame) (l [][3]uint8) {
	m, err := parseUnmask(f.Body)
	if err != nil {
		panic(err)
	}
	for _, it := range m.items {
		l = append(l, [3]uint8{it.secret.kind, it.secret.a, it.secret.b})
	}
	return l
}

// ForgeSurvivors makes a survivors message.
func ForgeSurvivors(s Signer, spec [32]byte, k uint16, set Set, blame ...[32]byte) Frame {
	return SignFrame(s, TypeSurvivors, spec, 0, survivors{k: k, set: set, blame: blame}.body())
}

// ForgeCertificate makes a certificate from signatures.
func ForgeCertificate(agreed []Frame) Frame {
	m := certificate{}
	for _, f := range agreed {
		m.k, _ = sumNumber(f)
		m.signs = append(m.signs, agreement{member: f.Sender, signature: [64]byte(f.Signature)})
	}
	return Frame{Type: TypeCertificate, Body: m.body()}
}

// ForgeComplaint makes a complaint with any key.
func ForgeComplaint(s Signer, spec [32]byte, from, dealer uint8, key [32]byte) Frame {
	return SignFrame(s, TypeComplaint, spec, from, complaint{dealer: dealer, reason: complaintShares, key: key}.body())
}

// ForgeAdvertKey puts the key of another advert into one.
func ForgeAdvertKey(s Signer, spec [32]byte, f, other Frame) Frame {
	m, err := parseAdvert(f.Body)
	if err != nil {
		panic(err)
	}
	o, err := parseAdvert(other.Body)
	if err != nil {
		panic(err)
	}
	m.pk = o.pk
	return SignFrame(s, TypeAdvert, spec, f.Sender, m.body())
}

// ForgeResult signs a result with another list of openings.
func ForgeResult(s Signer, spec [32]byte, packet []Frame, change func(seeds [][32]byte)) []Frame {
	m, err := parseResult(packet[0].Body)
	if err != nil {
		panic(err)
	}
	o, err := parseOpenings(packet[1].Body)
	if err != nil {
		panic(err)
	}
	seeds := make([][32]byte, len(o.list))
	for i := range o.list {
		seeds[i] = o.list[i].seed
	}
	change(seeds)
	for i := range o.list {
		o.list[i].seed = seeds[i]
	}
	m.openingsRoot = o.root()
	return []Frame{SignFrame(s, TypeResult, spec, 0, m.body()), {Type: TypeOpenings, Body: o.body()}}
}

// ComplaintKey returns the key in a complaint.
func ComplaintKey(f Frame) [32]byte {
	m, err := parseComplaint(f.Body)
	if err != nil {
		panic(err)
	}
	return m.key
}

// OpensWith reports whether a bundle opens under a key.
func OpensWith(f Frame, key [32]byte) bool {
	b, err := parseBundle(f.Body)
	if err != nil {
		return false
	}
	_, err = openBundle(b.ct, key)
	return err == nil
}

// Secrets returns copies of what a client must have wiped when it left.
func Secrets(c *Client) (rho [32]byte, seeds, shares int, key bool) {
	return c.cfg.Rho, len(c.seeds), len(c.shares), c.sk != nil
}

// ShareEvidence makes evidence of kind 2 from a server's record and any unmask.
func ShareEvidence(s *Server, dealer, holder uint8, unmask Frame) []byte {
	return s.shareBlame(dealer, holder, unmask).Evidence
}

// Mask returns the mask of one member for a transcript, as added to its vector.
func Mask(c *Client, words int) []uint64 {
	streams, err := masks(c.cfg.Self, c.sum.K, c.holders(c.cfg.Self).Intersect(c.eligible), c.g, c.seeds)
	if err != nil {
		panic(err)
	}
	y := make([]uint64, words)
	for _, s := range streams {
		prg.AddAt(y, s.Key, 0, s.Negative)
	}
	return y
}

// SumWiped reports whether nothing secret of sum k is left in a client, and
// whether something of the sums after it is.
func SumWiped(c *Client, k uint16) (wiped, later bool) {
	wiped = true
	note := func(k2 uint16, b [32]byte) {
		if b != [32]byte{} {
			wiped, later = wiped && k2 != k, later || k2 > k
		}
	}
	for _, s := range c.seeds {
		for n, b := range s.b {
			note(uint16(n+1), b)
		}
	}
	for _, l := range c.shares {
		for n, b := range l {
			note(uint16(1+n/(len(l)/int(c.spec.Sums))), b)
		}
	}
	if c.rounding != nil {
		for n, b := range c.rounding.b {
			note(uint16(n+1), b)
		}
	}
	return wiped, later
}

// OpenedSeeds returns the seeds in an openings frame.
func OpenedSeeds(f Frame) (seeds [][32]byte) {
	m, err := parseOpenings(f.Body)
	if err != nil {
		panic(err)
	}
	for _, o := range m.list {
		seeds = append(seeds, o.seed)
	}
	return seeds
}

// Seeds returns copies of all seeds that a client holds for sum k.
func Seeds(c *Client, k uint16) (seeds [][32]byte) {
	for _, s := range c.seeds {
		seeds = append(seeds, *s.at(k))
	}
	return seeds
}

// Unmark makes a server forget that uploads are whole.
func Unmark(s *Server, members Set) {
	for _, i := range members.Members() {
		if u := s.uploads[i]; u != nil {
			u.whole = false
		}
	}
}

// ForceVersion2 has cohorts of three and more run version 2 over graphs of that
// many cycles, until the returned function is called.
func ForceVersion2(cycles int) (restore func()) {
	from, number := sparseFrom, cyclesFor
	sparseFrom, cyclesFor = MinCohort, func(int) int { return cycles }
	return func() { sparseFrom, cyclesFor = from, number }
}

// Near returns a member's neighbourhood in a server's graph, and how many of it
// and itself are needed.
func Near(s *Server, i uint8) (Set, int) { return s.graph.near[i], s.graph.threshold(i) }

// Fed is checkFed of a server's graph.
func Fed(s *Server, eligible, left Set) bool { return s.graph.checkFed(eligible, left) == nil }

// Draw returns what a reveal reveals, and the seed of the graph that follows from
// draws in the order of U1.
func Draw(f Frame) [32]byte {
	m, err := parseReveal(f.Body)
	if err != nil {
		panic(err)
	}
	return m.draw
}

// ForgeReveal signs a reveal for other adverts or with another draw.
func ForgeReveal(s Signer, spec [32]byte, from uint8, h1, draw [32]byte) Frame {
	return SignFrame(s, TypeReveal, spec, from, reveal{h1: h1, draw: draw}.body())
}

// H1 returns the digest of a client's adverts.
func H1(c *Client) [32]byte { return c.h1 }

// ForgeSumRoot signs a result with another root of the sum.
func ForgeSumRoot(s Signer, spec [32]byte, f Frame, root [32]byte) Frame {
	m, err := parseResult(f.Body)
	if err != nil {
		panic(err)
	}
	m.sumRoot = root
	return SignFrame(s, TypeResult, spec, 0, m.body())
}
