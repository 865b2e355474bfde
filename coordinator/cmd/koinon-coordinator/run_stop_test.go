package main

import (
	"bytes"
	"encoding/json"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	pb "github.com/koinon-eu/koinon/coordinator/federationpb"
)

// TestStopLine: what run show says of a run that ended early, in words and as JSON.
func TestStopLine(t *testing.T) {
	require.Nil(t, stopLineOf(nil))
	full := stopLineOf(&pb.Stopping{
		Rounds: 21, Planned: 40, Chosen: 18, Loss: 0.255, Best: bytes.Repeat([]byte{0xab}, 32), Final: bytes.Repeat([]byte{0xcd}, 32), Path: "finals/x-1/model.koinon",
	})
	var b bytes.Buffer
	full.print(&b)
	require.Equal(t, "best   after 18 of 21 training rounds (40 planned), validation loss 0.2550: artifact abababababab, which the candidate is\n"+
		"final  after 21: artifact cdcdcdcdcdcd, not evaluated; in finals/x-1/model.koinon of the releases directory\n", b.String())
	last := stopLineOf(&pb.Stopping{Rounds: 40, Planned: 40, Chosen: 40, Loss: math.NaN(), Best: make([]byte, 32)})
	text, err := json.Marshal(last)
	require.NoError(t, err)
	require.Contains(t, string(text), `"validation_loss":null`)
	require.NotContains(t, string(text), "final")
	b.Reset()
	last.print(&b)
	require.NotContains(t, b.String(), "final")
}
