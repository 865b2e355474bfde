package link_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/coordinator/federation"
	pb "github.com/koinon-eu/koinon/coordinator/federationpb"
)

// TestStart: files are put together from their chunks, the request says what it is, and what a release cannot be is
// refused.
func TestStart(t *testing.T) {
	many := []*pb.StartChunk{}
	for i := range 65 {
		many = append(many, &pb.StartChunk{File: fmt.Sprint(i), Data: []byte{1}})
	}
	for name, c := range map[string]struct {
		chunks []*pb.StartChunk
		want   string
	}{
		"whole":      {[]*pb.StartChunk{{File: "a", Data: []byte("xy")}, {File: "a", Data: []byte("z")}, {File: "b", Data: []byte("1")}}, ""},
		"empty":      {[]*pb.StartChunk{{File: "a"}}, "empty chunk"},
		"many files": {many, "64 files"},
	} {
		t.Run(name, func(t *testing.T) {
			l, _, wire := pair(t, &far{starts: c.chunks})
			files, err := l.Start(t.Context(), federation.Digest{0xab})
			if c.want != "" {
				require.ErrorContains(t, err, c.want)
				return
			}
			require.NoError(t, err)
			require.Equal(t, map[string][]byte{"a": []byte("xyz"), "b": []byte("1")}, files)
			sent := wire.Sent()
			require.Equal(t, "start", sent[len(sent)-1].Type)
			require.Contains(t, sent[len(sent)-1].Why, "plan ab")
		})
	}
}
