package main

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/koinon-eu/koinon/coordinator"
	"github.com/koinon-eu/koinon/crypto/identity"
	"github.com/koinon-eu/koinon/crypto/keystore"
	"github.com/koinon-eu/koinon/deploy/cli"
	"github.com/koinon-eu/koinon/deploy/service"

	"go.yaml.in/yaml/v4"
)

// place is the state directory of a command.
type place struct {
	Dir string `help:"State directory." default:"." placeholder:"DIR" type:"path"`
}

type initCommand struct {
	place
	output
	Federation      string        `arg:"" help:"Name of the federation, for life: lower-case letters, digits, hyphens and dots."`
	Admin           []string      `required:"" help:"An admin as NAME:ROLE; at least two, in two roles." placeholder:"NAME:ROLE" sep:"none"`
	Host            []string      `help:"Host name or IP address that nodes dial; goes into the server certificate." default:"localhost" placeholder:"HOST"`
	Listen          string        `help:"Address to listen on." default:"0.0.0.0" placeholder:"ADDR"`
	FederationPort  uint16        `help:"Port of the federation service." default:"8443" name:"federation-port"`
	EnrolmentPort   uint16        `help:"Port of the enrolment service." default:"8444" name:"enrolment-port"`
	WebPort         uint16        `help:"Port of the public web site." default:"8445" name:"web-port"`
	MetricsPort     uint16        `help:"Port of metrics and health, on loopback." default:"9090" name:"metrics-port"`
	ReleaseKey      string        `help:"Release key that exists already, as file:PATH or vault:MOUNT/KEY; made when left out." placeholder:"REFERENCE"`
	Tick            time.Duration `help:"Unit of all deadlines." default:"1s"`
	Grace           uint32        `help:"Ticks until a lost node no longer holds up a phase." default:"5"`
	CertificateLife time.Duration `help:"Lifetime of members' certificates." default:"720h" name:"certificate-lifetime"`
}

func (initCommand) Help() string {
	return `Makes the certificate authority, the server's certificate, the identity key and the release key, a folder of credentials for each admin, and coordinator.yaml.

Example:
  koinon-coordinator init eu-borders --dir /var/lib/koinon-coordinator --host koinon.example.eu --admin anna:model-owner --admin ben:data-protection`
}

// Run makes a federation, whole or not at all. It refuses a directory that holds one.
func (c *initCommand) Run(ctx context.Context, std cli.Streams) error {
	conf, err := c.config()
	if err != nil {
		return cli.Usage(err)
	}
	if err := c.free(); err != nil {
		return err
	}
	var release crypto.Signer // what may fail comes first
	if c.ReleaseKey != "" {
		if release, err = openRelease(ctx, reference(c.Dir, c.ReleaseKey)); err != nil {
			return err
		}
	}
	var fingerprint identity.Fingerprint
	err = stage(c.Dir, func(dir string) error {
		fingerprint, err = makeFederation(ctx, dir, conf, release)
		return err
	})
	if err != nil {
		return err
	}
	return c.report(std, conf, fingerprint)
}

// made are the entries of a state directory that init makes. The configuration is moved into place last: with it the
// directory holds a federation.
var made = []string{"ca", "keys", spoolDir, artifactsDir, adminsDir, trustName, configFile}

// free refuses a directory in which something of a federation lies already.
func (c *initCommand) free() error {
	for _, name := range slices.Backward(made) {
		_, err := os.Lstat(filepath.Join(c.Dir, name))
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return err
		case name == configFile:
			return cli.Hint(fmt.Errorf("%s holds a federation already", c.Dir), "choose another --dir; a federation's authority is never replaced")
		default:
			return cli.Hint(fmt.Errorf("%s holds %s already", c.Dir, name), "choose another --dir, or move that away")
		}
	}
	return nil
}

// stage has build fill a temporary directory and moves what it made to dir. Where dir is there already, such as a home
// that root has made for the service, the temporary directory lies in it: its user may not write beside it.
func stage(dir string, build func(dir string) error) (err error) {
	parent := dir
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		parent = filepath.Dir(dir)
		if err := os.MkdirAll(parent, 0o700); err != nil {
			return err
		}
	}
	tmp, err := os.MkdirTemp(parent, ".koinon-init-*") // mode 0700
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(tmp)) }()
	if err := build(tmp); err != nil {
		return err
	}
	if parent != dir {
		if err := os.Rename(tmp, dir); err != nil {
			return err
		}
		return service.SyncDir(parent)
	}
	for i, name := range made {
		if err := os.Rename(filepath.Join(tmp, name), filepath.Join(dir, name)); err != nil {
			for _, moved := range made[:i] {
				err = errors.Join(err, os.RemoveAll(filepath.Join(dir, moved)))
			}
			return err
		}
	}
	return service.SyncDir(dir)
}

// makeFederation makes all of a federation in dir; without a release key it makes one.
func makeFederation(ctx context.Context, dir string, conf *config, release crypto.Signer) (identity.Fingerprint, error) {
	for _, sub := range []string{"ca", "keys", spoolDir, artifactsDir, adminsDir} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o700); err != nil {
			return identity.Fingerprint{}, err
		}
	}
	authority, err := identity.CreateAuthority(filepath.Join(dir, caFile), conf.Federation, time.Now)
	if err != nil {
		return identity.Fingerprint{}, err
	}
	fingerprint := identity.FingerprintOf(authority.Root())
	if err := keystore.WritePublic(filepath.Join(dir, rootFile), identity.EncodeRoot(authority.Root())); err != nil {
		return fingerprint, err
	}
	if err := makeKeys(ctx, dir, authority, conf, release); err != nil {
		return fingerprint, err
	}
	for _, a := range conf.Admins {
		if err := makeAdmin(ctx, dir, authority, conf, a); err != nil {
			return fingerprint, err
		}
	}
	if err := writeTrust(dir, conf); err != nil {
		return fingerprint, err
	}
	text, err := yaml.Marshal(conf)
	if err != nil {
		return fingerprint, err
	}
	return fingerprint, service.WriteFile(filepath.Join(dir, configFile), text, 0o600)
}

func (c *initCommand) config() (*config, error) {
	host := c.Host[0]
	port := func(h string, p uint16) string { return net.JoinHostPort(h, fmt.Sprint(p)) }
	conf := &config{
		Federation: c.Federation, Hosts: c.Host,
		Listen: listen{
			Federation: port(c.Listen, c.FederationPort), Enrolment: port(c.Listen, c.EnrolmentPort), Web: port(c.Listen, c.WebPort),
			Metrics: port("127.0.0.1", c.MetricsPort),
		},
		Reach: reach{
			Federation: port(host, c.FederationPort), Enrolment: port(host, c.EnrolmentPort), Web: "https://" + port(host, c.WebPort),
		},
		Keys: keys{Identity: "file:" + identityFile, Release: "file:" + releaseFile},
		Rounds: rounds{
			Tick: duration(c.Tick), Grace: c.Grace, FullCohort: 600, MaxBatchTicks: 3600, MaxAborts: 20, Window: duration(10 * time.Minute),
			CertificateLife: duration(c.CertificateLife),
		},
	}
	if c.ReleaseKey != "" {
		conf.Keys.Release = c.ReleaseKey
	}
	for _, a := range c.Admin {
		name, role, ok := strings.Cut(a, ":")
		if !ok {
			return nil, fmt.Errorf("--admin %s: want NAME:ROLE", a)
		}
		conf.Admins = append(conf.Admins, adminEntry{Name: name, Role: role, ApprovalKey: "keys/approval-" + name + ".pub"})
	}
	return conf, conf.Validate()
}

// openRelease opens a release key that exists already.
func openRelease(ctx context.Context, reference string) (crypto.Signer, error) {
	key, err := keystore.Open(ctx, reference, keystore.Options{})
	if err != nil {
		hint := "nothing was made; a relative path is taken from --dir"
		if strings.HasPrefix(reference, "vault:") {
			hint = "nothing was made; set VAULT_ADDR, VAULT_CACERT and VAULT_TOKEN, and see that the token may read the key"
		}
		return nil, cli.Hint(fmt.Errorf("release key: %w", err), "%s", hint)
	}
	if kind, err := keystore.KindOf(key.Public()); err != nil || kind != keystore.P256 {
		return nil, fmt.Errorf("release key %s: want EC P-256", reference)
	}
	return key, nil
}

// makeKeys makes the server's certificate and the two long-lived keys.
func makeKeys(ctx context.Context, dir string, authority identity.Authority, conf *config, release crypto.Signer) error {
	if err := issueServer(ctx, dir, authority, conf); err != nil {
		return err
	}
	if _, err := keystore.Generate(filepath.Join(dir, identityFile), keystore.Ed25519); err != nil {
		return err
	}
	if release == nil {
		var err error
		if release, err = keystore.Generate(filepath.Join(dir, releaseFile), keystore.P256); err != nil {
			return err
		}
	}
	public, err := keystore.EncodePublic(release.Public())
	if err != nil {
		return err
	}
	return keystore.WritePublic(filepath.Join(dir, releasePub), public)
}

// issueServer makes the coordinator's own certificate.
func issueServer(ctx context.Context, dir string, authority identity.Authority, conf *config) error {
	credentials, err := coordinator.Issue(ctx, authority, identity.Profile{
		Peer: identity.Peer{Federation: conf.Federation, Kind: identity.Coordinator}, Hosts: conf.Hosts,
	})
	if err != nil {
		return err
	}
	return credentials.Save(filepath.Join(dir, serverFile))
}

func (c *initCommand) report(std cli.Streams, conf *config, fingerprint identity.Fingerprint) error {
	if c.JSON {
		return cli.PrintJSON(std.Out, map[string]any{
			"federation": conf.Federation, "dir": c.Dir, "fingerprint": fingerprint.String(), "reach": map[string]string{
				"federation": conf.Reach.Federation, "enrolment": conf.Reach.Enrolment, "web": conf.Reach.Web,
			},
			"release_key": filepath.Join(c.Dir, releasePub), "trust": filepath.Join(c.Dir, trustName), "ca": filepath.Join(c.Dir, rootFile),
		})
	}
	fmt.Fprintf(std.Out, "Federation %s is made in %s.\n", conf.Federation, c.Dir)
	fmt.Fprintf(std.Out, "  authority    %s\n  fingerprint  %s\n", filepath.Join(c.Dir, rootFile), fingerprint)
	fmt.Fprintf(std.Out, "  trust file   %s (give it to engineers over another channel than the web site)\n", filepath.Join(c.Dir, trustName))
	for _, a := range conf.Admins {
		fmt.Fprintf(std.Out, "  admin        %s (%s): move %s to this person's machine\n", a.Name, a.Role, filepath.Join(c.Dir, adminsDir, a.Name))
	}
	fmt.Fprintf(std.Out, "Next: koinon-coordinator serve --dir %s\n", c.Dir)
	return nil
}
