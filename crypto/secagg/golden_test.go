package secagg_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/crypto/secagg"
	"github.com/koinon-eu/koinon/crypto/secagg/hpkeseal"
	"github.com/koinon-eu/koinon/crypto/secagg/secaggtest"
)

var update = flag.Bool("update", false, "rewrite testdata; only with a written reason")

// S13, S15, S18, S19, S20, S21, S22: with ρ, signatures and encapsulations fixed, every byte of a
// batch of four with one dropout is fixed. The file has a line for each
// encapsulation and for each frame its digest.
func TestGoldenTranscript(t *testing.T) { golden(t, "testdata/transcript.txt", 1, 2, 3, 7, 200) }

// S20, S21, S37, S38: the same for a batch of three sums in which a member drops
// out of the second.
func TestGoldenBatch(t *testing.T) { golden(t, "testdata/batch.txt", 3, 2, 3, 7, 200) }

// V2, V5, V6, V8, V11: the same for version 2, as if it were for cohorts of three
// and more and a graph had two cycles.
func TestGoldenVersion2(t *testing.T) {
	forceVersion2(t, 2)
	golden(t, "testdata/version2.txt", 1, 2, 3, 7, 9, 100, 200)
}

func golden(t *testing.T, goldenFile string, sums uint16, members ...uint8) {
	seals := map[string][2][]byte{}
	if !*update {
		want, err := os.ReadFile(goldenFile)
		require.NoError(t, err)
		for line := range strings.Lines(string(want)) {
			if f := strings.Fields(line); f[0] == "seal" {
				enc, err := hex.DecodeString(f[2])
				require.NoError(t, err)
				key, err := hex.DecodeString(f[3])
				require.NoError(t, err)
				seals[f[1]] = [2][]byte{enc, key}
			}
		}
	}
	first, second := transcript(t, sums, members, seals, *update), ""
	second = transcript(t, sums, members, seals, false)
	require.Equal(t, first, second) // the same inputs give the same bytes
	if *update {
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(goldenFile, []byte(first), 0o600))
	}
	want, err := os.ReadFile(goldenFile)
	require.NoError(t, err)
	require.Equal(t, string(want), first)
}

// transcript runs the batch with recorded encapsulations and writes it down.
func transcript(t *testing.T, sums uint16, members []uint8, seals map[string][2][]byte, record bool) string {
	var out bytes.Buffer
	o := secaggtest.Options{Members: members, Seed: 42, Round: 9, Run: [16]byte{1, 2, 3}, Sums: sums}
	o.Seal = func(uint8) secagg.Seal {
		return func(pk, info []byte) ([]byte, []byte, error) {
			pair := fmt.Sprintf("%d-%d", info[len(info)-2], info[len(info)-1])
			if record {
				enc, key, err := hpkeseal.Seal(pk, info)
				seals[pair] = [2][]byte{enc, bytes.Clone(key)}
				if err != nil {
					return nil, nil, err
				}
			}
			fmt.Fprintf(&out, "seal %s %x %x\n", pair, seals[pair][0], seals[pair][1])
			return seals[pair][0], bytes.Clone(seals[pair][1]), nil
		}
	}
	b := secaggtest.New(t, o)
	note := func(way string, who uint8, p []secagg.Frame) []secagg.Frame {
		for _, f := range p {
			raw, err := f.MarshalBinary()
			require.NoError(t, err)
			fmt.Fprintf(&out, "%s %d %s of %d, %d bytes, %x\n", way, who, f.Type, f.Sender, len(raw), sha256.Sum256(raw))
		}
		return p
	}
	b.ToNode = func(to uint8, p []secagg.Frame) []secagg.Frame { return note("to", to, p) }
	b.ToCoord = func(from uint8, p []secagg.Frame) []secagg.Frame { return note("from", from, p) }
	drop := map[uint8]secagg.Phase{3: secagg.PhaseMask}
	if sums > 1 {
		drop = nil
	}
	require.NoError(t, b.Run(drop))
	fmt.Fprintf(&out, "sum %x\n", b.Result)
	for k := uint16(2); k <= sums; k++ {
		require.NoError(t, b.Next(b.Cohort().Without(3), b.Step(k), nil))
		require.NoError(t, b.RunSum(without(b, secagg.PhaseMask, 3)))
		fmt.Fprintf(&out, "sum %x\n", b.Result)
	}
	require.Equal(t, b.Plain(b.Cohort().Without(3)), b.Result)
	require.Empty(t, b.Errors)
	return out.String()
}
