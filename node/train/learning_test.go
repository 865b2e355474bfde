package train_test

import (
	"compress/gzip"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/benchmarks/metrics"
	"github.com/koinon-eu/koinon/crypto/ring"
	"github.com/koinon-eu/koinon/models/arch"
	"github.com/koinon-eu/koinon/models/feature"
	"github.com/koinon-eu/koinon/models/schedule"
	"github.com/koinon-eu/koinon/node/train"
)

// dataSet is a public table, its schema and how it falls into nodes.
type dataSet struct {
	file, node, split string // split empty: 30 % by hash
	schema            string
}

func categories(names string) string {
	var b strings.Builder
	for _, n := range strings.Fields(names) {
		fmt.Fprintf(&b, "  %s: {type: category}\n", n)
	}
	return b.String()
}

func numbers(names string) string {
	return strings.ReplaceAll(categories(names), "category", "number")
}

var dataSets = map[string]dataSet{
	"vehicle": {
		file: "vehicle_claim_fraud_1994_1995.csv.gz", node: "RepNumber",
		schema: "name: vehicle\nlabel: {column: FraudFound_P, positive: \"1\"}\ncolumns:\n" +
			categories("Month DayOfWeek Make AccidentArea DayOfWeekClaimed MonthClaimed MaritalStatus Fault PolicyType VehicleCategory VehiclePrice DriverRating Days_Policy_Accident Days_Policy_Claim PastNumberOfClaims AgeOfVehicle AgeOfPolicyHolder PoliceReportFiled WitnessPresent AgentType NumberOfSuppliments AddressChange_Claim NumberOfCars BasePolicy") +
			numbers("WeekOfMonth WeekOfMonthClaimed Age Deductible") + "  Sex: {type: category, role: group}\n",
	},
	"easyvisa": {
		file: "easyvisa_perm_decisions.csv.gz", node: "region_of_employment",
		schema: "name: easyvisa\nlabel: {column: denied, positive: \"1\"}\ncolumns:\n" +
			categories("education_of_employee has_job_experience requires_job_training unit_of_wage full_time_position") +
			numbers("no_of_employees yr_of_estab prevailing_wage") + "  continent: {type: category, role: group}\n",
	},
	"acs": {
		file: "acs_income_16states.csv.gz", node: "ST", split: "split",
		schema: "name: acs\nlabel: {column: income_gt_50k, positive: \"1\"}\ncolumns:\n" +
			categories("COW SCHL MAR OCCP POBP RELP") + numbers("AGEP WKHP") +
			"  SEX: {type: category, role: group}\n  RAC1P: {type: category, role: group}\n",
	},
}

// load reads a data set and divides it into nodes.
func (d dataSet) load(t *testing.T, seed uint64) (*feature.Schema, []*feature.Table) {
	folder := os.Getenv("KOINON_TEST_DATA")
	if folder == "" {
		t.Skip("KOINON_TEST_DATA does not name the folder of public data sets")
	}
	schema, err := feature.ParseSchema([]byte(d.schema))
	require.NoError(t, err)
	f, err := os.Open(filepath.Join(folder, d.file))
	require.NoError(t, err)
	defer func() { require.NoError(t, f.Close()) }()
	z, err := gzip.NewReader(f)
	require.NoError(t, err)
	keep := []string{d.node}
	if d.split != "" {
		keep = append(keep, d.split)
	}
	table, err := feature.ReadCSV(z, schema, feature.Limits{}, keep...)
	require.NoError(t, err)
	if d.split != "" {
		table, err = table.SplitBy(d.split, "test")
	} else {
		table, err = table.SplitFraction(0.3, seed)
	}
	require.NoError(t, err)
	_, parts, err := table.Partition(d.node)
	require.NoError(t, err)
	return schema, parts
}

// federation runs a plan in one process: every member's vector is encoded as
// for a masked sum, and the sums are added in the clear.
type federation struct {
	machine *schedule.Machine
	members []*train.Member
}

func newFederation(t testing.TB, cfg schedule.Config, tables []*feature.Table) *federation {
	cfg.Members = len(tables)
	machine, err := schedule.New(cfg)
	require.NoError(t, err)
	f := &federation{machine: machine}
	for _, table := range tables {
		f.members = append(f.members, train.NewMember(table))
	}
	return f
}

func stream(seed, member, step uint64) *rand.ChaCha8 {
	var key [32]byte
	key[0], key[8], key[16] = byte(seed), byte(member), byte(step)
	key[17] = byte(step >> 8)
	return rand.NewChaCha8(key)
}

// step runs one sum over all members that have rows.
func (f *federation) step(t testing.TB, step schedule.Step) {
	vectors := make([][]uint64, len(f.members))
	var wait sync.WaitGroup
	cores := make(chan struct{}, 2)
	for i, m := range f.members {
		wait.Go(func() {
			cores <- struct{}{}
			defer func() { <-cores }()
			rnd := stream(7, uint64(i), uint64(step.Ordinal))
			v, err := m.Local(f.machine, step, rnd)
			if !noError(t, err) || v.Rows < step.MinRows {
				return
			}
			vectors[i], err = step.Encoding.Encode(v.X, v.Ints, v.Rows, rnd)
			noError(t, err)
		})
	}
	wait.Wait()
	if t.Failed() {
		t.FailNow()
	}
	sum, n := make([]uint64, step.Encoding.Layout.Words()), 0
	for _, v := range vectors {
		if v != nil {
			ring.Add(sum, v)
			n++
		}
	}
	require.NoError(t, f.machine.Apply(sum, n))
	for i, m := range f.members {
		m.Settle(step, vectors[i] != nil)
	}
}

// noError is require.NoError for other goroutines.
func noError(t testing.TB, err error) bool {
	if err != nil {
		t.Error(err)
	}
	return err == nil
}

// run goes through the plan until its end, or until before the evaluation.
func (f *federation) run(t testing.TB, evaluate bool) {
	for {
		step, more := f.machine.Next()
		if !more || step.Kind == schedule.Evaluate && !evaluate {
			return
		}
		f.step(t, step)
	}
}

func auroc(t testing.TB, scores []float64, labels []int8) *float64 {
	x, err := metrics.Exact(scores, labels, 0.5)
	require.NoError(t, err)
	return x.AUROC
}

// overall returns the AUROC of a model on all members' test rows.
func (f *federation) overall(t testing.TB, params []float32) float64 {
	var parts []*feature.Matrix
	for _, m := range f.members {
		test, err := m.TestRows(f.machine.Encoder())
		require.NoError(t, err)
		parts = append(parts, test)
	}
	pool, err := train.Pool(parts...)
	require.NoError(t, err)
	scores, err := train.Scores(f.machine.Config().Architecture, params, pool)
	require.NoError(t, err)
	return *auroc(t, scores, pool.Label)
}

// alone returns the mean AUROC of the members' own models, and that of the
// federated model over the same members.
func (f *federation) alone(t testing.TB) (alone, federated float64) {
	n := 0.0
	for _, m := range f.members {
		x, err := m.Evaluate(f.machine)
		require.NoError(t, err)
		if x.Alone == nil {
			continue
		}
		a, b := auroc(t, x.Alone, x.Labels), auroc(t, x.Federated, x.Labels)
		if a != nil && b != nil {
			alone, federated, n = alone+*a, federated+*b, n+1
		}
	}
	return alone / n, federated / n
}

// TestLearning compares federated with pooled and alone on public data.
func TestLearning(t *testing.T) {
	only := os.Getenv("KOINON_TEST_LEARN")
	for _, name := range []string{"vehicle", "easyvisa", "acs"} {
		for _, spec := range []arch.Spec{{Kind: arch.Logistic}, {Kind: arch.MLP}} {
			t.Run(name+"/"+spec.Kind, func(t *testing.T) {
				if name == "acs" && only == "" {
					t.Skip("KOINON_TEST_LEARN=all also runs the largest data set")
				}
				schema, tables := dataSets[name].load(t, 1)
				f := newFederation(t, schedule.Config{Schema: schema, Architecture: spec, Seed: 1}, tables)
				start := time.Now()
				f.run(t, true)
				trained := time.Since(start)
				start = time.Now()
				pooled, err := train.Pooled(f.machine, f.members)
				require.NoError(t, err)
				poolTime := time.Since(start)
				federated, best := f.overall(t, f.machine.Params()), f.overall(t, pooled.Params)
				alone, node := f.alone(t)
				t.Logf("%s %s: pooled %.4f (%d steps, %.1f s) federated %.4f (%.1f s, alone included); nodes: alone %.4f federated %.4f; %d parameters",
					name, spec.Kind, best, pooled.Steps, poolTime.Seconds(), federated, trained.Seconds(), alone, node, len(pooled.Params))
				require.InDelta(t, best, federated, 0.01)
			})
		}
	}
}
