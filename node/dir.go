package node

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/koinon-eu/koinon/coordinator/federation"
	"github.com/koinon-eu/koinon/crypto/secagg"
	"github.com/koinon-eu/koinon/deploy/service"
	"github.com/koinon-eu/koinon/models/schedule"
)

// Dir is a Store in a node's state directory. Every file is replaced whole, so the command line may write a decision
// or accept a roster while the node serves: the node reads them again at each round.
type Dir string

// Names in a state directory.
const (
	configName      = "node.yaml"
	identityName    = "keys/identity.pem"
	credentialsName = "certs/node.pem"
	rootName        = "certs/ca.pem"
	rosterName      = "roster.json"
	offeredName     = "roster.offered.json"
	plansName       = "plans"
	runsName        = "runs"
	figuresName     = "figures"
	evidenceName    = "evidence"
	startsName      = "starts"
	cacheName       = "cache"
	driftName       = "drift"
)

// Path returns a path inside the directory.
func (d Dir) Path(name ...string) string {
	return filepath.Join(append([]string{string(d)}, name...)...)
}

// Make creates the directory and its folders, readable by nobody else.
func (d Dir) Make() error {
	for _, name := range []string{"", "keys", "certs", plansName, runsName, figuresName, evidenceName} {
		if err := os.MkdirAll(d.Path(name), 0o700); err != nil {
			return fmt.Errorf("state directory: %w", err)
		}
	}
	return nil
}

// storedRoster is roster.json: the roster as it was signed, for eyes and for verification.
type storedRoster struct {
	Roster    json.RawMessage `json:"roster"`
	Signature []byte          `json:"signature"`
}

// Roster implements Store. The stored signature is verified again: a file that was changed by hand is no roster.
func (d Dir) Roster() (*federation.Roster, error) {
	_, r, err := d.readRoster(rosterName)
	return r, err
}

// Offered returns the newest roster that the coordinator has shown and the operator has not accepted, or ErrUnknown.
func (d Dir) Offered() (federation.SignedRoster, *federation.Roster, error) {
	return d.readRoster(offeredName)
}

func (d Dir) readRoster(name string) (federation.SignedRoster, *federation.Roster, error) {
	var s storedRoster
	if err := d.readJSON(name, &s); err != nil {
		return federation.SignedRoster{}, nil, err
	}
	signed := federation.SignedRoster{Body: s.Roster, Signature: s.Signature}
	r, err := signed.Open(nil)
	if err != nil {
		return federation.SignedRoster{}, nil, fmt.Errorf("%s: %w", d.Path(name), err)
	}
	return signed, r, nil
}

// OfferRoster implements Store.
func (d Dir) OfferRoster(r federation.SignedRoster) error { return d.writeRoster(offeredName, r) }

// AcceptRoster implements Store.
func (d Dir) AcceptRoster(r federation.SignedRoster) error {
	if err := d.writeRoster(rosterName, r); err != nil {
		return err
	}
	err := os.Remove(d.Path(offeredName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// writeRoster keeps the body's bytes as they are: they are what is signed.
func (d Dir) writeRoster(name string, r federation.SignedRoster) error {
	return d.writeJSON(name, storedRoster{Roster: r.Body, Signature: r.Signature}, false)
}

// Plan implements Store. The digest is taken again from the file's content.
func (d Dir) Plan(digest federation.Digest) (*federation.Plan, error) {
	b, err := d.read(filepath.Join(plansName, digest.String()+".json"), federation.MaxPlanBytes)
	if err != nil {
		return nil, err
	}
	p, err := federation.DecodePlan(b)
	if err != nil {
		return nil, err
	}
	if p.Digest() != digest {
		return nil, fmt.Errorf("plan file %s.json holds another plan", digest)
	}
	return p, nil
}

// maxPlans is how many plans a directory keeps: a coordinator must not be able to fill a disk with offers.
const maxPlans = 1000

// KeepPlan implements Store.
func (d Dir) KeepPlan(p *federation.Plan) error {
	b, err := p.Encode()
	if err != nil {
		return err
	}
	names, err := os.ReadDir(d.Path(plansName))
	if err != nil {
		return err
	}
	if len(names) >= 2*maxPlans { // with their decisions
		return fmt.Errorf("more than %d plans are kept already; remove old ones from %s", maxPlans, d.Path(plansName))
	}
	return service.WriteFile(d.Path(plansName, p.Digest().String()+".json"), b, 0o600)
}

// Plans returns every plan that was offered, by its digest.
func (d Dir) Plans() ([]*federation.Plan, error) {
	names, err := filepath.Glob(d.Path(plansName, "*.json"))
	if err != nil {
		return nil, err
	}
	var out []*federation.Plan
	for _, name := range names {
		digest, err := federation.ParseDigest(strings.TrimSuffix(filepath.Base(name), ".json"))
		if err != nil {
			continue // a decision, or a file of somebody else
		}
		p, err := d.Plan(digest)
		if err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	return out, nil
}

// Decision implements Store.
func (d Dir) Decision(digest federation.Digest) (Decision, error) {
	var out Decision
	err := d.readJSON(decisionName(digest), &out)
	if errors.Is(err, ErrUnknown) {
		return Decision{}, nil
	}
	if err == nil && out.Plan != digest {
		return Decision{}, fmt.Errorf("%s names another plan", decisionName(digest))
	}
	return out, err
}

// Decide implements Store.
func (d Dir) Decide(decision Decision) error {
	return d.writeJSON(decisionName(decision.Plan), decision, true)
}

func decisionName(digest federation.Digest) string {
	return filepath.Join(plansName, digest.String()+".decision.json")
}

// storedRun is runs/ID.json. The machine stands in a file of its own that the run names by its digest, so that both
// change together although they are two files.
type storedRun struct {
	Run         string            `json:"run"`
	Plan        federation.Digest `json:"plan"`
	Closed      uint32            `json:"closed"`
	Step        uint32            `json:"step"`
	State       federation.Digest `json:"state"`
	Machine     federation.Digest `json:"machine"`
	Cohort      federation.Digest `json:"cohort,omitzero"`
	Data        federation.Digest `json:"data,omitzero"`
	Key         federation.Digest `json:"key,omitzero"` // a secret of this node
	Follow      bool              `json:"follow,omitempty"`
	Stopped     string            `json:"stopped,omitempty"`
	StoppedAt   time.Time         `json:"stopped_at,omitzero"`
	Evidence    string            `json:"evidence,omitempty"`
	Control     []byte            `json:"control,omitempty"`
	Pending     []byte            `json:"pending,omitempty"`
	PendingStep uint32            `json:"pending_step,omitempty"`
	Done        bool              `json:"done"`
}

func (s storedRun) run(id RunID) Run {
	return Run{
		ID: id, Plan: s.Plan, Closed: s.Closed, Step: s.Step, State: s.State, Cohort: secagg.Set(s.Cohort), Data: s.Data, Key: s.Key, Follow: s.Follow,
		Stopped: s.Stopped, StoppedAt: s.StoppedAt, Evidence: s.Evidence, Control: s.Control, Pending: s.Pending, PendingStep: s.PendingStep, Done: s.Done,
	}
}

func (d Dir) runPath(id RunID, ext string) string {
	return filepath.Join(runsName, hex.EncodeToString(id[:])+ext)
}

func (d Dir) machinePath(id RunID, digest federation.Digest) string {
	return d.runPath(id, "."+digest.Short()+".machine")
}

// Run implements Store.
func (d Dir) Run(id RunID, cfg schedule.Config) (Run, *schedule.Machine, error) {
	var s storedRun
	if err := d.readJSON(d.runPath(id, ".json"), &s); err != nil {
		return Run{}, nil, err
	}
	b, err := d.read(d.machinePath(id, s.Machine), schedule.MaxState)
	if err != nil {
		return Run{}, nil, err
	}
	if machineDigest(b) != s.Machine {
		return Run{}, nil, fmt.Errorf("run %x: the machine's file was changed", id)
	}
	m, err := schedule.UnmarshalMachine(cfg, b)
	return s.run(id), m, err
}

func machineDigest(b []byte) federation.Digest { return federation.Hash("koinon/node/machine/v1", b) }

// SaveRun implements Store.
func (d Dir) SaveRun(r Run, m *schedule.Machine) error {
	name := d.runPath(r.ID, ".json")
	var old storedRun
	if err := d.readJSON(name, &old); err != nil && !errors.Is(err, ErrUnknown) {
		return err
	}
	s := storedRun{
		Run: hex.EncodeToString(r.ID[:]), Plan: r.Plan, Closed: r.Closed, Step: r.Step,
		State: r.State, Machine: old.Machine, Cohort: federation.Digest(r.Cohort), Data: r.Data, Key: r.Key, Follow: r.Follow,
		Stopped: r.Stopped, StoppedAt: r.StoppedAt, Evidence: r.Evidence, Control: r.Control, Pending: r.Pending, PendingStep: r.PendingStep, Done: r.Done,
	}
	if m != nil {
		b, err := m.MarshalBinary()
		if err != nil {
			return err
		}
		s.Machine = machineDigest(b)
		if err := service.WriteFile(d.Path(d.machinePath(r.ID, s.Machine)), b, 0o600); err != nil {
			return err
		}
	}
	if err := d.writeJSON(name, s, true); err != nil {
		return err
	}
	if s.Machine != old.Machine && old.Machine != (federation.Digest{}) {
		_ = os.Remove(d.Path(d.machinePath(r.ID, old.Machine))) // no longer named: at worst it takes space
	}
	return nil
}

// Runs implements Store.
func (d Dir) Runs(plan federation.Digest) ([]Run, error) {
	names, err := filepath.Glob(d.Path(runsName, "*.json"))
	if err != nil {
		return nil, err
	}
	var out []Run
	for _, name := range names {
		var s storedRun
		if err := d.readJSON(filepath.Join(runsName, filepath.Base(name)), &s); err != nil {
			return nil, err
		}
		id, err := hex.DecodeString(s.Run)
		if err != nil || len(id) != len(RunID{}) || s.Plan != plan {
			continue
		}
		out = append(out, s.run(RunID(id)))
	}
	return out, nil
}

// SaveFigures implements Store.
func (d Dir) SaveFigures(f Figures) error {
	return d.writeJSON(filepath.Join(figuresName, f.Run+".json"), f, true)
}

// Figures returns this member's own figures of every run, oldest first.
func (d Dir) Figures() ([]Figures, error) {
	names, err := filepath.Glob(d.Path(figuresName, "*.json"))
	if err != nil {
		return nil, err
	}
	var out []Figures
	for _, name := range names {
		var f Figures
		if err := d.readJSON(filepath.Join(figuresName, filepath.Base(name)), &f); err != nil {
			return nil, err
		}
		out = append(out, f)
	}
	slices.SortFunc(out, func(a, b Figures) int { return a.Time.Compare(b.Time) })
	return out, nil
}
