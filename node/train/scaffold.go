package train

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/koinon-eu/koinon/models/aggregate"
	"github.com/koinon-eu/koinon/models/kernel"
	"github.com/koinon-eu/koinon/models/schedule"
	"github.com/koinon-eu/koinon/node/train/autograd"
)

// variate is a member's control variate of SCAFFOLD for one run. What a step
// has made of it counts only once the step's sum is closed with this member in
// it: the server adds up the changes it has seen, and c must stay the mean of
// the members' variates.
type variate struct {
	own     []float64
	next    []float64 // after the step, unless that is settled otherwise
	ordinal uint32    // of the step; 0 when it is settled
}

// ErrUnsettled says that a further step is asked for before Settle has said
// what became of the last one.
var ErrUnsettled = errors.New("the last step's control variate is not settled")

// scaffold runs the local steps of SCAFFOLD (Karimireddy et al. 2020,
// Algorithm 1, option II) and returns the change of the parameters and, behind
// it, that of the member's control variate:
//
//	y ← y − rate·(g(y) − cᵢ + c), K times from y = w
//	cᵢ⁺ = cᵢ − c + (w − y)/(K·rate)
//
// The steps are plain ones: the correction is of a gradient, which an adaptive
// step would scale away.
func (m *Member) scaffold(machine *schedule.Machine, step schedule.Step, rnd io.Reader) ([]float32, error) {
	start, c := machine.Params(), machine.Control()
	d := len(start)
	if len(m.variate.own) != d {
		m.variate = variate{own: make([]float64, d)}
	}
	if v := &m.variate; v.ordinal != 0 && v.ordinal != step.Ordinal {
		return nil, fmt.Errorf("scaffold: %w (step %d)", ErrUnsettled, v.ordinal)
	}
	algorithm := machine.Config().Algorithm
	shift := make([]float32, d)
	for i, own := range m.variate.own {
		shift[i] = float32(c[i] - own)
	}
	y, steps, err := m.corrected(algorithm, start, shift, rnd)
	if err != nil {
		return nil, err
	}
	vector := make([]float32, 2*d)
	inverse := 1 / (float64(steps) * algorithm.LocalRate)
	for i, w := range start {
		vector[i] = y[i] - w
		vector[d+i] = float32((float64(w)-float64(y[i]))*inverse - c[i])
	}
	m.variate.prepare(step.Ordinal, vector, algorithm.Clip)
	return vector, nil
}

// corrected takes the local steps and returns where they end and their number.
func (m *Member) corrected(algorithm aggregate.Spec, start, shift []float32, rnd io.Reader) (y []float32, steps int, err error) {
	o, rows := m.objective, allRows(m.objective.data.Rows)
	y = o.engine.Params()
	copy(y, start)
	grad := make([]float32, len(y))
	decay := o.l2 / float64(m.encoder.Rows)
	for range algorithm.LocalEpochs {
		if err := shuffle(rows, rnd); err != nil {
			return nil, 0, err
		}
		for from := 0; from < len(rows); from += algorithm.Batch {
			part := rows[from:min(from+algorithm.Batch, len(rows))]
			if _, err := o.engine.Sum(o.data, o.labels, autograd.Rows(part), grad); err != nil {
				return nil, 0, err
			}
			o.regularise(grad, y, 1/float64(len(part)), decay, nil)
			kernel.Axpy(1, shift, grad)
			kernel.Axpy(float32(-algorithm.LocalRate), grad, y)
			steps++
		}
	}
	return y, steps, nil
}

// prepare keeps what the variate is after a step: before it plus the second
// half of the vector as the encoding clips it (S45), so that both sides add the
// same but for unbiased rounding.
func (v *variate) prepare(ordinal uint32, vector []float32, clip aggregate.Clip) {
	squares := 0.0
	for _, x := range vector {
		squares += float64(x) * float64(x)
	}
	scale := 1.0
	if norm := math.Sqrt(squares); norm > clip.L2 {
		scale = clip.L2 / norm
	}
	d := len(v.own)
	v.next, v.ordinal = make([]float64, d), ordinal
	for i, x := range vector[d:] {
		v.next[i] = v.own[i] + min(max(scale*float64(x), -clip.Inf), clip.Inf)
	}
}

// Settle says what became of a training step that Local has answered: its sum
// is closed with this member's vector in it, or without. Under SCAFFOLD the
// member's control variate follows from that, and must be stored with the
// machine's state (Control); under other algorithms nothing does.
func (m *Member) Settle(step schedule.Step, summed bool) {
	v := &m.variate
	if v.ordinal == 0 || v.ordinal != step.Ordinal {
		return
	}
	if summed {
		v.own = v.next
	}
	v.next, v.ordinal = nil, 0
}

// Control returns the bytes of the settled control variate, float64 big-endian;
// nil where there is none. They are this member's alone and never leave it.
func (m *Member) Control() []byte {
	return appendVariate(m.variate.own)
}

func appendVariate(v []float64) (b []byte) {
	for _, x := range v {
		b = binary.BigEndian.AppendUint64(b, math.Float64bits(x))
	}
	return b
}

// Pending returns the step whose vector Local made and Settle has not judged, and the bytes of the control variate if the
// vector is in the sum; 0 and nil where there is none. It must be durable before the vector leaves: after a crash
// nothing else tells what the others have added.
func (m *Member) Pending() (ordinal uint32, control []byte) {
	return m.variate.ordinal, appendVariate(m.variate.next)
}

// SetControl takes back what Control returned, after a restart.
func (m *Member) SetControl(b []byte) error {
	if len(b)%8 != 0 {
		return fmt.Errorf("control variate of %d bytes", len(b))
	}
	own := make([]float64, len(b)/8)
	for i := range own {
		own[i] = math.Float64frombits(binary.BigEndian.Uint64(b[8*i:]))
		if math.IsNaN(own[i]) || math.IsInf(own[i], 0) {
			return errors.New("control variate is not finite")
		}
	}
	m.variate = variate{own: own}
	return nil
}
