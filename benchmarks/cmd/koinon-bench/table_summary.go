package main

import (
	"math"

	"github.com/koinon-eu/koinon/benchmarks/metrics"
)

// studentT are the quantiles of a two-sided 95 % interval of a mean with 1, 2, … degrees of freedom.
var studentT = []float64{
	12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.3060, 2.2622, 2.2281,
	2.2010, 2.1788, 2.1604, 2.1448, 2.1314, 2.1199, 2.1098, 2.1009, 2.0930, 2.0860,
}

// tableSummary is what `table` prints.
type tableSummary struct {
	Seeds int          `json:"seeds"` // asked for
	Runs  int          `json:"runs"`  // finished
	Of    int          `json:"of"`
	CPU   float64      `json:"cpu_seconds"`
	Sets  []summaryRow `json:"sets"`
	Skews []summaryRow `json:"skews"`
}

// summaryRow is one set, division, architecture and algorithm over seeds. Means over nodes are of those whose model
// alone exists and whose held-out rows have both classes.
type summaryRow struct {
	tableJob
	Seeds     int               `json:"seeds"` // finished; Seed is the last one
	Rows      int               `json:"rows"`
	Nodes     int               `json:"nodes"`
	Alone     float64           `json:"alone"`          // mean over nodes
	FedMean   float64           `json:"federated_mean"` // of the same nodes
	Gain      metrics.Estimate  `json:"gain"`           // federated − alone, mean over nodes; Student's t over seeds
	Federated float64           `json:"federated"`      // all held-out rows
	Pooled    float64           `json:"pooled"`
	Gap       metrics.Estimate  `json:"gap"`             // federated − pooled over all held-out rows
	Worst     worstNode         `json:"worst"`           // mean over seeds of the node that is worst off federated
	Lost      float64           `json:"nodes_that_lost"` // mean over seeds
	Compared  float64           `json:"nodes_compared"`
	Named     *namedNode        `json:"most_lost,omitempty"` // where nodes are the same for every seed
	Best      *metrics.Estimate `json:"gain_over_best,omitempty"`
	CPU       float64           `json:"cpu_seconds"` // mean of a run, alone and pooled included unless known
}

type worstNode struct {
	Federated float64 `json:"federated"`
	Alone     float64 `json:"alone"`
}

// namedNode is the node with the least mean gain.
type namedNode struct {
	Name string           `json:"name"`
	Gain metrics.Estimate `json:"gain"`
}

// summarise gathers the runs of the jobs, in their order.
func summarise(jobs []tableJob, runs map[string]tableRun) *tableSummary {
	out := &tableSummary{Of: len(jobs)}
	var order []string
	groups, first := map[string][]tableRun{}, map[string]tableJob{}
	for _, j := range jobs {
		out.Seeds = max(out.Seeds, int(j.Seed))
		run, ok := runs[j.key()]
		if !ok {
			continue
		}
		out.Runs++
		out.CPU += run.Seconds
		same := j
		same.Seed = 0
		key := same.key()
		if j.skew {
			key = "skew " + key
		}
		if _, seen := first[key]; !seen {
			first[key], order = j, append(order, key)
		}
		groups[key] = append(groups[key], run)
	}
	best := bestAlone(jobs, runs)
	for _, key := range order {
		row := summariseRow(first[key], groups[key])
		if row.skew {
			out.Skews = append(out.Skews, row)
			continue
		}
		row.Best = overBest(groups[key], best)
		out.Sets = append(out.Sets, row)
	}
	return out
}

func summariseRow(j tableJob, runs []tableRun) summaryRow {
	row := summaryRow{tableJob: j, Seeds: len(runs), Rows: runs[0].Rows, Nodes: len(runs[0].Nodes)}
	n := float64(len(runs))
	var gains, gaps []float64
	for _, r := range runs {
		row.Seed = r.Seed
		row.CPU += r.Seconds / n
		if r.Federated != nil && r.Pooled != nil {
			row.Federated += *r.Federated / n
			row.Pooled += *r.Pooled / n
			gaps = append(gaps, *r.Federated-*r.Pooled)
		}
		alone, federated, compared := r.means()
		if compared == 0 {
			continue
		}
		row.Alone += alone / n
		row.FedMean += federated / n
		gains = append(gains, federated-alone)
		worst := worstNode{Federated: 2}
		for _, node := range r.Nodes {
			if node.Alone == nil || node.Federated == nil {
				continue
			}
			row.Compared += 1 / n
			if *node.Federated < *node.Alone {
				row.Lost += 1 / n
			}
			if *node.Federated < worst.Federated {
				worst = worstNode{*node.Federated, *node.Alone}
			}
		}
		row.Worst.Federated += worst.Federated / n
		row.Worst.Alone += worst.Alone / n
	}
	row.Gain, row.Gap = overSeeds(gains), overSeeds(gaps)
	row.Named = mostLost(runs)
	return row
}

// means are those of a run over its comparable nodes.
func (r tableRun) means() (alone, federated float64, nodes int) {
	for _, n := range r.Nodes {
		if n.Alone != nil && n.Federated != nil {
			alone, federated, nodes = alone+*n.Alone, federated+*n.Federated, nodes+1
		}
	}
	k := float64(max(nodes, 1))
	return alone / k, federated / k, nodes
}

// mostLost finds the node with the least mean gain; nil where a name stands for other rows with each seed.
func mostLost(runs []tableRun) *namedNode {
	if !runs[0].Partition.Natural() {
		return nil
	}
	var worst *namedNode
	for i, node := range runs[0].Nodes {
		var gains []float64
		for _, r := range runs {
			if n := r.Nodes[i]; n.Alone != nil && n.Federated != nil {
				gains = append(gains, *n.Federated-*n.Alone)
			}
		}
		if len(gains) < len(runs) {
			continue
		}
		if g := overSeeds(gains); worst == nil || g.Value < worst.Gain.Value {
			worst = &namedNode{node.Name, g}
		}
	}
	return worst
}

type setSeed struct {
	set  string
	seed uint64
}

// bestAlone is, for each set and seed, the best mean over nodes of a model alone, whatever its architecture: what nodes
// would do without a federation.
func bestAlone(jobs []tableJob, runs map[string]tableRun) map[setSeed]float64 {
	best := map[setSeed]float64{}
	for _, j := range jobs {
		if r, ok := runs[j.key()]; ok && j.main {
			alone, _, _ := r.means()
			at := setSeed{r.Set, r.Seed}
			best[at] = max(best[at], alone)
		}
	}
	return best
}

// overBest is the federated model's mean over nodes, less the best mean alone.
func overBest(runs []tableRun, best map[setSeed]float64) *metrics.Estimate {
	var gains []float64
	for _, r := range runs {
		if _, federated, nodes := r.means(); nodes > 0 {
			gains = append(gains, federated-best[setSeed{r.Set, r.Seed}])
		}
	}
	e := overSeeds(gains)
	return &e
}

// overSeeds is the mean with Student's interval; the interval of one value is all there is.
func overSeeds(values []float64) metrics.Estimate {
	n := float64(len(values))
	if n == 0 {
		return metrics.Estimate{Value: math.NaN(), Low: math.NaN(), High: math.NaN()}
	}
	mean, squares := 0.0, 0.0
	for _, v := range values {
		mean += v / n
	}
	if n == 1 {
		return metrics.Estimate{Value: mean, Low: -1, High: 1}
	}
	for _, v := range values {
		squares += (v - mean) * (v - mean)
	}
	half := studentT[len(values)-2] * math.Sqrt(squares/(n-1)/n)
	return metrics.Estimate{Value: mean, Low: mean - half, High: mean + half}
}
