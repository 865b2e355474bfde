package secagg

import (
	"fmt"
	"log/slog"
	"net"

	"github.com/koinon-eu/koinon/coordinator/spool"
	"github.com/koinon-eu/koinon/crypto/ring"
	"github.com/koinon-eu/koinon/crypto/secagg"
	"github.com/koinon-eu/koinon/deploy/cli"
)

// Config says what is measured.
type Config struct {
	Nodes    int  // of the cohort, 3 to 255 (S6)
	Params   int  // of each vector
	Dropouts int  // nodes that leave in Mask before their upload is whole; at most N − t
	Bits     int  // of an encoded parameter: 24 (two in a word) or 15 (three)
	Rounds   int  // how often; figures are those of the fastest round
	NoFsync  bool // nothing is forced to the disk: what a round costs apart from this machine's disk

	Dir string // for spool and journal; it must exist and hold N vectors
	// Coordinator is the command line of a program that calls ServeChild; empty: coordinator and nodes share a process.
	Coordinator []string
	Progress    func(done string) // may be nil
	Log         *slog.Logger      // may be nil

	// For the tests of this package; nil changes nothing.
	dial   func(member int, address string) string // where a node really connects to reach the coordinator
	store  func(spool.Store) spool.Store           // around the coordinator's spool
	listen func(l net.Listener) net.Listener       // around the coordinator's listener
	tamper func(member int, words []uint64)        // may change a vector before it is masked
}

// The fewest and most members of a cohort (S6).
const minNodes, maxNodes = secagg.MinCohort, secagg.MaxCohort

// lanes are the parameters in one word, by their bits (S43).
var lanes = map[int]int{24: 2, 15: 3}

// Layout is that of a vector.
func (c Config) Layout() ring.Layout {
	return ring.Layout{Params: c.Params, Lanes: lanes[c.Bits], Bits: c.Bits}
}

// Validate refuses what cannot be measured; errors carry hints for a command line.
func (c Config) Validate() error {
	switch {
	case c.Nodes < minNodes || c.Nodes > maxNodes:
		return cli.Hint(cli.Usagef("%d nodes", c.Nodes), "a cohort has %d to %d members", minNodes, maxNodes)
	case lanes[c.Bits] == 0:
		return cli.Hint(cli.Usagef("%d bits for a parameter", c.Bits), "24 or 15")
	case c.Params < 1 || c.Layout().Words() > ring.MaxWords:
		return cli.Hint(cli.Usagef("%d parameters", c.Params), "1 to %d with %d bits", (ring.MaxWords-ring.FooterWords)*lanes[c.Bits], c.Bits)
	case c.Rounds < 1:
		return cli.Hint(cli.Usagef("%d rounds", c.Rounds), "at least 1")
	}
	t := secagg.Threshold(c.Nodes)
	if most := c.Nodes - t; c.Dropouts < 0 || c.Dropouts > most {
		return cli.Hint(cli.Usagef("%d dropouts of %d nodes: the round cannot close with fewer than %d", c.Dropouts, c.Nodes, t),
			"at most %d", most)
	}
	if err := c.Layout().Validate(c.Nodes); err != nil {
		return cli.Hint(cli.Usage(err), "with 15 bits a cohort has at most %d members", secagg.MaxComplete)
	}
	return nil
}

func (c Config) say(format string, args ...any) {
	if c.Progress != nil {
		c.Progress(fmt.Sprintf(format, args...))
	}
}
