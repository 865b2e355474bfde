package attack

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/koinon-eu/koinon/benchmarks/metrics"
)

// report attacks every model and takes the figures over all of them.
func (o *observed) report(cfg Config) *Report {
	out := &Report{Records: o.records, Models: len(o.sure), Observations: o.records * len(o.sure)}
	loss, offline, online := newTrial(o), newTrial(o), newTrial(o)
	for m := range o.sure {
		off, on := o.lira(m)
		for i, s := range o.sure[m] {
			l := logLoss(s)
			if o.member[m][i] {
				out.MembersLoss += l
			} else {
				out.OthersLoss += l
			}
			loss.add(-l, o.member[m][i], i)
			offline.add(off[i], o.member[m][i], i)
			online.add(on[i], o.member[m][i], i)
		}
	}
	half := float64(out.Observations) / 2 // each record is a member of one of a pair
	out.MembersLoss, out.OthersLoss = out.MembersLoss/half, out.OthersLoss/half
	resamples := cfg.Resamples
	if resamples == 0 {
		resamples = defaultResamples
	}
	draws := draw(o.records, resamples, cfg.Seed)
	out.Loss, out.LiRAOffline, out.LiRAOnline = loss.figures(draws), offline.figures(draws), online.figures(draws)
	return out
}

// logLoss of a record whose label has the log-odds s.
func logLoss(s float64) float64 { return max(-s, 0) + math.Log1p(math.Exp(-math.Abs(s))) }

// trial is the scores of one attack, higher meaning a member.
type trial []observation

type observation struct {
	score  float64
	member bool
	record int
}

func newTrial(o *observed) *trial {
	t := make(trial, 0, o.records*len(o.sure))
	return &t
}

func (t *trial) add(score float64, member bool, record int) {
	*t = append(*t, observation{score, member, record})
}

// draw returns how often each record is in each resample: a bootstrap of records
// with all that was observed of them, because what models say of one record is
// not independent.
func draw(records, resamples int, seed uint64) [][]float64 {
	r := rand.New(rand.NewPCG(seed, 1<<63))
	out := make([][]float64, resamples)
	for b := range out {
		out[b] = make([]float64, records)
		for range records {
			out[b][r.IntN(records)]++
		}
	}
	return out
}

// figures sorts once and takes each figure from the records as they are, and its
// interval from the resamples.
func (t *trial) figures(draws [][]float64) Figures {
	slices.SortStableFunc(*t, func(a, b observation) int { return cmp.Compare(b.score, a.score) })
	values, resampled := t.values(nil), make([][4]float64, len(draws))
	for b, w := range draws {
		resampled[b] = t.values(w)
	}
	var out [4]Estimate
	for k, v := range values {
		all := make([]float64, len(draws))
		for b := range resampled {
			all[b] = resampled[b][k]
		}
		slices.Sort(all)
		out[k] = Estimate{v, v, v}
		if n := len(all); n > 0 {
			out[k].Low, out[k].High = all[n/40], all[n-1-n/40]
		}
	}
	return Figures{out[0], out[1], out[2], out[3]}
}

// values are the four figures in the order of Figures.
func (t *trial) values(weights []float64) [4]float64 {
	c := t.curve(weights, func(int) bool { return true })
	return [4]float64{value(c.AUROC()), t.advantage(weights), value(c.TPRAtFPR(.001)), value(c.TPRAtFPR(.01))}
}

func value(x *float64) float64 {
	if x == nil {
		return 0
	}
	return *x
}

// curve is the curve of the records that keep takes; members are its label 1.
// Without weights each record counts once.
func (t *trial) curve(weights []float64, keep func(record int) bool) metrics.Curve {
	c := make(metrics.Curve, 0, len(*t))
	for _, o := range *t {
		w := 1.0
		if weights != nil {
			w = weights[o.record]
		}
		if w == 0 || !keep(o.record) {
			continue
		}
		if len(c) == 0 || c[len(c)-1].Score != o.score {
			c = append(c, metrics.Level{Score: o.score})
		}
		if o.member {
			c[len(c)-1].Positive += w
		} else {
			c[len(c)-1].Negative += w
		}
	}
	return c
}

// advantage takes the best threshold of each half of the records to the other.
func (t *trial) advantage(weights []float64) float64 {
	even := t.curve(weights, func(record int) bool { return record%2 == 0 }).ROC()
	odd := t.curve(weights, func(record int) bool { return record%2 == 1 }).ROC()
	return (at(odd, best(even)) + at(even, best(odd))) / 2
}

// best is the threshold of the largest TPR − FPR.
func best(roc []metrics.Point) float64 {
	threshold, most := math.Inf(1), 0.0
	for _, p := range roc {
		if a := p.TPR - p.FPR; a > most {
			threshold, most = p.Threshold, a
		}
	}
	return threshold
}

// at is TPR − FPR at a threshold.
func at(roc []metrics.Point, threshold float64) float64 {
	i, _ := slices.BinarySearchFunc(roc, threshold, func(p metrics.Point, t float64) int { return cmp.Compare(t, p.Threshold) })
	if i == len(roc) || roc[i].Threshold < threshold {
		i--
	}
	if i < 0 {
		return 0
	}
	return roc[i].TPR - roc[i].FPR
}
