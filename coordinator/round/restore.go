package round

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/koinon-eu/koinon/crypto/secagg"
)

// afterRestart multiplies the grace of members after the coordinator restarted: nobody is connected then, and nodes
// come back with a backoff.
const afterRestart = 6

// Newest returns what the newest sum among the records of a batch is.
func Newest(records []Record) (secagg.Spec, secagg.Sum, error) {
	if len(records) == 0 {
		return secagg.Spec{}, secagg.Sum{}, errors.New("round: no records")
	}
	spec, sum, err := Opening(records[0])
	if at := newest(records); at > 0 && err == nil {
		sum, err = NextSum(records[at])
	}
	return spec, sum, err
}

// newest returns where the newest sum begins.
func newest(records []Record) int {
	for i := len(records) - 1; i > 0; i-- {
		if records[i].Kind == KindNext {
			return i
		}
	}
	return 0
}

// NextSum returns the sum that a KindNext record holds.
func NextSum(r Record) (secagg.Sum, error) {
	if r.Kind != KindNext || len(r.Frames) != 1 {
		return secagg.Sum{}, errors.New("round: record does not begin a sum")
	}
	return secagg.ParseSum(r.Frames[0].Body)
}

// Opening returns the spec and the sum that a KindOpened record holds.
func Opening(r Record) (secagg.Spec, secagg.Sum, error) {
	if r.Kind != KindOpened || len(r.Frames) != 2 {
		return secagg.Spec{}, secagg.Sum{}, errors.New("round: record does not open a round")
	}
	spec, err := secagg.ParseSpec(r.Frames[0].Body)
	if err != nil {
		return spec, secagg.Sum{}, err
	}
	sum, err := secagg.ParseSum(r.Frames[1].Body)
	return spec, sum, err
}

// Restore replays the records of a batch that had not ended when the coordinator stopped (S65). In Advertise, Reveal and
// Share it is aborted; later it goes on with fresh deadlines and the journalled sets and bytes, in whichever sum it was;
// between two sums it waits for the next one. chunk returns a stored chunk of a member's masked vector in the newest
// sum; if one of a journalled survivor is lost that round is aborted, and the step stays bound to its survivors when
// the certificate had been made.
//
// Roster, digests and Sign of cfg.Server come from the driver; spec, sums, Require, Evidence and Excluded come from the
// records.
func Restore(cfg Config, records []Record, chunk func(member uint8, index uint32) ([]byte, error)) (*Round, Output, error) {
	if len(records) == 0 {
		return nil, Output{}, errors.New("round: nothing to restore")
	}
	opened := records[0]
	var err error
	if cfg.Server.Spec, cfg.Server.Sum, err = Opening(opened); err != nil {
		return nil, Output{}, err
	}
	cfg.Server.Require, cfg.Server.Evidence = (*secagg.Set)(opened.Require), opened.Evidence
	if opened.Excluded != nil {
		cfg.Excluded = secagg.Set(*opened.Excluded)
	}
	r, err := build(cfg)
	if err != nil {
		return nil, Output{}, err
	}
	if !sameFrames(r.server.Opening(), opened.Frames) {
		return nil, Output{}, fmt.Errorf("round %d: the opening differs from the journalled one: has the coordinator's identity key changed?", r.sum.Round)
	}
	for m := range r.since {
		r.since[m] = int64(cfg.Grace) * (afterRestart - 1)
	}
	at := newest(records)
	for i, record := range records[1:] {
		read := chunk
		if i+1 < at { // that its vectors were whole is on record; they may be deleted
			read = nil
		}
		lost, err := r.replay(record, read)
		if err != nil {
			return nil, Output{}, fmt.Errorf("round %d: replay %s: %w", r.sum.Round, record.Kind, err)
		}
		if lost != nil {
			return r, r.lostSpool(record, lost, r.spec.Version() == 2 || certified(records[at:])), nil
		}
	}
	return r, r.resume(chunk), nil
}

func (r *Round) replay(record Record, chunk func(uint8, uint32) ([]byte, error)) (lost, err error) {
	switch record.Kind {
	case KindNext:
		return nil, r.replayNext(record)
	case KindClosed:
		return nil, r.replayClosed(record)
	case KindAborted:
		return nil, r.replayAborted(record)
	case KindPacket:
		e := Received{From: record.Member, Frames: record.Frames}
		digest, err := packetDigest(e)
		if err != nil {
			return nil, err
		}
		if err := r.server.Receive(e.From, e.Frames); err != nil {
			return nil, err
		}
		r.note(digest, e)
		r.blames = len(r.server.Blames())
		r.disputes = len(r.server.Disputes())
	case KindEvidence:
		r.proven = r.proven.With(record.Member)
		r.blames = len(r.server.Blames())
	case KindDispute:
	case KindPhase:
		if record.Phase == Mask {
			if lost := r.reload(secagg.Set(*record.Set), chunk); lost != nil {
				return lost, nil
			}
		}
		return nil, r.replayPhase(record)
	default:
		return nil, fmt.Errorf("unexpected record")
	}
	return nil, nil
}

func (r *Round) replayNext(record Record) error {
	sum, err := NextSum(record)
	if err != nil {
		return err
	}
	require := (*secagg.Set)(record.Require)
	frames, err := r.server.Next(sum, require, record.Evidence)
	if err != nil {
		return err
	}
	if !sameFrames(frames, record.Frames) {
		return errors.New("the sum differs from the journalled one")
	}
	r.begin(require, frames[0])
	return nil
}

func (r *Round) replayClosed(record Record) error {
	c := record.Close
	if r.endUnmask(); r.phase != Publish || c == nil {
		return fmt.Errorf("closed in phase %s", r.phase)
	}
	_, err := r.summed(Summed{Words: c.Words, SumRoot: c.SumRoot, State: c.State, Model: c.Model})
	return err
}

func (r *Round) replayAborted(record Record) error {
	a := record.Abort
	if a == nil || !a.GoesOn {
		return errors.New("the batch had ended")
	}
	if r.abort(a.Code, a.Reason, [32]byte{}); !r.server.CanContinue() {
		return errors.New("the batch cannot go on as journalled")
	}
	return nil
}

// replayPhase ends a phase as the record says and compares the outcome.
func (r *Round) replayPhase(record Record) error {
	if record.Phase != r.phase || record.Set == nil {
		return fmt.Errorf("phase %s ends in phase %s", record.Phase, r.phase)
	}
	var set secagg.Set
	var frames []secagg.Frame
	switch record.Phase {
	case Advertise:
		r.endAdvertise()
		set = r.server.Advertised()
	case Reveal:
		r.endReveal()
		set = r.server.Advertised()
	case Share:
		r.endShare()
		set = r.server.Shared()
	case Mask:
		r.endMask()
		set, frames = r.server.Survivors(), r.survivors
	case Agree:
		r.endAgree()
		set, frames = r.agreed, r.certificate
	default:
		return fmt.Errorf("phase %s has no end on record", record.Phase)
	}
	if r.phase != r.following(record.Phase) || set != secagg.Set(*record.Set) || !sameFrames(frames, record.Frames) {
		return fmt.Errorf("phase %s ended otherwise than journalled", record.Phase)
	}
	return nil
}

// following returns the phase after one that ended.
func (r *Round) following(p Phase) Phase {
	if p == Advertise && r.spec.Version() == 1 {
		return Share
	}
	return p + 1
}

// reload gives the server the stored chunks of those members, judged again by their hashes; of a sum that is over, for
// which chunk is nil, only the word that they were whole.
func (r *Round) reload(members secagg.Set, chunk func(uint8, uint32) ([]byte, error)) error {
	for _, m := range members.Members() {
		for i := range r.hashes[m] {
			if chunk == nil {
				break
			}
			data, err := chunk(m, uint32(i))
			if err != nil {
				return err
			}
			if err := r.server.Chunk(m, uint32(i), data); err != nil {
				return err
			}
		}
		if err := r.server.RestoreWhole(m); err != nil {
			return err
		}
	}
	return nil
}

// resume goes on after the last record.
func (r *Round) resume(chunk func(uint8, uint32) ([]byte, error)) Output {
	switch r.phase {
	case Advertise, Reveal, Share:
		return r.abort(secagg.ReasonRestart, fmt.Sprintf("the coordinator restarted in phase %s", r.phase), [32]byte{})
	case Mask:
		for _, m := range r.server.Eligible().Members() {
			for i := range r.hashes[m] {
				if data, err := chunk(m, uint32(i)); err == nil {
					_ = r.server.Chunk(m, uint32(i), data) // a chunk that was cut off is sent again
				}
			}
			if _, whole := r.server.Have(m); whole {
				_ = r.server.MarkWhole(m)
			}
		}
	}
	return r.advance()
}

// lostSpool aborts because a survivor's vector is gone. The journalled survivors stay the only ones possible once the
// certificate is on record, in version 2 since they are on record themselves.
func (r *Round) lostSpool(record Record, lost error, released bool) Output {
	out := r.abort(secagg.ReasonStorage, fmt.Sprintf("a survivor's masked vector is lost from the spool: %v", lost), [32]byte{})
	if released {
		out.Records[0].Abort.Released = record.Set
	}
	return out
}

// certified reports whether the certificate was journalled, after which it may have left.
func certified(records []Record) bool {
	return slices.ContainsFunc(records, func(r Record) bool { return r.Kind == KindPhase && r.Phase == Agree })
}

func sameFrames(a, b []secagg.Frame) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i].Type != b[i].Type || a[i].Sender != b[i].Sender ||
			!bytes.Equal(a[i].Body, b[i].Body) || !bytes.Equal(a[i].Signature, b[i].Signature) {
			return false
		}
	}
	return true
}
