package synth

import (
	"bufio"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"

	"github.com/koinon-eu/koinon/models/feature"
)

// TravelSource is that of the level of refusals of entry.
const TravelSource = "Eurostat, migr_eirfs: third-country nationals refused entry at the external borders, 2013 to 2016 (extracted 2017)"

// refused is the mean number of refusals of entry in a year, 2013 to 2016, of
// TravelSource, over all reasons and citizenships.
var refused = map[string]float64{
	"AT": 459, "BE": 1560, "BG": 2360, "CY": 459, "CZ": 368, "DE": 3724, "DK": 118, "EE": 984, "ES": 181360, "FI": 1336,
	"FR": 25561, "GR": 9459, "HR": 9288, "HU": 11448, "IE": 2952, "IT": 7879, "LT": 3592, "LU": 5, "LV": 1444, "MT": 339,
	"NL": 2324, "PL": 31310, "PT": 1175, "RO": 4414, "SE": 429, "SI": 4514, "SK": 526,
}

// TravelStates are the members of the pack irregular-travel-trends.
func TravelStates() []string { return []string{"FR", "GR", "HU", "IT", "PL", "RO"} }

// TravelPack returns the files of irregular-travel-trends.
func TravelPack() PackFiles { return packFiles("travel/") }

// TravelSchema returns the parsed schema of irregular-travel-trends.
func TravelSchema() *feature.Schema {
	s, err := feature.ParseSchema(TravelPack().Schema)
	if err != nil {
		panic(err) // the file is part of the program, and a test reads it
	}
	return s
}

// What a table of irregular-travel-trends is made with. All are assumptions
// until they are fitted to monthly national figures.
const (
	travelMonths     = 84  // January 2019 to December 2025
	travelLags       = 24  // of them before the first row
	travelDispersion = 8.0 // of a count around its mean
	travelShock      = .02 // chance that a month is 2 to 4 times as large
	travelLeast      = 60  // mean count of the smallest cell: below, sections would be put together
	travelCell       = 10  // a smaller count is not published
)

var (
	travelModes    = []string{"land", "air", "sea"}
	travelSections = []float64{.4, .3, .2, .1} // of a state's refusals
	travelShare    = []float64{.6, .28, .12}   // of a section's, by mode
	travelSeason   = []float64{.25, .15, .45}  // amplitude by mode
)

const travelColumns = "cell,month_start,section,mode,horizon,mean_12,log_mean_12,log_last_known,log_last_year,trend_12," +
	"season_sin,season_cos,push_index,pull_index,capacity,same_month_last_year,refusals"

// GenerateTravel writes one state's table of irregular-travel-trends: a row for
// each month of 2021 to 2025, border section and mode of travel, with what was
// known one to six months before. Fewer than ten refusals are left empty
// wherever they stand. The same arguments give the same bytes on one processor
// architecture.
func GenerateTravel(w io.Writer, state string, seed uint64) error {
	total, ok := refused[state]
	if !ok {
		return fmt.Errorf("state %s: no figure of refusals", state)
	}
	out := bufio.NewWriterSize(w, 1<<16)
	_, _ = out.WriteString(travelColumns + "\n") // bufio reports it at Flush
	r := newRandom(seed, state+" travel")
	push, pull := wander("push"), wander("pull "+state)
	var b []byte
	for s, section := range travelSections {
		capacity := wander(fmt.Sprintf("capacity %s %d", state, s))
		for m, mode := range travelModes {
			level := math.Log(max(travelLeast, total/12*section*travelShare[m]))
			t := travelSeries{mode: m, push: push, pull: pull, capacity: capacity}
			t.draw(r, level)
			for month := travelLags; month < travelMonths; month++ {
				b = append(t.row(b[:0], r, month, "S"+strconv.Itoa(s+1), mode), '\n')
				if _, err := out.Write(b); err != nil {
					return fmt.Errorf("write table of %s: %w", state, err)
				}
			}
		}
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("write table of %s: %w", state, err)
	}
	return nil
}

// wander is an index fixed by a name: each month keeps .9 of the last one.
func wander(name string) []float64 {
	out := make([]float64, travelMonths)
	x := world(name)
	for i := range out {
		x = .9*x + .44*world(name+" "+strconv.Itoa(i))
		out[i] = round(x, 2)
	}
	return out
}

// travelSeries is one section and mode over all months.
type travelSeries struct {
	mode                 int
	push, pull, capacity []float64
	counts               []float64 // NaN where fewer than travelCell were counted
}

// draw makes the counts: the level drifts, season, indices and capacity move the
// mean, and counts scatter around it.
func (t *travelSeries) draw(r *random, level float64) {
	phase := .8 * r.normal()
	for month := range travelMonths {
		level += .03*r.normal() + .002
		angle := 2*math.Pi*float64(month)/12 + phase*.3
		log := level - travelSeason[t.mode]*math.Cos(angle) + .12*t.push[max(month-2, 0)] + .06*t.pull[max(month-1, 0)] + .15*t.capacity[month]
		mean := math.Exp(log)
		if r.chance(travelShock) {
			mean *= 2 + 2*r.float()
		}
		n := float64(r.largePoisson(r.gamma(travelDispersion) * mean / travelDispersion))
		if n < travelCell {
			n = math.NaN()
		}
		t.counts = append(t.counts, n)
	}
}

// row appends one month's row.
func (t *travelSeries) row(b []byte, r *random, month int, section, mode string) []byte {
	horizon := 1 + r.intn(6)
	known := month - horizon // the last month that is known
	year, of := 2019+month/12, month%12
	angle := 2 * math.Pi * float64(of) / 12
	recent := t.mean(known-11, known)
	b = fmt.Appendf(b, "%d-%02d-%s-%s,%d-%02d-01,%s,%s,%d,%.2f", year, of+1, section, mode, year, of+1, section, mode, horizon, recent)
	for _, x := range []float64{
		math.Log(recent), math.Log(t.counts[known]), math.Log(t.counts[month-12]), math.Log(recent / t.mean(max(known-23, 0), known-12)),
		math.Sin(angle), math.Cos(angle), t.push[known], t.pull[known], t.capacity[known],
	} {
		b = append(b, ',')
		if !math.IsNaN(x) {
			b = strconv.AppendFloat(b, x, 'f', 4, 64)
		}
	}
	for _, x := range []float64{t.counts[month-12], t.counts[month]} {
		b = append(b, ',')
		if !math.IsNaN(x) {
			b = strconv.AppendFloat(b, x, 'f', 0, 64)
		}
	}
	return b
}

// mean is that of the published months from…to; NaN if none is.
func (t *travelSeries) mean(from, to int) float64 {
	months := slices.DeleteFunc(slices.Clone(t.counts[from:to+1]), math.IsNaN)
	sum := 0.0
	for _, n := range months {
		sum += n
	}
	return sum / float64(len(months))
}

// largePoisson adds up Poisson draws of means that poisson can take.
func (r *random) largePoisson(mean float64) (n int) {
	for ; mean > 50; mean -= 50 {
		n += r.poisson(50)
	}
	return n + r.poisson(mean)
}
