package budget

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/node/chain"
)

func cohort(apart int, members ...int) Cohort {
	return Cohort{Survivors: set(members...), Apart: apart, Run: run, Round: 1}
}

// TestCohortsApart: S75, in any run of any plan, over a restart, until the data are others.
func TestCohortsApart(t *testing.T) {
	ten := []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}
	for name, c := range map[string]struct {
		opened []Cohort
		next   Cohort
		ok     bool
	}{
		"the first":                      {nil, cohort(3, ten...), true},
		"the same again":                 {[]Cohort{cohort(3, ten...)}, cohort(3, ten...), true},
		"one less":                       {[]Cohort{cohort(3, ten...)}, cohort(3, ten[1:]...), false},
		"two less":                       {[]Cohort{cohort(3, ten...)}, cohort(3, ten[2:]...), false},
		"three less":                     {[]Cohort{cohort(3, ten...)}, cohort(3, ten[3:]...), true},
		"one more":                       {[]Cohort{cohort(3, ten[1:]...)}, cohort(3, ten...), false},
		"three more":                     {[]Cohort{cohort(3, ten[3:]...)}, cohort(3, ten...), true},
		"one for another":                {[]Cohort{cohort(3, ten[1:]...)}, cohort(3, ten[:9]...), false},
		"three less twice, two the same": {[]Cohort{cohort(3, ten...), cohort(3, ten[3:]...)}, cohort(3, 1, 4, 5, 6, 7, 8, 9, 10), false},
		"smaller m, larger before":       {[]Cohort{cohort(3, ten...)}, cohort(2, ten[2:]...), false},
		"larger m, smaller before":       {[]Cohort{cohort(2, ten...)}, cohort(3, ten[2:]...), false},
		"statistics after trees":         {[]Cohort{cohort(3, ten...)}, cohort(0, ten[1:]...), false},
		"trees after statistics":         {[]Cohort{cohort(0, ten...)}, cohort(3, ten[1:]...), false},
		"statistics of two plans":        {[]Cohort{cohort(0, ten...)}, cohort(0, ten[1:]...), true},
		"statistics beside both":         {[]Cohort{cohort(0, ten...), cohort(3, 11, 12, 13)}, cohort(0, ten[1:]...), true},
	} {
		t.Run(name, func(t *testing.T) {
			l, path := newLedger(t)
			for _, o := range c.opened {
				require.NoError(t, l.Cohort(100, o))
			}
			require.NoError(t, l.Close())
			l = open(t, path)
			before := l.Summary()
			check, enter := l.CheckCohort(c.next), l.Cohort(110, c.next)
			if c.ok {
				require.NoError(t, errors.Join(check, enter))
				require.NoError(t, l.Cohort(120, c.next), "and again")
			} else {
				require.ErrorIs(t, check, ErrTooNear)
				require.ErrorIs(t, enter, ErrTooNear)
				require.Equal(t, before, l.Summary(), "leaves no trace")
			}
			other := c.next
			other.Data = chain.Digest{9}
			require.NoError(t, l.Cohort(130, other), "over other data")
			require.NoError(t, l.Close())
			_, err := Verify(path)
			require.NoError(t, err)
		})
	}
}

// TestCohortsOfADesign: blocks of a biplane on eleven points differ, two by two, by three members, and yet eleven of
// them show each member. Two blocks already are held apart by who is in both.
func TestCohortsOfADesign(t *testing.T) {
	l, _ := newLedger(t)
	var refused int
	for shift := range 11 {
		var members []int
		for _, q := range []int{1, 3, 4, 5, 9} { // the squares mod 11
			members = append(members, 1+(q+shift)%11)
		}
		if l.Cohort(100, cohort(3, members...)) != nil {
			refused++
		}
	}
	require.Equal(t, 10, refused)
}

// TestSeenCohortsCount: what was published over others is no act of this node, but what follows is held to it.
func TestSeenCohortsCount(t *testing.T) {
	l, path := newLedger(t)
	require.NoError(t, l.Saw(100, cohort(3, 1, 2, 3, 4, 5, 6)))
	require.NoError(t, l.Saw(100, cohort(3, 1, 2, 3, 4, 5)), "even if nobody should have")
	require.NoError(t, l.Close())
	l = open(t, path)
	require.ErrorIs(t, l.Cohort(110, cohort(3, 1, 2, 3, 4, 5, 6, 7, 8, 9)), ErrTooNear)
	require.NoError(t, l.Close())
	l = open(t, path)
	require.ErrorIs(t, l.CheckCohort(cohort(3, 1, 2, 3, 4, 5, 6, 7, 8, 9)), ErrTooNear)
}
