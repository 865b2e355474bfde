package keystore

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/vault/api"
)

// Vault says how to reach a HashiCorp Vault. A zero field leaves the choice to
// Vault's own environment variables.
type Vault struct {
	Address   string `yaml:"address,omitempty"`    // https://vault.example:8200; VAULT_ADDR
	TokenFile string `yaml:"token_file,omitempty"` // file of mode 0600 with the token, read again when it is refused; VAULT_TOKEN
	CA        string `yaml:"ca,omitempty"`         // PEM file with the CA of Vault's certificate; VAULT_CACERT
	Namespace string `yaml:"namespace,omitempty"`  // VAULT_NAMESPACE
}

// vaultTimeout bounds one request to Vault, its retries included.
const vaultTimeout = 30 * time.Second

// transit signs inside Vault.
type transit struct {
	client      *api.Client
	tokenFile   string // empty: the token is fixed
	reference   string
	mount, name string
	version     int // fixed at opening: a rotation does not change the public key under a running service
	public      crypto.PublicKey
}

// transitPath is what stands behind "vault:". The mount may itself contain
// slashes, the key may not; version 0 is the newest.
type transitPath struct {
	mount, key string
	version    int
}

// parseTransitPath reads MOUNT/KEY or MOUNT/KEY@VERSION. Vault's key names
// have no "@".
func parseTransitPath(text string) (p transitPath, ok bool) {
	path, version, pinned := strings.Cut(text, "@")
	cut := strings.LastIndex(path, "/")
	if cut < 1 || cut == len(path)-1 || path[0] == '/' || strings.Contains(path, "//") ||
		strings.Contains(path, "..") || strings.ContainsAny(path, "?#% ") {
		return p, false
	}
	p = transitPath{mount: path[:cut], key: path[cut+1:]}
	if pinned {
		number, err := strconv.ParseUint(version, 10, 30)
		if err != nil || number == 0 || strconv.FormatUint(number, 10) != version {
			return p, false
		}
		p.version = int(number)
	}
	return p, true
}

// openTransit reads the public key that path names.
func openTransit(ctx context.Context, path string, cfg Vault) (crypto.Signer, error) {
	p, _ := parseTransitPath(path) // split has checked it
	client, err := newVault(cfg)
	if err != nil {
		return nil, err
	}
	t := &transit{client: client, tokenFile: cfg.TokenFile, reference: "vault:" + path, mount: p.mount, name: p.key}
	ctx, cancel := context.WithTimeout(ctx, vaultTimeout)
	defer cancel()
	secret, err := client.Logical().ReadWithContext(ctx, t.mount+"/keys/"+t.name)
	if err != nil {
		return nil, t.explain("read", err)
	}
	if secret == nil {
		return nil, fmt.Errorf("%s: no such transit mount or key", t)
	}
	t.version, t.public, err = parseTransitKey(secret.Data, p.version)
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
	for _, address := range []string{conf.Address, conf.AgentAddress} {
		if err := private(address); err != nil {
			return nil, err
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
		token, err := readToken(cfg.TokenFile)
		if err != nil {
			return nil, err
		}
		client.SetToken(token)
	}
	if client.Token() == "" {
		return nil, errors.New("vault: no token: name a token file or set VAULT_TOKEN")
	}
	return client, nil
}

// private refuses an address at which the token would travel in the clear:
// plain http is for this machine alone.
func private(address string) error {
	u, err := url.Parse(address)
	if err != nil {
		return errors.New("vault: the address is no URL")
	}
	ip := net.ParseIP(u.Hostname())
	if u.Scheme == "http" && u.Hostname() != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return fmt.Errorf("vault %s: plain http is accepted of this machine only, say https", u.Redacted())
	}
	return nil
}

func readToken(path string) (string, error) {
	text, err := ReadSecret(path)
	if err != nil {
		return "", fmt.Errorf("vault token: %w", err)
	}
	defer clear(text)
	words := strings.Fields(string(text))
	if len(words) != 1 {
		return "", fmt.Errorf("vault token %s holds %d words, want one", path, len(words))
	}
	return words[0], nil
}

// parseTransitKey takes one version of a transit key from Vault's answer:
// the newest if version is 0.
func parseTransitKey(data map[string]any, version int) (int, crypto.PublicKey, error) {
	number, ok := data["latest_version"].(json.Number)
	if !ok {
		return 0, nil, errors.New("answer has no latest_version")
	}
	latest, err := number.Int64()
	if err != nil || latest < 1 || latest > 1<<30 {
		return 0, nil, fmt.Errorf("answer has latest_version %q", number)
	}
	if version == 0 {
		version = int(latest)
	}
	keys, _ := data["keys"].(map[string]any)
	value, ok := keys[strconv.Itoa(version)]
	if !ok {
		return 0, nil, fmt.Errorf("key has no version %d: the newest is %d, and older ones may be archived", version, latest)
	}
	entry, _ := value.(map[string]any) // of a symmetric key it is a time
	text, _ := entry["public_key"].(string)
	if text == "" {
		return 0, nil, errors.New("key has no public part: an asymmetric transit key without derivation is needed")
	}
	public, err := transitPublic(fmt.Sprint(data["type"]), text)
	return version, public, err
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
	request, err := t.request(digest, opts)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", t, err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), vaultTimeout)
	defer cancel()
	secret, err := t.write(ctx, t.mount+"/sign/"+t.name, request)
	if err != nil {
		return nil, t.explain("sign", err)
	}
	sig, err := parseTransitSignature(secret)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", t, err)
	}
	if !t.verifies(digest, sig) {
		return nil, fmt.Errorf("%s: answered with a signature that does not verify", t)
	}
	return sig, nil
}

// request is what Vault is asked to sign. Options that would make another
// signature than it makes are refused.
func (t *transit) request(digest []byte, opts crypto.SignerOpts) (map[string]any, error) {
	request := map[string]any{"input": base64.StdEncoding.EncodeToString(digest), "key_version": t.version}
	if _, ok := t.public.(*ecdsa.PublicKey); ok {
		if opts.HashFunc() != crypto.SHA256 || len(digest) != sha256.Size {
			return nil, errors.New("an EC P-256 key signs a SHA-256 digest")
		}
		request["prehashed"] = true
		request["hash_algorithm"] = "sha2-256"
		request["marshaling_algorithm"] = "asn1"
		return request, nil
	}
	if ed, ok := opts.(*ed25519.Options); ok && ed.Context != "" || opts.HashFunc() != 0 {
		return nil, errors.New("an Ed25519 key signs the bare message, no digest and no context")
	}
	return request, nil
}

func (t *transit) verifies(digest, sig []byte) bool {
	switch public := t.public.(type) {
	case *ecdsa.PublicKey:
		return ecdsa.VerifyASN1(public, digest, sig)
	case ed25519.PublicKey:
		return ed25519.Verify(public, digest, sig)
	}
	return false
}

// write sends one request. A token ends long before a service does; whoever
// renews it (Vault Agent, a timer) replaces the file, so a refused token is
// read again and tried once more if it is another one.
func (t *transit) write(ctx context.Context, path string, data map[string]any) (*api.Secret, error) {
	secret, err := t.client.Logical().WriteWithContext(ctx, path, data)
	var answer *api.ResponseError
	if t.tokenFile == "" || !errors.As(err, &answer) || answer.StatusCode != http.StatusForbidden {
		return secret, err
	}
	token, fileErr := readToken(t.tokenFile)
	if fileErr != nil || token == t.client.Token() {
		return secret, err
	}
	t.client.SetToken(token)
	return t.client.Logical().WriteWithContext(ctx, path, data)
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
	var untrusted *tls.CertificateVerificationError
	switch {
	case errors.As(err, &untrusted):
		return fmt.Errorf("%s %s: the certificate of vault at %s is not trusted: name its CA: %w", action, t, t.client.Address(), untrusted.Err)
	case !errors.As(err, &answer):
		return fmt.Errorf("%s %s: vault at %s does not answer: %w", action, t, t.client.Address(), err)
	}
	reason := oneLine(strings.Join(answer.Errors, "; "))
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

// oneLine undoes the bulleted list that Vault makes of even one error, and
// cuts what is no message of Vault's, such as a proxy's page.
func oneLine(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	text = strings.TrimPrefix(text, "1 error occurred: * ")
	const longest = 300
	if len(text) > longest {
		text = strings.ToValidUTF8(text[:longest], "") + "…"
	}
	return text
}

// String names the reference only.
func (t *transit) String() string { return t.reference }

// Format keeps %+v and %#v from reaching the client and its token.
func (t *transit) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, t.String()) }

// LogValue implements slog.LogValuer.
func (t *transit) LogValue() slog.Value { return slog.StringValue(t.String()) }
