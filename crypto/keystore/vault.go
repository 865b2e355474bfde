package keystore

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/hashicorp/vault/api"
)

// Vault says how to reach a HashiCorp Vault. A zero field leaves the choice to
// Vault's own environment variables.
type Vault struct {
	Address   string // https://vault.example:8200; VAULT_ADDR
	TokenFile string // file of mode 0600 with the token; VAULT_TOKEN
	CA        string // PEM file with the CA of Vault's certificate; VAULT_CACERT
	Namespace string // VAULT_NAMESPACE
}

// vaultTimeout bounds one request to Vault, its retries included.
const vaultTimeout = 30 * time.Second

// transit signs inside Vault.
type transit struct {
	client      *api.Client
	mount, name string
	version     int // pinned: a rotation does not change the public key under a running service
	public      crypto.PublicKey
}

// openTransit reads the public key of MOUNT/KEY; the mount may itself contain
// slashes, the key may not.
func openTransit(ctx context.Context, path string, cfg Vault) (crypto.Signer, error) {
	client, err := newVault(cfg)
	if err != nil {
		return nil, err
	}
	cut := strings.LastIndex(path, "/")
	t := &transit{client: client, mount: path[:cut], name: path[cut+1:]}
	ctx, cancel := context.WithTimeout(ctx, vaultTimeout)
	defer cancel()
	secret, err := client.Logical().ReadWithContext(ctx, t.mount+"/keys/"+t.name)
	if err != nil {
		return nil, t.explain("read", err)
	}
	if secret == nil {
		return nil, fmt.Errorf("%s: no such transit key", t)
	}
	t.version, t.public, err = parseTransitKey(secret.Data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", t, err)
	}
	return t, nil
}

func newVault(cfg Vault) (*api.Client, error) {
	conf := api.DefaultConfig()
	if conf.Error != nil {
		return nil, fmt.Errorf("vault environment: %w", conf.Error)
	}
	conf.Timeout = vaultTimeout
	if cfg.Address != "" {
		conf.Address = cfg.Address
	}
	if cfg.CA != "" {
		if err := conf.ConfigureTLS(&api.TLSConfig{CACert: cfg.CA}); err != nil {
			return nil, fmt.Errorf("vault CA %s: %w", cfg.CA, err)
		}
	}
	client, err := api.NewClient(conf)
	if err != nil {
		return nil, fmt.Errorf("vault %s: %w", conf.Address, err)
	}
	if cfg.Namespace != "" {
		client.SetNamespace(cfg.Namespace)
	}
	if cfg.TokenFile != "" {
		token, err := ReadSecret(cfg.TokenFile)
		if err != nil {
			return nil, err
		}
		defer clear(token)
		client.SetToken(strings.TrimSpace(string(token)))
	}
	if client.Token() == "" {
		return nil, errors.New("vault: no token: name a token file or set VAULT_TOKEN")
	}
	return client, nil
}

// parseTransitKey takes the newest version of a transit key from Vault's answer.
func parseTransitKey(data map[string]any) (int, crypto.PublicKey, error) {
	number, ok := data["latest_version"].(json.Number)
	if !ok {
		return 0, nil, errors.New("answer has no latest_version")
	}
	version, err := number.Int64()
	if err != nil || version < 1 || version > 1<<30 {
		return 0, nil, fmt.Errorf("answer has latest_version %q", number)
	}
	keys, _ := data["keys"].(map[string]any)
	entry, _ := keys[number.String()].(map[string]any)
	text, _ := entry["public_key"].(string)
	if text == "" {
		return 0, nil, errors.New("key has no public part: an asymmetric transit key is needed")
	}
	public, err := transitPublic(fmt.Sprint(data["type"]), text)
	return int(version), public, err
}

// transitPublic decodes a public key as Vault writes it: PEM for EC, the bare
// 32 bytes in base64 for Ed25519.
func transitPublic(kind, text string) (crypto.PublicKey, error) {
	switch kind {
	case "ecdsa-p256":
		block, _ := pem.Decode([]byte(text))
		if block == nil {
			return nil, errors.New("public key is not PEM")
		}
		pub, err := x509.ParsePKIXPublicKey(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("public key: %w", err)
		}
		if k, err := KindOf(pub); err != nil || k != P256 {
			return nil, errors.New("public key is not EC P-256")
		}
		return pub, nil
	case "ed25519":
		raw, err := base64.StdEncoding.DecodeString(text)
		if err != nil || len(raw) != ed25519.PublicKeySize {
			return nil, errors.New("public key is not 32 bytes in base64")
		}
		return ed25519.PublicKey(raw), nil
	}
	return nil, fmt.Errorf("key is of type %q, want ecdsa-p256 or ed25519", kind)
}

func (t *transit) Public() crypto.PublicKey { return t.public }

// Sign implements crypto.Signer; rand is not used, Vault has its own. The
// answer is checked against the public key, so that a wrong answer cannot
// travel on as a signature.
func (t *transit) Sign(_ io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	request := map[string]any{"input": base64.StdEncoding.EncodeToString(digest), "key_version": t.version}
	ec, isEC := t.public.(*ecdsa.PublicKey)
	switch {
	case isEC && opts.HashFunc() == crypto.SHA256 && len(digest) == sha256.Size:
		request["prehashed"] = true
		request["hash_algorithm"] = "sha2-256"
		request["marshaling_algorithm"] = "asn1"
	case isEC:
		return nil, fmt.Errorf("%s: an EC P-256 key signs a SHA-256 digest", t)
	case opts.HashFunc() != 0:
		return nil, fmt.Errorf("%s: an Ed25519 key signs the message, not a digest", t)
	}
	ctx, cancel := context.WithTimeout(context.Background(), vaultTimeout)
	defer cancel()
	secret, err := t.client.Logical().WriteWithContext(ctx, t.mount+"/sign/"+t.name, request)
	if err != nil {
		return nil, t.explain("sign", err)
	}
	sig, err := parseTransitSignature(secret)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", t, err)
	}
	if isEC && !ecdsa.VerifyASN1(ec, digest, sig) {
		return nil, fmt.Errorf("%s: answered with a signature that does not verify", t)
	}
	if ed, ok := t.public.(ed25519.PublicKey); ok && !ed25519.Verify(ed, digest, sig) {
		return nil, fmt.Errorf("%s: answered with a signature that does not verify", t)
	}
	return sig, nil
}

// parseTransitSignature reads "vault:vN:BASE64".
func parseTransitSignature(secret *api.Secret) ([]byte, error) {
	if secret == nil {
		return nil, errors.New("empty answer")
	}
	text, _ := secret.Data["signature"].(string)
	parts := strings.Split(text, ":")
	if len(parts) != 3 || parts[0] != "vault" {
		return nil, errors.New("answer holds no signature")
	}
	sig, err := base64.StdEncoding.DecodeString(parts[2])
	if err != nil || len(sig) == 0 {
		return nil, errors.New("answer holds no base64 signature")
	}
	return sig, nil
}

// explain turns Vault's answer into one line an admin can act on. The
// token is part of no Vault error.
func (t *transit) explain(action string, err error) error {
	var answer *api.ResponseError
	if !errors.As(err, &answer) {
		return fmt.Errorf("%s %s: vault at %s does not answer: %w", action, t, t.client.Address(), err)
	}
	reason := strings.Join(answer.Errors, "; ")
	switch answer.StatusCode {
	case http.StatusServiceUnavailable:
		reason = "vault is sealed or in maintenance"
	case http.StatusForbidden:
		reason = "permission denied: the token is expired or its policy lacks this path"
	case http.StatusTooManyRequests:
		reason = "vault limits the rate of requests"
	case http.StatusNotFound:
		reason = "no such mount or key"
	}
	return fmt.Errorf("%s %s: status %d: %s", action, t, answer.StatusCode, reason)
}

// String names the reference only.
func (t *transit) String() string { return "vault:" + t.mount + "/" + t.name }

// Format keeps %+v and %#v from reaching the client and its token.
func (t *transit) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, t.String()) }

// LogValue implements slog.LogValuer.
func (t *transit) LogValue() slog.Value { return slog.StringValue(t.String()) }
