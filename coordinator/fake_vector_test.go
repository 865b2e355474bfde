package coordinator_test

import (
	"context"
	"crypto/rand"
	"errors"
	"io"

	pb "github.com/koinon-eu/koinon/coordinator/federationpb"
	"github.com/koinon-eu/koinon/crypto/secagg"
	"github.com/koinon-eu/koinon/models/feature"
	"github.com/koinon-eu/koinon/models/schedule"

	"google.golang.org/grpc"
)

func (f *fake) upload(ctx context.Context, p pb.RoundPacket, u *secagg.Upload) error {
	stream, err := f.client.Upload(ctx)
	if err != nil {
		return err
	}
	for i := range u.Chunks {
		c := &pb.UploadChunk{Run: p.Run[:], Round: p.Round, K: f.sum(), Index: uint32(i), Data: u.Chunk(i)}
		if err := stream.Send(c); err != nil {
			break
		}
	}
	reply, err := stream.CloseAndRecv()
	if err == nil && !reply.Whole {
		err = errors.New("upload is not whole")
	}
	return err
}

// spot checks every chunk of a closed sum against the masked vectors (S56).
func (f *fake) spot(ctx context.Context, p pb.RoundPacket, c secagg.Closed, sum []uint64) error {
	hashes := secagg.ChunkHashes(sum)
	whole := &secagg.Upload{Words: sum}
	for q := range hashes {
		stream, err := f.client.Spot(ctx, &pb.SpotRequest{Run: p.Run[:], Round: p.Round, Index: uint32(q)})
		if err != nil {
			return err
		}
		proofs := map[uint8]secagg.Proof{}
		for {
			chunk, err := stream.Recv()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return err
			}
			proof := secagg.Proof{Data: chunk.Data}
			for _, d := range chunk.Path {
				proof.Path = append(proof.Path, [32]byte(d))
			}
			proofs[uint8(chunk.Member)] = proof
		}
		own := secagg.Proof{Data: whole.Chunk(q), Path: secagg.MerklePath(hashes, q)}
		if err := secagg.SpotCheck(c, uint32(q), proofs, own); err != nil {
			return err
		}
	}
	return nil
}

// vector is what this member puts into the sum: true statistics, a made-up update, scores that know the label.
func (f *fake) vector() ([]uint64, error) {
	step, _ := f.machine.Next()
	x, ints := make([]float32, step.Encoding.Layout.Params), []int64(nil)
	var err error
	switch step.Kind {
	case schedule.Statistics:
		ints, err = f.machine.Statistics().Count(f.table)
	case schedule.Train:
		for i := range x {
			x[i] = float32(int(f.index)-i%5) / 100
		}
		ints = make([]int64, step.Encoding.Layout.Ints)
	case schedule.Evaluate:
		ints, err = f.tally()
	}
	if err != nil {
		return nil, err
	}
	rows, _ := f.table.Count(feature.SelectTrain)
	return step.Encoding.Encode(x, ints, uint32(rows), rand.Reader)
}

func (f *fake) tally() ([]int64, error) {
	m, err := f.machine.Encoder().Encode(f.table, feature.SelectTest)
	if err != nil {
		return nil, err
	}
	scores := make([]float64, m.Rows)
	for i, y := range m.Label {
		scores[i] = 0.2 + 0.5*float64(y) + 0.25*float64(i%2)
	}
	return f.machine.TallySchema().Count(scores, m.Label, m.Groups)
}

// sum is the place of the present sum in its batch.
func (f *fake) sum() uint32 {
	s, _ := f.agg.Sum()
	return uint32(s.K)
}

func (f *fake) close(ctx context.Context, p pb.RoundPacket, c secagg.Closed) error {
	_, sum, err := f.fetch(ctx, p.Run, p.Round, false)
	if err != nil {
		return err
	}
	if err := f.spot(ctx, p, c, sum); err != nil {
		return err
	}
	return f.apply(p.Round, c, sum)
}

// expect goes on to the next sum of the batch, if there is one.
func (f *fake) expect(run [16]byte) error {
	step, more := f.machine.Next()
	if !more || f.agg.Done() {
		f.agg = nil
		return nil
	}
	model, err := f.machine.Digest()
	if err != nil {
		return err
	}
	return f.agg.Expect(f.plan.Sum(step, run, 0, f.state, model), step.Number(), 300)
}

// absent says that a node that was started again is not in the batch, as a real one does.
func (f *fake) absent(stream grpc.BidiStreamingClient[pb.NodeMessage, pb.CoordinatorMessage], p pb.RoundPacket) error {
	switch p.Frames[0].Type {
	case secagg.TypeShare, secagg.TypeSum, secagg.TypeSurvivors, secagg.TypeCertificate:
		return stream.Send(&pb.NodeMessage{Message: &pb.NodeMessage_Left{
			Left: &pb.Left{Run: p.Run[:], Round: p.Round, Reason: "started again"},
		}})
	}
	return nil
}
