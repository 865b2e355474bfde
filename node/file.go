package node

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/koinon-eu/koinon/coordinator/federation"
	"github.com/koinon-eu/koinon/crypto/keystore"
	"github.com/koinon-eu/koinon/deploy/service"
	"github.com/koinon-eu/koinon/node/dataset"
	"github.com/koinon-eu/koinon/node/train"
)

// File is node.yaml: what an operator sets. Paths that are not absolute are taken from the state directory.
type File struct {
	Federation  string            `yaml:"federation"`
	Member      string            `yaml:"member"`
	Coordinator string            `yaml:"coordinator"`  // host:port of the Federation service
	Data        Data              `yaml:"data"`         // the national table, opened read-only
	Cache       string            `yaml:"cache"`        // true, or a folder: keep the table as columns there; default: no
	CacheGiB    int               `yaml:"cache_gib"`    // bound of that folder, default 64
	Identity    string            `yaml:"identity"`     // key reference, default file:keys/identity.pem
	Vault       keystore.Vault    `yaml:"vault"`        // how to reach the Vault that identity names
	ReleaseKeys []string          `yaml:"release_keys"` // PEM files: a model that a plan starts from must be signed with one of them; none: the plan's digest decides
	Policy      string            `yaml:"policy"`       // file of this node's own limits; none: the defaults, nothing unattended
	Tick        time.Duration     `yaml:"tick"`         // of deadlines, default 1s
	Heartbeat   time.Duration     `yaml:"heartbeat"`    // default 15s
	Metrics     string            `yaml:"metrics"`      // host:port of metrics and health; empty: none
	Log         service.LogConfig `yaml:"log"`
}

// Validate implements the check of service.LoadConfig.
func (f *File) Validate() error {
	switch {
	case f.Federation == "" || f.Member == "":
		return errors.New("federation and member are required")
	case !federation.ValidName(f.Member):
		return fmt.Errorf("member %.40q is not a valid name", f.Member)
	case f.CacheGiB < 0 || f.CacheGiB > 1<<20:
		return errors.New("cache_gib must be from 0 to 1048576")
	case f.Tick < 0 || f.Heartbeat < 0:
		return errors.New("tick and heartbeat must not be negative")
	}
	if _, _, err := net.SplitHostPort(f.Coordinator); err != nil {
		return fmt.Errorf("coordinator %.100q: want host:port", f.Coordinator)
	}
	if f.Data.Postgres != nil {
		if err := f.Data.Postgres.validate(); err != nil {
			return err
		}
	}
	if f.Metrics != "" {
		if _, _, err := net.SplitHostPort(f.Metrics); err != nil {
			return fmt.Errorf("metrics %.100q: want host:port", f.Metrics)
		}
	}
	return nil
}

// LoadFile reads node.yaml of a state directory.
func (d Dir) LoadFile() (File, error) {
	var f File
	err := service.LoadConfig(d.Path(configName), &f)
	return f, err
}

// Abs takes a path of node.yaml from the state directory, unless it is absolute.
func (d Dir) Abs(path string) string {
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	return d.Path(path)
}

// TableCache returns the cache of the national table that node.yaml asks for, or nil.
func (d Dir) TableCache(f File, log *slog.Logger) *dataset.Cache {
	if f.Cache == "" || f.Cache == "false" {
		return nil
	}
	c := d.defaultCache(log)
	c.Max = int64(f.CacheGiB) << 30
	if f.Cache != "true" {
		c.Dir = d.Abs(f.Cache)
	}
	return c
}

func (d Dir) defaultCache(log *slog.Logger) *dataset.Cache {
	return &dataset.Cache{Dir: d.Path(cacheName), Log: log}
}

// TableScratch returns where encoded rows lie: in a file of the cache's folder, if there is a cache; else nil, in memory.
func (d Dir) TableScratch(f File) train.Scratch {
	if c := d.TableCache(f, nil); c != nil {
		return dataset.NewScratch(c.Dir)
	}
	return nil
}

// LoadPolicy reads the policy file that node.yaml names.
func (d Dir) LoadPolicy(f File) (federation.Policy, error) {
	if f.Policy == "" {
		return federation.DefaultPolicy(), nil
	}
	b, err := os.ReadFile(d.Abs(f.Policy))
	if err != nil {
		return federation.Policy{}, fmt.Errorf("policy: %w", err)
	}
	return federation.ParsePolicy(b)
}

// IdentityReference names this member's identity key.
func (d Dir) IdentityReference(f File) string {
	if f.Identity == "" {
		return "file:" + d.Path(identityName)
	}
	return f.Identity
}

// Signer opens the identity key as the protocol uses it.
func (d Dir) Signer(ctx context.Context, f File) (secaggSigner, error) {
	key, err := keystore.Open(ctx, d.IdentityReference(f), keystore.Options{Vault: f.Vault})
	if err != nil {
		return nil, fmt.Errorf("identity key: %w", err)
	}
	if kind, err := keystore.KindOf(key.Public()); err != nil || kind != keystore.Ed25519 {
		return nil, errors.New("identity key: want Ed25519")
	}
	return signer(key), nil
}

func signer(key crypto.Signer) secaggSigner {
	return func(message []byte) ([]byte, error) { return key.Sign(nil, message, crypto.Hash(0)) }
}
