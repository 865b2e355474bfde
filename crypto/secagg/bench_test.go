package secagg_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/crypto/secagg"
	"github.com/koinon-eu/koinon/crypto/secagg/secaggtest"
)

// BenchmarkBatch is a whole batch, all members and the coordinator in one
// process; node-ms is the time divided by the members.
func BenchmarkBatch(b *testing.B) {
	for _, c := range []struct{ members, params, drop int }{{10, 10, 0}, {30, 10, 0}, {30, 10, 9}, {10, 1_000_000, 0}} {
		b.Run(fmt.Sprintf("N=%d/P=%d/dropouts=%d", c.members, c.params, c.drop), func(b *testing.B) {
			sum := secaggtest.DefaultSum()
			sum.Params = uint32(c.params)
			for b.Loop() {
				batch := secaggtest.New(b, secaggtest.Options{Members: secaggtest.Indexes(c.members), Sum: sum})
				drop := map[uint8]secagg.Phase{}
				for i := range c.drop {
					drop[uint8(3*i+1)] = secagg.PhaseMask
				}
				require.NoError(b, batch.Run(drop))
			}
			b.ReportMetric(float64(b.Elapsed().Milliseconds())/float64(b.N*c.members), "node-ms")
		})
	}
}

// BenchmarkDeal is what one member of 30 computes from the adverts to its share
// packet in a batch of m sums.
func BenchmarkDeal(b *testing.B) {
	for _, m := range []uint16{1, 16, 600} {
		batch := secaggtest.New(b, secaggtest.Options{Members: secaggtest.Indexes(30), Sums: m})
		batch.Advertise(batch.Cohort())
		adverts, err := batch.Server.CloseAdvertise()
		require.NoError(b, err)
		opening := batch.Server.Opening()
		client := func() *secagg.Client {
			c, err := secagg.NewClient(batch.Configs[1])
			require.NoError(b, err)
			_, err = c.Receive(opening)
			require.NoError(b, err)
			return c
		}
		b.Run(fmt.Sprintf("N=30/m=%d", m), func(b *testing.B) {
			for b.Loop() {
				b.StopTimer()
				c := client()
				b.StartTimer()
				_, err := c.Receive(adverts)
				require.NoError(b, err)
			}
		})
	}
}

// BenchmarkSums is sixteen small sums in a row with every member present, in
// batches of m; node-ms is the time of one sum divided by the members.
func BenchmarkSums(b *testing.B) {
	const members, sums = 10, 16
	for _, m := range []uint16{1, 16} {
		b.Run(fmt.Sprintf("N=%d/m=%d", members, m), func(b *testing.B) {
			for b.Loop() {
				for range sums / int(m) {
					batch := secaggtest.New(b, secaggtest.Options{Members: secaggtest.Indexes(members), Sums: m})
					require.NoError(b, batch.Run(nil))
					for k := uint16(2); k <= m; k++ {
						require.NoError(b, batch.Next(batch.Cohort(), batch.Step(k), nil))
						require.NoError(b, batch.RunSum(everyone(batch)))
					}
				}
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/1000/float64(b.N*members*sums), "node-ms")
		})
	}
}
