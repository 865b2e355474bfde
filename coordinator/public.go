package coordinator

import (
	"crypto/tls"
	"errors"
	"strings"
	"time"

	"github.com/koinon-eu/koinon/coordinator/admin"
	"github.com/koinon-eu/koinon/coordinator/publish"
	"github.com/koinon-eu/koinon/coordinator/round"
	"github.com/koinon-eu/koinon/crypto/identity"
	"github.com/koinon-eu/koinon/crypto/keystore"
	"github.com/koinon-eu/koinon/crypto/sign"
)

// Status implements publish.Source: what anybody may know. Reasons and members' names stay with the admins.
func (c *Coordinator) Status() publish.Status {
	s := publish.Status{
		Federation: c.cfg.Federation, ID: c.id.String(), Connected: c.Connected(), Version: c.cfg.Version,
		Time: c.cfg.Now().UTC().Truncate(time.Second), Plans: []publish.Plan{}, Runs: []publish.Run{}, Releases: []publish.Release{},
	}
	if c.cfg.Release != nil {
		s.KeyID, _ = sign.KeyID(c.cfg.Release.Public())
		key, _ := keystore.EncodePublic(c.cfg.Release.Public())
		s.Key = string(key)
	}
	for _, m := range c.book.Members() {
		if m.Enrolled() {
			s.Members++
		}
	}
	cohorts := map[string]int{}
	for _, p := range c.book.Plans() {
		cohorts[p.Digest.String()] = len(p.Plan.Cohort.Members)
		s.Plans = append(s.Plans, c.publicPlan(p))
	}
	runs := c.AllRuns()
	for i := len(runs) - 1; i >= 0; i-- {
		s.Runs = append(s.Runs, publicRun(runs[i], cohorts[runs[i].Plan.String()]))
	}
	releases := c.book.Releases()
	for i := len(releases) - 1; i >= 0; i-- {
		s.Releases = append(s.Releases, c.publicRelease(releases[i]))
	}
	return s
}

func (c *Coordinator) publicPlan(p admin.Plan) publish.Plan {
	out := publish.Plan{
		Name: p.Plan.Name, Digest: p.Digest.String(), Purpose: p.Plan.Declaration.PurposeCode, Unit: p.Plan.Declaration.Unit,
		Architecture: p.Plan.Architecture.Kind, Algorithm: p.Plan.Algorithm.Name, Cohort: len(p.Plan.Cohort.Members), State: "open",
	}
	for _, w := range p.Words() {
		if w.Approve {
			out.Approved++
		} else {
			out.Rejected++
		}
	}
	if _, state, ok := c.RunOf(p.Digest); ok {
		out.State = state
	}
	return out
}

func publicRun(r Run, cohort int) publish.Run {
	out := publish.Run{
		ID: runName(r.ID), Plan: r.Name, State: r.State, Step: r.Step, Steps: r.Steps, Started: moment(r.Started),
		Ended: moment(r.Ended), Release: r.Release, Rounds: []publish.Round{},
	}
	for i := len(r.Rounds) - 1; i >= 0; i-- {
		in := r.Rounds[i]
		outcome, _, _ := strings.Cut(in.Outcome, ":")
		if outcome == "" {
			outcome = "open"
		}
		phase := in.Phase
		if phase == round.Publish.String() {
			phase = round.Unmask.String()
		}
		out.Rounds = append(out.Rounds, publish.Round{
			Number: in.Number, Step: in.Step, Sum: in.K, Sums: in.Sums, Kind: in.Kind, Phase: phase, Outcome: outcome, Cohort: cohort,
			Survivors: in.Survivors.Len(), Seconds: float64(in.Milliseconds()) / 1000, Bytes: in.Bytes(), Opened: moment(in.Opened),
		})
	}
	return out
}

func (c *Coordinator) publicRelease(r admin.Release) publish.Release {
	out := publish.Release{
		Name: r.Name, Plan: r.Plan, State: string(r.State), Created: moment(r.Created), Published: moment(r.Published),
		Revoked: moment(r.Revoked), Mode: r.Mode, Reason: r.Reason, Gates: []publish.Gate{}, Approvals: []publish.Approval{},
	}
	if len(r.Statement) > 0 {
		out.Statement = r.Digest().String()
	}
	if !out.Published.IsZero() && c.cfg.Web != "" {
		out.URL = c.cfg.Web + "/releases/" + r.Name
	}
	for _, g := range r.Gates {
		out.Gates = append(out.Gates, publish.Gate(g))
	}
	for _, a := range r.Approvals {
		when, _ := time.Parse(time.RFC3339, a.Time)
		out.Approvals = append(out.Approvals, publish.Approval{Role: a.Role, Time: when})
	}
	return out
}

// moment is a Unix time; zero stays the zero time.
func moment(unix int64) time.Time {
	if unix == 0 {
		return time.Time{}
	}
	return time.Unix(unix, 0).UTC()
}

// Site returns the public web site.
func (c *Coordinator) Site() (*publish.Site, error) { return publish.New(c, c.store, c.cfg.Log) }

// WebTLS is the public site's side of TLS: the coordinator's newest certificate, and no question who asks.
func WebTLS(source *identity.Source) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			c := source.Current()
			if c == nil {
				return nil, errors.New("no certificate")
			}
			return &tls.Certificate{Certificate: c.Chain, PrivateKey: c.Key, Leaf: c.Leaf()}, nil
		},
	}
}
