package node

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"
	"unicode"

	"github.com/koinon-eu/koinon/coordinator/federation"
	"github.com/koinon-eu/koinon/coordinator/federationpb"
	"github.com/koinon-eu/koinon/models/release"
	"github.com/koinon-eu/koinon/node/link"
)

// syncEvery is how often a node asks for rosters and plans without being told to.
const syncEvery = 5 * time.Minute

func (n *Node) askSync() {
	select {
	case n.poke <- struct{}{}:
	default: // asked already
	}
}

// syncLoop keeps rosters and plans up to date and decides on plans where the operator has said how.
func (n *Node) syncLoop(ctx context.Context) error {
	tick := time.NewTicker(syncEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-n.poke:
		case <-tick.C:
		}
		if err := n.sync(ctx); err != nil && ctx.Err() == nil {
			log := n.cfg.Log
			if errors.Is(err, fs.ErrPermission) {
				log = log.With("hint", "a command ran as another user: give the state directory back to the one that serves (chown -R)")
			}
			log.Warn("sync failed", "err", err)
		}
	}
}

func (n *Node) sync(ctx context.Context) error {
	before := n.rosterVersion()
	offers, err := Sync(ctx, n.link, n.cfg.Store, n.cfg.Accept)
	if err != nil {
		return err
	}
	if offers.Roster.Version > before {
		n.askSync() // the next one tells the coordinator which roster this node uses now
	}
	for _, o := range offers.Plans {
		if err := n.decide(ctx, o); err != nil {
			return fmt.Errorf("plan %s: %w", o.Plan.Name, err)
		}
		if err := n.wake(ctx, o.Plan.Digest()); err != nil {
			return err
		}
	}
	if offers.Newer != nil {
		n.cfg.Log.Warn("the coordinator has a newer roster; look at it and accept it with: koinon-node roster accept",
			"accepted", offers.Roster.Version, "newest", offers.Newer.Version)
	}
	return nil
}

// wake lets runs of an approved plan that went on without this node catch up, also when no further round opens: the last result of a run
// is the one a member most wants to see.
func (n *Node) wake(ctx context.Context, plan federation.Digest) error {
	decision, err := n.cfg.Store.Decision(plan)
	if err != nil || !decision.Approve {
		return err
	}
	runs, err := n.cfg.Store.Runs(plan)
	if err != nil {
		return err
	}
	for _, r := range runs {
		if r.Done || r.Stopped != "" {
			continue
		}
		a, err := n.actor(ctx, r.ID, plan)
		if err != nil {
			return err
		}
		a.post(catchUp{})
	}
	return nil
}

// Offer is a plan whose cohort names this member.
type Offer struct {
	Plan      *federation.Plan
	Decision  Decision // of this node's operator
	Told      bool     // the coordinator has this member's approval
	Open      bool     // the plan may still be run
	Approvals []string // members that approved
}

// Offers is what a Sync brought. Newer is a roster that nobody here has accepted yet, or nil.
type Offers struct {
	Roster *federation.Roster
	Newer  *federation.Roster
	Plans  []Offer
}

// Sync fetches the newest roster and the offered plans and keeps them in the store. A newer roster must carry the
// pinned coordinator's signature and the pinned federation; it is only offered to the operator, unless accept is
// set. A roster that another key has signed is an error. Plans that do not validate are an error of the coordinator and are passed over.
func Sync(ctx context.Context, l *link.Link, store Store, accept bool) (Offers, error) {
	pinned, err := store.Roster()
	if err != nil {
		return Offers{}, fmt.Errorf("roster: %w", err)
	}
	reply, err := l.Sync(ctx, pinned.Version)
	if err != nil {
		return Offers{}, err
	}
	out := Offers{Roster: pinned}
	signed, err := federationpb.RosterFromPB(reply.GetRoster())
	if err != nil {
		return Offers{}, err
	}
	newest, err := signed.Open(ed25519.PublicKey(pinned.Coordinator))
	if err != nil {
		return Offers{}, err
	}
	if newest.ID != pinned.ID || newest.Federation != pinned.Federation {
		return Offers{}, errors.New("roster: belongs to another federation")
	}
	switch {
	case newest.Version > pinned.Version && accept:
		out.Roster, err = newest, store.AcceptRoster(signed)
	case newest.Version > pinned.Version:
		out.Newer, err = newest, store.OfferRoster(signed)
	}
	if err != nil {
		return Offers{}, err
	}
	out.Plans, err = keepOffers(store, reply.GetPlans())
	return out, err
}

// maxOffers bounds the plans of one Sync.
const maxOffers = 256

func keepOffers(store Store, offers []*federationpb.PlanOffer) ([]Offer, error) {
	if len(offers) > maxOffers {
		return nil, fmt.Errorf("sync: %d plans, at most %d", len(offers), maxOffers)
	}
	var out []Offer
	for _, o := range offers {
		p, err := federation.DecodePlan(o.GetPlan())
		if err != nil {
			continue // no node can approve what is no plan
		}
		digest := p.Digest()
		if _, err := store.Plan(digest); errors.Is(err, ErrUnknown) {
			if err := store.KeepPlan(p); err != nil {
				return nil, err
			}
		}
		decision, err := store.Decision(digest)
		if err != nil {
			return nil, err
		}
		out = append(out, Offer{Plan: p, Decision: decision, Told: o.GetApproved(), Open: o.GetOpen(), Approvals: o.GetApprovals()})
	}
	return out, nil
}

// decide lets a plan run that a rule of the policy allows unattended, and repeats a decision that the coordinator
// does not know, for example after it was restored from a backup.
func (n *Node) decide(ctx context.Context, o Offer) error {
	if !o.Open {
		return nil
	}
	if o.Decision.Made() {
		if o.Decision.Approve == o.Told {
			return nil
		}
		return n.link.Approve(ctx, o.Plan.Digest(), o.Decision.Approve, o.Decision.Signature, o.Decision.Reason)
	}
	by := ""
	switch {
	case n.cfg.Policy.RunsUnattended(o.Plan):
		by = "policy"
	case n.cfg.Approve != nil && n.cfg.Approve(o.Plan):
		by = "program"
	default:
		n.cfg.Log.Info("plan waits for the operator: koinon-node plan show", "plan", o.Plan.Digest().Short(), "name", o.Plan.Name)
		return nil
	}
	if err := o.Plan.Check(n.cfg.Today()); err != nil {
		n.cfg.Log.Warn("plan may not run", "plan", o.Plan.Digest().Short(), "name", o.Plan.Name, "err", err)
		return nil
	}
	d, err := Decide(ctx, n.link, n.cfg.Store, Word{
		Member: n.cfg.Member, Plan: o.Plan.Digest(), Approve: true, By: by, Time: time.Now(), Sign: n.cfg.Sign,
		Releases: n.cfg.Releases,
	})
	if errors.Is(err, ErrStart) {
		n.cfg.Log.Warn("plan may not run", "plan", o.Plan.Digest().Short(), "name", o.Plan.Name, "err", err)
		return nil
	}
	if err == nil {
		n.cfg.Log.Info("plan approved", "plan", d.Plan.Short(), "name", o.Plan.Name, "by", by)
	}
	return err
}

// Word is a decision to be made.
type Word struct {
	Member  string
	Plan    federation.Digest
	Approve bool
	Reason  string
	By      string
	Time    time.Time
	Sign    secaggSigner

	Releases *release.Policy // who must have signed a model that the plan starts from; nil: the plan's digest decides
}

type secaggSigner = func(message []byte) ([]byte, error)

// Decide signs a word on a plan, keeps it, and then tells the coordinator, which may open a round the moment it hears
// of the last approval. With an error after it was kept, a serving node tells the coordinator at its next Sync.
func Decide(ctx context.Context, l *link.Link, store Store, w Word) (Decision, error) {
	if strings.ContainsFunc(w.Reason, func(r rune) bool { return unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) }) {
		return Decision{}, errors.New("reason: holds a control character or a line end") // the coordinator refuses it
	}
	roster, err := store.Roster()
	if err != nil {
		return Decision{}, fmt.Errorf("roster: %w", err)
	}
	member, ok := roster.Member(w.Member)
	if !ok {
		return Decision{}, fmt.Errorf("member %s is not in roster version %d", w.Member, roster.Version)
	}
	if w.Approve {
		plan, err := store.Plan(w.Plan)
		if err == nil {
			err = keepStart(ctx, l, store, plan, w.Releases)
		}
		if err != nil {
			return Decision{}, err
		}
	}
	approval := federation.Approval{Federation: roster.ID, Plan: w.Plan, Member: member.Index, Approve: w.Approve}
	signature, err := approval.Sign(w.Sign)
	if err != nil {
		return Decision{}, err
	}
	d := Decision{Plan: w.Plan, Approve: w.Approve, Reason: w.Reason, By: w.By, Time: w.Time.UTC(), Signature: signature}
	if err := store.Decide(d); err != nil {
		return Decision{}, err
	}
	if err := l.Approve(ctx, w.Plan, w.Approve, signature, w.Reason); err != nil {
		return d, fmt.Errorf("the decision holds on this node, but the coordinator was not told: %w", err)
	}
	return d, nil
}
