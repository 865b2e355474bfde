package node

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"math/big"

	"github.com/koinon-eu/koinon/crypto/secagg"
	"github.com/koinon-eu/koinon/node/link"
)

// Spots draws the chunks of a closed sum that a node checks (S56): as many as cost no more than budget bytes to fetch,
// one at least, and all of them where that suffices. They are drawn once for a sum: whoever drew again after an answer
// that did not come would let the coordinator choose what is looked at.
func Spots(c secagg.Closed, budget int) ([]uint32, error) {
	return choose(secagg.Chunks(c.Words), budget/(c.Survivors.Len()*secagg.ChunkSize))
}

// SpotCheck recomputes those chunks of a fetched sum from the masked vectors of all survivors and the opened seeds
// (S56). An error that wraps secagg.ErrResult or secagg.ErrSpotCheck means that the coordinator's sum is false.
func SpotCheck(ctx context.Context, l *link.Link, run RunID, c secagg.Closed, sum []uint64, chunks []uint32) error {
	hashes := secagg.ChunkHashes(sum)
	if len(sum) != c.Words || secagg.MerkleRoot(hashes) != c.SumRoot {
		return fmt.Errorf("%w: the sum that was served is not the announced one", secagg.ErrResult)
	}
	whole := secagg.Upload{Words: sum}
	for _, q := range chunks {
		list, err := spots(ctx, l, run, c, q)
		if remote := (*link.RemoteError)(nil); errors.As(err, &remote) && (remote.NotFound || remote.Unserved) {
			return fmt.Errorf("%w: %w", errNotServed, err)
		}
		if err != nil {
			return err
		}
		uploads := map[uint8]secagg.Proof{}
		for _, s := range list {
			uploads[s.Member] = secagg.Proof{Data: s.Data, Path: s.Path}
		}
		own := secagg.Proof{Data: whole.Chunk(int(q)), Path: secagg.MerklePath(hashes, int(q))}
		if err := secagg.SpotCheck(c, q, uploads, own); err != nil {
			return &spotFault{chunk: q, uploads: uploads, sum: own, err: err}
		}
	}
	return nil
}

// spots fetches one chunk of every upload. A connection that broke is no reason to leave the batch: it asks again.
func spots(ctx context.Context, l *link.Link, run RunID, c secagg.Closed, q uint32) ([]link.Spot, error) {
	for try := 1; ; try++ {
		list, err := l.Spot(ctx, run, c.Round, q, c.Survivors.Len())
		remote := (*link.RemoteError)(nil)
		if !errors.As(err, &remote) || !remote.Unreachable || try == fetchTries || !pause(ctx, try) {
			return list, err
		}
	}
}

// choose draws max(1, min(n, most)) of n chunk indexes without replacement, from the operating system's randomness.
func choose(n, most int) ([]uint32, error) {
	all := make([]uint32, n)
	for i := range all {
		all[i] = uint32(i)
	}
	most = max(1, min(n, most))
	for i := range most {
		if most == n {
			break
		}
		j, err := rand.Int(rand.Reader, big.NewInt(int64(n-i)))
		if err != nil {
			return nil, err
		}
		k := i + int(j.Int64())
		all[i], all[k] = all[k], all[i]
	}
	return all[:most], nil
}
