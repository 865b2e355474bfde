package main

import (
	"embed"
	"fmt"

	"github.com/koinon-eu/koinon/benchmarks/direct"
	"github.com/koinon-eu/koinon/models/aggregate"
	"github.com/koinon-eu/koinon/models/arch"
	"github.com/koinon-eu/koinon/models/feature"
)

// schemas are ours; the tables are not in the repository.
//
//go:embed testdata/*.yaml
var schemas embed.FS

// publicSet is a public table and how it falls into nodes of itself.
type publicSet struct {
	name, file, schema string
	nodes              direct.Partition
}

// publicSets are the tables of the benchmark, one row a case.
var publicSets = []publicSet{
	{"acs", "acs_income_16states", "acs", direct.Partition{Kind: direct.Column, Column: "ST"}},
	{"adult", "adult", "adult", direct.Partition{Kind: direct.Column, Column: "native_country", Least: 150}},
	{"compas", "compas_two_years", "compas", direct.Partition{Kind: direct.Order, Column: "compas_screening_date", Nodes: 6}},
	{"dutch", "dutch_census_2001", "dutch", direct.Partition{Kind: direct.Column, Column: "household_position"}},
	{"easyvisa", "easyvisa_perm_decisions", "easyvisa", direct.Partition{Kind: direct.Column, Column: "region_of_employment"}},
	{"german", "south_german_credit", "german", direct.Partition{Kind: direct.IID, Nodes: 3}},
	{"oulad", "oulad", "oulad", direct.Partition{Kind: direct.Column, Column: "region"}},
	{"taiwan", "taiwan_credit_default", "taiwan", direct.Partition{Kind: direct.Order, Column: "LIMIT_BAL", Nodes: 8}},
	{"ulb", "ulb_creditcard_fraud_sample", "ulb", direct.Partition{Kind: direct.Order, Column: "Time", Nodes: 5}},
	{"vehicle", "vehicle_claim_fraud_1994_1995", "vehicle", direct.Partition{Kind: direct.Column, Column: "RepNumber"}},
}

// skewedSets are divided in every way of skews; the column is that of order.
var skewedSets = []struct{ name, column string }{{"adult", "age"}, {"dutch", "age"}, {"taiwan", "LIMIT_BAL"}}

var skews = []direct.Partition{
	{Kind: direct.IID, Nodes: defaultNodes},
	{Kind: direct.Size, Skew: 1.5, Nodes: defaultNodes},
	{Kind: direct.Order, Nodes: defaultNodes},
	{Kind: direct.Label, Skew: 0.5, Nodes: defaultNodes},
	{Kind: direct.Label, Skew: 0.1, Nodes: defaultNodes},
}

// skewedKinds are the architectures whose algorithms are compared; trees have one.
var skewedKinds = []string{arch.Logistic, arch.MLP}

func setNamed(name string) (publicSet, error) {
	for _, s := range publicSets {
		if s.name == name {
			return s, nil
		}
	}
	return publicSet{}, fmt.Errorf("no public table %q", name)
}

func (s publicSet) readSchema() (*feature.Schema, error) {
	text, err := schemas.ReadFile("testdata/" + s.schema + ".yaml")
	if err != nil {
		return nil, err
	}
	return feature.ParseSchema(text)
}

// tableJob is one run of the table.
type tableJob struct {
	Set          string           `json:"set"`
	Partition    direct.Partition `json:"partition"`
	Architecture arch.Spec        `json:"architecture"` // with defaults, as the algorithm
	Algorithm    aggregate.Spec   `json:"algorithm"`
	Seed         uint64           `json:"seed"`
	Schema       string           `json:"schema"` // digest, in hexadecimal
	main         bool             // of the table of sets, not only of that of skews
	skew         bool
}

// tablePlan lists the runs, all of a seed before those of the next, so that a run cut short has whole seeds.
func (c *tableCommand) tablePlan() ([]tableJob, error) {
	var jobs []tableJob
	for seed := uint64(1); seed <= uint64(c.Seeds); seed++ {
		for _, set := range publicSets {
			if !c.wants(set.name) {
				continue
			}
			for _, kind := range []string{arch.Logistic, arch.MLP, arch.Trees} {
				jobs = append(jobs, tableJob{Set: set.name, Partition: set.nodes, Architecture: arch.Spec{Kind: kind}, Seed: seed, main: true})
			}
		}
		if !c.Skews {
			continue
		}
		for _, set := range skewedSets {
			if c.wants(set.name) {
				jobs = append(jobs, skewJobs(set.name, set.column, seed)...)
			}
		}
	}
	for i := range jobs {
		if err := jobs[i].fill(); err != nil {
			return nil, err
		}
	}
	return jobs, nil
}

func skewJobs(set, column string, seed uint64) (jobs []tableJob) {
	for _, kind := range skewedKinds {
		for _, p := range skews {
			if p.Kind == direct.Order {
				p.Column = column
			}
			for _, a := range skewedAlgorithms(kind) {
				jobs = append(jobs, tableJob{Set: set, Partition: p, Architecture: arch.Spec{Kind: kind}, Algorithm: a, Seed: seed, skew: true})
			}
		}
	}
	return jobs
}

// skewedAlgorithms are all that an architecture can have, and FedAdam on local epochs too, as its paper has it.
func skewedAlgorithms(kind string) (specs []aggregate.Spec) {
	for _, name := range aggregate.Names {
		if name != aggregate.Newton || kind == arch.Logistic {
			specs = append(specs, aggregate.Spec{Name: name})
		}
	}
	return append(specs, aggregate.Spec{Name: aggregate.FedAdam, Local: aggregate.MiniBatch})
}

// algorithmName tells the two kinds of FedAdam apart.
func (j tableJob) algorithmName() string {
	if j.Algorithm.Name == aggregate.FedAdam && j.Algorithm.Local == aggregate.MiniBatch {
		return "fedadam, epochs"
	}
	return j.Algorithm.Name
}

// fill puts in the defaults, so that a result of other settings is another run.
func (j *tableJob) fill() error {
	set, err := setNamed(j.Set)
	if err != nil {
		return err
	}
	schema, err := set.readSchema()
	if err != nil {
		return fmt.Errorf("schema of %s: %w", j.Set, err)
	}
	digest := schema.Digest()
	j.Schema = fmt.Sprintf("%x", digest[:8])
	j.Architecture = j.Architecture.WithDefaults()
	j.Algorithm = j.Algorithm.WithDefaults(j.Architecture)
	return nil
}
