package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/koinon-eu/koinon/coordinator"
	"github.com/koinon-eu/koinon/coordinator/admin"
	"github.com/koinon-eu/koinon/crypto/identity"
	"github.com/koinon-eu/koinon/crypto/keystore"
	"github.com/koinon-eu/koinon/deploy/cli"
	"github.com/koinon-eu/koinon/deploy/service"

	"go.yaml.in/yaml/v4"
)

// The names in an admin's folder.
const (
	adminFile       = "admin.yaml"
	credentialsFile = "credentials.pem"
	approvalFile    = "approval.key"
)

// adminLife is the lifetime of an admin's certificate; on the coordinator's machine it is renewed by itself.
const adminLife = identity.MaxLifetime

// person is admin.yaml: what an admin's folder is for.
type person struct {
	Name       string `yaml:"name"`
	Role       string `yaml:"role"`
	Federation string `yaml:"federation"`
	Address    string `yaml:"address"`      // of the federation service, host:port
	Approval   string `yaml:"approval_key"` // reference of the key that approvals are signed with
}

// makeAdmin makes the folder of one admin.
func makeAdmin(ctx context.Context, dir string, authority identity.Authority, conf *config, a adminEntry) error {
	folder := filepath.Join(dir, adminsDir, a.Name)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	if err := issueAdmin(ctx, folder, authority, conf.Federation, a.Name); err != nil {
		return err
	}
	key, err := keystore.Generate(filepath.Join(folder, approvalFile), keystore.P256)
	if err != nil {
		return err
	}
	public, err := keystore.EncodePublic(key.Public())
	if err != nil {
		return err
	}
	if err := keystore.WritePublic(filepath.Join(dir, a.ApprovalKey), public); err != nil {
		return err
	}
	text, err := yaml.Marshal(person{
		Name: a.Name, Role: a.Role, Federation: conf.Federation, Address: conf.Reach.Federation, Approval: "file:" + approvalFile,
	})
	if err != nil {
		return err
	}
	return service.WriteFile(filepath.Join(folder, adminFile), text, 0o600)
}

func issueAdmin(ctx context.Context, folder string, authority identity.Authority, federation, name string) error {
	credentials, err := coordinator.Issue(ctx, authority, identity.Profile{
		Peer: identity.Peer{Federation: federation, Kind: identity.Admin, Name: name}, Lifetime: adminLife,
	})
	if err != nil {
		return err
	}
	return credentials.Save(filepath.Join(folder, credentialsFile))
}

// caller is how a command of an admin finds its coordinator and itself.
type caller struct {
	place
	As          string `help:"Admin to act as, from DIR/admins." placeholder:"NAME" xor:"who"`
	Credentials string `help:"Folder of an admin's credentials, elsewhere." placeholder:"DIR" type:"path" xor:"who"`
}

func (c caller) folder() (string, error) {
	switch {
	case c.Credentials != "":
		return c.Credentials, nil
	case c.As != "":
		return filepath.Join(c.Dir, adminsDir, c.As), nil
	}
	return "", cli.Hint(cli.Usagef("who acts?"), "say --as NAME, or --credentials DIR on another machine")
}

// open reads the admin's folder and dials the coordinator.
func (c caller) open(ctx context.Context) (*admin.Client, *person, error) {
	folder, err := c.folder()
	if err != nil {
		return nil, nil, err
	}
	p := &person{}
	if err := service.LoadConfig(filepath.Join(folder, adminFile), p); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			err = cli.Hint(fmt.Errorf("%s is not an admin's folder", folder), "init made one for each admin in DIR/admins")
		}
		return nil, nil, err
	}
	credentials, err := c.credentials(ctx, folder, p)
	if err != nil {
		return nil, nil, err
	}
	client, err := admin.Dial(p.Address, p.Federation, credentials)
	return client, p, err
}

// credentials loads the admin's certificate, and renews it first when it is old and the authority is at hand.
func (c caller) credentials(ctx context.Context, folder string, p *person) (*identity.Credentials, error) {
	path := filepath.Join(folder, credentialsFile)
	credentials, err := identity.LoadCredentials(path)
	if err != nil {
		return nil, err
	}
	if c.Credentials != "" || time.Now().Before(identity.RenewAt(credentials.Leaf(), 0)) {
		return credentials, nil
	}
	authority, err := identity.OpenAuthority(filepath.Join(c.Dir, caFile), p.Federation, time.Now)
	if err != nil {
		return credentials, nil // not the coordinator's machine: the old one is shown
	}
	if err := issueAdmin(ctx, folder, authority, p.Federation, p.Name); err != nil {
		return nil, err
	}
	return identity.LoadCredentials(path)
}

// callTimeout bounds one call of an admin.
const callTimeout = 60 * time.Second

// call runs one exchange with the coordinator.
func (c caller) call(ctx context.Context, do func(context.Context, *admin.Client, *person) error) error {
	client, p, err := c.open(ctx)
	if err != nil {
		return hinted(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return hinted(admin.Plain(do(ctx, client, p)))
}
