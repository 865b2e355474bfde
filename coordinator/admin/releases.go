package admin

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/koinon-eu/koinon/models/release"
	"github.com/koinon-eu/koinon/models/release/canonical"
)

// State is where a release stands.
type State string

// The states of a release. A candidate that fails a gate stays gated for good: another result needs another run.
const (
	Gated     State = "gated"
	Waiting   State = "waiting" // for approvals
	Published State = "published"
	Revoked   State = "revoked"
)

// Modes of a revocation.
var Modes = []string{"suspend", "withdraw", "recall"}

// Gate is one gate of the plan with what the candidate reached, in words.
type Gate struct {
	Text    string `json:"text"`
	Verdict string `json:"verdict"`
	Figures string `json:"figures"`
}

// Drawn is a candidate as the driver drew it up: its files are stored before this is journalled. Statement is empty
// when a gate failed.
type Drawn struct {
	Name      string `json:"name"`
	Run       string `json:"run"` // hexadecimal
	Plan      string `json:"plan"`
	Statement []byte `json:"statement,omitempty"`
	Gates     []Gate `json:"gates"`
	Reason    string `json:"reason,omitempty"` // why it is gated
	Folder    string `json:"folder"`           // of its files, below the candidates' directory

	Stopping *Stopping `json:"stopping,omitempty"` // what early stopping chose

	Answers map[int]string `json:"answers,omitempty"` // in writing, to gates with a finding, by place from 0
	By      string         `json:"by,omitempty"`      // who gave the newest answer
}

// Stopping says which parameters of a run with early stopping the candidate has. Best and Final are digests of
// artifacts, hexadecimal; Final is empty where the final parameters are the candidate's.
type Stopping struct {
	Rounds int      `json:"rounds"`         // training rounds that were run
	Chosen int      `json:"chosen"`         // after so many of them
	Loss   *float64 `json:"loss,omitempty"` // validation loss a row in nats, if they were judged
	Best   string   `json:"best"`
	Final  string   `json:"final,omitempty"`
	Path   string   `json:"path,omitempty"` // folder of the final artifact, below the releases directory
}

// Release is a candidate and what became of it.
type Release struct {
	Drawn
	State     State
	Approvals []release.Approval
	Reason    string
	Mode      string // of the revocation
	Created   int64
	Published int64
	Revoked   int64
}

// Digest is what approvers sign; zero for a gated candidate.
func (r Release) Digest() release.Digest {
	if len(r.Statement) == 0 {
		return release.Digest{}
	}
	return release.StatementDigest(r.Statement)
}

type releaseWord struct {
	Name     string `json:"name"`
	Approval []byte `json:"approval"`
}

type signed struct {
	Name string `json:"name"`
	Key  string `json:"key"` // id of the release key
}

type revoked struct {
	Name   string `json:"name"`
	Mode   string `json:"mode"`
	Reason string `json:"reason"`
	By     string `json:"by"`
}

// Draw journals a candidate. Its statement stands in the journal before anyone can approve or sign it.
func (b *Book) Draw(ctx context.Context, d Drawn) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, ok := b.releases[d.Name]; ok {
		return Errorf(ErrExists, "release %s is drawn up already", d.Name)
	}
	return b.append(ctx, KindReleaseDrawn, d)
}

func (b *Book) foldDrawn(v Drawn, when int64) error {
	if !release.ValidName(v.Name) || b.releases[v.Name] != nil {
		return fmt.Errorf("release name %.100q is not valid or taken", v.Name)
	}
	state := Waiting
	if len(v.Statement) == 0 {
		state = Gated
	}
	b.releases[v.Name] = &Release{Drawn: v, State: state, Created: when, Reason: v.Reason}
	b.names = append(b.names, v.Name)
	return nil
}

// Redraw journals a gated candidate again, with one more answer and, when that was the last one missing, with a
// statement.
func (b *Book) Redraw(ctx context.Context, d Drawn) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if r := b.releases[d.Name]; r == nil || r.State != Gated {
		return Errorf(ErrForbidden, "release %.100q is not gated", d.Name)
	}
	return b.append(ctx, KindReleaseAnswered, d)
}

func (b *Book) foldRedrawn(v Drawn) error {
	r := b.releases[v.Name]
	if r == nil || r.State != Gated {
		return fmt.Errorf("release %.100q was never drawn, or is not gated", v.Name)
	}
	r.Drawn, r.Reason = v, v.Reason
	if len(v.Statement) > 0 {
		r.State = Waiting
	}
	return nil
}

// ApproveRelease records an admin's signed approval. The person must be the one who calls, in the role that the
// configuration gives, and the key the one registered there; nobody approves twice. ready reports that two people in
// two roles have now approved.
func (b *Book) ApproveRelease(ctx context.Context, by, name string, body []byte) (ready bool, err error) {
	var a release.Approval
	if err := canonical.Unmarshal(body, release.MaxApprovals, &a); err != nil {
		return false, Errorf(ErrInvalid, "approval: %w", err)
	}
	person, err := b.Person(by)
	if err != nil {
		return false, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	r := b.releases[name]
	switch {
	case r == nil:
		return false, fmt.Errorf("release %.100q: %w", name, ErrUnknown)
	case r.State != Waiting:
		return false, Errorf(ErrForbidden, "release %s is %s and cannot be approved", name, r.State)
	case a.Person != person.Name || a.Role != person.Role:
		return false, Errorf(ErrForbidden, "an approval of %s (%s) may not be sent by %s (%s)", a.Person, a.Role, person.Name, person.Role)
	case a.Statement != r.Digest():
		return false, Errorf(ErrInvalid, "approval names another statement than that of release %s", name)
	case slices.ContainsFunc(r.Approvals, func(o release.Approval) bool { return o.Person == a.Person }):
		return false, Errorf(ErrExists, "%s has approved release %s already", a.Person, name)
	}
	if err := a.Verify(); err != nil {
		return false, Errorf(ErrInvalid, "%w", err)
	}
	if err := b.registered(a, person); err != nil {
		return false, err
	}
	if err := b.append(ctx, KindReleaseWord, releaseWord{Name: name, Approval: body}); err != nil {
		return false, err
	}
	return release.CheckApprovals(r.Digest(), r.Approvals, b.Approvers()) == nil, nil
}

// registered holds an approval to the key that the configuration lists for the person.
func (b *Book) registered(a release.Approval, person Person) error {
	key, err := a.PublicKey()
	if err != nil {
		return Errorf(ErrInvalid, "%w", err)
	}
	if k, ok := person.Key.(interface{ Equal(crypto.PublicKey) bool }); !ok || !k.Equal(key) {
		return Errorf(ErrForbidden, "approval of %s: the key is not the registered one", person.Name)
	}
	return nil
}

func (b *Book) foldWord(v releaseWord, _ int64) error {
	r := b.releases[v.Name]
	if r == nil {
		return fmt.Errorf("release %.100q was never drawn", v.Name)
	}
	var a release.Approval
	if err := canonical.Unmarshal(v.Approval, release.MaxApprovals, &a); err != nil {
		return err
	}
	r.Approvals = append(r.Approvals, a)
	return nil
}

// Approvers lists the admins who may approve, for release.CheckApprovals and Seal.
func (b *Book) Approvers() []release.Approver {
	var out []release.Approver
	for _, p := range b.cfg.People {
		if p.Key != nil {
			out = append(out, release.Approver{Person: p.Name, Role: p.Role, Key: p.Key})
		}
	}
	return out
}

// Ready lists releases that two people have approved and that are not published yet: the driver publishes them, also
// after a restart in between.
func (b *Book) Ready() []Release {
	var out []Release
	for _, r := range b.Releases() {
		if r.State == Waiting && release.CheckApprovals(r.Digest(), r.Approvals, b.Approvers()) == nil {
			out = append(out, r)
		}
	}
	return out
}

// Signed journals that a release is signed and stored.
func (b *Book) Signed(ctx context.Context, name, key string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	r := b.releases[name]
	if r == nil || r.State != Waiting {
		return fmt.Errorf("release %.100q: %w", name, ErrUnknown)
	}
	return b.append(ctx, KindReleaseSigned, signed{Name: name, Key: key})
}

func (b *Book) foldSigned(v signed, when int64) error {
	r := b.releases[v.Name]
	if r == nil {
		return fmt.Errorf("release %.100q was never drawn", v.Name)
	}
	r.State, r.Published = Published, when
	return nil
}

// Revoke journals that a published release must not be used.
func (b *Book) Revoke(ctx context.Context, by, name, mode, reason string) error {
	if !slices.Contains(Modes, mode) || reason == "" || len(reason) > maxReason {
		return Errorf(ErrInvalid, "revoke: want a mode (%s) and a reason of 1 to %d bytes", strings.Join(Modes, ", "), maxReason)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	r := b.releases[name]
	if r == nil {
		return fmt.Errorf("release %.100q: %w", name, ErrUnknown)
	}
	if r.State != Published {
		return Errorf(ErrForbidden, "release %s is %s, only a published one is revoked", name, r.State)
	}
	return b.append(ctx, KindRevoked, revoked{Name: name, Mode: mode, Reason: reason, By: by})
}

func (b *Book) foldRevoked(v revoked, when int64) error {
	r := b.releases[v.Name]
	if r == nil {
		return errors.New("release was never drawn")
	}
	r.State, r.Mode, r.Reason, r.Revoked = Revoked, v.Mode, v.Reason, when
	return nil
}

// Release returns the release of that name.
func (b *Book) Release(name string) (Release, error) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	r := b.releases[name]
	if r == nil {
		return Release{}, fmt.Errorf("release %.100q: %w", name, ErrUnknown)
	}
	return r.clone(), nil
}

// Releases lists all releases, oldest first.
func (b *Book) Releases() []Release {
	b.mu.RLock()
	defer b.mu.RUnlock()
	out := make([]Release, 0, len(b.names))
	for _, name := range b.names {
		out = append(out, b.releases[name].clone())
	}
	return out
}

func (r *Release) clone() Release {
	c := *r
	c.Approvals = slices.Clone(r.Approvals)
	return c
}
