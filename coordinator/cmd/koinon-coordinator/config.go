package main

import (
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/koinon-eu/koinon/coordinator/admin"
	"github.com/koinon-eu/koinon/coordinator/federation"
	"github.com/koinon-eu/koinon/crypto/identity"
	"github.com/koinon-eu/koinon/crypto/keystore"
	"github.com/koinon-eu/koinon/deploy/service"

	"go.yaml.in/yaml/v4"
)

// The names in a state directory.
const (
	configFile   = "coordinator.yaml"
	caFile       = "ca/authority.pem" // key and certificate
	rootFile     = "ca/ca.pem"        // certificate alone, for everyone
	serverFile   = "keys/server.pem"
	identityFile = "keys/identity.key"
	releaseFile  = "keys/release.key"
	releasePub   = "keys/release.pub"
	trustName    = "trust.yaml" // for engineers
	journalFile  = "journal.db"
	spoolDir     = "spool"
	artifactsDir = "artifacts"
	adminsDir    = "admins"
)

// config is coordinator.yaml. Paths in it are relative to its directory.
type config struct {
	Federation string            `yaml:"federation"`
	Hosts      []string          `yaml:"hosts"` // in the server certificate
	Listen     listen            `yaml:"listen"`
	Reach      reach             `yaml:"reach"`
	Keys       keys              `yaml:"keys"`
	Vault      keystore.Vault    `yaml:"vault,omitempty"` // how to reach the Vault that keys name
	Admins     []adminEntry      `yaml:"admins"`
	Rounds     rounds            `yaml:"rounds"`
	Log        service.LogConfig `yaml:"log"`
}

// listen are the addresses of the four listeners. Metrics should stay on loopback.
type listen struct {
	Federation string `yaml:"federation"`
	Enrolment  string `yaml:"enrolment"`
	Web        string `yaml:"web"`
	Metrics    string `yaml:"metrics"`
}

// reach is how others dial them.
type reach struct {
	Federation string `yaml:"federation"` // host:port
	Enrolment  string `yaml:"enrolment"`  // host:port
	Web        string `yaml:"web"`        // https://host[:port]
}

// keys are references: file:PATH or vault:MOUNT/KEY[@VERSION].
type keys struct {
	Identity string `yaml:"identity"`
	Release  string `yaml:"release"`
}

// adminEntry is a person who may administrate, with the key that approvals are signed with.
type adminEntry struct {
	Name        string `yaml:"name"`
	Role        string `yaml:"role"`
	ApprovalKey string `yaml:"approval_key"` // public, PEM file
}

// rounds are the limits of rounds; zero takes the default.
type rounds struct {
	Tick            duration `yaml:"tick"`                 // 1s
	Grace           uint32   `yaml:"grace"`                // 5 ticks
	FullCohort      uint32   `yaml:"full_cohort"`          // 600 ticks
	MaxBatchTicks   uint32   `yaml:"max_batch_ticks"`      // 3,600
	MaxAborts       int      `yaml:"max_aborts"`           // 20
	Window          duration `yaml:"window"`               // 10m
	CertificateLife duration `yaml:"certificate_lifetime"` // 720h
}

// duration is a time.Duration in YAML, as "200ms".
type duration time.Duration

// UnmarshalYAML implements yaml.Unmarshaler.
func (d *duration) UnmarshalYAML(n *yaml.Node) error {
	v, err := time.ParseDuration(n.Value)
	if err != nil || v < 0 {
		return fmt.Errorf("line %d: %q is not a duration like 200ms or 10m", n.Line, n.Value)
	}
	*d = duration(v)
	return nil
}

// MarshalYAML implements yaml.Marshaler.
func (d duration) MarshalYAML() (any, error) { return time.Duration(d).String(), nil }

// Validate refuses what could not be served.
func (c *config) Validate() error {
	if err := identity.CheckFederation(c.Federation); err != nil {
		return err
	}
	if !federation.ValidName(c.Federation) {
		return fmt.Errorf("federation %q: at most 32 characters", c.Federation)
	}
	for what, addr := range map[string]string{
		"listen.federation": c.Listen.Federation, "listen.enrolment": c.Listen.Enrolment, "listen.web": c.Listen.Web,
		"listen.metrics": c.Listen.Metrics, "reach.federation": c.Reach.Federation, "reach.enrolment": c.Reach.Enrolment,
	} {
		if _, _, err := net.SplitHostPort(addr); err != nil {
			return fmt.Errorf("%s %q: want host:port", what, addr)
		}
	}
	if u, err := url.Parse(c.Reach.Web); err != nil || u.Scheme != "https" || u.Host == "" || strings.HasSuffix(c.Reach.Web, "/") {
		return fmt.Errorf("reach.web %q: want https://host or https://host:port", c.Reach.Web)
	}
	for _, ref := range []string{c.Keys.Identity, c.Keys.Release} {
		if err := keystore.Check(ref); err != nil {
			return err
		}
	}
	if len(c.Hosts) == 0 {
		return fmt.Errorf("hosts: name at least one host for the server certificate")
	}
	return c.checkAdmins()
}

func (c *config) checkAdmins() error {
	roles := map[string]bool{}
	for i, a := range c.Admins {
		if err := identity.CheckName(a.Name); err != nil {
			return err
		}
		if !identityRole(a.Role) {
			return fmt.Errorf("admin %s: role %.40q: want lower-case letters and hyphens", a.Name, a.Role)
		}
		if slices.ContainsFunc(c.Admins[:i], func(o adminEntry) bool { return o.Name == a.Name }) {
			return fmt.Errorf("admin %s is listed twice", a.Name)
		}
		roles[a.Role] = true
	}
	if len(c.Admins) < 2 || len(roles) < 2 {
		return fmt.Errorf("admins: a release needs the approval of two people in two roles; name at least two")
	}
	return nil
}

func identityRole(s string) bool {
	return s != "" && len(s) <= 40 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz-") == ""
}

// load reads the configuration of a state directory.
func load(dir string) (*config, error) {
	c := &config{}
	return c, service.LoadConfig(filepath.Join(dir, configFile), c)
}

// reference makes a file: reference absolute.
func reference(dir, ref string) string {
	if path, ok := strings.CutPrefix(ref, "file:"); ok && !filepath.IsAbs(path) {
		return "file:" + filepath.Join(dir, path)
	}
	return ref
}

// people reads the admins' public keys.
func (c *config) people(dir string) ([]admin.Person, error) {
	var out []admin.Person
	for _, a := range c.Admins {
		p := admin.Person{Name: a.Name, Role: a.Role}
		if a.ApprovalKey != "" {
			path := a.ApprovalKey
			if !filepath.IsAbs(path) {
				path = filepath.Join(dir, path)
			}
			text, err := os.ReadFile(path)
			if err != nil {
				return nil, fmt.Errorf("admin %s: %w", a.Name, err)
			}
			if p.Key, err = keystore.ParsePublic(text); err != nil {
				return nil, fmt.Errorf("admin %s: %w", a.Name, err)
			}
		}
		out = append(out, p)
	}
	return out, nil
}
