package identity

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"time"
)

// maxPEM bounds a file of keys or certificates, in bytes.
const maxPEM = 64 << 10

// NewKey makes an ECDSA P-256 key, the only kind a federation's certificates
// hold.
func NewKey() (*ecdsa.PrivateKey, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) }

// CreateAuthority makes a new authority in one PEM file (key and certificate,
// mode 0600). A file that exists is never overwritten: it would end the
// federation.
func CreateAuthority(path, federation string, now func() time.Time) (*Local, error) {
	key, err := NewKey()
	if err != nil {
		return nil, err
	}
	root, err := NewRoot(federation, key, now())
	if err != nil {
		return nil, err
	}
	text, err := encode(key, [][]byte{root.Raw})
	if err != nil {
		return nil, err
	}
	if err := writeFile(path, text, true); err != nil {
		return nil, fmt.Errorf("create authority: %w", err)
	}
	return NewLocal(federation, root, key, now)
}

// OpenAuthority loads what CreateAuthority made.
func OpenAuthority(path, federation string, now func() time.Time) (*Local, error) {
	c, err := LoadCredentials(path)
	if err != nil {
		return nil, err
	}
	return NewLocal(federation, c.Leaf(), c.Key, now)
}

// Save writes key and chain to one PEM file of mode 0600, whole or not at all:
// key and certificate cannot come apart. The key must be an
// *ecdsa.PrivateKey; one that lives elsewhere is not ours to store.
func (c *Credentials) Save(path string) error {
	key, ok := c.Key.(*ecdsa.PrivateKey)
	if !ok {
		return errors.New("save credentials: the key is kept elsewhere and cannot be written to a file")
	}
	text, err := encode(key, c.Chain)
	if err != nil {
		return err
	}
	defer clear(text)
	if err := writeFile(path, text, false); err != nil {
		return fmt.Errorf("save credentials: %w", err)
	}
	return nil
}

// LoadCredentials reads what Save wrote. A file that others than its owner can
// read is refused.
func LoadCredentials(path string) (*Credentials, error) {
	c, err := loadCredentials(path)
	if err != nil {
		return nil, fmt.Errorf("credentials %s: %w", path, err)
	}
	return c, nil
}

func loadCredentials(path string) (*Credentials, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("mode %o lets others read the key; want 600", info.Mode().Perm())
	}
	text, err := io.ReadAll(io.LimitReader(f, maxPEM+1))
	if err != nil {
		return nil, err
	}
	defer clear(text)
	if len(text) > maxPEM {
		return nil, fmt.Errorf("larger than %d bytes", maxPEM)
	}
	key, chain, err := decode(text)
	if err != nil {
		return nil, err
	}
	if key == nil {
		return nil, errors.New("holds no private key")
	}
	return NewCredentials(key, chain)
}

// EncodeRoot returns an authority's certificate as PEM, to be kept by a member
// or printed.
func EncodeRoot(root *x509.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: root.Raw})
}

// ParseRoot reads what EncodeRoot wrote: one certificate that is an
// authority's.
func ParseRoot(text []byte) (*x509.Certificate, error) {
	key, chain, err := decode(text)
	if err != nil {
		return nil, fmt.Errorf("authority's certificate: %w", err)
	}
	if key != nil || len(chain) != 1 {
		return nil, errors.New("authority's certificate: want one certificate and no key")
	}
	root, err := x509.ParseCertificate(chain[0])
	if err != nil {
		return nil, fmt.Errorf("authority's certificate: %w", err)
	}
	return root, checkRoot(root)
}

func encode(key *ecdsa.PrivateKey, chain [][]byte) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	for _, c := range chain {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c})...)
	}
	return text, nil
}

func decode(text []byte) (key crypto.Signer, chain [][]byte, err error) {
	for len(text) > 0 {
		block, rest := pem.Decode(text)
		if block == nil {
			return nil, nil, errors.New("is not PEM throughout")
		}
		text = rest
		switch block.Type {
		case "CERTIFICATE":
			chain = append(chain, block.Bytes)
		case "PRIVATE KEY":
			parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
			if err != nil {
				return nil, nil, err
			}
			k, ok := parsed.(*ecdsa.PrivateKey)
			if !ok || k.Curve != elliptic.P256() || key != nil {
				return nil, nil, errors.New("want one ECDSA P-256 key")
			}
			key = k
		default:
			return nil, nil, fmt.Errorf("unexpected PEM block %.40q", block.Type)
		}
	}
	return key, chain, nil
}

// writeFile leaves the old file or the new one, whole, after a crash at any
// moment; if create is set, a file that exists is refused (fs.ErrExist).
func writeFile(path string, data []byte, create bool) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*") // mode 0600
	if err != nil {
		return err
	}
	defer func() {
		f.Close()
		os.Remove(f.Name()) // gone after a rename; a leftover otherwise
	}()
	if _, err := f.Write(data); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	place := os.Rename
	if create {
		place = os.Link // unlike a rename, fails if the name is taken
	}
	if err := place(f.Name(), path); err != nil {
		if errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("%s: %w", path, fs.ErrExist)
		}
		return err
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil // no such thing there
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
