package round

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/koinon-eu/koinon/crypto/secagg"
)

// Config opens a round.
type Config struct {
	Server    secagg.ServerConfig
	Grace     uint32     // ticks after which a disconnected member no longer holds up a phase
	MaxAge    uint32     // ticks after which a batch gets no further sum (S40); 0: any age
	Patient   bool       // no deadlines: for a federation in one process, where nobody is ever away
	Connected secagg.Set // members with a session now
	Excluded  secagg.Set // who may not take part: not approved, suspended, or proven guilty (S72)
}

// Round is the machine of one batch: one round after the other, for as long as nothing asks for fresh keys. It is not
// safe for concurrent use: one goroutine owns it.
type Round struct {
	cfg    Config
	server *secagg.Server
	sum    secagg.Sum
	spec   secagg.Spec

	phase     Phase
	now       int64 // ticks since the machine was made
	entered   int64 // when the phase began
	connected secagg.Set
	since     [256]int64 // when a member that is not connected was last seen
	left      secagg.Set // members that said they left this batch
	declined  secagg.Set // members that were asked to advertise and did not, although they were connected
	seen      map[[32]byte]bool
	hashes    map[uint8][][32]byte // declared chunk hashes (S54)
	blames    int                  // evidence already recorded
	disputes  int                  // disputes already recorded
	agreed    secagg.Set           // who has agreed
	h3        [32]byte             // as they agreed on
	proven    secagg.Set           // who is proven guilty (S72)
	lost      []Loss

	adverts     []secagg.Frame
	reveals     []secagg.Frame
	shares      map[uint8][]secagg.Frame
	survivors   []secagg.Frame
	certificate []secagg.Frame
	next        secagg.Frame // the signed sum, when it is not the batch's first
	before      []Message    // how the sums that are over ended, since the newest closed one (S65)
}

// New opens a round: its output journals the signed opening and sends it to every connected member of the cohort.
func New(cfg Config) (*Round, Output, error) {
	r, err := build(cfg)
	if err != nil {
		return nil, Output{}, err
	}
	opening := r.server.Opening()
	record := Record{Kind: KindOpened, Round: r.sum.Round, Frames: opening, Excluded: setOf(cfg.Excluded), Evidence: cfg.Server.Evidence}
	if cfg.Server.Require != nil {
		record.Require = setOf(*cfg.Server.Require)
	}
	return r, Output{
		Records:  []Record{record},
		Messages: r.message(r.invited().Minus(r.absent()), opening),
	}, nil
}

func build(cfg Config) (*Round, error) {
	server, err := secagg.NewServer(cfg.Server)
	if err != nil {
		return nil, fmt.Errorf("round %d: %w", cfg.Server.Sum.Round, err)
	}
	return &Round{
		cfg: cfg, server: server, sum: server.Sum(), spec: server.Spec(),
		connected: cfg.Connected, seen: map[[32]byte]bool{}, hashes: map[uint8][][32]byte{},
	}, nil
}

// Phase returns where the round stands.
func (r *Round) Phase() Phase { return r.phase }

// Number returns the round's number within its run.
func (r *Round) Number() uint32 { return r.sum.Round }

// Sum returns the message that says what is summed.
func (r *Round) Sum() secagg.Sum { return r.sum }

// H3 returns the digest of the masked vectors in the sum (h3), on which t members have agreed; zero before Unmask.
func (r *Round) H3() [32]byte { return r.h3 }

// Sigma returns the step's name σ (secagg.md §5), for which one survivor set is ever released (S33).
func (r *Round) Sigma() [32]byte { return r.sigma() }

// Status is what a person may know about a running round.
type Status struct {
	Phase     Phase
	Ticks     int64 // in this phase
	Waiting   secagg.Set
	Answered  secagg.Set
	Survivors secagg.Set // from Agree on
	Lost      []Loss
}

// Status describes the round.
func (r *Round) Status() Status {
	s := Status{Phase: r.phase, Ticks: r.now - r.entered, Lost: r.lost}
	if !r.phase.Over() && r.phase != Publish {
		s.Answered, s.Waiting = r.server.Answered(), r.missing()
	}
	if r.phase >= Agree {
		s.Survivors = r.server.Survivors()
	}
	return s
}

// Have returns the bitmap of stored chunks of a member's masked vector, and whether all are there (S54).
func (r *Round) Have(member uint8) ([]byte, bool) { return r.server.Have(member) }

// ChunkCheck returns what compares a stored chunk of the present sum with the hash that its member declared; ErrUpload
// when they differ. What it returns may be called from several goroutines, whatever becomes of the machine.
func (r *Round) ChunkCheck() func(member uint8, index uint32, data []byte) error {
	declared := r.hashes
	return func(member uint8, index uint32, data []byte) error {
		hashes := declared[member]
		if int64(index) >= int64(len(hashes)) || secagg.ChunkHash(index, data) != hashes[index] {
			return fmt.Errorf("member %d, chunk %d: %w", member, index, secagg.ErrUpload)
		}
		return nil
	}
}

// Hashes returns the chunk hashes that a member declared, for inclusion paths (S56).
func (r *Round) Hashes(member uint8) [][32]byte { return r.hashes[member] }

// Step applies one event. An error refuses the event and says why in a sentinel of secagg; the output counts even
// then, because a refused packet may be evidence (§14) that has to be journalled.
func (r *Round) Step(e Event) (Output, error) {
	if r.phase.Over() {
		return r.between(e)
	}
	switch e := e.(type) {
	case Tick:
		r.now++
		return r.advance(), nil
	case Connected:
		return r.back(e.Member), nil
	case Disconnected:
		r.gone(e.Member)
		return Output{}, nil
	case Left:
		r.leave(e.Member)
		return r.advance(), nil
	case Received:
		return r.received(e)
	case Chunk:
		return Output{}, r.chunk(e)
	case Stored:
		return r.stored(e)
	case Whole:
		if err := r.server.MarkWhole(e.From); err != nil {
			return Output{Forget: []uint8{e.From}}, err
		}
		return r.advance(), nil
	case Summed:
		return r.summed(e)
	case UploadFailed:
		if r.phase > Mask {
			return Output{}, fmt.Errorf("survivors are fixed: %w", secagg.ErrUpload)
		}
		return r.sumFailed(SumFailed{Reason: e.Reason}), nil
	case SumFailed:
		return r.sumFailed(e), nil
	case Stop:
		return r.abort(secagg.ReasonAdmin, e.Reason, [32]byte{}), nil
	}
	return Output{}, fmt.Errorf("round: unknown event %T", e)
}

func (r *Round) received(e Received) (Output, error) {
	if r.cfg.Excluded.Has(e.From) {
		return Output{}, fmt.Errorf("member %d may not take part in this round: %w", e.From, secagg.ErrPlan)
	}
	digest, err := packetDigest(e)
	if err != nil {
		return Output{}, err
	}
	if r.seen[digest] {
		return Output{}, nil
	}
	err = r.server.Receive(e.From, e.Frames)
	out := r.evidence()
	if err == nil {
		out.Records = append(out.Records, Record{Kind: KindPacket, Round: r.sum.Round, Member: e.From, Frames: e.Frames})
		r.note(digest, e)
	}
	if code, proof, failed := r.server.Failure(); failed {
		out.Add(r.abort(code, secagg.ReasonText(code)+r.blamedText(), proof))
		return out, err
	}
	if err == nil {
		out.Add(r.advance())
	}
	return out, err
}

// note remembers what an accepted packet said.
func (r *Round) note(digest [32]byte, e Received) {
	r.seen[digest] = true
	for _, f := range e.Frames {
		switch f.Type {
		case secagg.TypeHashes:
			r.hashes[e.From] = parseHashes(f.Body)
		case secagg.TypeAgree:
			r.agreed = r.agreed.With(e.From)
			r.h3 = agreedH3(f.Body)
		}
	}
}

// agreedH3 reads message 41, whose h3 secagg has compared with its own: k u16 ‖ g 32 ‖ h3 32.
func agreedH3(body []byte) (h3 [32]byte) {
	if len(body) == 2+32+32 {
		copy(h3[:], body[2+32:])
	}
	return h3
}

// parseHashes reads message 31, which secagg has accepted already.
func parseHashes(body []byte) [][32]byte {
	if len(body) < 4 || len(body) != 4+32*int(binary.BigEndian.Uint32(body)) {
		return nil
	}
	hashes := make([][32]byte, 0, len(body)/32)
	for body = body[4:]; len(body) > 0; body = body[32:] {
		hashes = append(hashes, [32]byte(body))
	}
	return hashes
}

func packetDigest(e Received) ([32]byte, error) {
	var b bytes.Buffer
	b.WriteByte(e.From)
	for _, f := range e.Frames {
		frame, err := f.MarshalBinary()
		if err != nil {
			return [32]byte{}, err
		}
		b.Write(frame)
	}
	return sha256.Sum256(b.Bytes()), nil
}

// chunk accepts a part of an upload; after U3 is fixed it is refused and not stored (S32).
func (r *Round) chunk(e Chunk) error {
	if r.phase > Mask {
		return fmt.Errorf("member %d: survivors are fixed: %w", e.From, secagg.ErrUpload)
	}
	return r.server.CheckChunk(e.From, e.Index, e.Data)
}

func (r *Round) stored(e Stored) (Output, error) {
	if err := r.server.Stored(e.From, e.Index); err != nil {
		return Output{}, err
	}
	_, whole := r.server.Have(e.From)
	return Output{Complete: whole}, nil
}

// evidence journals what the server has newly proven against members, or heard in dispute.
func (r *Round) evidence() Output {
	var out Output
	blames := r.server.Blames()
	for _, b := range blames[r.blames:] {
		r.proven = r.proven.With(b.Member)
		out.Records = append(out.Records, Record{
			Kind: KindEvidence, Round: r.sum.Round, Member: b.Member,
			Text: fmt.Sprintf("evidence of kind %d", b.Kind), Proof: b.Evidence,
		})
	}
	r.blames = len(blames)
	disputes := r.server.Disputes()
	for _, d := range disputes[r.disputes:] {
		out.Records = append(out.Records, Record{Kind: KindDispute, Round: r.sum.Round, Member: d.Member, Dealer: d.Dealer})
	}
	r.disputes = len(disputes)
	return out
}

// Blamed returns the members proven guilty in this round (S72).
func (r *Round) Blamed() secagg.Set { return r.proven }

func (r *Round) blamedText() string {
	if r.proven != (secagg.Set{}) {
		return ": " + r.names(r.proven)
	}
	return ""
}

// names lists members for a person.
func (r *Round) names(set secagg.Set) string {
	var names []string
	for _, m := range r.cfg.Server.Roster.Members {
		if set.Has(m.Index) {
			names = append(names, m.Name)
		}
	}
	return strings.Join(names, ", ")
}
