package aggregate

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/koinon-eu/koinon/models/arch"
)

// Algorithms a plan may name.
const (
	FedAdagrad = "fedadagrad"
	FedAdam    = "fedadam"
	FedAvg     = "fedavg"
	FedAvgM    = "fedavgm"
	FedProx    = "fedprox"
	FedYogi    = "fedyogi"
	Newton     = "newton"
	Scaffold   = "scaffold"
)

// Names lists the algorithms in the order of the alphabet.
var Names = []string{FedAdagrad, FedAdam, FedAvg, FedAvgM, FedProx, FedYogi, Newton, Scaffold}

// What a member computes in a training round.
const (
	// FullBatch sums one gradient over all rows of the member.
	FullBatch = "full-batch"
	// MiniBatch runs local epochs and sends the change of the parameters.
	MiniBatch = "mini-batch"
)

// Limits of an algorithm, compiled in.
const (
	MaxRounds        = 10_000
	MaxLocalEpochs   = 100
	MaxBatch         = 1 << 16
	MaxNewtonColumns = 1024
)

// Clip bounds what one member can put into a sum (S45): the Euclidean norm of
// its vector and each coordinate.
type Clip struct {
	L2  float64 `yaml:"l2,omitempty" json:"l2"`
	Inf float64 `yaml:"inf,omitempty" json:"inf"`
}

// Values returns how many coordinates a member's vector has for so many
// parameters: scaffold sends its control variate behind the change, newton
// sends integers only.
func (s Spec) Values(params int) int {
	switch s.Name {
	case Scaffold:
		return 2 * params
	case Newton:
		return 0
	}
	return params
}

// Spec is the plan's `algorithm` block. A zero field means the documented
// default, which depends on the architecture and which WithDefaults fills in.
type Spec struct {
	// Name is one of Names. Empty means fedadam; fedavgm for an MLP of counts.
	Name string `yaml:"name" json:"name"`
	// Local is full-batch or mini-batch. Empty means full-batch under fedadagrad,
	// fedadam, fedyogi and newton, else, and for an MLP of counts, mini-batch. A round
	// of full-batch is one step along the exact gradient of all rows, however they
	// fall into members.
	Local string `yaml:"local,omitempty" json:"local"`
	// ServerRate is the server's step length. 0 means, for the adaptive algorithms
	// (fedadagrad, fedadam, fedyogi), 0.1 on gradients of logistic regression, 0.02
	// (fedadagrad 0.05) on those of an MLP and 0.01 on changes; 1 otherwise.
	ServerRate float64 `yaml:"server_rate,omitempty" json:"server_rate"`
	// Rounds is the number of training sums. 0 means 60 (newton: 6).
	Rounds int `yaml:"rounds,omitempty" json:"rounds"`
	// LocalEpochs is how often a member goes through its rows in one round. 0 means 1.
	LocalEpochs int `yaml:"local_epochs,omitempty" json:"local_epochs"`
	// LocalRate is the rate of the member's own Adam, under scaffold that of its
	// plain steps. 0 means 0.003, under scaffold 0.2.
	LocalRate float64 `yaml:"local_rate,omitempty" json:"local_rate"`
	// Batch is the number of rows of a local step. 0 means 256, under scaffold 64.
	Batch int `yaml:"batch,omitempty" json:"batch"`
	// Momentum is fedavgm's β. 0 means 0.5; other algorithms ignore it.
	Momentum float64 `yaml:"momentum,omitempty" json:"momentum"`
	// Proximal is fedprox's μ: how strongly local steps are drawn back to the
	// parameters they started from. 0 means 0.01; other algorithms have none.
	Proximal float64 `yaml:"proximal,omitempty" json:"proximal,omitempty"`
	// Clip bounds a member's vector. A zero field means l2 64, inf 4 for
	// gradients and l2 64, inf 1 for changes of parameters.
	Clip Clip `yaml:"clip,omitempty" json:"clip"`
	// Bits is 24 or 15 per parameter (S43). 0 means 24.
	Bits int `yaml:"bits,omitempty" json:"bits"`
	// WeightBits is how many leading bits of a member's row count enter the
	// sum (S44), 1 to 32; 32 is exact. 0 means 4.
	WeightBits int `yaml:"weight_bits,omitempty" json:"weight_bits"`
	// Stop ends training before Rounds. The zero value never does.
	Stop Stop `yaml:"stop,omitempty" json:"stop,omitzero"`
}

// WithDefaults returns the specification with every zero field filled in.
func (s Spec) WithDefaults(a arch.Spec) Spec {
	if a.Kind == arch.Trees {
		return s.growing(a)
	}
	if s.Name == "" {
		s.Name = FedAdam
		if a.Kind == arch.MLP && a.Counts() {
			s.Name = FedAvgM
		}
	}
	if s.Local == "" {
		s.Local = MiniBatch
		if (a.Flat() || !a.Counts()) && (adaptiveServer(s.Name) || s.Name == Newton) {
			s.Local = FullBatch
		}
	}
	gradients := s.Local == FullBatch
	setFloat(&s.ServerRate, defaultRate(s.Name, a.Kind, gradients))
	setInt(&s.Rounds, pick(s.Name == Newton, 6, 60))
	setInt(&s.LocalEpochs, 1)
	setFloat(&s.LocalRate, pick(s.Name == Scaffold, 0.2, 0.003))
	setInt(&s.Batch, pick(s.Name == Scaffold, 64, 256))
	setFloat(&s.Momentum, 0.5)
	if s.Name == FedProx {
		setFloat(&s.Proximal, 0.01)
	}
	setFloat(&s.Clip.L2, 64)
	setFloat(&s.Clip.Inf, pick(gradients, 4.0, 1.0))
	setInt(&s.Bits, 24)
	setInt(&s.WeightBits, 4)
	s.Stop = s.Stop.withDefaults()
	return s
}

func defaultRate(name, kind string, gradients bool) float64 {
	switch {
	case !adaptiveServer(name):
		return 1
	case !gradients:
		return 0.01
	case kind != arch.MLP:
		return 0.1
	case name == FedAdagrad: // its steps only become shorter
		return 0.05
	}
	return 0.02
}

// adaptiveServer reports whether the server scales each coordinate's step.
func adaptiveServer(name string) bool {
	return name == FedAdagrad || name == FedAdam || name == FedYogi
}

func pick[T any](yes bool, a, b T) T {
	if yes {
		return a
	}
	return b
}

func setFloat(v *float64, def float64) {
	if *v == 0 {
		*v = def
	}
}

func setInt(v *int, def int) {
	if *v == 0 {
		*v = def
	}
}

// Validate says what is wrong with a specification for architecture a, before
// or after defaults.
func (s Spec) Validate(a arch.Spec) error {
	s = s.WithDefaults(a)
	if a.Kind == arch.Trees {
		return s.validateGrowing(a)
	}
	if !slices.Contains(Names, s.Name) {
		return fmt.Errorf("algorithm: name %q is not known: want one of %s", s.Name, strings.Join(Names, ", "))
	}
	if s.Local != FullBatch && s.Local != MiniBatch {
		return fmt.Errorf("algorithm: local %q is not known: want %s or %s", s.Local, FullBatch, MiniBatch)
	}
	if s.Name == Newton && (a.Kind != arch.Logistic || s.Local != FullBatch) {
		return fmt.Errorf("algorithm: %s needs architecture %s and local %s", Newton, arch.Logistic, FullBatch)
	}
	if s.Name == FedProx && s.Local != MiniBatch {
		return fmt.Errorf("algorithm: %s needs local %s: one gradient has nothing to be drawn back from", FedProx, MiniBatch)
	}
	if s.Name == Scaffold && s.Local != MiniBatch {
		return fmt.Errorf("algorithm: %s needs local %s: it corrects local steps", Scaffold, MiniBatch)
	}
	if s.Name != FedProx && s.Proximal != 0 {
		return fmt.Errorf("algorithm: proximal belongs to %s", FedProx)
	}
	if s.Bits != 24 && s.Bits != 15 {
		return fmt.Errorf("algorithm: bits %d, want 24 or 15", s.Bits)
	}
	for _, r := range []struct {
		name     string
		v        float64
		min, max float64
	}{
		{"server_rate", s.ServerRate, 1e-9, 1e3},
		{"rounds", float64(s.Rounds), 1, MaxRounds},
		{"local_epochs", float64(s.LocalEpochs), 1, MaxLocalEpochs},
		{"local_rate", s.LocalRate, 1e-9, 1e3},
		{"batch", float64(s.Batch), 1, MaxBatch},
		{"momentum", s.Momentum, 1e-9, 0.999},
		{"proximal", s.Proximal, 0, 1e3},
		{"clip.l2", s.Clip.L2, 1e-9, 1e9},
		{"clip.inf", s.Clip.Inf, 1e-9, 1e9},
		{"weight_bits", float64(s.WeightBits), 1, 32},
	} {
		if math.IsNaN(r.v) || r.v < r.min || r.v > r.max {
			return fmt.Errorf("algorithm: %s %v is not between %v and %v", r.name, r.v, r.min, r.max)
		}
	}
	return s.Stop.validate(s.Rounds)
}
