package budget

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/crypto/dp"
	"github.com/koinon-eu/koinon/node/chain"
)

func spend(step uint32, draw byte, m dp.Mechanism) Spend {
	return Spend{Plan: plan, Run: run, Round: step, Step: step, Draw: chain.Digest{draw}, Mechanism: m}
}

var (
	statistics = dp.Mechanism{Rate: 1, Noise: 20, Steps: 1}
	training   = dp.Mechanism{Rate: 0.02, Noise: 1.1, Steps: 50}
)

// TestPrivacyIsCounted over all plans and runs, refused past the limit without a
// trace, and not forgotten.
func TestPrivacyIsCounted(t *testing.T) {
	l, path := newLedger(t)
	limit := Privacy{Epsilon: 2, Delta: 1e-6}
	require.NoError(t, l.Spend(100, spend(1, 1, statistics), limit))
	require.NoError(t, l.Spend(110, spend(2, 2, training), limit))
	before := l.Summary()
	require.NoError(t, l.Spend(120, spend(2, 2, training), limit), "the very same answer again")
	require.Equal(t, before, l.Summary(), "costs nothing")
	again := spend(3, 3, training)
	again.Step, again.Run = 2, Run{2}
	require.NoError(t, l.Spend(130, again, limit), "made anew, also for the same step")
	elsewhere := spend(1, 4, dp.Mechanism{Rate: 1, Noise: 12, Steps: 1})
	elsewhere.Plan = other
	require.NoError(t, l.Spend(140, elsewhere, limit))
	require.NoError(t, l.Close())

	want, _, err := dp.Epsilon(1e-6, statistics, dp.Mechanism{Rate: 0.02, Noise: 1.1, Steps: 100}, elsewhere.Mechanism)
	require.NoError(t, err)
	_, report, summary, err := Show(path, limit)
	require.NoError(t, err)
	require.InDelta(t, want, report.Epsilon, 1e-9)
	require.Less(t, report.PLD, report.Epsilon)
	require.Positive(t, report.PLD)
	require.InDelta(t, 2-want, *report.Remaining, 1e-9)
	require.Len(t, report.Plans, 2)
	require.Equal(t, plan, report.Plans[0].Plan)
	require.Equal(t, 3, report.Plans[0].Answers)
	require.Equal(t, 2, report.Plans[0].Runs)
	require.Equal(t, Costs{statistics, {Rate: 0.02, Noise: 1.1, Steps: 100}}, report.Plans[0].Mechanisms)
	require.Less(t, report.Plans[0].Epsilon, report.Epsilon)
	verified, err := Verify(path)
	require.NoError(t, err)
	require.Equal(t, summary, verified)

	l = open(t, path)
	heavy := dp.Mechanism{Rate: 1, Noise: 3, Steps: 1}
	require.ErrorIs(t, l.CheckPrivacy(heavy, limit), ErrSpent)
	err = l.Spend(150, spend(5, 5, heavy), limit)
	require.ErrorIs(t, err, ErrSpent, "also after a restart")
	require.ErrorContains(t, err, "the operator's limit is 2")
	require.Equal(t, summary, l.Summary(), "a refusal leaves no trace")
	require.NoError(t, l.Spend(160, spend(5, 5, heavy), Privacy{Epsilon: 9, Delta: 1e-6}), "raised")
	require.NoError(t, l.Spend(170, spend(6, 6, heavy), Privacy{}), "no limit")
	require.NoError(t, l.Spend(170, spend(2, 2, training), limit), "what has left may be sent again")
}

// TestPrivacyNeedsTheDisk: what could not be written is not spent, and may not leave.
func TestPrivacyNeedsTheDisk(t *testing.T) {
	l, _ := newLedger(t)
	require.NoError(t, l.Close())
	require.ErrorIs(t, l.Spend(1, spend(1, 1, statistics), Privacy{}), chain.ErrClosed)
	require.Empty(t, l.spends.all)
	require.False(t, l.spends.draws[chain.Digest{1}])
}

// TestVerifyCountsAgain: an entry whose digest is right may still lie about what
// all of them come to.
func TestVerifyCountsAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "budget.jsonl")
	file, err := chain.Open(path, "budget", nil, quiet)
	require.NoError(t, err)
	_, err = file.Append(1, entryPrivacy, privacyFact{Spend: spend(1, 1, statistics), Epsilon: 0.001, Delta: 1e-6})
	require.NoError(t, err)
	require.NoError(t, file.Close())
	_, err = Verify(path)
	var broken *chain.BrokenError
	require.ErrorAs(t, err, &broken)
	require.ErrorContains(t, err, "the entries come to")
	l := open(t, path)
	require.ErrorIs(t, l.CheckPrivacy(dp.Mechanism{Rate: 1, Noise: 0.5, Steps: 1}, Privacy{Epsilon: 1}), ErrSpent, "what counts is recomputed")
}

func TestPrivacyEntriesThatAreRefused(t *testing.T) {
	good := privacyFact{Spend: spend(1, 1, statistics), Epsilon: 0.3, Delta: 1e-6}
	for name, change := range map[string]func(*privacyFact){
		"no noise":       func(f *privacyFact) { f.Noise = 0 },
		"rate":           func(f *privacyFact) { f.Rate = 1.5 },
		"no steps":       func(f *privacyFact) { f.Steps = 0 },
		"too many steps": func(f *privacyFact) { f.Steps = 1 << 41 },
		"delta":          func(f *privacyFact) { f.Delta = 0 },
		"negative":       func(f *privacyFact) { f.Epsilon = -1 },
	} {
		s := newState()
		f := good
		change(&f)
		require.Error(t, s.check(f), name)
	}
	s := newState()
	require.NoError(t, s.check(good))
	s.apply(1, good)
	require.ErrorContains(t, s.check(good), "counted already")
	most := good
	most.Draw, most.Steps = chain.Digest{2}, 1<<40
	require.ErrorContains(t, s.check(most), "more than")
}

// TestPrivacyAfterACrash: a line that was being written is cut off, and what was
// acknowledged before it still counts.
func TestPrivacyAfterACrash(t *testing.T) {
	l, path := newLedger(t)
	require.NoError(t, l.Spend(100, spend(1, 1, statistics), Privacy{}))
	require.NoError(t, l.Spend(100, spend(2, 2, training), Privacy{}))
	whole, err := os.ReadFile(path)
	require.NoError(t, err)
	lines := strings.SplitAfter(string(whole), "\n")
	for cut := range len(lines[1]) {
		torn := filepath.Join(t.TempDir(), "budget.jsonl")
		require.NoError(t, os.WriteFile(torn, []byte(lines[0]+lines[1][:cut]), 0o600))
		if cut%40 != 0 {
			continue
		}
		again := open(t, torn)
		require.Equal(t, Costs{statistics}, again.spends.all)
	}
}

func FuzzPrivacyEntry(f *testing.F) {
	for _, s := range []privacyFact{
		{Spend: spend(1, 1, statistics), Epsilon: 0.3, Delta: 1e-6},
		{Spend: spend(2, 2, training), Epsilon: 1.25, Delta: 1e-5},
		{},
	} {
		b, err := json.Marshal(s)
		require.NoError(f, err)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		s := newState()
		e := chain.Entry{Seq: 1, Time: 1, Kind: entryPrivacy, Body: body}
		if s.replay(e) != nil {
			require.Empty(t, s.spends.all)
			return
		}
		require.Len(t, s.spends.all, 1)
		epsilon, err := s.spends.all.Epsilon(1e-6)
		require.NoError(t, err)
		require.False(t, math.IsNaN(epsilon))
		require.Error(t, s.replay(e), "counted once")
	})
}
