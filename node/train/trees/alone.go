package trees

import "github.com/koinon-eu/koinon/models/trees"

// Grow runs a machine to its end on the rows of one party: a node alone, or
// pooled rows (benchmarks only). The machine is the federation's own; there is
// one member instead of many.
func Grow(m *trees.Machine, data *Data, o Options) (*trees.Ensemble, error) {
	g, err := NewGrower(m, data, o)
	if err != nil {
		return nil, err
	}
	for !m.Done() {
		sum, err := g.Vector(m)
		if err != nil {
			return nil, err
		}
		if err := m.Apply(sum); err != nil {
			return nil, err
		}
	}
	return m.Ensemble(), nil
}
