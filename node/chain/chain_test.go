package chain

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

type note struct {
	Text string `json:"text"`
}

func openLog(t *testing.T, path string) (l *Log, warnings *bytes.Buffer) {
	t.Helper()
	warnings = &bytes.Buffer{}
	l, err := Open(path, "test", nil, slog.New(slog.NewTextHandler(warnings, nil)))
	require.NoError(t, err)
	t.Cleanup(func() { l.Close() })
	return l, warnings
}

func fill(t *testing.T, path string, n int) {
	t.Helper()
	l, _ := openLog(t, path)
	for i := range n {
		_, err := l.Append(int64(1000+i), "note", note{fmt.Sprintf("text <%d> & é", i)})
		require.NoError(t, err)
	}
	require.NoError(t, l.Close())
}

func TestAppendAndRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "test.jsonl")
	fill(t, path, 3)
	fill(t, path, 2)
	var texts []string
	s, err := Read(path, "test", func(e Entry) error {
		var n note
		require.NoError(t, e.Decode(&n))
		texts = append(texts, n.Text)
		return nil
	})
	require.NoError(t, err)
	require.Equal(t, []string{"text <0> & é", "text <1> & é", "text <2> & é", "text <0> & é", "text <1> & é"}, texts)
	require.Equal(t, uint64(5), s.Entries)
	require.Equal(t, int64(1001), s.Last)
	l, _ := openLog(t, path)
	require.Equal(t, s, l.Summary())
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())

	_, err = l.Append(1, "Bad Kind", nil)
	require.ErrorContains(t, err, "kind")
	_, err = l.Append(-1, "note", nil)
	require.ErrorContains(t, err, "1970")
	_, err = l.Append(1, "note", strings.Repeat("x", MaxLine))
	require.ErrorContains(t, err, "over the limit")
	_, err = l.Append(1, "note", func() {})
	require.Error(t, err)
	_, err = l.Append(1, "note", note{strings.Repeat("x", MaxLine-400)})
	require.NoError(t, err)
	require.NoError(t, l.Close())
	require.NoError(t, l.Close())
	_, err = l.Append(1, "note", nil)
	require.ErrorIs(t, err, ErrClosed)
	require.ErrorIs(t, l.Sync(), ErrClosed)
	s, err = Read(path, "test", nil)
	require.NoError(t, err)
	require.Equal(t, uint64(6), s.Entries)
}

// golden was computed outside Go, from the words of Entry.sum.
const golden = `{"seq":7,"time":1000,"kind":"note","body":{"text":"a<b"},"prev":"0100000000000000000000000000000000000000000000000000000000000000","digest":"975d08dc7aa10510fd4975372a40e760af36dd4e8fc8945b27dd93a2fe32d3c6"}`

// TestLineIsFixed keeps records readable for good.
func TestLineIsFixed(t *testing.T) {
	e, err := Summary{Entries: 6, Head: Digest{1}}.next("test", 1000, "note", note{"a<b"})
	require.NoError(t, err)
	line, err := e.line()
	require.NoError(t, err)
	require.Equal(t, golden+"\n", string(line))
	again, err := ParseEntry("test", line[:len(line)-1])
	require.NoError(t, err)
	require.Equal(t, e, again)
}

func TestTornTailIsCut(t *testing.T) {
	dir := t.TempDir()
	whole := filepath.Join(dir, "whole")
	fill(t, whole, 3)
	data, err := os.ReadFile(whole)
	require.NoError(t, err)
	lines := bytes.SplitAfter(data, []byte("\n"))
	start := len(data) - len(lines[2])
	for cut := start + 1; cut < len(data); cut += 7 {
		path := filepath.Join(dir, fmt.Sprint(cut))
		require.NoError(t, os.WriteFile(path, data[:cut], 0o600))
		s, err := Read(path, "test", nil)
		require.NoError(t, err)
		require.Equal(t, cut-start, s.Torn)
		require.Equal(t, uint64(2), s.Entries)
		l, warnings := openLog(t, path)
		require.Contains(t, warnings.String(), "level=WARN")
		require.Zero(t, l.Summary().Torn)
		_, err = l.Append(1002, "note", note{"text <2> & é"})
		require.NoError(t, err)
		again, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, data, again)
	}
	zeros := filepath.Join(dir, "zeros")
	require.NoError(t, os.WriteFile(zeros, append(bytes.Clone(data), make([]byte, 500)...), 0o600))
	l, _ := openLog(t, zeros)
	require.Equal(t, uint64(3), l.Summary().Entries)
}

func TestDamageIsRefused(t *testing.T) {
	dir := t.TempDir()
	whole := filepath.Join(dir, "whole")
	fill(t, whole, 4)
	data, err := os.ReadFile(whole)
	require.NoError(t, err)
	lines := bytes.SplitAfter(data, []byte("\n"))
	join := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	for name, c := range map[string]struct {
		data []byte
		line uint64
	}{
		"changed text":  {bytes.Replace(data, []byte("text <1>"), []byte("text <7>"), 1), 2},
		"changed time":  {bytes.Replace(data, []byte(":1002,"), []byte(":1003,"), 1), 3},
		"line gone":     {join(lines[0], lines[2], lines[3]), 2},
		"first gone":    {join(lines[1:]...), 1},
		"swapped":       {join(lines[0], lines[2], lines[1], lines[3]), 2},
		"doubled":       {join(lines[0], lines[0], lines[1]), 2},
		"empty line":    {join(lines[0], []byte("\n"), lines[1]), 2},
		"white space":   {bytes.Replace(data, []byte(`{"seq":3`), []byte(`{ "seq":3`), 1), 3},
		"other order":   {join(lines[0], bytes.Replace(lines[1], []byte(`"seq":2,"time":1001`), []byte(`"time":1001,"seq":2`), 1)), 2},
		"extra key":     {bytes.Replace(data, []byte(`{"seq":4`), []byte(`{"x":1,"seq":4`), 1), 4},
		"windows":       {bytes.ReplaceAll(data, []byte("\n"), []byte("\r\n")), 1},
		"torn midway":   {join(lines[0], lines[1][:50], []byte("\n"), lines[2]), 2},
		"endless line":  {join(lines[0], bytes.Repeat([]byte("x"), 2*MaxLine)), 2},
		"other records": {data, 1}, // read under another name
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(dir, strings.ReplaceAll(name, " ", "-"))
			require.NoError(t, os.WriteFile(path, c.data, 0o600))
			as := "test"
			if name == "other records" {
				as = "other"
			}
			var broken *BrokenError
			_, err := Read(path, as, nil)
			require.ErrorAs(t, err, &broken)
			require.Equal(t, c.line, broken.Line)
			_, err = Open(path, as, nil, slog.New(slog.DiscardHandler))
			require.ErrorAs(t, err, &broken)
			after, err := os.ReadFile(path)
			require.NoError(t, err)
			require.Equal(t, c.data, after, "a refused file is left as it is")
		})
	}
	boom := errors.New("boom")
	_, err = Open(whole, "test", func(e Entry) error { return boom }, slog.New(slog.DiscardHandler))
	require.ErrorIs(t, err, boom)
}

// faulty is a disk with a fixed amount of space whose fsync can fail.
type faulty struct {
	data   []byte
	size   int
	stuck  bool // truncate fails as well
	noSync error
}

func (f *faulty) Write(b []byte) (int, error) {
	n := min(len(b), f.size-len(f.data))
	f.data = append(f.data, b[:n]...)
	if n < len(b) {
		return n, syscall.ENOSPC
	}
	return n, nil
}

func (f *faulty) Truncate(size int64) error {
	if f.stuck {
		return syscall.EIO
	}
	f.data = f.data[:size]
	return nil
}

func (f *faulty) Sync() error  { return f.noSync }
func (f *faulty) Close() error { return nil }

func (f *faulty) check(t *testing.T, entries uint64) {
	t.Helper()
	s, _, err := scan(bytes.NewReader(f.data), "disk", "test", nil)
	require.NoError(t, err)
	require.Equal(t, entries, s.Entries)
	require.Zero(t, s.Torn)
}

func TestFailingDisk(t *testing.T) {
	for name, stuck := range map[string]bool{"full": false, "full and stuck": true} {
		t.Run(name, func(t *testing.T) {
			disk := &faulty{size: 700, stuck: stuck}
			l := &Log{name: "test", f: disk}
			n := uint64(0)
			for ; ; n++ {
				if _, err := l.Append(1000, "note", note{"x"}); err != nil {
					require.ErrorIs(t, err, syscall.ENOSPC)
					break
				}
			}
			require.Positive(t, n)
			_, err := l.Append(1000, "note", note{"x"})
			require.Error(t, err, "still full")
			require.Equal(t, n, l.Summary().Entries)
			disk.size, disk.stuck = 7000, false
			_, err = l.Append(1000, "note", note{"room again"})
			require.NoError(t, err)
			disk.check(t, n+1)
		})
	}
}

func TestFailedSyncIsRepeatedWhole(t *testing.T) {
	disk := &faulty{size: 1 << 20}
	l := &Log{name: "test", f: disk}
	for range 3 {
		_, err := l.Stage(1000, "note", note{"staged"})
		require.NoError(t, err)
	}
	disk.noSync = syscall.EIO
	require.ErrorIs(t, l.Sync(), syscall.EIO)
	clear(disk.data) // what the kernel dropped when it gave up
	_, err := l.Append(1000, "note", note{"refused"})
	require.ErrorIs(t, err, syscall.EIO)
	require.Positive(t, l.Staged())
	disk.noSync = nil
	require.NoError(t, l.Sync())
	require.Zero(t, l.Staged())
	disk.check(t, 3)
	_, err = l.Append(1000, "note", note{"accepted"})
	require.NoError(t, err)
	disk.check(t, 4)
}

func TestFullFileSystem(t *testing.T) {
	dir := t.TempDir()
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", dir).CombinedOutput(); err != nil {
		t.Skipf("cannot mount a small file system here: %s", out)
	}
	t.Cleanup(func() { require.NoError(t, exec.Command("umount", dir).Run()) })
	ballast, path := filepath.Join(dir, "ballast"), filepath.Join(dir, "test.jsonl")
	require.NoError(t, os.WriteFile(ballast, make([]byte, 32<<10), 0o600))
	l, _ := openLog(t, path)
	n := uint64(0)
	for ; ; n++ {
		if _, err := l.Append(1000, "note", note{strings.Repeat("x", 1000)}); err != nil {
			require.ErrorIs(t, err, syscall.ENOSPC)
			break
		}
	}
	s, err := Read(path, "test", nil)
	require.NoError(t, err)
	require.Equal(t, n, s.Entries)
	require.Zero(t, s.Torn, "the partial line is taken back at once")
	require.NoError(t, os.Remove(ballast))
	_, err = l.Append(1000, "note", note{"room again"})
	require.NoError(t, err)
	require.NoError(t, l.Close())
	s, err = Read(path, "test", nil)
	require.NoError(t, err)
	require.Equal(t, n+1, s.Entries)
}

func TestManyWriters(t *testing.T) {
	path := filepath.Join(t.TempDir(), "test.jsonl")
	l, _ := openLog(t, path)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i := range 25 {
				add := l.Stage
				if i%5 == 0 {
					add = l.Append
				}
				if _, err := add(int64(i), "note", note{"x"}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	require.NoError(t, l.Close())
	s, err := Read(path, "test", nil)
	require.NoError(t, err)
	require.Equal(t, uint64(100), s.Entries)
}

func TestDecodeIsStrict(t *testing.T) {
	for _, body := range []string{`{}`, `{"text":"a","more":1}`, `{"Text":"a"}`, `{"text":"a","text":"a"}`, `{"text": "a"}`, `"a"`, `{"text":1}`} {
		var n note
		require.Error(t, Entry{Kind: "note", Body: json.RawMessage(body)}.Decode(&n), body)
	}
	var d Digest
	for _, text := range []string{"", "00", strings.Repeat("g", 64), strings.Repeat("0", 66)} {
		require.Error(t, d.UnmarshalText([]byte(text)))
	}
}

func FuzzParseEntry(f *testing.F) {
	f.Add([]byte(golden))
	f.Add([]byte(`{"seq":1,"time":0,"kind":"a","body":null,"prev":"","digest":""}`))
	f.Add([]byte(`{}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		e, err := ParseEntry("test", line)
		if err != nil {
			return
		}
		again, err := e.line()
		require.NoError(t, err)
		require.Equal(t, string(line)+"\n", string(again))
	})
}

func FuzzScan(f *testing.F) {
	f.Add([]byte(golden + "\n"))
	f.Add([]byte("{}\n{}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, offset, err := scan(bytes.NewReader(data), "file", "test", nil)
		require.LessOrEqual(t, offset, int64(len(data)))
		if err == nil {
			require.Equal(t, int64(len(data)), offset+int64(s.Torn))
		}
	})
}

func BenchmarkAppend(b *testing.B) {
	for name, durable := range map[string]bool{"append": true, "stage": false} {
		b.Run(name, func(b *testing.B) {
			l, err := Open(filepath.Join(b.TempDir(), "test.jsonl"), "test", nil, slog.New(slog.DiscardHandler))
			require.NoError(b, err)
			defer l.Close()
			add := l.Stage
			if durable {
				add = l.Append
			}
			for b.Loop() {
				_, err := add(1000, "note", note{"a message that left"})
				require.NoError(b, err)
			}
		})
	}
}
