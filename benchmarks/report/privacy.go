package report

import "fmt"

// Privacy is what a plan promises each training record. Epsilon is the plan's
// promise at Delta, which every node recomputes; the others are the accountant's
// inputs. TestRows says how test rows stand to it.
type Privacy struct {
	DP              string  `json:"dp"` // record
	Epsilon         float64 `json:"epsilon"`
	Delta           float64 `json:"delta"`
	Clip            float64 `json:"clip,omitempty"`   // norm of a row's gradient
	Noise           float64 `json:"noise"`            // σ/Δ of a training step
	StatisticsNoise float64 `json:"statistics_noise"` // σ/Δ of the statistics
	Rate            float64 `json:"rate"`             // probability of a row to be in a step
	Steps           uint64  `json:"steps"`            // training steps of a member that answers each once
	TestRows        string  `json:"test_rows"`        // NotCovered
}

// NotCovered is how test rows stand to record-level privacy.
const NotCovered = "not covered"

// String says what is promised in a line.
func (p *Privacy) String() string {
	text := fmt.Sprintf("%s, epsilon %v at delta %v: noise %v and rate %v over %d training steps, noise %v on the statistics",
		p.DP, p.Epsilon, p.Delta, p.Noise, p.Rate, p.Steps, p.StatisticsNoise)
	if p.Clip > 0 {
		text += fmt.Sprintf(", clip %v", p.Clip)
	}
	return text
}

// limits is what a reader must know of the promise; nothing without one.
func (p *Privacy) limits() []string {
	if p == nil {
		return nil
	}
	return []string{fmt.Sprintf("Record-level privacy of epsilon %v at delta %v holds for each training record of each member's table: whoever has the model can hardly tell whether it was there. "+
		"It does not cover test rows, whose scores are counted in this report without noise, nor a person with several records as if they were one, and it counts a step twice that a member had to answer anew.", p.Epsilon, p.Delta)}
}
