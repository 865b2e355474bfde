package node

import (
	"maps"
	"slices"
	"sync"

	"github.com/koinon-eu/koinon/coordinator/federation"
	"github.com/koinon-eu/koinon/models/schedule"
)

// Memory is a Store for tests and benchmarks: everything is lost with the process. The zero value is empty and
// ready; its methods may be called by several goroutines at once.
type Memory struct {
	mu        sync.Mutex
	roster    *federation.Roster
	offered   *federation.SignedRoster
	plans     map[federation.Digest]*federation.Plan
	decisions map[federation.Digest]Decision
	runs      map[RunID]memoryRun
	figures   []Figures
	evidence  map[string][]byte
	starts    map[federation.Digest][]byte
}

type memoryRun struct {
	run     Run
	machine []byte
}

// Roster implements Store.
func (m *Memory) Roster() (*federation.Roster, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.roster == nil {
		return nil, ErrUnknown
	}
	return m.roster, nil
}

// OfferRoster implements Store.
func (m *Memory) OfferRoster(r federation.SignedRoster) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.offered = &r
	return nil
}

// AcceptRoster implements Store.
func (m *Memory) AcceptRoster(s federation.SignedRoster) error {
	r, err := federation.DecodeRoster(s.Body)
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.roster, m.offered = r, nil
	return nil
}

// Plan implements Store.
func (m *Memory) Plan(d federation.Digest) (*federation.Plan, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	p, ok := m.plans[d]
	if !ok {
		return nil, ErrUnknown
	}
	return p, nil
}

// KeepPlan implements Store.
func (m *Memory) KeepPlan(p *federation.Plan) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	put(&m.plans, p.Digest(), p)
	return nil
}

// Decision implements Store.
func (m *Memory) Decision(d federation.Digest) (Decision, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.decisions[d], nil
}

// Decide implements Store.
func (m *Memory) Decide(d Decision) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	put(&m.decisions, d.Plan, d)
	return nil
}

// Run implements Store.
func (m *Memory) Run(id RunID, cfg schedule.Config) (Run, *schedule.Machine, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r, ok := m.runs[id]
	if !ok {
		return Run{}, nil, ErrUnknown
	}
	machine, err := schedule.UnmarshalMachine(cfg, r.machine)
	return r.run, machine, err
}

// SaveRun implements Store.
func (m *Memory) SaveRun(r Run, machine *schedule.Machine) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	state := m.runs[r.ID].machine
	if machine != nil {
		var err error
		if state, err = machine.MarshalBinary(); err != nil {
			return err
		}
	}
	put(&m.runs, r.ID, memoryRun{r, state})
	return nil
}

// Runs implements Store.
func (m *Memory) Runs(plan federation.Digest) ([]Run, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []Run
	for _, r := range m.runs {
		if r.run.Plan == plan {
			out = append(out, r.run)
		}
	}
	return out, nil
}

// SaveFigures implements Store.
func (m *Memory) SaveFigures(f Figures) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.figures = append(m.figures, f)
	return nil
}

// Figures returns what SaveFigures kept, oldest first.
func (m *Memory) Figures() []Figures {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.figures)
}

// KeepEvidence implements Store.
func (m *Memory) KeepEvidence(name string, data []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, kept := m.evidence[name]; !kept {
		put(&m.evidence, name, slices.Clone(data))
	}
	return nil
}

// Evidence returns what KeepEvidence kept, by name.
func (m *Memory) Evidence() map[string][]byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	return maps.Clone(m.evidence)
}

func put[K comparable, V any](m *map[K]V, k K, v V) {
	if *m == nil {
		*m = map[K]V{}
	}
	(*m)[k] = v
}
