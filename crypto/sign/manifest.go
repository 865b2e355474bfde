package sign

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"unicode"
)

// The constants of the format.
const (
	// SignatureName is the file that holds the bundle, at the model's root.
	SignatureName = "model.sig"

	statementType = "https://in-toto.io/Statement/v1"
	predicateType = "https://model_signing/signature/v1.0"
	payloadType   = "application/vnd.in-toto+json"
)

// Limits on what is read from outside.
const (
	MaxBundle = 8 << 20 // bytes of model.sig
	maxFiles  = 20_000
	maxName   = 1024 // bytes of one file name
)

// File is one signed file: its name relative to the model's root, with
// slashes, and the SHA-256 of its content.
type File struct {
	Name   string
	Digest [sha256.Size]byte
}

// Manifest is what a signature covers.
type Manifest struct {
	Model  string   // name of the model as the signer saw it
	Files  []File   // in the order of the manifest
	Ignore []string // paths the signer left out, with all that is below them
	KeyID  string   // of the key that signed it, see KeyID
}

// Root is the digest over all files: SHA-256 of the concatenated raw digests
// in the order of the manifest.
func (m *Manifest) Root() [sha256.Size]byte {
	h := sha256.New()
	for _, f := range m.Files {
		h.Write(f.Digest[:])
	}
	return [sha256.Size]byte(h.Sum(nil))
}

// checkName refuses names that could leave the model's root or mean another
// file on another system.
func checkName(name string) error {
	switch {
	case len(name) > maxName:
		return fmt.Errorf("file name of %d bytes, limit %d", len(name), maxName)
	case name == "." || !fs.ValidPath(name): // rooted, empty, "..", "//", not UTF-8
		return fmt.Errorf("file name %q is not a path below the model", name)
	case strings.ContainsRune(name, '\\') || strings.ContainsFunc(name, unicode.IsControl):
		return fmt.Errorf("file name %q has a backslash or control character", name)
	case !filepath.IsLocal(filepath.FromSlash(name)): // device names and drives on Windows
		return fmt.Errorf("file name %q is not usable on this system", name)
	}
	return nil
}

// fold maps names that a case-insensitive file system takes for one file to
// one string.
func fold(name string) string { return strings.ToLower(strings.ToUpper(name)) }

// checkNames refuses bad names, names that differ by case only, and a file
// that is also the folder of another.
func checkNames(files []File) error {
	if len(files) == 0 {
		return errors.New("no file to sign or verify")
	}
	if len(files) > maxFiles {
		return fmt.Errorf("%d files, limit %d", len(files), maxFiles)
	}
	seen := make(map[string]string, len(files))
	for _, f := range files {
		if err := checkName(f.Name); err != nil {
			return err
		}
		key := fold(f.Name)
		if other, twice := seen[key]; twice {
			return fmt.Errorf("file names %q and %q are one on some systems", other, f.Name)
		}
		seen[key] = f.Name
	}
	for key, name := range seen {
		for i := strings.IndexByte(key, '/'); i >= 0; i = next(key, i) {
			if _, isFile := seen[key[:i]]; isFile {
				return fmt.Errorf("%q is both a file and a folder", name)
			}
		}
	}
	return nil
}

// next finds the slash after position i, or -1.
func next(s string, i int) int {
	j := strings.IndexByte(s[i+1:], '/')
	if j < 0 {
		return -1
	}
	return i + 1 + j
}

// payload types in the order the reference implementation writes them.
type (
	statement struct {
		Type          string    `json:"_type"`
		Subject       []subject `json:"subject"`
		PredicateType string    `json:"predicateType"`
		Predicate     predicate `json:"predicate"`
	}
	subject struct {
		Name   string            `json:"name"`
		Digest map[string]string `json:"digest"`
	}
	predicate struct {
		Serialization serialization `json:"serialization"`
		Resources     []resource    `json:"resources"`
	}
	serialization struct {
		Method        string   `json:"method"`
		HashType      string   `json:"hash_type"`
		AllowSymlinks bool     `json:"allow_symlinks"`
		IgnorePaths   []string `json:"ignore_paths"`
	}
	resource struct {
		Name      string `json:"name"`
		Algorithm string `json:"algorithm"`
		Digest    string `json:"digest"`
	}
)

// marshal writes the in-toto statement, files in the order of the
// specification: by the code points of their names.
func (m *Manifest) marshal() ([]byte, error) {
	if m.Model == "" {
		return nil, errors.New("model has no name")
	}
	slices.SortFunc(m.Files, func(a, b File) int { return strings.Compare(a.Name, b.Name) })
	if err := checkNames(m.Files); err != nil {
		return nil, err
	}
	root := m.Root()
	s := statement{
		Type:          statementType,
		Subject:       []subject{{m.Model, map[string]string{"sha256": hex.EncodeToString(root[:])}}},
		PredicateType: predicateType,
		Predicate: predicate{
			Serialization: serialization{Method: "files", HashType: "sha256", IgnorePaths: m.Ignore},
		},
	}
	for _, f := range m.Files {
		s.Predicate.Resources = append(s.Predicate.Resources, resource{f.Name, "sha256", hex.EncodeToString(f.Digest[:])})
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(s); err != nil {
		return nil, fmt.Errorf("encode manifest: %w", err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// parseManifest reads a statement whose signature has been verified. Keys the
// schema does not name are refused where the schema closes the object.
func parseManifest(payload []byte) (*Manifest, error) {
	o, err := parseObject(payload)
	if err != nil {
		return nil, fmt.Errorf("statement %w", err)
	}
	if err := o.only("_type", "subject", "predicateType", "predicate"); err != nil {
		return nil, fmt.Errorf("statement %w", err)
	}
	if t, _ := o.text("_type"); t != statementType {
		return nil, fmt.Errorf("statement is of type %q, want %q", t, statementType)
	}
	if t, _ := o.text("predicateType"); t != predicateType {
		return nil, fmt.Errorf("statement has the predicate %q, want %q", t, predicateType)
	}
	name, root, err := parseSubject(o)
	if err != nil {
		return nil, err
	}
	pred, err := o.object("predicate")
	if err != nil {
		return nil, fmt.Errorf("statement %w", err)
	}
	if err := pred.only("serialization", "resources"); err != nil {
		return nil, fmt.Errorf("predicate %w", err)
	}
	m := &Manifest{Model: name}
	if m.Ignore, err = parseSerialization(pred); err != nil {
		return nil, err
	}
	if m.Files, err = parseResources(pred, name); err != nil {
		return nil, err
	}
	if m.Root() != root {
		return nil, errors.New("root digest does not match the listed files")
	}
	return m, nil
}

func parseSubject(o object) (name string, root [sha256.Size]byte, err error) {
	list, err := o.list("subject")
	if err != nil || len(list) != 1 {
		return "", root, errors.New("statement needs exactly one subject")
	}
	s, ok := list[0].(object)
	if !ok {
		return "", root, errors.New("subject is not an object")
	}
	if name, err = s.text("name"); err != nil || name == "" {
		return "", root, errors.New("subject needs a name")
	}
	digest, err := s.object("digest")
	if err != nil {
		return "", root, fmt.Errorf("subject %w", err)
	}
	text, err := digest.text("sha256")
	if err != nil {
		return "", root, fmt.Errorf("subject digest %w", err)
	}
	root, err = parseDigest(text)
	return name, root, err
}

func parseSerialization(pred object) ([]string, error) {
	s, err := pred.object("serialization")
	if err != nil {
		return nil, fmt.Errorf("predicate %w", err)
	}
	if method, _ := s.text("method"); method != "files" {
		return nil, fmt.Errorf("serialisation method %q is not supported, only \"files\"", method)
	}
	if err := s.only("method", "hash_type", "allow_symlinks", "ignore_paths"); err != nil {
		return nil, fmt.Errorf("serialization %w", err)
	}
	if hash, _ := s.text("hash_type"); hash != "sha256" {
		return nil, fmt.Errorf("hash %q is not supported, only \"sha256\"", hash)
	}
	if links, ok := s["allow_symlinks"].(bool); !ok || links {
		return nil, errors.New("symbolic links are not supported: allow_symlinks must be false")
	}
	if s.absent("ignore_paths") {
		return nil, nil
	}
	list, err := s.list("ignore_paths")
	if err != nil || len(list) > maxFiles {
		return nil, errors.New("ignore_paths is not a list of paths")
	}
	paths := make([]string, 0, len(list))
	for _, v := range list {
		p, ok := v.(string)
		if !ok {
			return nil, errors.New("ignore_paths is not a list of paths")
		}
		if err := checkName(p); err != nil {
			return nil, fmt.Errorf("ignore_paths: %w", err)
		}
		paths = append(paths, p)
	}
	return paths, nil
}

func parseResources(pred object, model string) ([]File, error) {
	list, err := pred.list("resources")
	if err != nil {
		return nil, fmt.Errorf("predicate %w", err)
	}
	files := make([]File, 0, min(len(list), maxFiles))
	for i, v := range list {
		r, ok := v.(object)
		if !ok {
			return nil, fmt.Errorf("resource %d is not an object", i)
		}
		f, err := parseResource(r)
		if err != nil {
			return nil, fmt.Errorf("resource %d: %w", i, err)
		}
		files = append(files, f)
	}
	// A model of one file: the specification names it by its base name, the
	// reference implementation writes ".".
	if len(files) == 1 && files[0].Name == "." {
		files[0].Name = model
	}
	return files, checkNames(files)
}

func parseResource(r object) (f File, err error) {
	if f.Name, err = r.text("name"); err != nil {
		return f, err
	}
	if algorithm, _ := r.text("algorithm"); algorithm != "sha256" {
		return f, fmt.Errorf("%q has the hash %q, want \"sha256\"", f.Name, algorithm)
	}
	text, err := r.text("digest")
	if err != nil {
		return f, err
	}
	f.Digest, err = parseDigest(text)
	return f, err
}

func parseDigest(text string) (d [sha256.Size]byte, err error) {
	raw, err := hex.DecodeString(text)
	if err != nil || len(raw) != len(d) || strings.ToLower(text) != text {
		return d, fmt.Errorf("digest %.80q is not 64 lower-case hex digits", text)
	}
	return [sha256.Size]byte(raw), nil
}
