package main

import (
	"encoding/hex"
	"fmt"
	"io"
	"math"

	pb "github.com/koinon-eu/koinon/coordinator/federationpb"
	"github.com/koinon-eu/koinon/deploy/cli"
)

// stopLine is what early stopping chose, as --json prints it.
type stopLine struct {
	Rounds  uint32   `json:"rounds"`
	Planned uint32   `json:"planned"`
	Chosen  uint32   `json:"chosen"`
	Loss    *float64 `json:"validation_loss"` // nats a row; null where nothing judged it
	Best    string   `json:"best"`            // digest of the candidate's artifact
	Final   string   `json:"final,omitempty"` // of the artifact with the final parameters
	Path    string   `json:"final_path,omitempty"`
}

func stopLineOf(s *pb.Stopping) *stopLine {
	if s == nil {
		return nil
	}
	l := &stopLine{
		Rounds: s.Rounds, Planned: s.Planned, Chosen: s.Chosen, Best: hex.EncodeToString(s.Best),
		Final: hex.EncodeToString(s.Final), Path: s.Path,
	}
	if !math.IsNaN(s.Loss) {
		l.Loss = &s.Loss
	}
	return l
}

func (l *stopLine) print(w io.Writer) {
	loss := ""
	if l.Loss != nil {
		loss = fmt.Sprintf(", validation loss %.4f", *l.Loss)
	}
	cli.Printf(w, "best   after %d of %d training rounds (%d planned)%s: artifact %.12s, which the candidate is\n", l.Chosen, l.Rounds, l.Planned, loss, l.Best)
	if l.Final != "" {
		cli.Printf(w, "final  after %d: artifact %.12s, not evaluated; in %s of the releases directory\n", l.Rounds, l.Final, l.Path)
	}
}
