package registry

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/koinon-eu/koinon/crypto/sign"
	"github.com/koinon-eu/koinon/models/release"
)

// Pull reads the release at location, a URL (https://HOST/…/releases/NAME) or
// a directory, verifies all of it and returns it in memory. Nothing is written.
//
// Over HTTPS the signature comes first; it and the signed statement say which
// files are fetched and how large each is. A file that differs is refused
// before the next is asked for.
func (c *Client) Pull(ctx context.Context, location string, p release.Policy) (*release.Release, error) {
	if !isURL(location) {
		return pullDir(location, p)
	}
	base, err := c.check(location)
	if err != nil {
		return nil, err
	}
	files := release.Files{}
	manifest, err := c.signature(ctx, base, files, p)
	if err != nil {
		return nil, err
	}
	if err := c.signedFile(ctx, base, files, manifest, release.StatementFile, release.MaxStatement); err != nil {
		return nil, err
	}
	statement, err := release.ParseStatement(files[release.StatementFile])
	if err != nil {
		return nil, fmt.Errorf("%w: %w", release.ErrStatement, err)
	}
	// Else a server could answer with an old release under a new one's name.
	if asked := path.Base(base.Path); asked != statement.Name {
		return nil, fmt.Errorf("%w: asked for %s, the server sent %s", release.ErrStatement, asked, statement.Name)
	}
	if err := c.signedFile(ctx, base, files, manifest, release.ApprovalsFile, release.MaxApprovals); err != nil {
		return nil, err
	}
	total := int64(0)
	for _, f := range statement.Files {
		total += f.Size
	}
	c.progress(0, total)
	done := int64(0)
	for _, f := range statement.Files {
		data, err := c.get(ctx, base.JoinPath(f.Name), f.Size, func(n int64) { c.progress(done+n, total) })
		if err != nil {
			return nil, err
		}
		if int64(len(data)) != f.Size || sha256.Sum256(data) != f.SHA256 {
			return nil, &sign.Mismatch{Changed: []string{f.Name}}
		}
		files[f.Name] = data
		done += f.Size
	}
	return release.Open(files, p)
}

// pullDir is Pull for a directory. One that lies in a store is held to the
// store's index.
func pullDir(dir string, p release.Policy) (*release.Release, error) {
	whole, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	if folder := filepath.Dir(whole); filepath.Base(folder) == ReleasesFolder {
		index, err := listDir(filepath.Dir(folder))
		if err == nil {
			err = index.revoked(filepath.Base(whole))
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	files, err := release.Read(dir)
	if err != nil {
		return nil, err
	}
	return release.Open(files, p)
}

func (c *Client) signature(ctx context.Context, base *url.URL, files release.Files, p release.Policy) (*sign.Manifest, error) {
	data, err := c.get(ctx, base.JoinPath(release.SignatureFile), sign.MaxBundle, nil)
	if err != nil {
		return nil, err
	}
	files[release.SignatureFile] = data
	return sign.Open(data, sign.Policy{Keys: p.Keys})
}

// signedFile fetches a file and compares it with the signed manifest at once.
func (c *Client) signedFile(ctx context.Context, base *url.URL, files release.Files, m *sign.Manifest, name string, limit int64) error {
	for _, f := range m.Files {
		if f.Name != name {
			continue
		}
		data, err := c.get(ctx, base.JoinPath(name), limit, nil)
		if err != nil {
			return err
		}
		if sha256.Sum256(data) != f.Digest {
			return &sign.Mismatch{Changed: []string{name}}
		}
		files[name] = data
		return nil
	}
	return fmt.Errorf("%w: %s is not signed", release.ErrStatement, name)
}

// List returns what a store says it holds: a URL (https://HOST/…) or a
// directory. Nothing of it is verified.
func (c *Client) List(ctx context.Context, location string) (*Index, error) {
	if !isURL(location) {
		return listDir(location)
	}
	base, err := c.check(location)
	if err != nil {
		return nil, err
	}
	data, err := c.get(ctx, base.JoinPath(IndexFile), MaxIndex, nil)
	if err != nil {
		return nil, err
	}
	return parseIndex(data)
}

// listDir is List for a directory, where an absent index is an error: the
// directory is probably no store.
func listDir(dir string) (*Index, error) {
	data, err := os.ReadFile(filepath.Join(dir, IndexFile))
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	return parseIndex(data)
}

func isURL(location string) bool { return strings.Contains(location, "://") }
