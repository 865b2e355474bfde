package dataset

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/node/dataset/postgres/postgrestest"
)

// server is one PostgreSQL server for all tests of this package, on a socket
// and on one port of the loopback that wants a password. It belongs to nobody
// where root runs the tests, as PostgreSQL refuses to run as root.
type server struct {
	dir  string
	port int
	cmd  *exec.Cmd
}

const adminPassword = "pa55-w/rd?%&word"

var started struct {
	sync.Once
	*server
	err error
}

func TestMain(m *testing.M) {
	code := m.Run()
	if s := started.server; s != nil {
		s.stop()
	}
	os.Exit(code)
}

// postgresql returns the server, or skips the test where PostgreSQL is not
// installed, unless KOINON_REQUIRE names postgres.
func postgresql(t *testing.T) *server {
	bin := binaries()
	if bin == "" {
		missing := "PostgreSQL's programs are neither on the PATH nor in /usr/lib/postgresql"
		require.NotContains(t, strings.Split(os.Getenv("KOINON_REQUIRE"), ","), "postgres", missing)
		t.Skip(missing)
	}
	started.Do(func() { started.server, started.err = start(bin) })
	require.NoError(t, started.err)
	return started.server
}

// binaries is the folder of the newest server. Debian keeps it off the PATH.
func binaries() string {
	if path, err := exec.LookPath("initdb"); err == nil {
		if path, err = filepath.EvalSymlinks(path); err == nil {
			return filepath.Dir(path)
		}
	}
	all, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if len(all) == 0 {
		return ""
	}
	slices.Sort(all)
	return filepath.Dir(all[len(all)-1])
}

func start(bin string) (*server, error) {
	dir, err := os.MkdirTemp("", "kpg") // short: the path of a socket is
	if err != nil {
		return nil, err
	}
	s := &server{dir: dir}
	if err = s.makeCertificate(); err == nil {
		err = s.initialise(bin)
	}
	if err == nil {
		err = s.run(bin)
	}
	if err != nil {
		s.stop()
	}
	return s, err
}

// nobody makes a command run as another user where this one is root.
func (s *server) nobody(c *exec.Cmd) *exec.Cmd {
	c.Dir, c.Env = s.dir, []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C"}
	if os.Geteuid() == 0 {
		c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	}
	return c
}

func (s *server) initialise(bin string) error {
	if err := os.WriteFile(filepath.Join(s.dir, "pw"), []byte(adminPassword), 0o600); err != nil {
		return err
	}
	if os.Geteuid() == 0 {
		for _, name := range []string{"", "pw", "server.crt", "server.key"} {
			if err := os.Chown(filepath.Join(s.dir, name), 65534, 65534); err != nil {
				return err
			}
		}
	}
	out, err := s.nobody(exec.Command(filepath.Join(bin, "initdb"), "-D", s.dir+"/db", "-U", "admin", "--pwfile="+s.dir+"/pw",
		"--auth-local=trust", "--auth-host=scram-sha-256", "-N", "-E", "UTF8", "--no-locale")).CombinedOutput()
	if err != nil {
		return fmt.Errorf("initdb: %w: %s", err, out)
	}
	return nil
}

func (s *server) run(bin string) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	s.port = l.Addr().(*net.TCPAddr).Port
	_ = l.Close()
	s.cmd = s.nobody(exec.Command(filepath.Join(bin, "postgres"), "-D", s.dir+"/db", "-k", s.dir, "-F", "-p", fmt.Sprint(s.port),
		"-c", "listen_addresses=127.0.0.1", "-c", "shared_buffers=16MB", "-c", "autovacuum=off", "-c", "max_connections=12",
		"-c", "ssl=on", "-c", "ssl_cert_file="+s.dir+"/server.crt", "-c", "ssl_key_file="+s.dir+"/server.key", "-c", "max_wal_senders=0", "-c", "wal_level=minimal"))
	if err := s.cmd.Start(); err != nil {
		return err
	}
	for range 200 {
		if _, err = s.exec("SELECT 1"); err == nil {
			return nil
		}
		time.Sleep(20 * time.Millisecond)
	}
	return fmt.Errorf("server does not answer: %w", err)
}

func (s *server) stop() {
	if s.cmd != nil && s.cmd.Process != nil {
		_ = s.cmd.Process.Signal(syscall.SIGQUIT) // at once: nothing is to be kept
		_ = s.cmd.Wait()
	}
	_ = os.RemoveAll(s.dir)
}

// socket is a connection string of a role over the socket.
func (s *server) socket(user string) string {
	return fmt.Sprintf("host=%s port=%d user=%s dbname=postgres", s.dir, s.port, user)
}

// loopback is one over the port, with what further parameters say.
func (s *server) loopback(user, parameters string) string {
	return fmt.Sprintf("host=127.0.0.1 port=%d user=%s dbname=postgres %s", s.port, user, parameters)
}

func (s *server) exec(statements string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	return postgrestest.Exec(ctx, s.socket("admin"), statements)
}

func (s *server) must(t *testing.T, statements string) {
	_, err := s.exec(statements)
	require.NoError(t, err)
}

func (s *server) makeCertificate() error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		DNSNames: []string{"localhost"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		return err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	if err := os.WriteFile(s.dir+"/server.crt", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		return err
	}
	return os.WriteFile(s.dir+"/server.key", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600)
}

// cpuSeconds is what this process has used, without the server.
func cpuSeconds() float64 {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
}
