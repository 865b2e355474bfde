package federation

import (
	"errors"
	"fmt"

	"github.com/koinon-eu/koinon/benchmarks/fairness"
	"github.com/koinon-eu/koinon/deploy/strictyaml"
	"github.com/koinon-eu/koinon/models/aggregate"
	"github.com/koinon-eu/koinon/models/arch"
	"github.com/koinon-eu/koinon/models/feature"

	"go.yaml.in/yaml/v4"
)

// planFile is plan.yaml as a person writes it. Declaration and schema stand in files of their own, or inline.
type planFile struct {
	Name         string              `yaml:"name"`
	Declaration  yaml.Node           `yaml:"declaration"`
	Schema       yaml.Node           `yaml:"schema"`
	Architecture arch.Spec           `yaml:"architecture"`
	Algorithm    aggregate.Spec      `yaml:"algorithm"`
	Seed         uint64              `yaml:"seed"`
	Cohort       Cohort              `yaml:"cohort"`
	Privacy      Privacy             `yaml:"privacy"`
	Operating    Operating           `yaml:"operating_point"`
	Gates        []fairness.Gate     `yaml:"gates"`
	Withheld     map[string][]string `yaml:"withheld"`
	Deadlines    Deadlines           `yaml:"deadlines"`
	Batch        int                 `yaml:"batch"`
	Evaluations  int                 `yaml:"evaluations"`
	MinRows      uint32              `yaml:"min_rows"`
	RowsMax      uint32              `yaml:"rows_max"`
	Shed         int                 `yaml:"shed"`
}

// ParsePlan reads plan.yaml strictly, fills in defaults and validates. file returns the bytes of a file that the
// plan names beside itself.
func ParsePlan(text []byte, file func(name string) ([]byte, error)) (*Plan, error) {
	if len(text) > MaxPlanBytes {
		return nil, fmt.Errorf("plan: %d bytes, at most %d", len(text), MaxPlanBytes)
	}
	var f planFile
	if err := strictyaml.Decode(text, &f); err != nil {
		return nil, fmt.Errorf("plan: %w", err)
	}
	p := &Plan{
		Name: f.Name, Architecture: f.Architecture, Algorithm: f.Algorithm, Seed: f.Seed, Cohort: f.Cohort,
		Privacy: f.Privacy, Operating: f.Operating, Gates: f.Gates, Withheld: f.Withheld, Deadlines: f.Deadlines,
		Batch: f.Batch, Evaluations: f.Evaluations, MinRows: f.MinRows,
		RowsMax: f.RowsMax, Shed: f.Shed,
	}
	declaration, err := part("declaration", f.Declaration, file)
	if err != nil {
		return nil, err
	}
	if err := strictyaml.Decode(declaration, &p.Declaration); err != nil {
		return nil, fmt.Errorf("declaration: %w", err)
	}
	schema, err := part("schema", f.Schema, file)
	if err != nil {
		return nil, err
	}
	if p.Schema, err = feature.ParseSchema(schema); err != nil {
		return nil, err
	}
	p.WithDefaults()
	if err := p.Calibrate(); err != nil {
		return nil, err
	}
	return p, p.Validate()
}

// part returns the YAML of a part that stands in a file of its own or inline.
func part(name string, node yaml.Node, file func(string) ([]byte, error)) ([]byte, error) {
	switch node.Kind {
	case yaml.ScalarNode:
		b, err := file(node.Value)
		if err != nil {
			return nil, fmt.Errorf("plan: %s: %w", name, err)
		}
		return b, nil
	case yaml.MappingNode:
		return yaml.Marshal(&node)
	}
	return nil, errors.New("plan: " + name + " is missing: name a file or write it inline")
}
