package sim

import (
	"context"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/koinon-eu/koinon/coordinator"
	"github.com/koinon-eu/koinon/node"
	"github.com/koinon-eu/koinon/node/link"

	"github.com/stretchr/testify/require"
)

// cable is a node's way to the network, which a test can cut.
type cable struct {
	mu    sync.Mutex
	conns []net.Conn
}

func (c *cable) dial(ctx context.Context, address string) (net.Conn, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err == nil {
		c.mu.Lock()
		c.conns = append(c.conns, conn)
		c.mu.Unlock()
	}
	return conn, err
}

func (c *cable) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, conn := range c.conns {
		_ = conn.Close()
	}
	c.conns = nil
}

// gate holds whoever comes to it once, until it is opened.
type gate struct {
	once    sync.Once
	lift    sync.Once
	reached chan struct{}
	open    chan struct{}
}

func newGate(t testing.TB) *gate {
	g := &gate{reached: make(chan struct{}), open: make(chan struct{})}
	t.Cleanup(g.release)
	return g
}

func (g *gate) release() { g.lift.Do(func() { close(g.open) }) }

func (g *gate) wait() {
	g.once.Do(func() {
		close(g.reached)
		<-g.open
	})
}

// got counts the coordinator's packets of a type in a round.
func (a *actor) got(kind string, round uint32) (n int) {
	for _, m := range a.wire.Got() {
		if m.Type == kind && m.Round == round {
			n++
		}
	}
	return n
}

// TestReconnectGoesOn: "a node that merely reconnects goes on" (S64), and "an exact duplicate of a message already
// answered gets the same bytes again" (S30): the coordinator repeats the phase's packet to whoever reconnects or
// syncs, while the node trains, and while it uploads. The round closes with all five.
func TestReconnectGoesOn(t *testing.T) {
	disturb := map[string]func(s *stage, c *cable){
		"connection cut": func(_ *stage, c *cable) { c.cut() },
		"sync": func(s *stage, _ *cable) { // what an admin does at any time makes every node sync
			_, err := s.simulation.coordinator.Book().Invite(t.Context(), "bench", "XX", 0)
			require.NoError(t, err)
		},
	}
	for name, disturb := range disturb {
		for _, phase := range []string{"train", "mask"} {
			t.Run(name+" in "+phase, func(t *testing.T) {
				s := setStage(t, testPlan(t, "rounds: 3", "rounds: 1"), fiveTables(t), func(c *coordinator.Config) { c.Grace = 200 })
				pt, wire, hold := s.actors["PT"], &cable{}, newGate(t)
				pt.config.Dial = wire.dial
				var armed atomic.Bool
				random, record := pt.config.Random, pt.config.Record
				pt.config.Random = func(run node.RunID, step uint32, use node.Use) io.Reader {
					if phase == "train" && armed.Load() && use == node.UseRounding {
						hold.wait()
					}
					return random(run, step, use)
				}
				pt.config.Record = func(m link.Message) error {
					if phase == "mask" && armed.Load() && m.Type == "chunk" {
						hold.wait()
					}
					return record(m)
				}
				armed.Store(true)
				s.submit()
				s.playAll()
				<-hold.reached
				before := pt.got("share", 1)
				disturb(s, wire)
				eventually(t, "the packet comes again", func() bool { return pt.got("share", 1) > before })
				time.Sleep(50 * time.Millisecond) // the node has acted on it
				hold.release()
				r := s.evaluated()
				require.Empty(t, pt.left())
				for _, round := range r.Rounds {
					require.Equal(t, "closed", round.Outcome)
					require.Equal(t, 5, round.Survivors.Len(), "round %d", round.Number)
				}
			})
		}
	}
}
