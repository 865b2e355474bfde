package keystore

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// ErrPasswordReference is returned for a reference of another form.
var ErrPasswordReference = errors.New("password reference must be file:PATH or vault:MOUNT/PATH#FIELD")

// Password reads a password that this program has to show to another one.
// What its reference names is a file as of ReadSecret, whose last line end is
// not part of it, or a field of a secret in a key-value mount (version 2) of
// Vault. The password is in no error.
func Password(ctx context.Context, reference string, opt Options) (string, error) {
	scheme, rest, _ := strings.Cut(reference, ":")
	switch {
	case scheme == "file" && rest != "":
		text, err := ReadSecret(rest)
		if err != nil {
			return "", err
		}
		return onePassword(reference, strings.TrimSuffix(strings.TrimSuffix(string(text), "\n"), "\r"))
	case scheme == "vault":
		return vaultPassword(ctx, rest, opt.Vault)
	}
	return "", fmt.Errorf("%q: %w", begin(reference), ErrPasswordReference)
}

func onePassword(reference, text string) (string, error) {
	if text == "" || strings.ContainsAny(text, "\n\r\x00") {
		return "", fmt.Errorf("%s: want one line that is not empty", reference)
	}
	return text, nil
}

func vaultPassword(ctx context.Context, rest string, cfg Vault) (string, error) {
	path, field, named := strings.Cut(rest, "#")
	mount, name, ok := strings.Cut(path, "/")
	if !ok || !named || mount == "" || name == "" || field == "" || strings.Contains(path, "..") || strings.Contains(path, "//") ||
		strings.ContainsAny(path, "?% ") || strings.HasSuffix(name, "/") {
		return "", fmt.Errorf("%q: %w", begin("vault:"+rest), ErrPasswordReference)
	}
	client, err := newVault(cfg)
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, vaultTimeout)
	defer cancel()
	t := &transit{client: client, reference: "vault:" + path}
	secret, err := client.Logical().ReadWithContext(ctx, mount+"/data/"+name)
	if err != nil {
		return "", t.explain("read", err)
	}
	if secret == nil {
		return "", fmt.Errorf("%s: no such secret in a key-value mount of version 2", t)
	}
	data, _ := secret.Data["data"].(map[string]any)
	text, ok := data[field].(string)
	if !ok {
		return "", fmt.Errorf("%s: has no field %.40s with a text", t, field)
	}
	return onePassword(t.reference, text)
}
