package secagg

import "fmt"

// sparse reports whether a cohort of n runs version 2 (V1).
func sparse(n int) bool { return n >= sparseFrom }

// What tests of version 2 change to have it with few members.
var (
	sparseFrom = MaxComplete + 1
	cyclesFor  = func(n int) int { return 41 + (n+7)/8 } // V9
)

// drawCommitment is the nonce of an advert: it fixes a member's part in the
// draw of the graph before anyone's is known (V5).
func drawCommitment(dspec [32]byte, member uint8, draw [32]byte) [32]byte {
	return hash("draw/commit", dspec[:], []byte{member}, draw[:])
}

// readReveals checks the reveals of U1, all of it, and draws the graph (V6–V9).
// The seed covers no signature: a member can make many over the same bytes.
func (v *transcriptView) readReveals(r Roster, frames []Frame) error {
	set, err := members(frames, TypeReveal)
	if err != nil {
		return err
	}
	if set != v.u1 {
		return fmt.Errorf("%w: reveals of %v, adverts of %v", ErrTranscript, set, v.u1)
	}
	parts := [][]byte{v.h1[:]}
	for _, f := range frames {
		m, err := v.checkReveal(r, f)
		if err != nil {
			return err
		}
		parts = append(parts, m.draw[:])
	}
	cohort := v.spec.Cohort
	v.graph = drawGraph(hash("graph", parts...), cohort, cyclesFor(cohort.Len()))
	return nil
}

// checkReveal checks one reveal against the advert that committed to it.
func (v *transcriptView) checkReveal(r Roster, f Frame) (reveal, error) {
	if err := r.verify(f, v.dspec); err != nil {
		return reveal{}, err
	}
	m, err := parseReveal(f.Body)
	if err != nil {
		return reveal{}, err
	}
	a, ok := v.adverts[f.Sender]
	if !ok || m.h1 != v.h1 || a.nonce != drawCommitment(v.dspec, f.Sender, m.draw) {
		return reveal{}, fmt.Errorf("%w: reveal of %d is for other adverts or not the committed one", ErrTranscript, f.Sender)
	}
	return m, nil
}

// checkSurvivors wants enough of the cohort and enough of every neighbourhood
// (§6, V16).
func (v *transcriptView) checkSurvivors(minSurvivors int) error {
	if need := max(Threshold(v.spec.Cohort.Len()), minSurvivors); v.u3.Len() < need {
		return fmt.Errorf("%w: %d survivors, %d needed", ErrTooFew, v.u3.Len(), need)
	}
	return v.graph.checkFed(v.eligible, v.u3)
}
