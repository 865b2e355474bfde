package train

import (
	"io"

	"github.com/koinon-eu/koinon/crypto/dp"
	"github.com/koinon-eu/koinon/models/schedule"
)

// privateWeight is every member's weight under privacy: a row count is itself a
// figure about the rows.
const privateWeight = 1

// privateStatistics adds this member's noise to its counts.
func privateStatistics(machine *schedule.Machine, counts []int64, rnd io.Reader) (Vector, error) {
	return Vector{Ints: counts, Rows: privateWeight}, addNoise(counts, machine.Statistics().Sigma(), rnd)
}

// addNoise adds exact discrete Gaussian noise to each integer.
func addNoise(x []int64, sigma float64, rnd io.Reader) error {
	g, err := dp.NewGaussian(sigma, rnd)
	if err != nil {
		return err
	}
	defer g.Wipe()
	return g.Add(x)
}
