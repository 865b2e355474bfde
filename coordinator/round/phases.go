package round

import (
	"fmt"

	"github.com/koinon-eu/koinon/crypto/secagg"
)

// invited are the members that may take part.
func (r *Round) invited() secagg.Set {
	set := r.spec.Cohort.Minus(r.cfg.Excluded)
	if require := r.cfg.Server.Require; require != nil {
		set = set.Minus(set.Minus(*require))
	}
	return set
}

// absent are the members of the cohort without a session.
func (r *Round) absent() secagg.Set { return r.spec.Cohort.Minus(r.connected) }

// missing are those whose answer the phase still waits for.
func (r *Round) missing() secagg.Set {
	set := r.server.Expected().Minus(r.server.Answered()).Minus(r.left)
	return set.Minus(set.Minus(r.invited()))
}

// hopeless reports whether too few can still answer; a step that was released needs every one of its survivors (S35).
func (r *Round) hopeless() bool {
	possible := r.server.Answered().Union(r.missing())
	if require := r.cfg.Server.Require; require != nil && r.phase <= Mask && !require.SubsetOf(possible) {
		return true
	}
	return possible.Len() < int(r.spec.T)
}

// released reports whether members may have locked the present step's place: version 1 does before unmask leaves,
// version 2 before agree (S35, V14).
func (r *Round) released() bool {
	return r.phase == Unmask || r.phase == Publish || r.phase == Agree && r.spec.Version() == 2
}

// ended reports whether the phase is over, and at its deadline says so (§7).
func (r *Round) ended() (over, deadline bool) {
	if !r.cfg.Patient && r.now-r.entered >= int64(r.spec.Deadlines[r.phase.deadline()]) {
		return true, true
	}
	missing := r.missing()
	if missing == (secagg.Set{}) {
		return true, false
	}
	if r.server.Answered().Len() < int(r.spec.T) || r.cfg.Server.Require != nil && r.phase <= Mask {
		return false, false
	}
	for _, m := range missing.Members() {
		if r.connected.Has(m) || r.now-r.since[m] < int64(r.cfg.Grace) {
			return false, false
		}
	}
	return true, false
}

// advance ends the phases that can end.
func (r *Round) advance() Output {
	var out Output
	for r.phase < Publish {
		before := r.phase
		out.Add(r.end())
		if r.phase == before || r.phase.Over() {
			break
		}
	}
	return out
}

// end ends the phase when its time has come.
func (r *Round) end() Output {
	switch r.phase {
	case Agree:
		return r.endAgree()
	case Unmask:
		return r.endUnmask()
	}
	over, deadline := r.ended()
	if !over && !r.hopeless() {
		return Output{}
	}
	if r.phase == Reveal && r.server.Answered() != r.server.Expected() {
		return r.tooFew(secagg.ReasonReveal, deadline)
	}
	if r.server.Answered().Len() < int(r.spec.T) || r.hopeless() {
		return r.tooFew(secagg.ReasonTooFew, deadline)
	}
	switch r.phase {
	case Advertise:
		return r.endAdvertise()
	case Reveal:
		return r.endReveal()
	case Share:
		return r.endShare()
	}
	return r.endMask()
}

func (r *Round) enter(p Phase) { r.phase, r.entered = p, r.now }

// lose notes who has not answered the phase that ends.
func (r *Round) lose() {
	if r.phase >= Publish {
		return
	}
	for _, m := range r.server.Expected().Minus(r.server.Answered()).Members() {
		r.lost = append(r.lost, Loss{Member: m, Phase: r.phase})
	}
}

func (r *Round) phaseRecord(p Phase, set secagg.Set, frames []secagg.Frame) Record {
	return Record{Kind: KindPhase, Round: r.sum.Round, Phase: p, Set: setOf(set), Frames: frames}
}

func (r *Round) endAdvertise() Output {
	r.lose()
	frames, err := r.server.CloseAdvertise()
	if err != nil {
		return r.broken(err)
	}
	r.adverts = frames
	if r.enter(Share); r.spec.Version() == 2 {
		r.phase = Reveal
	}
	u1 := r.server.Advertised()
	r.declined = r.declined.Union(r.connected.Minus(r.connected.Minus(r.invited())).Minus(u1))
	return Output{
		Records:  []Record{r.phaseRecord(Advertise, u1, nil)},
		Messages: r.message(u1, frames),
	}
}

// endReveal hands out the draws of all of U1, from which everyone makes the same graph (V6).
func (r *Round) endReveal() Output {
	frames, err := r.server.CloseReveal()
	if err != nil {
		return r.broken(err)
	}
	r.reveals = frames
	r.enter(Share)
	u1 := r.server.Advertised()
	return Output{
		Records:  []Record{r.phaseRecord(Reveal, u1, nil)},
		Messages: r.message(u1, frames),
	}
}

func (r *Round) endShare() Output {
	r.lose()
	shares, err := r.server.CloseShare()
	if err != nil {
		return r.broken(err)
	}
	r.shares = shares
	r.enter(Mask)
	u2 := r.server.Shared()
	out := Output{Records: []Record{r.phaseRecord(Share, u2, nil)}}
	for _, m := range u2.Members() {
		out.Messages = append(out.Messages, r.message(secagg.SetOf(m), shares[m])...)
	}
	return out
}

func (r *Round) endMask() Output {
	r.lose()
	eligible := r.server.Eligible()
	frames, err := r.server.CloseMask()
	if err != nil {
		return r.broken(err)
	}
	r.survivors = frames
	r.enter(Agree)
	u3 := r.server.Survivors()
	return Output{
		Records:  []Record{r.phaseRecord(Mask, u3, frames)},
		Messages: r.message(u3, frames),
		Forget:   eligible.Minus(u3).Members(),
	}
}

// endAgree sends the certificate as soon as t members have agreed; later ones still count.
func (r *Round) endAgree() Output {
	frames, ok := r.server.Certificate()
	if !ok {
		if over, deadline := r.ended(); over || r.hopeless() {
			return r.tooFew(secagg.ReasonAgree, deadline)
		}
		return Output{}
	}
	r.certificate = frames
	r.enter(Unmask)
	return Output{
		Records:  []Record{r.phaseRecord(Agree, r.agreed, frames)},
		Messages: r.message(r.server.Survivors(), frames),
	}
}

// endUnmask starts the sum once every secret has t verified shares.
func (r *Round) endUnmask() Output {
	if !r.server.Openable() {
		if over, deadline := r.ended(); over || r.hopeless() {
			return r.tooFew(secagg.ReasonUnmask, deadline)
		}
		return Output{}
	}
	streams, err := r.server.Open()
	if err != nil {
		out := r.evidence()
		out.Add(r.broken(err))
		return out
	}
	r.enter(Publish)
	return Output{Sum: &SumJob{Survivors: r.server.Survivors(), Words: r.sum.Layout().Words(), Streams: streams}}
}

// summed publishes the result and ends the round.
func (r *Round) summed(e Summed) (Output, error) {
	if r.phase != Publish {
		return Output{}, fmt.Errorf("round %d: a sum in phase %s", r.sum.Round, r.phase)
	}
	frames, err := r.server.Result(e.Words, e.SumRoot, e.State, e.Model)
	if err != nil {
		return r.broken(err), nil
	}
	r.enter(Closed)
	u3 := r.server.Survivors()
	messages := r.message(r.spec.Cohort.Minus(r.cfg.Excluded), frames)
	// Whoever lost its connection since Mask was not needed, but goes on in the batch.
	r.before = append(append(r.message(u3, r.survivors), r.message(u3, r.certificate)...), messages...)
	r.shares = nil // all of U3 have had theirs
	return Output{
		Records: []Record{{
			Kind: KindClosed, Round: r.sum.Round, Frames: r.server.Published(),
			Close: &Close{
				Survivors: Set(u3), H3: Digest(r.h3), SumRoot: Digest(e.SumRoot), State: Digest(e.State),
				Model: Digest(e.Model), Words: e.Words, Step: r.sum.Step, Kind: r.sum.Kind, Sigma: r.sigma(), Lost: r.lost,
			},
		}},
		Messages: messages,
	}, nil
}

func (r *Round) sumFailed(e SumFailed) Output {
	code := secagg.ReasonStorage
	if e.Range {
		code = secagg.ReasonRange
	}
	return r.abort(code, e.Reason, [32]byte{})
}

func (r *Round) sigma() Digest {
	return Digest(secagg.StepDigest(r.spec.Federation, r.spec.Plan, r.sum))
}

// broken ends the round because the server refused to go on.
func (r *Round) broken(err error) Output {
	if code, proof, failed := r.server.Failure(); failed {
		return r.abort(code, secagg.ReasonText(code)+r.blamedText(), proof)
	}
	return r.abort(secagg.ReasonTooFew, err.Error(), [32]byte{})
}

// tooFew ends the round because fewer than t members answered the phase, with who is missing in words.
func (r *Round) tooFew(code uint8, deadline bool) Output {
	why := "the others left or lost their connection"
	if deadline {
		why = fmt.Sprintf("deadline of %d ticks", r.spec.Deadlines[r.phase.deadline()])
	}
	answered, needed := r.server.Answered(), int(r.spec.T)
	if r.phase == Reveal {
		needed = r.server.Expected().Len()
	}
	reason := fmt.Sprintf("%s: %d of %d members answered, %d needed (%s); missing %s",
		r.phase, answered.Len(), r.spec.N, needed, why, r.names(r.server.Expected().Minus(answered)))
	return r.abort(code, reason, [32]byte{})
}

// abort ends the round with a reason, and the batch with it unless it may have a further sum. Once the certificate is out, in version 2 once the survivors are, the step counts as
// released with U3 (S35, V14): a member locks itself before its unmask, or its agree, leaves, and holds to that whether
// or not it arrives.
func (r *Round) abort(code uint8, reason string, evidence [32]byte) Output {
	r.lose()
	a := &Abort{
		Phase: r.phase, Code: code, Reason: reason, Step: r.sum.Step, Kind: r.sum.Kind, Sigma: r.sigma(),
		Blamed: Set(r.Blamed()), Lost: r.lost,
	}
	if r.released() {
		a.Released = setOf(r.server.Survivors())
	}
	forget := r.server.Eligible().Members()
	frames, goesOn := r.stop(code, evidence)
	messages := r.message(r.spec.Cohort, frames)
	a.GoesOn = goesOn
	r.enter(Aborted)
	r.before = append(r.before, messages...)
	return Output{
		Records:  []Record{{Kind: KindAborted, Round: r.sum.Round, Abort: a}},
		Messages: messages,
		Forget:   forget,
	}
}

func (r *Round) message(to secagg.Set, frames []secagg.Frame) []Message {
	if to == (secagg.Set{}) || len(frames) == 0 {
		return nil
	}
	return []Message{{To: to, Round: r.sum.Round, Frames: frames}}
}

// again repeats to one member what it may have missed while it was away; it answers with the same bytes (S30).
func (r *Round) again(member uint8) []Message {
	to := secagg.SetOf(member)
	switch {
	case !r.invited().Has(member) || r.left.Has(member):
		return nil
	case r.phase == Advertise:
		return r.message(to, r.server.Opening())
	case r.phase == Share && r.reveals != nil && r.server.Advertised().Has(member):
		return r.message(to, r.reveals)
	case (r.phase == Reveal || r.phase == Share) && r.server.Advertised().Has(member):
		return r.message(to, r.adverts)
	case r.phase == Mask && r.sum.K > 1 && r.server.Eligible().Has(member):
		return append(r.ending(member), r.message(to, []secagg.Frame{r.next})...)
	case r.phase == Mask && r.sum.K == 1 && r.server.Shared().Has(member):
		return r.message(to, r.shares[member])
	case r.phase.Over():
		return r.ending(member)
	case r.phase >= Agree && r.server.Survivors().Has(member):
		return append(r.message(to, r.survivors), r.message(to, r.certificate)...)
	}
	return nil
}
