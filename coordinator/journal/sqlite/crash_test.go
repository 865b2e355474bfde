package sqlite

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/coordinator/journal"
	"github.com/koinon-eu/koinon/coordinator/journal/journaltest"
)

// victimEnv holds the journal's path in the process that is to be killed.
const victimEnv = "KOINON_TEST_JOURNAL_VICTIM"

func TestMain(m *testing.M) {
	if path := os.Getenv(victimEnv); path != "" {
		appendForever(path)
	}
	os.Exit(m.Run())
}

// appendForever prints the sequence number of each record once it is
// acknowledged.
func appendForever(path string) {
	j, err := Open(path)
	for n := 0; err == nil; n++ {
		var records []journal.Record
		if records, err = j.appendForTest(n); err == nil {
			fmt.Println(records[len(records)-1].Seq)
		}
	}
	fmt.Println(err)
	os.Exit(1)
}

func (j *Journal) appendForTest(n int) ([]journal.Record, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.append(context.Background(), []journal.Entry{journaltest.Entry(n), journaltest.Entry(n)})
}

// TestKilledProcessLosesNothing kills a process in the midst of appends, ten
// times over one file: every acknowledged record is there, and each pair
// whole.
func TestKilledProcessLosesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.db")
	var acknowledged uint64
	for kill := range 10 {
		acknowledged = max(acknowledged, runVictim(t, path, time.Duration(20+7*kill)*time.Millisecond))
		j, err := Open(path)
		require.NoError(t, err)
		s, err := journal.Verify(t.Context(), j)
		require.NoError(t, err)
		require.GreaterOrEqual(t, s.Records, acknowledged)
		require.Zero(t, s.Records%2, "an append is whole or absent")
		acknowledged = s.Records
		require.NoError(t, j.Close())
	}
	t.Logf("%d records through ten kills", acknowledged)
}

// runVictim lets a process append for d after its first record, kills it and
// returns the last sequence number it printed.
func runVictim(t *testing.T, path string, d time.Duration) (last uint64) {
	t.Helper()
	victim := exec.Command(os.Args[0])
	victim.Env = append(os.Environ(), victimEnv+"="+path)
	out, err := victim.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, victim.Start())
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		seq, err := strconv.ParseUint(lines.Text(), 10, 64)
		require.NoError(t, err, "the process failed by itself")
		if last == 0 {
			time.AfterFunc(d, func() { _ = victim.Process.Signal(syscall.SIGKILL) })
		}
		last = seq
	}
	require.Error(t, victim.Wait())
	require.NotZero(t, last)
	return last
}

// TestFullDisk uses a file system of 1 MiB where mounting is allowed.
func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", dir).CombinedOutput(); err != nil {
		t.Skipf("cannot mount a small file system here: %s", out)
	}
	t.Cleanup(func() { require.NoError(t, exec.Command("umount", dir).Run()) })
	ballast := filepath.Join(dir, "ballast")
	require.NoError(t, os.WriteFile(ballast, make([]byte, 400<<10), 0o600))
	j, err := Open(filepath.Join(dir, "journal.db"))
	require.NoError(t, err)
	defer j.Close()
	fillAndRecover(t, j, func() { require.NoError(t, os.Remove(ballast)) })
}
