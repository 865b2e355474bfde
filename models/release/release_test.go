package release_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/crypto/sign"
	"github.com/koinon-eu/koinon/models/release"
	"github.com/koinon-eu/koinon/models/release/canonical"
)

var at = time.Date(2026, 11, 24, 8, 0, 0, 0, time.UTC)

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	return key
}

func content() release.Files {
	files := release.Files{}
	for _, name := range release.Content {
		files[name] = []byte("content of " + name)
	}
	return files
}

func statement(files release.Files) *release.Statement {
	return &release.Statement{
		Format: release.Format, Name: "document-risk-1", Federation: "demo", Created: release.FormatTime(at), Code: "v0.1.0",
		Purpose: "document-risk", Plan: release.Plan{Name: "document-risk", Digest: release.Digest{1}}, Roster: release.Digest{2},
		Artifact: sha256.Sum256(files[release.ArtifactFile]), Members: []string{"DE", "FR", "IT"},
		Rounds: []release.Round{
			{Round: 1, Kind: "statistics", Step: release.Digest{4}, Survivors: []string{"DE", "FR", "IT"}, H3: release.Digest{5}},
			{Round: 2, Kind: "train", Step: release.Digest{6}, Survivors: []string{"DE", "IT"}, H3: release.Digest{7}},
		},
		Gates:      []release.Gate{{Metric: "auroc", Wanted: "at least 0.7", Result: release.Pass}},
		Thresholds: []release.Threshold{{Name: "high", Value: 0.3}},
		Files:      release.Describe(files),
	}
}

// people are a release key and two approvers.
type people struct {
	release   *ecdsa.PrivateKey
	keys      []crypto.Signer
	approvers []release.Approver
}

func newPeople(t testing.TB) people {
	t.Helper()
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	ec := newKey(t)
	return people{
		release: newKey(t), keys: []crypto.Signer{ec, ed},
		approvers: []release.Approver{
			{Person: "Ada", Role: "data-protection", Key: ec.Public()},
			{Person: "Bo", Role: "model-owner", Key: ed.Public()},
		},
	}
}

func (p people) approve(t testing.TB, digest release.Digest) []release.Approval {
	t.Helper()
	var list []release.Approval
	for i, a := range p.approvers {
		approval, err := release.Approve(p.keys[i], a.Person, a.Role, digest, at)
		require.NoError(t, err)
		list = append(list, approval)
	}
	return list
}

func (p people) policy() release.Policy {
	return release.Policy{Keys: []*ecdsa.PublicKey{&p.release.PublicKey}, Approvers: p.approvers}
}

func draft(t testing.TB) release.Files {
	t.Helper()
	files := content()
	var err error
	files[release.StatementFile], err = statement(files).Marshal()
	require.NoError(t, err)
	return files
}

func seal(t testing.TB, p people) *release.Release {
	t.Helper()
	files := draft(t)
	r, err := release.Seal(files, p.approve(t, release.StatementDigest(files[release.StatementFile])), p.approvers, p.release)
	require.NoError(t, err)
	return r
}

func TestSealWriteReadOpen(t *testing.T) {
	p := newPeople(t)
	r := seal(t, p)
	dir := filepath.Join(t.TempDir(), "out", "release")
	require.NoError(t, release.Write(dir, r.Files))
	require.ErrorIs(t, release.Write(dir, r.Files), fs.ErrExist)
	entries, err := os.ReadDir(filepath.Dir(dir))
	require.NoError(t, err)
	require.Len(t, entries, 1, "temporary directory left behind")

	files, err := release.Read(dir)
	require.NoError(t, err)
	back, err := release.Open(files, p.policy())
	require.NoError(t, err)
	require.Equal(t, r.Digest, back.Digest)
	require.Equal(t, "document-risk-1", back.Statement.Name)
	require.Len(t, back.Approvals, 2)

	// Other verifiers of the format accept the same directory.
	_, err = sign.Verify(dir, files[release.SignatureFile], sign.Policy{Keys: p.policy().Keys})
	require.NoError(t, err)

	// Without known approvers, any two people do.
	_, err = release.Open(files, release.Policy{Keys: p.policy().Keys})
	require.NoError(t, err)
}

func TestTamperedRelease(t *testing.T) {
	p := newPeople(t)
	good := seal(t, p).Files
	for name := range good {
		for kind, change := range map[string]func(f release.Files){
			"changed":   func(f release.Files) { f[name] = append([]byte("x"), f[name]...) },
			"removed":   func(f release.Files) { delete(f, name) },
			"truncated": func(f release.Files) { f[name] = f[name][:len(f[name])-1] },
			"renamed":   func(f release.Files) { f["other"] = f[name]; delete(f, name) },
			"emptied":   func(f release.Files) { f[name] = nil },
		} {
			t.Run(name+" "+kind, func(t *testing.T) {
				files := maps.Clone(good)
				change(files)
				r, err := release.Open(files, p.policy())
				require.Nil(t, r)
				if name == release.SignatureFile {
					require.ErrorIs(t, err, sign.ErrBundle)
				} else {
					require.ErrorIs(t, err, sign.ErrFiles)
				}
			})
		}
	}
	files := maps.Clone(good)
	files["extra.txt"] = nil
	_, err := release.Open(files, p.policy())
	require.ErrorIs(t, err, sign.ErrFiles)
	_, err = release.Open(good, release.Policy{Keys: []*ecdsa.PublicKey{&newKey(t).PublicKey}})
	require.ErrorIs(t, err, sign.ErrKey)
	_, err = release.Open(good, release.Policy{})
	require.ErrorIs(t, err, sign.ErrKey)
	_, err = release.Open(nil, p.policy())
	require.ErrorIs(t, err, sign.ErrBundle)
}

// TestReleaseKeyIsNotEnough: whoever holds the release key alone cannot put
// together something that Open accepts.
func TestReleaseKeyIsNotEnough(t *testing.T) {
	p := newPeople(t)
	good := seal(t, p).Files
	resign := func(change func(f release.Files)) error {
		files := maps.Clone(good)
		change(files)
		var err error
		files[release.SignatureFile], err = sign.SignFiles("document-risk-1", files, p.release)
		require.NoError(t, err)
		_, err = release.Open(files, p.policy())
		return err
	}
	require.NoError(t, resign(func(release.Files) {}))
	require.ErrorIs(t, resign(func(f release.Files) { f[release.ArtifactFile] = []byte("another model") }), release.ErrStatement)
	require.ErrorIs(t, resign(func(f release.Files) { f["extra"] = nil }), release.ErrStatement)
	require.ErrorIs(t, resign(func(f release.Files) { delete(f, release.CardFile) }), release.ErrStatement)
	require.ErrorIs(t, resign(func(f release.Files) { delete(f, release.StatementFile) }), release.ErrStatement)
	require.ErrorIs(t, resign(func(f release.Files) { delete(f, release.ApprovalsFile) }), release.ErrApprovals)
	require.ErrorIs(t, resign(func(f release.Files) { f[release.ApprovalsFile] = []byte("[]") }), release.ErrApprovals)
	// A new statement carries no approvals, whatever it says.
	require.ErrorIs(t, resign(func(f release.Files) {
		f[release.ArtifactFile] = []byte("another model")
		var err error
		f[release.StatementFile], err = statement(withoutControl(f)).Marshal()
		require.NoError(t, err)
	}), release.ErrApprovals)
	// Signed under another name: the statement decides what a release is called.
	files := maps.Clone(good)
	var err error
	files[release.SignatureFile], err = sign.SignFiles("document-risk-2", files, p.release)
	require.NoError(t, err)
	_, err = release.Open(files, p.policy())
	require.ErrorIs(t, err, release.ErrStatement)
}

func withoutControl(f release.Files) release.Files {
	out := maps.Clone(f)
	delete(out, release.StatementFile)
	delete(out, release.ApprovalsFile)
	delete(out, release.SignatureFile)
	return out
}

func TestSealRefuses(t *testing.T) {
	p := newPeople(t)
	files := draft(t)
	digest := release.StatementDigest(files[release.StatementFile])
	both := p.approve(t, digest)
	_, err := release.Seal(files, both[:1], p.approvers, p.release)
	require.ErrorIs(t, err, release.ErrApprovals)
	_, err = release.Seal(files, p.approve(t, release.Digest{9}), p.approvers, p.release)
	require.ErrorIs(t, err, release.ErrApprovals)
	bad := maps.Clone(files)
	bad[release.ReportFile] = []byte("nicer figures")
	_, err = release.Seal(bad, both, p.approvers, p.release)
	require.ErrorIs(t, err, release.ErrStatement)
	delete(bad, release.StatementFile)
	_, err = release.Seal(bad, both, p.approvers, p.release)
	require.Error(t, err)

	// The release key does not count as an approver's.
	self := people{release: p.release, keys: []crypto.Signer{p.release, p.keys[1]}, approvers: []release.Approver{
		{Person: "Ada", Role: "data-protection", Key: p.release.Public()}, p.approvers[1],
	}}
	_, err = release.Seal(files, self.approve(t, digest), self.approvers, p.release)
	require.ErrorContains(t, err, "release key itself")
}

func TestTwoPeople(t *testing.T) {
	p := newPeople(t)
	digest := release.Digest{1}
	sign := func(key int, person, role string) release.Approval {
		a, err := release.Approve(p.keys[key], person, role, digest, at)
		require.NoError(t, err)
		return a
	}
	cases := map[string]struct {
		list []release.Approval
		ok   bool
	}{
		"two":              {[]release.Approval{sign(0, "Ada", "data-protection"), sign(1, "Bo", "model-owner")}, true},
		"none":             {nil, false},
		"one":              {[]release.Approval{sign(0, "Ada", "data-protection")}, false},
		"same person":      {[]release.Approval{sign(0, "Ada", "data-protection"), sign(1, "ada", "model-owner")}, false},
		"same role":        {[]release.Approval{sign(0, "Ada", "model-owner"), sign(1, "Bo", "Model-Owner")}, false},
		"same key":         {[]release.Approval{sign(0, "Ada", "data-protection"), sign(0, "Bo", "model-owner")}, false},
		"twice the same":   {[]release.Approval{sign(0, "Ada", "data-protection"), sign(0, "Ada", "data-protection")}, false},
		"pairwise only":    {[]release.Approval{sign(0, "Ada", "x"), sign(0, "Bo", "y"), sign(1, "Ada", "y")}, false},
		"third makes pair": {[]release.Approval{sign(0, "Ada", "x"), sign(0, "Bo", "y"), sign(1, "Cy", "y")}, true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			err := release.CheckApprovals(digest, c.list, nil)
			if c.ok {
				require.NoError(t, err)
			} else {
				require.ErrorIs(t, err, release.ErrApprovals)
			}
		})
	}
	both := cases["two"].list
	require.NoError(t, release.CheckApprovals(digest, both, p.approvers))
	require.ErrorIs(t, release.CheckApprovals(digest, both, p.approvers[:1]), release.ErrApprovals, "an approver who was struck off")
	swapped := []release.Approver{{Person: "Ada", Role: "data-protection", Key: p.keys[1].Public()}, p.approvers[1]}
	require.ErrorIs(t, release.CheckApprovals(digest, both, swapped), release.ErrApprovals)
	for name, change := range map[string]func(a *release.Approval){
		"person":    func(a *release.Approval) { a.Person = "Eve" },
		"role":      func(a *release.Approval) { a.Role = "owner" },
		"time":      func(a *release.Approval) { a.Time = "2026-11-24T08:00:01Z" },
		"time form": func(a *release.Approval) { a.Time = "2026-11-24T09:00:00+01:00" },
		"statement": func(a *release.Approval) { a.Statement[0]++ },
		"signature": func(a *release.Approval) { a.Signature = nil },
		"key":       func(a *release.Approval) { a.Key = nil },
		"no person": func(a *release.Approval) { a.Person = "" },
		"two lines": func(a *release.Approval) { a.Person = "Ada\nBo" },
	} {
		t.Run("changed "+name, func(t *testing.T) {
			for i := range both {
				list := []release.Approval{both[0], both[1]}
				change(&list[i])
				require.ErrorIs(t, release.CheckApprovals(digest, list, nil), release.ErrApprovals)
			}
		})
	}
}

func TestStatementRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		change func(s *release.Statement)
		want   string
	}{
		"format":            {func(s *release.Statement) { s.Format = "koinon/release/v2" }, "format"},
		"name":              {func(s *release.Statement) { s.Name = "../x" }, "name"},
		"federation":        {func(s *release.Statement) { s.Federation = "" }, "federation is empty"},
		"created":           {func(s *release.Statement) { s.Created = "yesterday" }, "created"},
		"plan digest":       {func(s *release.Statement) { s.Plan.Digest = release.Digest{} }, "plan digest is zero"},
		"no members":        {func(s *release.Statement) { s.Members = nil }, "members"},
		"member twice":      {func(s *release.Statement) { s.Members[1] = "DE" }, "twice"},
		"no rounds":         {func(s *release.Statement) { s.Rounds = nil }, "rounds"},
		"round order":       {func(s *release.Statement) { s.Rounds[1].Round = 1 }, "does not follow"},
		"foreign survivor":  {func(s *release.Statement) { s.Rounds[0].Survivors[0] = "XX" }, "no member"},
		"failed gate":       {func(s *release.Statement) { s.Gates[0].Result = "fail" }, "only a candidate that passes"},
		"not enough data":   {func(s *release.Statement) { s.Gates[0].Result = "not enough data" }, "only a candidate that passes"},
		"no answer":         {func(s *release.Statement) { s.Gates[0].Result = release.Answered }, "answer is empty"},
		"threshold":         {func(s *release.Statement) { s.Thresholds[0].Value = 1.5 }, "probability"},
		"file name":         {func(s *release.Statement) { s.Files[0].Name = "a/b" }, "not valid"},
		"states itself":     {func(s *release.Statement) { s.Files[0].Name = release.StatementFile }, "not valid"},
		"file order":        {func(s *release.Statement) { s.Files[0], s.Files[1] = s.Files[1], s.Files[0] }, "order"},
		"missing file":      {func(s *release.Statement) { s.Files = s.Files[1:] }, "missing"},
		"huge file":         {func(s *release.Statement) { s.Files[0].Size = release.MaxRelease + 1 }, "size"},
		"huge in all":       {func(s *release.Statement) { s.Files[0].Size = release.MaxRelease }, "limit"},
		"other artifact":    {func(s *release.Statement) { s.Artifact[0]++ }, "is not artifact"},
		"negative size":     {func(s *release.Statement) { s.Files[0].Size = -1 }, "size"},
		"differs by case":   {func(s *release.Statement) { s.Files = append([]release.File{{Name: "CARD.json"}}, s.Files...) }, "case only"},
		"control character": {func(s *release.Statement) { s.Purpose = "a\x1b[2Jb" }, "plain text"},
	} {
		t.Run(name, func(t *testing.T) {
			s := statement(content())
			_, err := s.Marshal()
			require.NoError(t, err)
			c.change(s)
			_, err = s.Marshal()
			require.ErrorContains(t, err, c.want)
		})
	}
	b, err := statement(content()).Marshal()
	require.NoError(t, err)
	for _, bad := range []string{string(b) + "\n", strings.Replace(string(b), `"gates":[`, `"gates":null,"x":[`, 1), strings.Replace(string(b), "{", "{ ", 1)} {
		_, err = release.ParseStatement([]byte(bad))
		require.ErrorIs(t, err, canonical.ErrForm)
	}
	s := statement(content())
	s.Gates = nil
	b, err = s.Marshal()
	require.NoError(t, err)
	require.Contains(t, string(b), `"gates":[]`)
	_, err = release.ParseStatement([]byte(strings.Replace(string(b), `"gates":[]`, `"gates":null`, 1)))
	require.ErrorIs(t, err, canonical.ErrForm)
}

func TestReadRefuses(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "a"), nil, 0o644))
	require.NoError(t, os.Symlink("a", filepath.Join(dir, "b")))
	_, err := release.Read(dir)
	require.ErrorContains(t, err, "no links")
	require.NoError(t, os.Remove(filepath.Join(dir, "b")))
	require.NoError(t, os.Mkdir(filepath.Join(dir, "b"), 0o755))
	_, err = release.Read(dir)
	require.ErrorContains(t, err, "no folders")
	_, err = release.Read(filepath.Join(dir, "none"))
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.ErrorContains(t, release.Write(filepath.Join(dir, "c"), release.Files{"../x": nil}), "not valid")
	require.NoDirExists(t, filepath.Join(dir, "c"))
}

// TestWriteIsWholeOrNotAtAll: a write that cannot succeed leaves nothing.
func TestWriteIsWholeOrNotAtAll(t *testing.T) {
	parent := t.TempDir()
	files := release.Files{}
	for i := range 20 {
		files[fmt.Sprintf("f%d", i)] = nil
	}
	files["f1"] = nil
	require.NoError(t, os.WriteFile(filepath.Join(parent, "file"), nil, 0o644))
	require.Error(t, release.Write(filepath.Join(parent, "file", "release"), files))
	entries, err := os.ReadDir(parent)
	require.NoError(t, err)
	require.Len(t, entries, 1)
}

func FuzzParseStatement(f *testing.F) {
	b, err := statement(content()).Marshal()
	require.NoError(f, err)
	f.Add(b)
	f.Add([]byte("{}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := release.ParseStatement(data)
		if err != nil {
			return
		}
		again, err := s.Marshal()
		require.NoError(t, err)
		require.Equal(t, data, again)
	})
}

func FuzzParseApprovals(f *testing.F) {
	p := newPeople(f)
	b, err := release.MarshalApprovals(p.approve(f, release.Digest{1}))
	require.NoError(f, err)
	f.Add(b)
	f.Add([]byte("[]"))
	f.Fuzz(func(t *testing.T, data []byte) {
		list, err := release.ParseApprovals(data)
		if err == nil {
			_ = release.CheckApprovals(release.Digest{1}, list, p.approvers)
		}
	})
}
