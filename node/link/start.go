package link

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/koinon-eu/koinon/coordinator/federation"
	"github.com/koinon-eu/koinon/coordinator/federationpb"
)

// Limits of the release that a plan starts from, compiled in.
const (
	maxStartBytes = 320 << 20
	maxStartFiles = 64
)

// Start fetches the files of the release that a plan's warm start names, by
// name. Nothing is verified here but their size.
func (l *Link) Start(ctx context.Context, plan federation.Digest) (map[string][]byte, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	silent := time.AfterFunc(l.cfg.Timeout, cancel) // a stream may be long, but not silent
	defer silent.Stop()
	stream, err := l.client.Start(ctx, &federationpb.StartRequest{Plan: plan[:]})
	if err != nil {
		return nil, wrap("start", err)
	}
	files, total := map[string][]byte{}, 0
	for {
		m, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return files, nil
		}
		if err != nil {
			return nil, wrap("start", err)
		}
		silent.Reset(l.cfg.Timeout)
		if len(m.GetData()) == 0 {
			return nil, errors.New("start: an empty chunk")
		}
		files[m.GetFile()] = append(files[m.GetFile()], m.GetData()...)
		if total += len(m.GetData()); total > maxStartBytes || len(files) > maxStartFiles {
			return nil, fmt.Errorf("start: release of more than %d bytes or %d files", maxStartBytes, maxStartFiles)
		}
	}
}
