package main

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"slices"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/vault/builtin/credential/approle"
	"github.com/hashicorp/vault/builtin/logical/transit"
	"github.com/hashicorp/vault/helper/namespace"
	vaulthttp "github.com/hashicorp/vault/http"
	"github.com/hashicorp/vault/internalshared/configutil"
	"github.com/hashicorp/vault/sdk/helper/consts"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/hashicorp/vault/sdk/physical/inmem"
	"github.com/hashicorp/vault/vault"
)

// opened is an unsealed core.
type opened struct {
	handler       http.Handler
	token, unseal string // root token; the only key share, base64
}

// open makes a core with empty storage, initialises it with one key share and
// unseals it.
func open(ctx context.Context, address string) (*opened, error) {
	logger := hclog.New(&hclog.LoggerOptions{Level: hclog.Error, Output: os.Stderr})
	storage, err := inmem.NewInmem(nil, logger)
	if err != nil {
		return nil, err
	}
	secrets := map[string]logical.Factory{"transit": transit.Factory}
	logins := map[string]logical.Factory{"approle": approle.Factory}
	core, err := vault.NewCore(&vault.CoreConfig{
		BuiltinRegistry:    builtins{consts.PluginTypeSecrets: secrets, consts.PluginTypeCredential: logins},
		LogicalBackends:    secrets,
		CredentialBackends: logins,
		Physical:           storage,
		DisableMlock:       true, // needs a privilege; the keys are test keys
		Logger:             logger,
		RedirectAddr:       address,
	})
	if err != nil {
		return nil, fmt.Errorf("vault core: %w", err)
	}
	made, err := core.Initialize(namespace.RootContext(ctx), &vault.InitParams{
		BarrierConfig: &vault.SealConfig{SecretShares: 1, SecretThreshold: 1},
	})
	if err != nil {
		return nil, fmt.Errorf("initialise: %w", err)
	}
	done, err := core.Unseal(made.SecretShares[0])
	if err == nil && !done {
		err = errors.New("one share was not enough")
	}
	if err != nil {
		return nil, fmt.Errorf("unseal: %w", err)
	}
	return &opened{
		handler: vaulthttp.Handler.Handler(&vault.HandlerProperties{
			Core:           core,
			ListenerConfig: &configutil.Listener{Type: "tcp", Address: address},
		}),
		token:  made.RootToken,
		unseal: base64.StdEncoding.EncodeToString(made.SecretShares[0]),
	}, nil
}

// builtins is the registry of linked-in backends. A core without one panics
// when mounts are listed.
type builtins map[consts.PluginType]map[string]logical.Factory

func (b builtins) Get(name string, kind consts.PluginType) (func() (any, error), bool) {
	factory, ok := b[kind][name]
	return func() (any, error) { return factory, nil }, ok
}

func (b builtins) Contains(name string, kind consts.PluginType) bool {
	_, ok := b[kind][name]
	return ok
}

func (b builtins) Keys(kind consts.PluginType) []string {
	return slices.Sorted(maps.Keys(b[kind]))
}

func (b builtins) DeprecationStatus(name string, kind consts.PluginType) (consts.DeprecationStatus, bool) {
	return consts.Supported, b.Contains(name, kind)
}

func (b builtins) IsBuiltinEntPlugin(string, consts.PluginType) bool { return false }
