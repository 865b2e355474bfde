package sim

import (
	"encoding/binary"
	"fmt"
	"math"
	"testing"

	pb "github.com/koinon-eu/koinon/coordinator/federationpb"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
)

// chunks returns the masked vectors that a node has sent, one after the other.
func chunks(t testing.TB, a *actor) (out []byte) {
	t.Helper()
	for _, m := range a.wire.Sent() {
		if m.Type == "chunk" {
			var c pb.UploadChunk
			require.NoError(t, proto.Unmarshal(m.Bytes, &c))
			out = append(out, c.Data...)
		}
	}
	return out
}

// chance is the logarithm of the probability with which truly uniform bytes fail one of the bounds below: e^-36 is
// 2e-16. With 8+64+1 bounds the test fails by accident less than once in 10^13 runs. The masks come from the operating
// system in every run, so no seed could make this surer.
const chance = 36

// uniform tests 64-bit words against the uniform distribution: byte values in each of the eight positions and over
// all (chi-square with 255 degrees of freedom), and each of the 64 bit positions. The tail of chi-square is bounded
// by Laurent and Massart: P(X ≥ d + 2√(d·x) + 2x) ≤ e^-x; that of a bit's count by Hoeffding: P(|k − n/2| ≥ √(n·x/2))
// ≤ 2e^-x.
func uniform(b []byte) error {
	b = b[:len(b)/8*8]
	var places [9][256]float64
	for i, v := range b {
		places[i%8][v]++
		places[8][v]++
	}
	limit := 255 + 2*math.Sqrt(255*chance) + 2*chance
	for place, counts := range places {
		n := float64(len(b)) / 8
		if place == 8 {
			n = float64(len(b))
		}
		x := 0.0
		for _, k := range counts {
			x += (k - n/256) * (k - n/256) / (n / 256)
		}
		if x > limit {
			return fmt.Errorf("bytes at place %d: chi-square %.0f over %.0f", place, x, limit)
		}
	}
	var ones [64]float64
	words := float64(len(b) / 8)
	for i := 0; i < len(b); i += 8 {
		w := binary.LittleEndian.Uint64(b[i:])
		for bit := range ones {
			ones[bit] += float64(w >> bit & 1)
		}
	}
	for bit, k := range ones {
		if off := math.Abs(k - words/2); off > math.Sqrt(words*chance/2) {
			return fmt.Errorf("bit %d: %.0f ones in %.0f words", bit, k, words)
		}
	}
	return nil
}
