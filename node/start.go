package node

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/koinon-eu/koinon/coordinator/federation"
	"github.com/koinon-eu/koinon/crypto/sign"
	"github.com/koinon-eu/koinon/deploy/service"
	"github.com/koinon-eu/koinon/models/artifact"
	"github.com/koinon-eu/koinon/models/release"
	"github.com/koinon-eu/koinon/models/schedule"
	"github.com/koinon-eu/koinon/models/start"
	"github.com/koinon-eu/koinon/node/link"
)

// ErrStart says that the release which a plan starts from is not what the plan names, or not signed by whom this node
// trusts, so that the plan cannot be approved here.
var ErrStart = errors.New("the release that the plan starts from is refused")

// keepStart fetches the released model that a plan starts from, before the plan is approved: what a node cannot verify
// it does not approve. The plan's digest decides which artifact it is. Where the operator trusts release keys, the
// release must also be signed by one of them.
func keepStart(ctx context.Context, l *link.Link, store Store, plan *federation.Plan, trusted *release.Policy) error {
	if plan.WarmStart == nil {
		return nil
	}
	_, err := store.Start(plan.WarmStart.Artifact())
	if !errors.Is(err, ErrUnknown) && trusted == nil {
		return err
	}
	files, err := l.Start(ctx, plan.Digest())
	if err != nil {
		return err
	}
	body, err := startOf(files, plan, trusted)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrStart, err)
	}
	return store.KeepStart(plan.WarmStart.Artifact(), body)
}

// startOf verifies a release that came from outside and returns its artifact.
func startOf(files release.Files, plan *federation.Plan, trusted *release.Policy) ([]byte, error) {
	if trusted != nil {
		if _, err := release.Open(files, *trusted); err != nil {
			return nil, err
		}
	}
	body := files[release.ArtifactFile]
	_, err := start.Open(body, plan.Learning())
	return body, err
}

// learning is what the machine of a new run is made of, with the model that a warm start names.
func learning(store Store, plan *federation.Plan) (schedule.Config, error) {
	cfg := plan.Learning()
	if plan.WarmStart == nil {
		return cfg, nil
	}
	body, err := store.Start(plan.WarmStart.Artifact())
	if err != nil {
		return cfg, fmt.Errorf("%w: %w", schedule.ErrNoStart, err)
	}
	return start.Open(body, cfg)
}

// Trusted returns whom node.yaml trusts with releases; nil: nobody is named, and the digest in a plan decides.
func (d Dir) Trusted(f File) (*release.Policy, error) {
	if len(f.ReleaseKeys) == 0 {
		return nil, nil
	}
	p := &release.Policy{}
	for _, path := range f.ReleaseKeys {
		text, err := os.ReadFile(d.Abs(path))
		if err != nil {
			return nil, fmt.Errorf("release key: %w", err)
		}
		key, err := sign.ParsePublicKey(text)
		if err != nil {
			return nil, fmt.Errorf("release key %s: %w", path, err)
		}
		p.Keys = append(p.Keys, key)
	}
	return p, nil
}

// startName is the file of a model that plans start from.
func startName(artifact federation.Digest) string { return artifact.String() + ".koinon" }

// Start implements Store.
func (d Dir) Start(digest federation.Digest) ([]byte, error) {
	return d.read(filepath.Join(startsName, startName(digest)), artifact.MaxBytes)
}

// KeepStart implements Store.
func (d Dir) KeepStart(digest federation.Digest, body []byte) error {
	if err := os.MkdirAll(d.Path(startsName), 0o700); err != nil { // a directory of an earlier version has none
		return err
	}
	return service.WriteFile(d.Path(startsName, startName(digest)), body, 0o600)
}

// Start implements Store.
func (m *Memory) Start(digest federation.Digest) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	body, ok := m.starts[digest]
	if !ok {
		return nil, ErrUnknown
	}
	return body, nil
}

// KeepStart implements Store.
func (m *Memory) KeepStart(digest federation.Digest, body []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	put(&m.starts, digest, body)
	return nil
}
