package attack

import "math"

// side are the log-odds of a record in shadows, either with it or without.
type side struct{ sum, square, n float64 }

func (s *side) add(x float64) { s.sum, s.square, s.n = s.sum+x, s.square+x*x, s.n+1 }
func (s side) mean() float64  { return s.sum / s.n }

// spread is the sum of squares around the mean.
func (s side) spread() float64 { return max(0, s.square-s.sum*s.sum/s.n) }

// lira returns the two scores of each record for a target model (algorithm 1 of
// the paper). With few shadows a variance for each record would be noise; one
// for all records with and one for all without is taken, as section VI.C does.
func (o *observed) lira(target int) (offline, online []float64) {
	with, without := make([]side, o.records), make([]side, o.records)
	for m := range o.sure {
		if m/2 == target/2 {
			continue
		}
		for i, s := range o.sure[m] {
			if o.member[m][i] {
				with[i].add(s)
			} else {
				without[i].add(s)
			}
		}
	}
	in, out := deviation(with), deviation(without)
	offline, online = make([]float64, o.records), make([]float64, o.records)
	for i, s := range o.sure[target] {
		a, b := (s-with[i].mean())/in, (s-without[i].mean())/out
		offline[i] = b
		online[i] = (b*b-a*a)/2 + math.Log(out/in)
	}
	return offline, online
}

// deviation is the pooled standard deviation within records. Models that say the
// same of every record have none: then any number will do.
func deviation(sides []side) float64 {
	var spread, freedom float64
	for _, s := range sides {
		spread, freedom = spread+s.spread(), freedom+s.n-1
	}
	if spread == 0 {
		return 1
	}
	return math.Sqrt(spread / freedom)
}
