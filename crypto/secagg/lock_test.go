package secagg_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/crypto/secagg"
	"github.com/koinon-eu/koinon/crypto/secagg/secaggtest"
)

// locks collects what members stored, as a node's disk would.
func locks(b *secaggtest.Batch) map[uint8]map[[32]byte]secagg.Set {
	all := map[uint8]map[[32]byte]secagg.Set{}
	for i, facts := range b.Facts {
		all[i] = map[[32]byte]secagg.Set{}
		for _, f := range facts {
			if f.Kind == secagg.FactLock {
				all[i][f.Lock] = f.Survivors
			}
		}
	}
	return all
}

// again is a later batch for the same step with the locks of an earlier one.
func again(t *testing.T, before *secaggtest.Batch, run byte, server func(*secagg.ServerConfig)) *secaggtest.Batch {
	stored := locks(before)
	return secaggtest.New(t, secaggtest.Options{
		Round: 2, Run: [16]byte{run}, Seed: 1 + before.Opt.Seed, Server: server,
		Client: func(i uint8, c *secagg.ClientConfig) {
			c.Roster = before.Roster
			c.Sign = before.Sign(i)
			c.Lock = func(name [32]byte) (secagg.Set, bool) { s, ok := stored[i][name]; return s, ok }
		},
	})
}

// with gives a batch the identities of an earlier one.
func with(t *testing.T, b, before *secaggtest.Batch) *secaggtest.Batch {
	b.Roster, b.Keys = before.Roster, before.Keys
	s, err := secagg.NewServer(b.ServerConfig())
	require.NoError(t, err)
	b.Server = s
	return b
}

// released runs a batch up to the unmask messages; then the coordinator claims
// that it never got them.
func released(t *testing.T) *secaggtest.Batch {
	b := secaggtest.New(t, secaggtest.Options{})
	b.Advertise(b.Cohort())
	require.NoError(t, b.Share(b.Cohort()))
	require.NoError(t, b.Mask(b.Cohort()))
	require.NoError(t, b.Agree(b.Cohort()))
	require.NoError(t, b.Unmask(b.Cohort()))
	return b
}

// S33: after a false abort the step is not summed without one member.
func TestStepLockedToSurvivors(t *testing.T) {
	before := released(t)
	b := with(t, again(t, before, 0, nil), before)
	require.ErrorIs(t, b.Run(map[uint8]secagg.Phase{5: secagg.PhaseMask}), secagg.ErrTooFew)
	requireLeft(t, b, secagg.ErrStepReleased, 1, 2, 3, 4)
	require.Nil(t, b.Result)

	b = with(t, again(t, before, 0, nil), before) // the same survivors may
	require.NoError(t, b.Run(nil))
	requireSum(t, b, b.Cohort())
}

// S34: the place does not name the run.
func TestNewRunSamePlanLocked(t *testing.T) {
	before := released(t)
	b := with(t, again(t, before, 7, nil), before)
	require.ErrorIs(t, b.Run(map[uint8]secagg.Phase{2: secagg.PhaseShare}), secagg.ErrTooFew)
	requireLeft(t, b, secagg.ErrStepReleased, 1, 3, 4, 5)
}

// S34: in a second run later steps have another state, model and query, because
// masks are fresh and a colluding member may send other values. Their places
// are the same, and so are their survivors; the next place is free.
func TestNewRunLaterStepLocked(t *testing.T) {
	before := released(t)
	later := func(number uint32) *secaggtest.Batch {
		o := secaggtest.DefaultSum()
		o.State, o.Model, o.Query = secaggtest.Digest("state b"), secaggtest.Digest("model b"), secaggtest.Digest("query b")
		stored := locks(before)
		b := secaggtest.New(t, secaggtest.Options{
			Run: [16]byte{9}, Seed: 1, Sum: o,
			Client: func(i uint8, c *secagg.ClientConfig) {
				c.Roster, c.Sign, c.Number = before.Roster, before.Sign(i), number
				c.Lock = func(name [32]byte) (secagg.Set, bool) { s, ok := stored[i][name]; return s, ok }
			},
		})
		return with(t, b, before)
	}
	b := later(before.Opt.Sum.Step)
	require.NotEqual(t, secagg.StepDigest(secaggtest.Digest("federation"), secaggtest.Digest("plan"), before.Server.Sum()),
		secagg.StepDigest(secaggtest.Digest("federation"), secaggtest.Digest("plan"), b.Server.Sum()))
	require.ErrorIs(t, b.Run(map[uint8]secagg.Phase{5: secagg.PhaseMask}), secagg.ErrTooFew)
	requireLeft(t, b, secagg.ErrStepReleased, 1, 2, 3, 4)

	b = later(before.Opt.Sum.Step + 1)
	require.NoError(t, b.Run(map[uint8]secagg.Phase{5: secagg.PhaseMask}))
	requireSum(t, b, b.Cohort().Without(5))
}

// S33: two runs of a plan reach the same place at the same time with different
// survivors. All have agreed to both before either was released; only one is.
func TestTwoRunsAtOnce(t *testing.T) {
	stored := map[uint8]map[[32]byte]secagg.Set{}
	for i := uint8(1); i <= 5; i++ {
		stored[i] = map[[32]byte]secagg.Set{}
	}
	disk := func(i uint8, c *secagg.ClientConfig) {
		c.Lock = func(name [32]byte) (secagg.Set, bool) { s, ok := stored[i][name]; return s, ok }
	}
	first := secaggtest.New(t, secaggtest.Options{Run: [16]byte{1}, Client: disk})
	second := secaggtest.New(t, secaggtest.Options{Run: [16]byte{2}, Client: disk})
	for b, who := range map[*secaggtest.Batch]secagg.Set{first: first.Cohort(), second: second.Cohort().Without(5)} {
		b.Advertise(b.Cohort())
		require.NoError(t, b.Share(b.Cohort()))
		require.NoError(t, b.Mask(who))
		require.NoError(t, b.Agree(who))
	}
	require.NoError(t, first.Unmask(first.Cohort()))
	for i, l := range locks(first) {
		stored[i] = l
	}
	require.NoError(t, second.Unmask(second.Cohort()))
	requireLeft(t, second, secagg.ErrStepReleased, 1, 2, 3, 4)
	require.ErrorIs(t, second.Publish(second.Cohort()), secagg.ErrTooFew)
}

// S35: a coordinator that knows of the release waits for the same survivors.
func TestServerRequiresSurvivors(t *testing.T) {
	before := released(t)
	set := before.Cohort()
	b := with(t, again(t, before, 0, func(c *secagg.ServerConfig) { c.Require = &set }), before)
	b.Advertise(b.Cohort())
	require.NoError(t, b.Share(b.Cohort()))
	require.NoError(t, b.Mask(b.Cohort().Without(4)))
	require.ErrorIs(t, b.Agree(b.Cohort()), secagg.ErrSurvivors)
	require.Equal(t, secagg.PhaseMask, b.Server.Phase())
	require.NoError(t, b.Mask(secagg.SetOf(4)))
	require.NoError(t, b.Agree(b.Cohort()))
	require.NoError(t, b.Unmask(b.Cohort()))
	require.NoError(t, b.Publish(b.Cohort()))
	requireSum(t, b, b.Cohort())
}

// S33: only proven guilt takes a member out of a released step.
func TestUnlockOnlyWithBlame(t *testing.T) {
	before := released(t)
	guilty := before.Server // evidence of this very batch: member 3 unmasked twice
	second := secagg.ForgeUnmask(before.Sign(3), dspec(before), before.Sent[3][4][0], 0)
	require.ErrorIs(t, guilty.Receive(3, []secagg.Frame{second}), secagg.ErrBlamed)
	proof := guilty.Blames()[0].Evidence

	for name, c := range map[string]struct {
		evidence [][]byte
		drop     uint8
		want     error
	}{
		"none":            {nil, 3, secagg.ErrStepReleased},
		"against another": {[][]byte{proof}, 4, secagg.ErrStepReleased},
		"broken":          {[][]byte{proof[:len(proof)-1]}, 3, secagg.ErrStepReleased},
		"good":            {[][]byte{proof}, 3, nil},
	} {
		t.Run(name, func(t *testing.T) {
			b := with(t, again(t, before, 0, func(cfg *secagg.ServerConfig) { cfg.Evidence = c.evidence }), before)
			err := b.Run(map[uint8]secagg.Phase{c.drop: secagg.PhaseMask})
			if c.want != nil {
				require.ErrorIs(t, err, secagg.ErrTooFew)
				requireLeft(t, b, c.want, 1, 2)
				return
			}
			require.NoError(t, err)
			requireSum(t, b, b.Cohort().Without(3))
		})
	}
}

// S33: a false complaint is not enough: its author may have seen another bundle.
func TestFalseComplaintDoesNotUnlock(t *testing.T) {
	other := shared(t, secaggtest.Options{}, func(_ *secaggtest.Batch, _ uint8, p []secagg.Frame) []secagg.Frame { return p })
	_, err := other.Server.CloseShare()
	require.NoError(t, err)
	require.NoError(t, other.Server.Receive(3, []secagg.Frame{secagg.ForgeComplaint(other.Sign(3), dspec(other), 3, 1, [32]byte{})}))
	before := released(t)
	b := with(t, again(t, before, 0, func(cfg *secagg.ServerConfig) { cfg.Evidence = [][]byte{other.Server.Blames()[0].Evidence} }), before)
	require.ErrorIs(t, b.Run(map[uint8]secagg.Phase{3: secagg.PhaseMask}), secagg.ErrTooFew)
	requireLeft(t, b, secagg.ErrStepReleased, 1, 2)
}
