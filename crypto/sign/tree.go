package sign

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// HashFiles digests files held in memory, by name. The bundle itself
// (SignatureName) is left out.
func HashFiles(files map[string][]byte) []File {
	out := make([]File, 0, len(files))
	for name, data := range files {
		if name != SignatureName {
			out = append(out, File{Name: name, Digest: sha256.Sum256(data)})
		}
	}
	slices.SortFunc(out, func(a, b File) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// HashFS digests every file below the root of fsys except the bundle at the
// root and what lies at or below the ignored paths. A symbolic link, device,
// socket or pipe is an error: the signature could not say what it stands for.
func HashFS(fsys fs.FS, ignore []string) ([]File, error) {
	skip := map[string]bool{SignatureName: true}
	for _, p := range ignore {
		skip[path.Clean(p)] = true
	}
	var out []File
	err := fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case skip[name] && d.IsDir():
			return fs.SkipDir
		case skip[name] && d.Type().IsRegular(), d.IsDir():
			return nil
		case !d.Type().IsRegular():
			return fmt.Errorf("%s is not a regular file but %s", name, typeName(d.Type()))
		case len(out) == maxFiles:
			return fmt.Errorf("more than %d files", maxFiles)
		}
		digest, err := hashFile(fsys, name)
		if err != nil {
			return err
		}
		out = append(out, File{Name: name, Digest: digest})
		return nil
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(out, func(a, b File) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}

func hashFile(fsys fs.FS, name string) (d [sha256.Size]byte, err error) {
	f, err := fsys.Open(name)
	if err != nil {
		return d, err
	}
	h := sha256.New()
	_, err = io.Copy(h, f)
	if err = errors.Join(err, f.Close()); err != nil {
		return d, fmt.Errorf("read %s: %w", name, err)
	}
	return [sha256.Size]byte(h.Sum(nil)), nil
}

func typeName(mode fs.FileMode) string {
	switch {
	case mode&fs.ModeSymlink != 0:
		return "a symbolic link"
	case mode&fs.ModeNamedPipe != 0:
		return "a pipe"
	case mode&fs.ModeSocket != 0:
		return "a socket"
	}
	return "a device"
}

// withRoot opens dir so that no link inside can lead out of it.
func withRoot(dir string, do func(fsys fs.FS, name string) error) (err error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	root, err := os.OpenRoot(abs)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	return do(root.FS(), filepath.Base(abs))
}
