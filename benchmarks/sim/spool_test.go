package sim

import (
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/koinon-eu/koinon/coordinator"
	pb "github.com/koinon-eu/koinon/coordinator/federationpb"
	"github.com/koinon-eu/koinon/coordinator/spool"
	"github.com/koinon-eu/koinon/crypto/secagg"
	"github.com/koinon-eu/koinon/models/schedule"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
)

// stored returns whose masked vectors of a round the coordinator has, in whole or in part.
func stored(disk spool.Store, run [16]byte, round uint32) (set secagg.Set) {
	for i := range uint8(5) {
		if _, err := disk.Size(spool.Key{Run: run, Round: round, Member: i + 1}); err == nil {
			set = set.With(i + 1)
		}
	}
	return set
}

// spots asks for a chunk of every upload of a round, as a spot check does, and counts the answers.
func (r *raw) spots(run [16]byte, round uint32) (n int, err error) {
	stream, err := r.client.Spot(r.t.Context(), &pb.SpotRequest{Run: run[:], Round: round})
	for err == nil {
		if _, err = stream.Recv(); err == nil {
			n++
		}
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return n, err
}

// TestSpoolOfASumInABatch: the spool of a sum is kept until its window for spot checks closes, independent of later sums
// (S41, S55): while the next sum of the batch is open, when that one was aborted, and while its step is repeated; when a
// later sum is closed it is deleted, and the last one's when its time has passed.
func TestSpoolOfASumInABatch(t *testing.T) {
	var disk spool.Store
	s := setStage(t, testPlan(t, "rounds: 3", "rounds: 1"), fiveTables(t), func(c *coordinator.Config) {
		disk, c.Window = c.Spool, 100*time.Millisecond
	})
	pt := s.wild("PT")
	pt.cheat = func(round uint32, _ schedule.Step, y []uint64) bool {
		if round == 2 {
			y[len(y)-1]++ // two members in one: the sum is out of range
		}
		return round == 2
	}
	pt.mute = func(k secagg.Type) bool { return k == secagg.TypeChunk && pt.round == 3 }
	s.submit()
	pt.approve()
	pt.connect()
	s.playAll()
	run := s.until("the third round waits for PT", func(r coordinator.Run) bool {
		return len(r.Rounds) == 3 && r.Rounds[2].Phase == "mask" && r.Rounds[2].Waiting == secagg.SetOf(5)
	})
	require.Equal(t, "closed", run.Rounds[0].Outcome)
	require.Equal(t, uint16(2), run.Rounds[1].K)
	require.True(t, strings.HasPrefix(run.Rounds[1].Outcome, "aborted"), run.Rounds[1].Outcome)
	require.Equal(t, secagg.SetOf(1, 2, 3, 4, 5), stored(disk, run.ID, 1), "two sums later")
	n, err := pt.spots(run.ID, 1)
	require.NoError(t, err)
	require.Equal(t, 5, n)
	time.Sleep(200 * time.Millisecond) // more than the window of a last sum, which this is not
	require.Equal(t, secagg.SetOf(1, 2, 3, 4, 5), stored(disk, run.ID, 1))

	sum, _ := pt.agg.Sum()
	var chunks []*pb.UploadChunk
	for i := range pt.upload.Chunks {
		chunks = append(chunks, &pb.UploadChunk{Run: run.ID[:], Round: 3, K: uint32(sum.K), Index: uint32(i), Data: pt.upload.Chunk(i)})
	}
	_, err = pt.send(t.Context(), chunks...)
	require.NoError(t, err)
	r := s.evaluated()
	require.Empty(t, stored(disk, r.ID, 1).Members())
	_, err = pt.spots(r.ID, 1)
	refusal(t, codes.NotFound, "", err)
	for _, round := range r.Rounds {
		eventually(t, "the masked vectors are deleted", func() bool { return stored(disk, r.ID, round.Number).Len() == 0 })
	}
	s.checkSums(r)
}
