package node

import (
	"errors"
	"fmt"
	"time"

	"github.com/koinon-eu/koinon/coordinator/federation"
	"github.com/koinon-eu/koinon/crypto/secagg"
)

// witness keeps the public frames of the open batch, those that VerifyRound reads: what this node was told and has
// verified is what it can show to others. It holds no row, no bundle and nothing secret.
type witness struct {
	opening     []secagg.Frame // spec, and the present sum
	adverts     []secagg.Frame
	shares      []secagg.Frame
	survivors   []secagg.Frame // with the masks of the survivors
	certificate []secagg.Frame
	result      []secagg.Frame // with the openings
}

// hear takes a packet that the participant has accepted.
func (w *witness) hear(frames []secagg.Frame) {
	if len(frames) == 0 {
		return
	}
	switch frames[0].Type {
	case secagg.TypeSpec:
		*w = witness{opening: frames}
	case secagg.TypeSum:
		*w = witness{opening: []secagg.Frame{w.opening[0], frames[0]}, adverts: w.adverts, shares: w.shares}
	case secagg.TypeAdvert:
		w.adverts = frames
	case secagg.TypeShare:
		w.shares = only(frames, secagg.TypeShare)
	case secagg.TypeSurvivors:
		w.survivors = only(frames, secagg.TypeSurvivors, secagg.TypeMask)
	case secagg.TypeCertificate:
		w.certificate = frames
	case secagg.TypeResult:
		w.result = frames
	}
}

// frames returns what was heard, in the order of VerifyRound.
func (w *witness) frames() (all []secagg.Frame) {
	for _, part := range [][]secagg.Frame{w.opening, w.adverts, w.shares, w.survivors, w.certificate, w.result} {
		all = append(all, part...)
	}
	return all
}

func only(frames []secagg.Frame, types ...secagg.Type) (out []secagg.Frame) {
	for _, f := range frames {
		for _, t := range types {
			if f.Type == t {
				out = append(out, f)
			}
		}
	}
	return out
}

// published leaves out of a transcript what no evidence needs.
func published(frames []secagg.Frame) []secagg.Frame {
	return only(frames, secagg.TypeSpec, secagg.TypeSum, secagg.TypeAdvert, secagg.TypeShare, secagg.TypeSurvivors,
		secagg.TypeMask, secagg.TypeCertificate, secagg.TypeResult, secagg.TypeOpenings)
}

// spotFault is a chunk of a sum that does not hold.
type spotFault struct {
	chunk   uint32
	uploads map[uint8]secagg.Proof
	sum     secagg.Proof
	err     error
}

func (f *spotFault) Error() string { return f.err.Error() }
func (f *spotFault) Unwrap() error { return f.err }

// modelFault is a result that does not follow from its sum. The model is zero when nothing can be computed from it.
type modelFault struct {
	model [32]byte
	err   error
}

func (f *modelFault) Error() string { return f.err.Error() }
func (f *modelFault) Unwrap() error { return f.err }

// finding is an error with what this node can show for it.
type finding struct {
	round uint32
	proof []byte // of S68, checked; empty when nothing would convince others
	err   error
}

func (f *finding) Error() string { return f.err.Error() }
func (f *finding) Unwrap() error { return f.err }

// found adds to the error of a published sum what proves it. frames are those of VerifyRound.
func (a *actor) found(err error, c secagg.Closed, frames []secagg.Frame, sum []uint64) error {
	if !lie(err) {
		return err
	}
	return &finding{round: c.Round, proof: a.prove(err, published(frames), sum), err: err}
}

// prove makes evidence of kind 5 or 6. What its own check refuses is nobody's proof: a sum or a chunk other than the
// announced one is not signed, so that who served it cannot be shown (S71).
func (a *actor) prove(err error, frames []secagg.Frame, sum []uint64) []byte {
	roster, rosterErr := a.n.cfg.Store.Roster()
	if rosterErr != nil || len(frames) < 2 {
		return nil
	}
	self, _ := roster.Member(a.n.cfg.Member)
	announced, parseErr := secagg.ParseSum(frames[1].Body)
	if parseErr != nil {
		return nil
	}
	var spot *spotFault
	var model *modelFault
	switch {
	case errors.As(err, &spot):
		proof := secagg.FalseSum(frames, self.Index, announced.K, spot.chunk, spot.uploads, spot.sum)
		if federation.Judge(roster, proof).Proven {
			return proof
		}
	case errors.As(err, &model):
		if 8*len(sum) > federation.MaxProofBytes*3/4 { // with the frames beside it, it has to fit; else it stays out
			sum = nil
		}
		proof := secagg.FalseModel(frames, self.Index, announced.K, model.model, sum)
		if v := federation.Judge(roster, proof); v.Proven || v.Recompute {
			return proof
		}
	}
	return nil
}

// twoFaced keeps the evidence of two packets where one is allowed, against each sender of whom it proves that (S30,
// S68 kind 4).
func (a *actor) twoFaced(err error) {
	var two *secagg.EquivocationError
	roster, rosterErr := a.n.cfg.Store.Roster()
	if !errors.As(err, &two) || rosterErr != nil || len(a.heard.opening) == 0 {
		return
	}
	first := two.First
	if first == nil { // of a sum that is over; the newest of them may still be known here
		first = a.heard.frames()
	}
	for _, proof := range secagg.Equivocations(roster.SecAgg(), a.heard.opening[0], first, two.Second) {
		a.keep(a.part.Round(), err, proof)
	}
}

// keep stores evidence with the reason for it and returns the name under which it is kept, empty when it could not be.
func (a *actor) keep(round uint32, cause error, proof []byte) string {
	e := federation.Evidence{
		Keeper: a.n.cfg.Member, Time: time.Now(), Plan: a.digest, Run: fmt.Sprintf("%x", a.run.ID), Round: round,
		Reason: cause.Error(), Proof: proof,
	}
	name := fmt.Sprintf("%08d-%x-%s", round, a.run.ID[:4], federation.EvidenceKind(proof))
	roster, err := a.n.cfg.Store.Roster()
	var data []byte
	if err == nil {
		e.Federation = roster.Federation
		if v := federation.Judge(roster, proof); v.Names != "" {
			name += "-" + v.Names
		}
		data, err = e.Encode()
	}
	if err == nil {
		name += evidenceExt
		err = a.n.cfg.Store.KeepEvidence(name, data)
	}
	if err != nil {
		a.log.Error("evidence could not be kept", "round", round, "err", err)
		return ""
	}
	a.log.Warn("evidence kept", "round", round, "file", evidenceName+"/"+name, "cause", cause)
	return name
}
