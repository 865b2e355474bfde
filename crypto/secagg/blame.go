package secagg

import (
	"fmt"
	"slices"
)

// Kinds of evidence (S68).
const (
	BlameBundle       uint8 = 1    // a dealer sealed something else than it committed to
	BlameShare        uint8 = 2    // a holder gave a share that is not the committed one
	BlameDealing      uint8 = 3    // a dealer's shares do not give the committed seed
	BlameEquivocation uint8 = 4    // one sender signed two messages where one is allowed
	BlameSum          uint8 = 5    // the coordinator published another sum than that of the uploads
	BlameModel        uint8 = 6    // the coordinator announced what does not follow from its sum
	BlameComplaint    uint8 = 0x11 // a complaint about a dealer who did no wrong (1')
)

// Blame names a member and proves it from the roster alone (S68).
type Blame struct {
	Kind     uint8
	Member   uint8 // 0 is the coordinator
	Evidence []byte
}

// Digest returns what is journalled and announced in place of the evidence.
func (b Blame) Digest() [32]byte { return EvidenceDigest(b.Evidence) }

// EvidenceDigest returns the digest of evidence.
func EvidenceDigest(e []byte) [32]byte { return hash("evidence", e) }

// Dispute tells that a dealer's bundle did not open for a member. It proves
// nothing about either (S70).
type Dispute struct{ Member, Dealer uint8 }

// evidence is u8 kind ‖ frames (S68).
func evidence(kind uint8, frames ...Frame) []byte {
	b := []byte{kind}
	for _, f := range frames {
		b = f.append(b)
	}
	return b
}

// CheckEvidence judges evidence by the roster alone and returns whom it names,
// and the spec of the batch it is about. Evidence that names nobody is an error.
//
// A false complaint (BlameComplaint) convinces only who knows that the bundle
// in it is the one its author saw: the coordinator itself. All other kinds
// convince anyone.
func CheckEvidence(r Roster, e []byte) (Blame, Spec, error) {
	p, err := readProof(r, e)
	if err != nil {
		return Blame{}, Spec{}, err
	}
	var kind, member uint8
	switch kind = e[0]; kind {
	case BlameBundle:
		kind, member, err = p.bundle()
	case BlameShare:
		member, err = p.share()
	case BlameDealing:
		member, err = p.dealing()
	case BlameEquivocation:
		member, err = p.equivocation()
	case BlameSum:
		err = p.falseSum() // names the coordinator, member 0
	case BlameModel:
		err = p.falseModel() // the coordinator as well
	default:
		err = p.nothing()
	}
	if err != nil {
		return Blame{}, Spec{}, err
	}
	return Blame{Kind: kind, Member: member, Evidence: e}, p.v.spec, nil
}

// proof is evidence being read: frames are taken from the front.
type proof struct {
	r      Roster
	v      transcriptView
	spec   Frame
	frames []Frame
}

func readProof(r Roster, e []byte) (p proof, err error) {
	if len(e) == 0 {
		return p, fmt.Errorf("%w: empty evidence", ErrFormat)
	}
	for rest := e[1:]; len(rest) > 0; {
		var f Frame
		if f, rest, err = cutFrame(rest); err != nil {
			return p, err
		}
		p.frames = append(p.frames, f)
	}
	p.r = r
	if p.spec, err = p.one(TypeSpec); err != nil {
		return p, err
	}
	if err = r.verify(p.spec, [32]byte{}); err != nil {
		return p, err
	}
	if p.v.spec, err = ParseSpec(p.spec.Body); err != nil {
		return p, err
	}
	p.v.dspec = p.v.spec.Digest()
	if err = checkSums(p.v.spec); err != nil {
		return p, err
	}
	return p, checkCohort(r, p.v.spec.Cohort)
}

func (p *proof) nothing() error { return fmt.Errorf("%w: evidence that names nobody", ErrTranscript) }

func (p *proof) one(t Type) (Frame, error) {
	if len(p.frames) == 0 || p.frames[0].Type != t {
		return Frame{}, fmt.Errorf("%w: evidence without %s", ErrTranscript, t)
	}
	f := p.frames[0]
	p.frames = p.frames[1:]
	return f, nil
}

// all takes the frames of one type.
func (p *proof) all(t Type) (l []Frame) {
	for len(p.frames) > 0 && p.frames[0].Type == t {
		l, p.frames = append(l, p.frames[0]), p.frames[1:]
	}
	return l
}

// readSetup takes the adverts and, in version 2, the reveals (V17).
func (p *proof) readSetup() error {
	if err := p.v.readAdverts(p.r, p.all(TypeAdvert)); err != nil {
		return err
	}
	if !sparse(p.v.spec.Cohort.Len()) {
		return nil
	}
	return p.v.readReveals(p.r, p.all(TypeReveal))
}

// dealer takes a share message of a member of U1 that belongs to these adverts.
func (p *proof) dealer() (share, uint8, error) {
	f, err := p.one(TypeShare)
	if err != nil {
		return share{}, 0, err
	}
	if err := p.r.verify(f, p.v.dspec); err != nil {
		return share{}, 0, err
	}
	m, err := parseShare(f.Body)
	if err != nil {
		return share{}, 0, err
	}
	if m.h1 != p.v.h1 || !p.v.u1.Has(f.Sender) {
		return share{}, 0, fmt.Errorf("%w: share in evidence", ErrTranscript)
	}
	return m, f.Sender, nil
}

// row reads a row that leads to the dealer's signed root.
func (p *proof) row(f Frame, dealer uint8, root [32]byte) (row, error) {
	r, err := parseRow(f.Body)
	if err != nil {
		return row{}, err
	}
	if f.Sender != dealer || !checkRow(r, p.v.holders(dealer), root) {
		return row{}, fmt.Errorf("%w: row in evidence", ErrTranscript)
	}
	return r, nil
}

// bundle judges kind 1 and 1'.
func (p *proof) bundle() (kind, member uint8, err error) {
	if err := p.readSetup(); err != nil {
		return 0, 0, err
	}
	s, d, err := p.dealer()
	if err != nil {
		return 0, 0, err
	}
	fr, err := p.one(TypeRow)
	if err != nil {
		return 0, 0, err
	}
	r, err := p.row(fr, d, s.rowRoot)
	if err != nil {
		return 0, 0, err
	}
	fb, err := p.one(TypeBundle)
	if err != nil {
		return 0, 0, err
	}
	fc, err := p.one(TypeComplaint)
	if err != nil {
		return 0, 0, err
	}
	if err := p.r.verify(fc, p.v.dspec); err != nil {
		return 0, 0, err
	}
	c, err := parseComplaint(fc.Body)
	if err != nil {
		return 0, 0, err
	}
	if len(p.frames) != 0 || c.dealer != d || fc.Sender == d || r.other != fc.Sender || bundleDigest(fb.Body) != r.bundle {
		return 0, 0, p.nothing()
	}
	if b, err := parseBundle(fb.Body); err == nil {
		if plain, err := openBundle(b.ct, c.key); err == nil {
			if _, reason := checkBundle(plain, r, p.v.h1, int(p.v.spec.Sums), p.v.holders(d), d, fc.Sender); reason != 0 {
				return BlameBundle, d, nil
			}
		}
	}
	return BlameComplaint, fc.Sender, nil
}

// share judges kind 2. The h3 in the holder's message covers every share
// message, and the sum with U2_k and prev, so a dealer who signs a second one
// cannot turn an honest share into a wrong one.
func (p *proof) share() (member uint8, err error) {
	sum, err := p.one(TypeSum)
	if err != nil {
		return 0, err
	}
	if p.v, err = openView(p.r, p.spec, sum); err != nil {
		return 0, err
	}
	if err := p.readSetup(); err != nil {
		return 0, err
	}
	if err := p.v.readShares(p.r, p.all(TypeShare)); err != nil {
		return 0, err
	}
	if err := p.v.beginPublic(); err != nil {
		return 0, err
	}
	masks := p.all(TypeMask)
	u3, err := members(masks, TypeMask)
	if err != nil {
		return 0, err
	}
	if err := p.v.readMasks(p.r, masks, u3); err != nil {
		return 0, err
	}
	fr, err := p.one(TypeRow)
	if err != nil {
		return 0, err
	}
	r, err := p.row(fr, fr.Sender, p.v.dealers[fr.Sender].rowRoot)
	if err != nil {
		return 0, err
	}
	holder, m, err := p.unmask()
	if err != nil {
		return 0, err
	}
	if len(p.frames) != 0 || m.k != p.v.sum.K || m.h3 != p.v.h3 || r.other != holder {
		return 0, p.nothing()
	}
	for _, it := range m.items {
		if it.secret.dealer() == fr.Sender && !p.v.checkShare(it, m.k, holder, r.shareRoot) {
			return holder, nil
		}
	}
	return 0, p.nothing()
}

func (p *proof) unmask() (uint8, unmask, error) {
	f, err := p.one(TypeUnmask)
	if err != nil {
		return 0, unmask{}, err
	}
	if err := p.r.verify(f, p.v.dspec); err != nil {
		return 0, unmask{}, err
	}
	m, err := parseUnmask(f.Body)
	return f.Sender, m, err
}

// provable reports whether two different bodies of a type are evidence: those
// of which a sender signs one per batch and sum.
func provable(t Type) bool {
	return slices.Contains([]Type{TypeSum, TypeAdvert, TypeReveal, TypeShare, TypeMask, TypeSurvivors, TypeAgree, TypeUnmask, TypeResult}, t)
}

// equivocation judges kind 4.
func (p *proof) equivocation() (member uint8, err error) {
	if len(p.frames) != 2 {
		return 0, p.nothing()
	}
	a, b := p.frames[0], p.frames[1]
	if a.Type != b.Type || a.Sender != b.Sender || !provable(a.Type) || string(a.Body) == string(b.Body) || !sameSum(a, b) {
		return 0, p.nothing()
	}
	for _, f := range p.frames {
		if err := p.r.verify(f, p.v.dspec); err != nil {
			return 0, err
		}
	}
	return a.Sender, nil
}

// sameSum reports whether two messages of one type are for the same sum.
func sameSum(a, b Frame) bool {
	k, ok := sumNumber(a)
	l, okToo := sumNumber(b)
	return ok && okToo && k == l
}
