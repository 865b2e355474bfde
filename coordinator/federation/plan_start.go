package federation

import (
	"errors"
	"fmt"
	"strings"

	"github.com/koinon-eu/koinon/models/schedule"
)

// WarmStart is the plan's `warm_start` block: the released model whose encoder
// and parameters training goes on from. The plan has no statistics sums then.
type WarmStart struct {
	// Release is NAME@DIGEST, or the digest alone: of the artifact, 64
	// hexadecimal digits, as card and `koinon show` print it.
	Release string `yaml:"release" json:"release"`
}

// split returns name, if there is one, and digest.
func (w *WarmStart) split() (name string, artifact Digest, err error) {
	name, text, named := strings.Cut(w.Release, "@")
	if !named {
		name, text = "", w.Release
	}
	if named && !ValidName(name) {
		return "", Digest{}, fmt.Errorf("plan: warm_start.release %.100q: want NAME@DIGEST", w.Release)
	}
	if artifact, err = ParseDigest(text); err != nil || artifact.String() != text {
		return "", Digest{}, fmt.Errorf("plan: warm_start.release %.100q: want the artifact's digest, 64 hexadecimal digits", w.Release)
	}
	return name, artifact, nil
}

// Name is that of the release; empty when the plan names the artifact alone.
func (w *WarmStart) Name() string {
	name, _, _ := w.split()
	return name
}

// Artifact is the digest of the artifact; zero when Validate refuses the plan.
func (w *WarmStart) Artifact() Digest {
	_, artifact, _ := w.split()
	return artifact
}

// String is the release as the plan names it; empty without a warm start.
func (w *WarmStart) String() string {
	if w == nil {
		return ""
	}
	return w.Release
}

// start is what the machine knows of it without the model; nil stays nil.
func (w *WarmStart) start() *schedule.Start {
	if w == nil {
		return nil
	}
	return &schedule.Start{Artifact: w.Artifact()}
}

// checkLearning checks where training starts and ends.
func (p *Plan) checkLearning() error {
	if p.Search != nil {
		if err := p.Learning().Validate(); err != nil {
			return fmt.Errorf("plan: %w", err)
		}
	}
	if p.WarmStart == nil {
		return nil
	}
	if p.Privacy.DP != DPNone {
		return errors.New("plan: warm_start with privacy.dp: the promise would leave out what the release says about the same rows")
	}
	if p.Grows() {
		return errors.New("plan: no warm_start for trees: their cells and their first cohort come from the plan's own statistics sums; grow a new ensemble")
	}
	_, _, err := p.WarmStart.split()
	return err
}
