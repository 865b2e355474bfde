// Package publish is the coordinator's public web site: what runs, what was released, and the releases themselves for
// `koinon pull`. It shows counts, phases and verdicts. It never shows a secret, and nothing about a single member but
// what a signed release states anyway.
package publish

import "time"

// Source tells the site what there is. Its method may be called by many requests at once.
type Source interface{ Status() Status }

// Status is everything the pages and /v1/status show.
type Status struct {
	Federation string    `json:"federation"`
	ID         string    `json:"id"` // 64 hexadecimal digits
	Members    int       `json:"members"`
	Connected  int       `json:"connected"`
	Plans      []Plan    `json:"plans"`
	Runs       []Run     `json:"runs"`     // newest first
	Releases   []Release `json:"releases"` // newest first
	Key        string    `json:"release_key"`
	KeyID      string    `json:"release_key_id"`
	Version    string    `json:"version"`
	Time       time.Time `json:"time"`
}

// Plan is a submitted plan.
type Plan struct {
	Name         string `json:"name"`
	Digest       string `json:"digest"`
	Purpose      string `json:"purpose"`
	Unit         string `json:"unit"`
	Architecture string `json:"architecture"`
	Algorithm    string `json:"algorithm"`
	Cohort       int    `json:"cohort"`
	Approved     int    `json:"approved"`
	Rejected     int    `json:"rejected"`
	State        string `json:"state"`
}

// Run is one execution of a plan.
type Run struct {
	ID      string    `json:"id"`
	Plan    string    `json:"plan"`
	State   string    `json:"state"`
	Step    uint32    `json:"step"`
	Steps   uint32    `json:"steps"`
	Started time.Time `json:"started"`
	Ended   time.Time `json:"ended,omitzero"`
	Release string    `json:"release,omitempty"`
	Rounds  []Round   `json:"rounds"` // newest first
}

// Round is one masked sum. Dropouts is a count: who was missing is for the members.
type Round struct {
	Number    uint32    `json:"number"`
	Step      uint32    `json:"step"`
	Sum       uint16    `json:"sum"`  // place in its batch, from 1
	Sums      uint16    `json:"sums"` // most sums of the batch
	Kind      string    `json:"kind"`
	Phase     string    `json:"phase"`
	Outcome   string    `json:"outcome"` // open, closed, aborted
	Cohort    int       `json:"cohort"`
	Survivors int       `json:"survivors"`
	Seconds   float64   `json:"seconds"`
	Bytes     uint64    `json:"bytes"`
	Opened    time.Time `json:"opened"`
}

// Release is a candidate or what became of it.
type Release struct {
	Name      string     `json:"name"`
	Plan      string     `json:"plan"`
	State     string     `json:"state"` // gated, waiting, published, revoked
	Statement string     `json:"statement,omitempty"`
	Gates     []Gate     `json:"gates"`
	Approvals []Approval `json:"approvals"`
	Created   time.Time  `json:"created"`
	Published time.Time  `json:"published,omitzero"`
	Revoked   time.Time  `json:"revoked,omitzero"`
	Mode      string     `json:"mode,omitempty"`
	Reason    string     `json:"reason,omitempty"`
	URL       string     `json:"url,omitempty"`
}

// Gate is a gate with what the candidate reached.
type Gate struct {
	Text    string `json:"text"`
	Verdict string `json:"verdict"`
	Figures string `json:"figures"`
}

// Approval is a role's consent; the person is named in the signed release.
type Approval struct {
	Role string    `json:"role"`
	Time time.Time `json:"time"`
}

// Open reports whether a run is still going on.
func (r Run) Open() bool { return r.Ended.IsZero() }

// Shown is how many rounds the overview lists.
func (r Run) Shown() int {
	if r.Open() {
		return 8
	}
	return 3
}

// Percent is how far a run has come.
func (r Run) Percent() int {
	if r.Steps == 0 {
		return 0
	}
	done := r.Step
	if r.Open() && done > 0 {
		done--
	}
	return int(100 * min(done, r.Steps) / r.Steps)
}

// Current is the newest round, nil before the first.
func (r Run) Current() *Round {
	if len(r.Rounds) == 0 {
		return nil
	}
	return &r.Rounds[0]
}
