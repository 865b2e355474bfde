package main

import (
	"os"
	"path/filepath"

	"github.com/koinon-eu/koinon/deploy/service"

	"go.yaml.in/yaml/v4"
)

// trust is the file that tells `koinon` whom to trust: the release key, the approvers and the authority of the web
// site, all as PEM text, so that one file is all an engineer needs. It holds nothing secret, but whoever can change
// it on its way can replace the model.
type trust struct {
	ReleaseKeys []string   `yaml:"release_keys"`
	Approvers   []approver `yaml:"approvers"`
	CA          string     `yaml:"ca"`
}

type approver struct {
	Person string `yaml:"person"`
	Role   string `yaml:"role"`
	Key    string `yaml:"key"`
}

// writeTrust makes the trust file of a state directory from the public keys in it.
func writeTrust(dir string, conf *config) error {
	var t trust
	read := func(path string) (string, error) {
		text, err := os.ReadFile(filepath.Join(dir, path))
		return string(text), err
	}
	key, err := read(releasePub)
	if err != nil {
		return err
	}
	t.ReleaseKeys = []string{key}
	for _, a := range conf.Admins {
		if key, err = read(a.ApprovalKey); err != nil {
			return err
		}
		t.Approvers = append(t.Approvers, approver{Person: a.Name, Role: a.Role, Key: key})
	}
	if t.CA, err = read(rootFile); err != nil {
		return err
	}
	text, err := yaml.Marshal(t)
	if err != nil {
		return err
	}
	return service.WriteFile(filepath.Join(dir, trustName), text, 0o644)
}
