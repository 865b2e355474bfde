package secagg

import (
	"crypto/aes"
	"crypto/cipher"
	"fmt"
	"io"

	"github.com/koinon-eu/koinon/crypto/prg"
)

// prepare is Shared → Ready: shares of U2 with their rows and bundles come in
// (§6). A bundle that is not what its dealer committed to ends in a complaint
// or a dispute.
func (c *Client) prepare(frames []Frame) (ClientOutput, error) {
	packs, err := splitPacks(frames, func(d uint8) bool { return d != c.cfg.Self && c.holders(d).Has(c.cfg.Self) })
	if err != nil {
		return ClientOutput{}, err
	}
	signed := make([]Frame, len(packs))
	for i, p := range packs {
		signed[i] = p.share
	}
	if err := c.readShares(c.cfg.Roster, signed); err != nil {
		return ClientOutput{}, err
	}
	if !c.u2.Has(c.cfg.Self) {
		return ClientOutput{}, fmt.Errorf("%w: of shares", ErrNotSurvivor)
	}
	if !signed[position(c.u2, c.cfg.Self)].equal(c.own[TypeShare]) {
		return ClientOutput{}, fmt.Errorf("%w: own share", ErrAltered)
	}
	for _, p := range packs {
		if !p.held {
			continue
		}
		if out, err := c.openPack(p); err != nil {
			return out, err
		}
	}
	c.begin(c.u2)
	c.rounding = newSecrets(int(c.spec.Sums))
	for k := uint16(1); k <= c.spec.Sums; k++ {
		*c.rounding.at(k) = derive(c.cfg.Rho, c.h1, "round", u16(k)...)
	}
	c.sk = nil
	clear(c.cfg.Rho[:])
	c.state = stateReady
	return ClientOutput{Want: true}, nil
}

// pack is what one dealer has for one recipient.
type pack struct {
	share, row, bundle Frame
	held               bool // row and bundle are there
}

// splitPacks reads share, row, bundle of each dealer; only share of those whose
// seeds this member holds no share of, and of itself.
func splitPacks(frames []Frame, holds func(dealer uint8) bool) (packs []pack, err error) {
	for len(frames) > 0 {
		p := pack{share: frames[0]}
		frames = frames[1:]
		if holds(p.share.Sender) {
			if len(frames) < 2 || frames[0].Type != TypeRow || frames[1].Type != TypeBundle ||
				frames[0].Sender != p.share.Sender || frames[1].Sender != p.share.Sender {
				return nil, fmt.Errorf("%w: share of %d without row and bundle", ErrTranscript, p.share.Sender)
			}
			p.row, p.bundle, p.held, frames = frames[0], frames[1], true, frames[2:]
		}
		packs = append(packs, p)
	}
	return packs, nil
}

// readShares checks the share messages of U2 and computes h2.
func (v *transcriptView) readShares(r Roster, frames []Frame) error {
	u2, err := members(frames, TypeShare)
	if err != nil {
		return err
	}
	if !u2.SubsetOf(v.u1) {
		return fmt.Errorf("%w: shares of %v who did not advertise", ErrTranscript, u2.Minus(v.u1))
	}
	if t := Threshold(v.spec.Cohort.Len()); u2.Len() < t {
		return fmt.Errorf("%w: %d shared, %d needed", ErrTooFew, u2.Len(), t)
	}
	v.dealers = map[uint8]share{}
	byMember := map[uint8]Frame{}
	for _, f := range frames {
		if err := r.verify(f, v.dspec); err != nil {
			return err
		}
		m, err := parseShare(f.Body)
		if err != nil {
			return err
		}
		if m.h1 != v.h1 {
			return fmt.Errorf("%w: share of %d is for other adverts", ErrTranscript, f.Sender)
		}
		v.dealers[f.Sender], byMember[f.Sender] = m, f
	}
	if err := v.graph.checkFed(u2, u2); err != nil {
		return err
	}
	v.u2 = u2
	v.h2 = chain("h2", v.h1, u2, byMember)
	return nil
}

// openPack checks one dealer's row and bundle and keeps what is inside. The
// output has the complaint or dispute when the dealer is at fault.
func (c *Client) openPack(p pack) (ClientOutput, error) {
	self, dealer := c.cfg.Self, p.share.Sender
	r, err := parseRow(p.row.Body)
	if err != nil {
		return ClientOutput{}, err
	}
	if r.other != self || !checkRow(r, c.holders(dealer), c.dealers[dealer].rowRoot) || bundleDigest(p.bundle.Body) != r.bundle {
		return ClientOutput{}, fmt.Errorf("%w: row or bundle of %d", ErrAltered, dealer)
	}
	key, plain, err := c.openFrom(dealer, p.bundle.Body)
	if err != nil {
		f, serr := c.sign(TypeDispute, dispute{dealer: dealer, reason: 1}.body())
		if serr != nil {
			return ClientOutput{}, serr
		}
		return ClientOutput{Send: []Frame{f}}, fmt.Errorf("%w: of %d: %w", ErrBundle, dealer, err)
	}
	defer clear(plain)
	defer clear(key[:])
	got, reason := checkBundle(plain, r, c.h1, int(c.spec.Sums), c.holders(dealer), dealer, self)
	if reason != 0 {
		f, serr := c.sign(TypeComplaint, complaint{dealer: dealer, reason: reason, key: key}.body())
		if serr != nil {
			return ClientOutput{}, serr
		}
		return ClientOutput{Send: []Frame{f}}, fmt.Errorf("%w: of %d, reason %d", ErrBundle, dealer, reason)
	}
	c.shares[dealer], c.trees[dealer] = got.shares, got.tree
	if got.pair != nil {
		c.seeds[pairID(self, dealer)] = got.pair
	}
	return ClientOutput{}, nil
}

// openFrom decrypts a dealer's bundle. A body that is no bundle cannot be
// opened by anyone, which is a dispute as well.
func (c *Client) openFrom(dealer uint8, body []byte) (key [32]byte, plain []byte, err error) {
	b, err := parseBundle(body)
	if err != nil {
		return key, nil, err
	}
	if key, err = bundleKey(c.sk, b.enc[:], bundleInfo(c.h1, dealer, c.cfg.Self)); err != nil {
		return key, nil, err
	}
	plain, err = openBundle(b.ct, key)
	return key, plain, err
}

// Vector is Ready → Masked: it masks the encoded vector, whose length is that
// of the sum's layout in words (S28). Each sum of a batch masks one vector (S27):
// a second one is ErrReused. A vector that no honest encoder makes is ErrRange.
// The words are copied. The step's budget counts as spent from here on (S36).
func (c *Client) Vector(words []uint64) (ClientOutput, error) {
	switch {
	case c.state == stateLeft:
		return ClientOutput{}, ErrLeft
	case c.state > stateReady: // also between two sums: the next one has its own seeds
		return ClientOutput{}, fmt.Errorf("member %d: %w", c.cfg.Self, ErrReused)
	case c.state < stateReady:
		return c.fail(ClientOutput{}, fmt.Errorf("%w: vector in state %s", ErrTranscript, c.State()))
	}
	if err := CheckSum(c.sum.Layout(), words, 1, c.sum.WeightCap, c.sum.IntMax); err != nil {
		return c.fail(ClientOutput{}, err)
	}
	streams, err := masks(c.cfg.Self, c.sum.K, c.holders(c.cfg.Self).Intersect(c.eligible), c.g, c.seeds)
	if err != nil {
		return c.fail(ClientOutput{}, err)
	}
	y := append([]uint64(nil), words...)
	prg.Apply(y, 0, streams)
	clear(streams)
	hashes := ChunkHashes(y)
	c.upload = &Upload{Words: y, Root: MerkleRoot(hashes), Hashes: hashes, Chunks: len(hashes)}
	if _, err := c.sign(TypeMask, mask{k: c.sum.K, g: c.g, root: c.upload.Root, words: uint32(len(y))}.body()); err != nil {
		return c.fail(ClientOutput{}, err)
	}
	c.state = stateMasked
	return ClientOutput{
		Store:  []Fact{{Kind: FactMasked, Round: c.sum.Round, Sigma: c.sigma()}},
		Send:   c.maskFrames(),
		Upload: c.upload,
	}, nil
}

// Rounding returns the randomness for encoding this sum's vector (S13), or nil
// when the client is not ready for one. Each call starts the same stream again.
func (c *Client) Rounding() io.Reader {
	if c.state != stateReady {
		return nil
	}
	block, err := aes.NewCipher(c.rounding.at(c.sum.K)[:])
	if err != nil {
		panic("secagg: " + err.Error()) // 32 bytes are a valid AES key
	}
	return cipher.StreamReader{S: cipher.NewCTR(block, make([]byte, aes.BlockSize)), R: zeros{}}
}

// zeros reads as zero bytes without end.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

func (c *Client) maskFrames() []Frame {
	return []Frame{c.own[TypeMask], {Type: TypeHashes, Sender: c.cfg.Self, Body: chunkHashes{hashes: c.upload.Hashes}.body()}}
}

func (c *Client) sigma() [32]byte { return StepDigest(c.cfg.Federation, c.cfg.Plan, c.sum) }

// Uploaded tells the client that the coordinator has stored every chunk; only
// then does it agree to survivors (Masked row, §6).
func (c *Client) Uploaded() error {
	if c.state == stateLeft {
		return ErrLeft
	}
	if c.state != stateMasked {
		return fmt.Errorf("member %d: %w: state %s", c.cfg.Self, ErrUpload, c.State())
	}
	c.uploaded = true
	return nil
}
