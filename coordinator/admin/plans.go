package admin

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/koinon-eu/koinon/coordinator/federation"
	"github.com/koinon-eu/koinon/crypto/secagg"
)

// maxReason bounds words that come from outside, in bytes.
const maxReason = 500

// Plan is a submitted plan and what members said about it.
type Plan struct {
	Plan      *federation.Plan
	Digest    federation.Digest
	Body      []byte // canonical
	By        string
	Submitted int64
	words     map[uint8]Word // by member index, the newest of each
}

// Word is one member's newest word on a plan.
type Word struct {
	Member  uint8
	Approve bool
	Reason  string
	Time    int64
}

type submitted struct {
	Plan []byte `json:"plan"`
	By   string `json:"by"`
}

type approval struct {
	Plan      federation.Digest `json:"plan"`
	Member    uint8             `json:"member"`
	Approve   bool              `json:"approve"`
	Reason    string            `json:"reason,omitempty"`
	Signature []byte            `json:"signature"`
}

// Submit takes a plan after all its checks: shape, law at today's date, and a cohort that the roster knows.
func (b *Book) Submit(ctx context.Context, by string, body []byte) (federation.Digest, error) {
	p, err := federation.DecodePlan(body)
	if err != nil {
		return federation.Digest{}, Errorf(ErrInvalid, "%w", err)
	}
	if err := p.Check(b.cfg.Now().UTC().Format(time.DateOnly)); err != nil {
		return federation.Digest{}, Errorf(ErrInvalid, "%w", err)
	}
	if b.cfg.CheckPlan != nil {
		if err := b.cfg.CheckPlan(p); err != nil {
			return federation.Digest{}, err
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	digest := p.Digest()
	if _, ok := b.plans[digest]; ok {
		return digest, Errorf(ErrExists, "plan %s (%s) was submitted already", p.Name, digest.Short())
	}
	if len(b.rosters) == 0 {
		return digest, Errorf(ErrInvalid, "plan %s: no member has enrolled yet", p.Name)
	}
	if _, err := p.Set(b.rosters[len(b.rosters)-1].open); err != nil {
		return digest, Errorf(ErrInvalid, "%w", err)
	}
	return digest, b.append(ctx, KindSubmitted, submitted{Plan: body, By: by})
}

func (b *Book) foldSubmitted(v submitted, when int64) error {
	p, err := federation.DecodePlan(v.Plan)
	if err != nil {
		return err
	}
	digest := p.Digest()
	b.plans[digest] = &Plan{Plan: p, Digest: digest, Body: v.Plan, By: v.By, Submitted: when, words: map[uint8]Word{}}
	b.order = append(b.order, digest)
	return nil
}

// Approve records a member's signed word on a plan. The coordinator opens no round with a member whose signed
// approval it lacks, and the node checks again by itself.
func (b *Book) Approve(ctx context.Context, member string, digest federation.Digest, approve bool, signature []byte, reason string) error {
	if len(reason) > maxReason {
		reason = reason[:maxReason]
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	m, p := b.member(member), b.plans[digest]
	if m == nil || !m.Enrolled() {
		return fmt.Errorf("member %.40q: %w", member, ErrUnknown)
	}
	if p == nil {
		return fmt.Errorf("plan %s: %w", digest.Short(), ErrUnknown)
	}
	if !slices.Contains(p.Plan.Cohort.Members, member) {
		return Errorf(ErrForbidden, "member %s is not in the cohort of plan %s", member, p.Plan.Name)
	}
	word := federation.Approval{Federation: b.cfg.ID, Plan: digest, Member: m.Index, Approve: approve}
	if !word.Verify(m.Key, signature) {
		return Errorf(ErrInvalid, "approval of plan %s by %s: signature does not verify", p.Plan.Name, member)
	}
	if was, ok := p.words[m.Index]; ok && was.Approve == approve {
		return nil
	} else if ok && was.Time == b.cfg.Now().Unix() {
		return Errorf(ErrForbidden, "member %s has changed its word on plan %s this very second, say it again", member, p.Plan.Name) // each word is journalled for good
	}
	return b.append(ctx, KindApproval, approval{Plan: digest, Member: m.Index, Approve: approve, Reason: reason, Signature: signature})
}

func (b *Book) foldApproval(v approval, when int64) error {
	p := b.plans[v.Plan]
	if p == nil {
		return fmt.Errorf("plan %s was never submitted", v.Plan.Short())
	}
	p.words[v.Member] = Word{Member: v.Member, Approve: v.Approve, Reason: v.Reason, Time: when}
	return nil
}

// Plan returns a submitted plan.
func (b *Book) Plan(digest federation.Digest) (Plan, error) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	p := b.plans[digest]
	if p == nil {
		return Plan{}, fmt.Errorf("plan %s: %w", digest.Short(), ErrUnknown)
	}
	return p.clone(), nil
}

// Plans lists all plans, oldest first.
func (b *Book) Plans() []Plan {
	b.mu.RLock()
	defer b.mu.RUnlock()
	out := make([]Plan, 0, len(b.order))
	for _, digest := range b.order {
		out = append(out, b.plans[digest].clone())
	}
	return out
}

func (p *Plan) clone() Plan {
	c := *p
	c.words = maps.Clone(p.words)
	return c
}

// Words returns the newest word of each member that spoke, by index.
func (p Plan) Words() []Word {
	out := slices.Collect(maps.Values(p.words))
	slices.SortFunc(out, func(x, y Word) int { return int(x.Member) - int(y.Member) })
	return out
}

// Approved returns the members whose newest word approves.
func (p Plan) Approved() secagg.Set {
	var set secagg.Set
	for index, w := range p.words {
		if w.Approve {
			set = set.With(index)
		}
	}
	return set
}
