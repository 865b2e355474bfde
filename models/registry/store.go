package registry

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/koinon-eu/koinon/models/release"
	"github.com/koinon-eu/koinon/models/release/canonical"
)

// ErrExists means that a store already holds another release of that name. A
// release never changes; a new one takes a new name.
var ErrExists = errors.New("a different release of this name is already published")

// Store publishes releases below a directory. One process writes it; its
// methods may be called from several goroutines.
type Store struct {
	root string
	mu   sync.Mutex // one Put or Revoke at a time: the index is read, changed and written

	withheld sync.Map // name of a revoked release → Revocation
}

// OpenStore opens the store at root and makes it if it is not there.
func OpenStore(root string) (*Store, error) {
	if err := os.MkdirAll(filepath.Join(root, ReleasesFolder), 0o755); err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	s := &Store{root: root}
	index, err := s.Index()
	if err != nil {
		return nil, err
	}
	for _, e := range index.Releases {
		if e.Revoked != nil {
			s.withheld.Store(e.Name, *e.Revoked)
		}
	}
	return s, nil
}

// Root returns the store's directory.
func (s *Store) Root() string { return s.root }

// Put publishes a verified release: first its files, whole, then its place in
// the index. Putting the same release again is not an error, so that a Put that
// was cut off can be repeated; another release under a taken name is ErrExists.
func (s *Store) Put(r *release.Release) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	dir := filepath.Join(s.root, ReleasesFolder, r.Statement.Name)
	err := release.Write(dir, r.Files)
	if errors.Is(err, fs.ErrExist) {
		err = same(dir, r.Files)
	}
	if err != nil {
		return fmt.Errorf("store: publish %s: %w", r.Statement.Name, err)
	}
	index, err := s.Index()
	if err != nil {
		return err
	}
	return s.write(index.with(entryOf(r.Statement, r.Digest, r.Files)))
}

func (s *Store) write(x *Index) error {
	data, err := canonical.Marshal(x)
	if err == nil {
		err = replace(filepath.Join(s.root, IndexFile), data)
	}
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	return nil
}

// Revoke gives a release out no more and says why, in the index and in the
// answer to whoever asks for it. The files stay. Revoking again with the same
// words changes nothing, so that a Revoke that was cut off can be repeated.
func (s *Store) Revoke(name string, why Revocation) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !release.ValidName(name) {
		return fmt.Errorf("store: release name %.100q is not valid", name)
	}
	s.withheld.Store(name, why)
	index, err := s.Index()
	if err != nil {
		return err
	}
	var entry Entry
	switch i := slices.IndexFunc(index.Releases, func(e Entry) bool { return e.Name == name }); {
	case i < 0: // the index was lost
		if entry, err = s.stored(name); errors.Is(err, fs.ErrNotExist) {
			return nil // there is nothing to give out
		} else if err != nil {
			return fmt.Errorf("store: revoke %s: %w", name, err)
		}
	case index.Releases[i].Revoked != nil && *index.Releases[i].Revoked == why:
		return nil
	default:
		entry = index.Releases[i]
	}
	entry.Revoked = &why
	return s.write(index.with(entry))
}

// stored makes the index entry of a release from its files.
func (s *Store) stored(name string) (Entry, error) {
	files, err := release.Read(filepath.Join(s.root, ReleasesFolder, name))
	if err != nil {
		return Entry{}, err
	}
	statement, err := release.ParseStatement(files[release.StatementFile])
	if err != nil {
		return Entry{}, err
	}
	return entryOf(statement, release.StatementDigest(files[release.StatementFile]), files), nil
}

// same returns nil if dir holds exactly these files.
func same(dir string, files release.Files) error {
	there, err := release.Read(dir)
	if err != nil {
		return err
	}
	if len(there) != len(files) {
		return ErrExists
	}
	for name, data := range files {
		if old, ok := there[name]; !ok || !bytes.Equal(old, data) {
			return ErrExists
		}
	}
	return nil
}

// Index returns what the store lists; an absent index is empty.
func (s *Store) Index() (*Index, error) {
	data, err := os.ReadFile(filepath.Join(s.root, IndexFile))
	if errors.Is(err, fs.ErrNotExist) {
		return &Index{Format: indexFormat, Releases: []Entry{}}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	return parseIndex(data)
}

// replace puts data at path, so that a reader finds the old file or the new
// one.
func replace(path string, data []byte) (err error) {
	tmp, err := os.CreateTemp(filepath.Dir(path), ".koinon-index-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(tmp.Name()))
		}
	}()
	_, err = tmp.Write(data)
	if err == nil {
		err = tmp.Chmod(0o644)
	}
	if err == nil {
		err = tmp.Sync()
	}
	if err = errors.Join(err, tmp.Close()); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), path)
}

// ServeHTTP publishes the store read-only under the request's path: index,
// revocations, and the files of releases; nothing else, and no listings.
func (s *Store) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if req.Method != http.MethodGet && req.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	name := strings.TrimPrefix(req.URL.Path, "/")
	if !published(name) {
		http.NotFound(w, req)
		return
	}
	if s.refuse(w, name) {
		return
	}
	f, err := os.Open(filepath.Join(s.root, filepath.FromSlash(name)))
	if err != nil {
		http.NotFound(w, req)
		return
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		http.NotFound(w, req)
		return
	}
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "no-cache") // a release never changes, but it may be revoked

	kind := "application/octet-stream" // also of what nobody here knows: nothing is left to guesses
	switch filepath.Ext(name) {
	case ".json":
		kind = "application/json"
	case ".sig":
		kind = "application/vnd.dev.sigstore.bundle.v0.3+json"
	case ".md":
		kind = "text/markdown; charset=utf-8"
	case ".html":
		kind = "text/html; charset=utf-8"
		// A report is one self-contained page: it may style itself and nothing more.
		w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox")
	}
	w.Header().Set("Content-Type", kind)
	http.ServeContent(w, req, name, info.ModTime(), f)
}

// refuse answers a request for a file of a revoked release with 410 Gone and
// the revocation, and reports whether it did.
func (s *Store) refuse(w http.ResponseWriter, name string) bool {
	part := strings.Split(name, "/")
	if len(part) != 3 {
		return false
	}
	why, ok := s.withheld.Load(part[1])
	if !ok {
		return false
	}
	data, err := canonical.Marshal(why)
	if err != nil {
		http.Error(w, "internal", http.StatusInternalServerError)
		return true
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusGone)
	_, _ = w.Write(data) // the reader may have gone
	return true
}

// published tells whether a path below the store may be served.
func published(name string) bool {
	if name == IndexFile || name == RevocationsFile {
		return true
	}
	part := strings.Split(name, "/")
	return len(part) == 3 && part[0] == ReleasesFolder && release.ValidName(part[1]) && release.ValidName(part[2])
}
