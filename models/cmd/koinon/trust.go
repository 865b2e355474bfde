package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/koinon-eu/koinon/crypto/sign"
	"github.com/koinon-eu/koinon/deploy/cli"
	"github.com/koinon-eu/koinon/deploy/service"
	"github.com/koinon-eu/koinon/models/release"
)

// trustFlags say whom a command trusts. They are needed wherever a release is
// used.
type trustFlags struct {
	Key   []string `help:"Release key to trust, a PEM file. May be repeated." placeholder:"FILE" sep:"none"`
	Trust string   `help:"Trust file: release keys, approvers, certificate authority." placeholder:"FILE"`
}

// trustFile is the YAML form of what an engineer trusts. Keys are PEM text or
// paths relative to the file.
type trustFile struct {
	ReleaseKeys []string `yaml:"release_keys"`
	Approvers   []struct {
		Person string `yaml:"person"`
		Role   string `yaml:"role"`
		Key    string `yaml:"key"`
	} `yaml:"approvers"`
	CA string `yaml:"ca"` // of the web server
}

// trusted is what the flags come to.
type trusted struct {
	policy release.Policy
	roots  *x509.CertPool // nil: those of the system
}

// load reads keys and trust file. Without any key it is a usage error: there
// is no default trust.
func (f trustFlags) load() (trusted, error) {
	var t trusted
	for _, path := range f.Key {
		if path == "" { // KOINON_KEY set to nothing
			continue
		}
		key, err := readReleaseKey(path)
		if err != nil {
			return t, err
		}
		t.policy.Keys = append(t.policy.Keys, key)
	}
	if f.Trust != "" {
		if err := t.add(f.Trust); err != nil {
			return t, err
		}
	}
	if len(t.policy.Keys) == 0 {
		return t, cli.Hint(cli.Usagef("no release key: nothing can be verified"),
			"add --key release.pub or --trust trust.yaml; take the key from the coordinator's admins, not from the server the model is on")
	}
	return t, nil
}

func (t *trusted) add(path string) error {
	var file trustFile
	if err := service.LoadConfig(path, &file); err != nil {
		return fmt.Errorf("trust file: %w", err)
	}
	dir := filepath.Dir(path)
	for i, entry := range file.ReleaseKeys {
		text, err := textOf(dir, entry)
		if err != nil {
			return fmt.Errorf("trust file %s: release key %d: %w", path, i+1, err)
		}
		key, err := sign.ParsePublicKey(text)
		if err != nil {
			return fmt.Errorf("trust file %s: release key %d: %w", path, i+1, err)
		}
		t.policy.Keys = append(t.policy.Keys, key)
	}
	for i, a := range file.Approvers {
		text, err := textOf(dir, a.Key)
		if err != nil {
			return fmt.Errorf("trust file %s: approver %d: %w", path, i+1, err)
		}
		key, err := parseApproverKey(text)
		if err != nil {
			return fmt.Errorf("trust file %s: approver %d: %w", path, i+1, err)
		}
		if a.Person == "" || a.Role == "" {
			return fmt.Errorf("trust file %s: approver %d has no person or role", path, i+1)
		}
		t.policy.Approvers = append(t.policy.Approvers, release.Approver{Person: a.Person, Role: a.Role, Key: key})
	}
	if file.CA == "" {
		return nil
	}
	text, err := textOf(dir, file.CA)
	if err != nil {
		return fmt.Errorf("trust file %s: ca: %w", path, err)
	}
	t.roots, err = parseRoots(text)
	return err
}

// maxPEM bounds a file of keys or certificates in bytes.
const maxPEM = 1 << 20

// textOf returns PEM text given inline, or that of a file beside the trust
// file.
func textOf(dir, entry string) ([]byte, error) {
	if strings.HasPrefix(strings.TrimSpace(entry), "-----BEGIN ") {
		return []byte(entry), nil
	}
	if entry == "" {
		return nil, errors.New("is empty")
	}
	if !filepath.IsAbs(entry) {
		entry = filepath.Join(dir, entry)
	}
	return readBounded(entry)
}

func readBounded(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxPEM+1))
	if err == nil && len(text) > maxPEM {
		err = fmt.Errorf("%s has more than %d bytes", path, maxPEM)
	}
	return text, err
}

func readReleaseKey(path string) (*ecdsa.PublicKey, error) {
	text, err := readBounded(path)
	if err != nil {
		return nil, fmt.Errorf("release key: %w", err)
	}
	key, err := sign.ParsePublicKey(text)
	if err != nil {
		return nil, fmt.Errorf("release key %s: %w", path, err)
	}
	return key, nil
}

func parseApproverKey(text []byte) (crypto.PublicKey, error) {
	block, rest := pem.Decode(text)
	if block == nil || block.Type != "PUBLIC KEY" {
		return nil, errors.New("key is not a PEM public key")
	}
	if strings.TrimSpace(string(rest)) != "" {
		return nil, errors.New("key is followed by more text")
	}
	return x509.ParsePKIXPublicKey(block.Bytes)
}

func parseRoots(text []byte) (*x509.CertPool, error) {
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, errors.New("certificate authority: no certificate in PEM")
	}
	return pool, nil
}

// readRoots loads --ca; "" leaves what there was.
func readRoots(path string, before *x509.CertPool) (*x509.CertPool, error) {
	if path == "" {
		return before, nil
	}
	text, err := readBounded(path)
	if err != nil {
		return nil, fmt.Errorf("certificate authority: %w", err)
	}
	return parseRoots(text)
}
