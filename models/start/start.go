// Package start opens the released model from which a plan's training goes on
// (warm start). The plan names the artifact by digest; coordinator and nodes
// open it with the same checks and come to the same first state.
package start

import (
	"crypto/sha256"
	"fmt"

	"github.com/koinon-eu/koinon/models/artifact"
	"github.com/koinon-eu/koinon/models/release"
	"github.com/koinon-eu/koinon/models/schedule"
)

// Open returns the configuration of a plan with the model that it starts from.
// It refuses an artifact that the plan does not name, and one that does not fit
// the plan's schema and architecture. A plan without a start is returned as it is.
func Open(body []byte, cfg schedule.Config) (schedule.Config, error) {
	if cfg.Start == nil {
		return cfg, nil
	}
	if digest := sha256.Sum256(body); digest != cfg.Start.Artifact {
		return cfg, fmt.Errorf("warm start: artifact %.12s is not the one that the plan names, %.12s",
			release.Digest(digest).String(), release.Digest(cfg.Start.Artifact).String())
	}
	model, err := artifact.Parse(body)
	if err != nil {
		return cfg, fmt.Errorf("warm start: %w", err)
	}
	if model.Header.FineTuned != "" {
		return cfg, fmt.Errorf("warm start: %w", artifact.ErrFineTuned)
	}
	cfg.Start = &schedule.Start{
		Artifact: cfg.Start.Artifact, Architecture: model.Header.Architecture, Encoder: model.Encoder, Params: model.Params,
	}
	return cfg, cfg.Start.Check(cfg)
}
