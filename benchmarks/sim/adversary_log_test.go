package sim

import (
	"bytes"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/koinon-eu/koinon/coordinator/federation"
	"github.com/koinon-eu/koinon/crypto/secagg"
	"github.com/koinon-eu/koinon/node"

	"github.com/stretchr/testify/require"
)

// lookout is a node's log, as its operator reads it.
type lookout struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write takes one line.
func (l *lookout) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

// line returns the first line at level warn or error that has all of the words.
func (l *lookout) line(words ...string) (string, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for line := range strings.Lines(l.text.String()) {
		loud := strings.Contains(line, "level=WARN") || strings.Contains(line, "level=ERROR")
		if loud && !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(line, w) }) {
			return strings.TrimSpace(line), true
		}
	}
	return "", false
}

// attack is one lie of a coordinator, and what the log of a node that it is told to has to say.
type attack struct {
	name string
	play func(c *crook)
	who  []string // nodes
	want error
	says []string // words of one line, besides those of the error
	said []string // types of the messages that have left the node in that round
}

// The list of the adversarial-coordinator suite: each lie is refused by the nodes it is told to, nothing leaves them
// after it, and a line of their log names the cause.
var attacks = []attack{
	{
		"key swap", func(c *crook) {
			c.alter = onType(secagg.TypeAdvert, func(to uint8, p []secagg.Frame) []secagg.Frame {
				if to != 1 {
					return p
				}
				own := slices.Clone(p[4].Body)
				copy(own[33:], p[2].Body[33:33+1216])
				p[4] = c.resign(secagg.TypeAdvert, c.server.Spec().Digest(), own)
				p[4].Sender = 5
				return p
			})
			require.NoError(c.t, c.upTo(secagg.PhaseShare))
		},
		[]string{"DE"},
		secagg.ErrSignature,
		[]string{"msg=left", "advert from 5"},
		[]string{"advert"},
	},
	{
		"Sybil among the keys", func(c *crook) {
			c.alter = onType(secagg.TypeAdvert, func(_ uint8, p []secagg.Frame) []secagg.Frame {
				sybil := c.resign(secagg.TypeAdvert, c.server.Spec().Digest(), slices.Clone(p[4].Body))
				sybil.Sender = 9
				return append(p, sybil)
			})
			require.NoError(c.t, c.upTo(secagg.PhaseShare))
		},
		five, secagg.ErrTranscript,
		[]string{"msg=left", "adverts of {9} outside the cohort"},
		[]string{"advert"},
	},
	{
		"Sybil in the roster", func(c *crook) {
			wider := *c.roster
			wider.Version++
			wider.Members = append(slices.Clone(wider.Members), federation.Member{Name: "XX", Index: 9, Key: wider.Coordinator})
			c.alterSpec(func(s *secagg.Spec) { s.Roster, s.Cohort, s.N, s.T = wider.Digest(), s.Cohort.With(9), 6, 5 })
		},
		five, secagg.ErrRoster,
		[]string{"round refused", "roster version"},
		nil,
	},
	{
		"overlapping lists", func(c *crook) {
			c.alter = onType(secagg.TypeSurvivors, func(_ uint8, p []secagg.Frame) []secagg.Frame {
				return append(c.survivorsWithout(p, 5)[:1], p[1:]...) // PT is out, and its mask is among those that are in
			})
			require.ErrorIs(c.t, c.upTo(secagg.PhaseUnmask), errStuck)
		},
		five, secagg.ErrTranscript,
		[]string{"msg=left", "survivors {1 2 3 4} with masks of {1 2 3 4 5}"},
		untilMask,
	},
	{
		"split U2", func(c *crook) {
			c.swallow = secagg.SetOf(1)
			c.alter = onType(secagg.TypeShare, func(to uint8, p []secagg.Frame) []secagg.Frame {
				if to == 1 {
					c.out[outOf{1, c.run, c.round}] = true // the server does not wait for its mask
					p = p[:len(p)-3]                       // as if PT had not shared
				}
				return p
			})
			require.NoError(c.t, c.upTo(secagg.PhaseMask))
			eventually(c.t, "DE has masked", func() bool { return slices.Contains(c.actors["DE"].said(c.run, c.round), "chunk") })
			c.mu.Lock()
			defer c.mu.Unlock()
			p, err := c.server.CloseMask()
			require.NoError(c.t, err)
			c.send(secagg.SetOf(1), same(c.survivorsWithout(p, 5))) // who masked for other members
		},
		[]string{"DE"},
		secagg.ErrTranscript,
		[]string{"msg=left", "mask of 2 has another transcript"},
		untilMask,
	},
	{
		"split U3", func(c *crook) {
			c.alter = onType(secagg.TypeSurvivors, func(to uint8, p []secagg.Frame) []secagg.Frame {
				if to <= 2 {
					return c.survivorsWithout(p, 5)
				}
				return p
			})
			require.NoError(c.t, c.upTo(secagg.PhaseAgree))
			c.mu.Lock()
			defer c.mu.Unlock()
			c.send(secagg.SetOf(1, 3), same(c.certificateOf(1, 2, 3, 4)))
		},
		[]string{"DE", "IT"},
		secagg.ErrCertificate,
		[]string{"msg=left", "signature of"},
		append(untilMask, "agree"),
	},
	{
		"fewer than t signatures", func(c *crook) {
			require.NoError(c.t, c.upTo(secagg.PhaseAgree))
			c.mu.Lock()
			defer c.mu.Unlock()
			c.send(c.server.Survivors(), same(c.certificateOf(1, 2, 3)))
		},
		five, secagg.ErrCertificate,
		[]string{"msg=left", "3 signatures for sum 1, 4 needed"},
		append(untilMask, "agree"),
	},
	{
		"downgraded spec", func(c *crook) { c.alterSpec(func(s *secagg.Spec) { s.T = 3 }) },
		five, secagg.ErrThreshold,
		[]string{"round refused", "3 of 5, the plan means 4 of 5"},
		nil,
	},
	{
		"cohort of those present", func(c *crook) {
			c.alterSpec(func(s *secagg.Spec) { s.N, s.T, s.Cohort = 4, 3, s.Cohort.Without(5) })
		},
		five, secagg.ErrPlan,
		[]string{"round refused", "cohort {1 2 3 4}, the plan has {1 2 3 4 5}"},
		nil,
	},
	{
		"altered model", func(c *crook) {
			c.alterSum = func(s *secagg.Sum) { s.Model[3] ^= 1 }
			require.NoError(c.t, c.upTo(secagg.PhaseAdvertise))
		},
		five, secagg.ErrModel,
		[]string{"round refused", "state equal true, model equal false"},
		nil,
	},
	{
		"replay", func(c *crook) {
			c.whole(1)
			for name, a := range c.actors {
				eventually(c.t, name+" has closed it", func() bool { a.mu.Lock(); defer a.mu.Unlock(); return len(a.closed) == 1 })
			}
			c.round = 0
			require.NoError(c.t, c.upTo(secagg.PhaseAdvertise))
		},
		five, secagg.ErrStale,
		[]string{"round refused", "round 1, last was 1"},
		append(untilMask, "agree", "unmask"),
	},
	{
		"both seeds of one node", func(c *crook) {
			require.NoError(c.t, c.upTo(secagg.PhaseAgree))
			c.mu.Lock()
			defer c.mu.Unlock()
			p, err := c.server.CloseMask()
			require.NoError(c.t, err)
			c.send(secagg.SetOf(1, 2), same(c.survivorsWithout(p, 5)))
		},
		[]string{"DE", "FR"},
		secagg.ErrEquivocation,
		[]string{"msg=left", "survivors"},
		append(untilMask, "agree"),
	},
	{
		"minimum cohort of two", func(c *crook) {
			c.alterSpec(func(s *secagg.Spec) { s.N, s.T = 2, 2 })
		},
		five, secagg.ErrThreshold,
		[]string{"round refused", "2 of 2, the plan means 4 of 5"},
		nil,
	},
	{
		"false sum", func(c *crook) {
			c.whole(3)
			c.falsify = func(sum []uint64) { sum[0]++ }
			require.NoError(c.t, c.upTo(secagg.PhasePublish))
		},
		five, secagg.ErrSpotCheck,
		[]string{"level=ERROR", "run stopped on this node"},
		append(untilMask, "agree", "unmask"),
	},
	{
		"step without one member after a false abort", func(c *crook) {
			require.NoError(c.t, c.upTo(secagg.PhaseUnmask))
			c.abort()
			for _, name := range five {
				eventually(c.t, name+" leaves", func() bool { return len(c.actors[name].left()) == 1 })
			}
			c.actors["PT"].stop()
			c.ready(4)
			require.ErrorIs(c.t, c.upTo(secagg.PhaseUnmask), errStuck)
			for _, name := range five[:4] {
				eventually(c.t, name+" leaves again", func() bool { return len(c.actors[name].left()) == 2 })
			}
		},
		five[:4], secagg.ErrStepReleased,
		[]string{"msg=left", "{1 2 3 4 5}, now {1 2 3 4}"},
		untilMask,
	},
}

// onType alters packets that begin with a message of a type; it is given a copy.
func onType(t secagg.Type, change func(to uint8, p []secagg.Frame) []secagg.Frame) func(uint8, []secagg.Frame) []secagg.Frame {
	return func(to uint8, p []secagg.Frame) []secagg.Frame {
		if p[0].Type != t {
			return p
		}
		return change(to, slices.Clone(p))
	}
}

// alterSpec opens a round with a spec that no honest server would make.
func (c *crook) alterSpec(change func(*secagg.Spec)) {
	c.alter = onType(secagg.TypeSpec, func(uint8, []secagg.Frame) []secagg.Frame {
		spec := c.server.Spec()
		change(&spec)
		return c.opening(spec, c.server.Sum())
	})
	require.NoError(c.t, c.upTo(secagg.PhaseAdvertise))
}

func TestLogNamesTheCause(t *testing.T) {
	for _, a := range attacks {
		t.Run(a.name, func(t *testing.T) {
			logs := map[string]*lookout{}
			c := hire(t, testPlan(t), func(name string, cfg *node.Config) {
				logs[name] = &lookout{}
				cfg.Log = slog.New(slog.NewTextHandler(logs[name], nil)).With("member", name)
			})
			a.play(c)
			for _, name := range a.who {
				c.refuses(name, a.want, a.said...)
				words := append([]string{a.want.Error()}, a.says...)
				var line string
				eventually(t, name+" logs "+strings.Join(words, ", "), func() (ok bool) { line, ok = logs[name].line(words...); return ok })
				require.Contains(t, line, "member="+name)
			}
			for _, name := range five {
				if !slices.Contains(a.who, name) {
					_, ok := logs[name].line(a.want.Error())
					require.False(t, ok, "%s was told the truth", name)
				}
			}
		})
	}
}

// S6: no plan for two members can be written, so none can be approved.
func TestNoPlanForTwo(t *testing.T) {
	text := strings.NewReplacer("[DE, FR, IT, PL, PT], minimum: 4", "[DE, FR], minimum: 2").Replace(planYAML)
	require.NotEqual(t, planYAML, text)
	_, err := federation.ParsePlan([]byte(text), func(name string) ([]byte, error) {
		switch name {
		case "schema.yaml":
			return []byte(schemaYAML), nil
		case "declaration.yaml":
			return []byte(declarationYAML), nil
		}
		return nil, errors.New("no such file")
	})
	require.ErrorContains(t, err, "cohort")
}
