package secagg_test

import (
	"crypto/ed25519"
	"crypto/hpke"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
)

// newReference runs the phases of §6 for all members at once.
func newReference(in inputs, enc map[string]hexBytes) *reference {
	r := &reference{
		in: in, enc: enc, values: map[string]hexBytes{}, private: map[uint8]ed25519.PrivateKey{0: ed25519.NewKeyFromSeed(in.Coordinator)},
		seeds: map[string][]byte{}, shares: map[string][]byte{}, rows: map[string][]byte{}, signed: map[string][]byte{}, maskedVector: map[uint8][]uint64{},
	}
	for _, m := range in.Members {
		r.u1 = append(r.u1, m.Index)
		if m.Vector != nil {
			r.u3 = append(r.u3, m.Index)
		}
		r.private[m.Index] = ed25519.NewKeyFromSeed(m.Identity)
	}
	r.u2 = r.u1
	r.open()
	r.advertise()
	r.share()
	r.mask()
	r.agree()
	r.publish()
	return r
}

func (r *reference) threshold() int { return 2*len(r.u1)/3 + 1 }

func (r *reference) member(i uint8) memberInput {
	return r.in.Members[slices.IndexFunc(r.in.Members, func(m memberInput) bool { return m.Index == i })]
}

// open makes spec and sum (messages 01, 02).
func (r *reference) open() {
	in, s := r.in, r.in.Sum
	sum := cat(in.Run, u32be(in.Round), u16be(1), []byte{s.Kind}, u32be(s.Step), s.Query, s.State, s.Model, u32be(s.Params),
		[]byte{s.Lanes, s.Bits}, f64be(s.ClipL2), f64be(s.ClipInf), u32be(s.WeightCap), []byte{s.WeightBits}, u32be(s.MinRows),
		u32be(s.Ints), binary.BigEndian.AppendUint64(nil, s.IntMax), make([]byte, 32), make([]byte, 32))
	dsum := r.note(refHash("sum", sum), "d_sum")
	spec := cat(in.Federation, in.Roster, in.Plan, in.Run, u32be(in.Round), in.Nonce, r.note(refSet(r.u1), "cohort"),
		[]byte{byte(len(r.u1)), byte(r.threshold())}, u16be(1))
	for _, d := range in.Deadlines {
		spec = cat(spec, u32be(d))
	}
	spec = cat(spec, dsum)
	r.dspec = r.note(refHash("spec", spec), "d_spec")
	r.note(refHash("step", in.Federation, in.Plan, []byte{s.Kind}, u32be(s.Step), s.Query, s.State, s.Model), "sigma")
	r.note(refHash("lock", in.Federation, in.Plan, []byte{s.Kind}, u32be(in.Number)), "tau")
	r.frame("spec", 0x01, 0, true, spec)
	r.frame("sum", 0x02, 0, true, sum)
}

// advertise makes each advert (message 10) and h1.
func (r *reference) advertise() {
	chain := [][]byte{r.dspec, refSet(r.u1)}
	for _, m := range r.in.Members {
		seed := r.note(refDerive(m.Rho, r.dspec, "kem"), "kem seed %d", m.Index)
		sk, err := hpke.MLKEM768X25519().DeriveKeyPair(seed)
		if err != nil {
			panic(err)
		}
		private, err := sk.Bytes()
		if err != nil {
			panic(err)
		}
		r.note(private, "kem private key %d", m.Index)
		nonce := refDerive(m.Rho, r.dspec, "nonce")
		body := cat(r.dspec, []byte{0}, sk.PublicKey().Bytes(), nonce)
		chain = append(chain, r.frame(fmt.Sprintf("advert %d", m.Index), 0x10, m.Index, true, body))
	}
	r.h1 = r.note(refHash("h1", chain...), "h1")
}

// share makes seeds, shares, commitments, rows and bundles (messages 20–22) and h2.
func (r *reference) share() {
	for _, m := range r.in.Members {
		for _, s := range refDealt(m.Index, r.u1) {
			if s.kind == 0 {
				r.seeds[s.String()] = r.note(refDerive(m.Rho, r.h1, "seed/self", 0, 1), "seed %s", s)
			} else {
				r.seeds[s.String()] = r.note(refDerive(m.Rho, r.h1, "seed/pair", 0, 1, s.other()), "seed %s", s)
			}
			key := refDerive(m.Rho, r.h1, "shamir", 0, 1, s.other())
			c := r.note(refCTR(key, 32*(r.threshold()-1)), "coefficients %s", s)
			for _, x := range r.u1 {
				r.shares[fmt.Sprint(s, " of ", x)] = r.note(refShare(r.seeds[s.String()], c, x), "share %s of %d", s, x)
			}
		}
	}
	chain := [][]byte{r.h1, refSet(r.u2)}
	for _, m := range r.in.Members {
		chain = append(chain, r.deal(m.Index))
	}
	r.h2 = r.note(refHash("h2", chain...), "h2")
}

// commitment is the leaf of a seed (S21).
func (r *reference) commitment(s refSecret) []byte {
	if s.kind == 0 {
		return refLeaf([]byte(refTag+"commit/self"), r.h1, u16be(1), []byte{s.a}, r.seeds[s.String()])
	}
	return refLeaf([]byte(refTag+"commit/pair"), r.h1, u16be(1), []byte{s.a, s.b}, r.seeds[s.String()])
}

// shareLeaves are the leaves under share_root of one holder (S20, S21).
func (r *reference) shareLeaves(dealer, holder uint8) (leaves [][]byte) {
	for _, s := range refDealt(dealer, r.u1) {
		leaves = append(leaves, refLeaf([]byte(refTag+"commit/share"), r.h1, u16be(1), []byte{dealer, holder, s.kind, s.other()}, r.shares[fmt.Sprint(s, " of ", holder)]))
	}
	return leaves
}

func (r *reference) deal(i uint8) (signed []byte) {
	var leaves [][]byte
	bundles := map[uint8][]byte{}
	for _, j := range r.u1 {
		pairRoot, digest := make([]byte, 32), make([]byte, 32)
		if p := refPair(i, j); j != i && p.dealer() == i {
			pairRoot = r.note(r.commitment(p), "pair_root %d-%d", i, j)
		}
		shareRoot := r.note(refTree(r.shareLeaves(i, j)), "share_root %d-%d", i, j)
		if j != i {
			bundles[j] = r.bundle(i, j)
			d := sha256.Sum256(bundles[j])
			digest = d[:]
		}
		row := cat([]byte{j}, pairRoot, shareRoot, digest)
		r.rows[fmt.Sprintf("%d-%d", i, j)] = row
		leaves = append(leaves, refLeaf(row))
	}
	selfRoot := r.note(r.commitment(refSecret{0, i, i}), "self_root %d", i)
	rowRoot := r.note(refTree(leaves), "row_root %d", i)
	signed = r.frame(fmt.Sprintf("share %d", i), 0x20, i, true, cat(r.h1, selfRoot, rowRoot))
	for n, j := range r.u1 {
		name := fmt.Sprintf("%d-%d", i, j)
		r.rows[name] = cat(r.rows[name], refPath(leaves, n))
		r.frame("row "+name, 0x21, i, false, r.rows[name])
	}
	for _, j := range r.u1 {
		if j != i {
			r.frame(fmt.Sprintf("bundle %d-%d", i, j), 0x22, i, false, bundles[j])
		}
	}
	return signed
}

func (r *reference) bundle(i, j uint8) []byte {
	name := fmt.Sprintf("%d-%d", i, j)
	info := cat([]byte(refTag+"bundle"), r.h1, []byte{i, j})
	key := r.note(r.bundleKey(r.values[fmt.Sprintf("kem seed %d", j)], r.enc[name], info), "bundle key %s", name)
	ids := refDealt(i, r.u1)
	plain := cat(u16be(1), u16be(len(ids)))
	for _, s := range ids {
		plain = cat(plain, r.shares[fmt.Sprint(s, " of ", j)])
	}
	if p := refPair(i, j); p.dealer() == i {
		plain = cat(plain, r.seeds[p.String()])
	}
	ct := refSeal(key, r.note(plain, "bundle plaintext %s", name))
	return cat(r.enc[name], u32be(uint32(len(ct))), ct)
}

// key is the mask key of a seed (S23).
func (r *reference) key(s refSecret) []byte {
	if s.kind == 0 {
		return refDerive(r.seeds[s.String()], r.g, "mask/self", s.a)
	}
	return refDerive(r.seeds[s.String()], r.g, "mask/pair", s.a, s.b)
}

// mask computes g, masks the vectors (S28) and makes messages 30 and 31.
func (r *reference) mask() {
	r.g = r.note(refHash("g", r.h2, u16be(1), refSet(r.u2), r.values["d_sum"], make([]byte, 32)), "g")
	for _, i := range r.u2 {
		r.note(r.key(refSecret{0, i, i}), "mask key self %d", i)
		for _, j := range r.u2 {
			if i < j {
				r.note(r.key(refPair(i, j)), "mask key %s", refPair(i, j))
			}
		}
	}
	for _, i := range r.u3 {
		y := refWords(r.member(i).Vector)
		for _, j := range r.u2 {
			s := refPair(i, j)
			if i == j {
				s = refSecret{0, i, i}
			}
			addMask(y, r.key(s), j < i)
		}
		r.maskedVector[i] = y
		data := r.note(refBytes(y), "masked vector %d", i)
		leaf := r.note(refLeaf([]byte(refTag+"chunk"), u32be(0), data), "chunk hash %d", i) // one chunk: the root is its leaf
		r.frame(fmt.Sprintf("mask %d", i), 0x30, i, true, cat(u16be(1), r.g, leaf, u32be(uint32(len(y)))))
		r.frame(fmt.Sprintf("hashes %d", i), 0x31, i, false, cat(u32be(1), leaf))
	}
}

func addMask(y []uint64, key []byte, negative bool) {
	for w, m := range refWords(refCTR(key, 8*len(y))) {
		if negative {
			m = -m
		}
		y[w] += m
	}
}

// agree makes survivors, agreements and their certificate (messages 40, 41, 50).
func (r *reference) agree() {
	chain := [][]byte{r.g, refSet(r.u3)}
	for _, i := range r.u3 {
		chain = append(chain, r.signed[fmt.Sprintf("mask %d", i)])
	}
	r.h3 = r.note(refHash("h3", chain...), "h3")
	r.frame("survivors", 0x40, 0, true, cat(u16be(1), refSet(r.u3), []byte{0}))
	certificate := cat(u16be(1), []byte{byte(len(r.u3))})
	for _, i := range r.u3 {
		body := cat(u16be(1), r.g, r.h3)
		signed := r.frame(fmt.Sprintf("agree %d", i), 0x41, i, true, body)
		certificate = cat(certificate, []byte{i}, signed[len(body):])
	}
	r.frame("certificate", 0x50, 0, false, certificate)
}

// opened lists the seeds of S31 in the order of messages 51 and 61.
func (r *reference) opened() (list []refSecret) {
	for _, i := range r.u3 {
		list = append(list, refSecret{0, i, i})
	}
	for _, a := range r.u2 {
		for _, b := range r.u2 {
			if a < b && slices.Contains(r.u3, a) != slices.Contains(r.u3, b) {
				list = append(list, refPair(a, b))
			}
		}
	}
	return list
}

// publish makes the shares given (message 51), the sum, and messages 60 and 61.
func (r *reference) publish() {
	opened := r.opened()
	for _, i := range r.u3 {
		body := cat(u16be(1), r.h3, u16be(len(opened)))
		for _, s := range opened {
			leaves := r.shareLeaves(s.dealer(), i)
			at := slices.Index(refDealt(s.dealer(), r.u1), s)
			body = cat(body, s.bytes(), r.shares[fmt.Sprint(s, " of ", i)], refPath(leaves, at))
		}
		r.frame(fmt.Sprintf("unmask %d", i), 0x51, i, true, body)
	}
	r.sum = make([]uint64, len(r.maskedVector[r.u3[0]]))
	for _, i := range r.u3 {
		for w, v := range r.maskedVector[i] {
			r.sum[w] += v
		}
	}
	openings, leaves := u16be(len(opened)), [][]byte(nil)
	for _, s := range opened {
		addMask(r.sum, r.key(s), s.kind == 0 || slices.Contains(r.u3, s.a))
		o := cat(s.bytes(), r.seeds[s.String()], []byte{0}) // a batch of one sum: no path
		if s.kind == 1 {
			o = cat(o, r.rows[fmt.Sprintf("%d-%d", s.dealer(), s.other())])
		}
		openings, leaves = cat(openings, o), append(leaves, refLeaf(o))
	}
	data := r.note(refBytes(r.sum), "sum")
	sumRoot := r.note(refLeaf([]byte(refTag+"chunk"), u32be(0), data), "sum_root")
	openingsRoot := r.note(refTree(leaves), "openings_root")
	r.frame("result", 0x60, 0, true, cat(u16be(1), r.h3, sumRoot, u32be(uint32(len(r.sum))), r.in.NextState, r.in.NextModel, openingsRoot))
	r.frame("openings", 0x61, 0, false, openings)
}
