package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/koinon-eu/koinon/coordinator/journal/sqlite"
	"github.com/koinon-eu/koinon/deploy/cli"
	"github.com/koinon-eu/koinon/deploy/service"
)

type backupCommand struct {
	place
	output
	To string `required:"" help:"Directory to create." placeholder:"DIR" type:"path"`
}

func (backupCommand) Help() string {
	return `Copies the journal, the sums, the artifacts, keys and configuration, also while the coordinator runs. The copy holds private keys: encrypt it. Admins' folders are left out: they belong on their owners' machines. Masked vectors of open rounds are left out; those rounds are repeated.

Example:
  koinon-coordinator backup --dir /var/lib/koinon-coordinator --to /backup/koinon-2026-11-24`
}

// Run makes a backup.
func (c *backupCommand) Run(ctx context.Context, std cli.Streams) error {
	if err := newDir(c.To); err != nil {
		return err
	}
	j, err := sqlite.OpenReadOnly(filepath.Join(c.Dir, journalFile))
	if err != nil {
		return err
	}
	defer j.Close()
	// The journal first: what it names is there when the files are copied after it.
	summary, err := j.Backup(ctx, filepath.Join(c.To, journalFile))
	if err != nil {
		return err
	}
	if err := copyTree(c.Dir, c.To, wanted); err != nil {
		return err
	}
	for _, folder := range adminFolders(c.Dir) {
		fmt.Fprintf(std.Err, "warning: %s is not in the backup: it holds a person's approval key; move it to that person's machine, which keeps its own copy\n", folder)
	}
	if c.JSON {
		return cli.PrintJSON(std.Out, map[string]any{"records": summary.Records, "head": fmt.Sprintf("%x", summary.Head), "dir": c.To})
	}
	_, err = fmt.Fprintf(std.Out, "Backup of %d records in %s\nhead %x\n", summary.Records, c.To, summary.Head)
	return err
}

type restoreCommand struct {
	place
	From string `required:"" help:"Backup to restore." placeholder:"DIR" type:"path"`
}

func (restoreCommand) Help() string {
	return `The state directory must not hold a federation. A journal that is older than what the nodes have seen looks to them like a coordinator that lies: they refuse rounds they know, and steps they have released with other survivors. Repeat such a step with the same survivors, or submit a new plan.

Example:
  koinon-coordinator restore --from /backup/koinon-2026-11-24 --dir /var/lib/koinon-coordinator`
}

// Run restores a backup.
func (c *restoreCommand) Run(ctx context.Context, std cli.Streams) error {
	if _, err := os.Stat(filepath.Join(c.Dir, configFile)); !errors.Is(err, fs.ErrNotExist) {
		return cli.Hint(fmt.Errorf("%s holds a federation already", c.Dir), "restore into an empty directory")
	}
	if err := newDir(c.Dir); err != nil {
		return err
	}
	j, err := sqlite.OpenReadOnly(filepath.Join(c.From, journalFile))
	if err != nil {
		return err
	}
	defer j.Close()
	summary, err := j.Backup(ctx, filepath.Join(c.Dir, journalFile))
	if err != nil {
		return err
	}
	if err := copyTree(c.From, c.Dir, restorable); err != nil {
		return err
	}
	_, err = fmt.Fprintf(std.Out, "Restored %d records into %s. Rounds that nodes have seen after this backup will be refused by them.\n", summary.Records, c.Dir)
	return err
}

// newDir makes a directory, or takes an empty one.
func newDir(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	entries, err := os.ReadDir(dir)
	if err == nil && len(entries) > 0 {
		err = fmt.Errorf("%s is not empty", dir)
	}
	return err
}

// adminFolders lists the admins' folders that init has made and nobody has moved yet.
func adminFolders(dir string) []string {
	folders, _ := filepath.Glob(filepath.Join(dir, adminsDir, "*")) // a plain pattern
	return folders
}

// restorable says which files of a backup are put back: also the admins' folders, if it has any.
func restorable(path string) bool {
	first, _, _ := strings.Cut(filepath.ToSlash(path), "/")
	return first == adminsDir || wanted(path)
}

// wanted says which files of a state directory a backup holds, besides the journal. Admins' folders belong on their
// owners' machines: a backup with all of them could approve a release alone.
func wanted(path string) bool {
	switch first, _, _ := strings.Cut(filepath.ToSlash(path), "/"); first {
	case configFile, trustName, "ca", "keys", artifactsDir:
		return true
	case spoolDir:
		return filepath.Base(path) == "sum"
	}
	return false
}

// copyTree copies what is wanted, each file durable and with its mode.
func copyTree(from, to string, wanted func(path string) bool) error {
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			if errors.Is(err, fs.ErrNotExist) {
				return nil // a masked vector that was deleted meanwhile
			}
			return err
		}
		name, err := filepath.Rel(from, path)
		if err != nil || !d.Type().IsRegular() || !wanted(name) {
			return err
		}
		target := filepath.Join(to, name)
		if err := os.MkdirAll(filepath.Dir(target), 0o700); err != nil {
			return err
		}
		return copyFile(path, target)
	})
}

func copyFile(from, to string) (err error) {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return err
	}
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, info.Mode().Perm())
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	if err = errors.Join(err, out.Sync(), out.Close()); err != nil {
		return err
	}
	return service.SyncDir(filepath.Dir(to))
}
