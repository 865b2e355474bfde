package postgres

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// connection reads the connection string and holds it to what is allowed.
func (c Config) connection() (*pgconn.Config, error) {
	if os.Getenv("PGPASSWORD") != "" {
		return nil, &Error{
			Text: "PGPASSWORD holds a password, which every process of this user may read",
			Hint: "put it into a file of mode 0600 or into Vault, name that under data.postgres.password in node.yaml, and unset PGPASSWORD; or use .pgpass",
		}
	}
	if err := privatePassfile(); err != nil {
		return nil, err
	}
	conf, err := pgconn.ParseConfig(c.DSN)
	if err != nil {
		// What it says quotes the string, and with it a password that has an
		// unexpected character.
		return nil, &Error{
			Text: "the connection string, or what PGHOST and its like say, cannot be read",
			Hint: "write postgres://USER@HOST:5432/DATABASE?sslmode=verify-full, special characters as %XX, or host=HOST user=USER dbname=DATABASE sslmode=verify-full; files that it names must be there",
		}
	}
	if c.Password != "" {
		conf.Password = c.Password
	}
	if conf.RuntimeParams["application_name"] == "" {
		conf.RuntimeParams["application_name"] = "koinon-node"
	}
	if conf.ConnectTimeout == 0 || conf.ConnectTimeout > connectTimeout {
		conf.ConnectTimeout = connectTimeout
	}
	conf.MaxProtocolMessageBodyLen = maxRow
	if c.Plaintext {
		return conf, nil
	}
	return conf, encrypted(conf)
}

// privatePassfile refuses a .pgpass that others may read, as PostgreSQL's own
// programs do.
func privatePassfile() error {
	path := os.Getenv("PGPASSFILE")
	if home, err := os.UserHomeDir(); path == "" && err == nil {
		path = filepath.Join(home, ".pgpass")
	}
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && info.Mode().Perm()&0o077 == 0 {
		return nil
	}
	if err != nil {
		return &Error{Text: "password file: " + err.Error()}
	}
	return &Error{Text: "others may read the password file " + path, Hint: "chmod 600 " + path}
}

// encrypted takes out every attempt to reach another machine without TLS, and
// refuses a host that is left without an attempt.
func encrypted(conf *pgconn.Config) error {
	all := append([]*pgconn.FallbackConfig{{Host: conf.Host, Port: conf.Port, TLSConfig: conf.TLSConfig}}, conf.Fallbacks...)
	var kept []*pgconn.FallbackConfig
	for _, f := range all {
		if f.TLSConfig != nil || local(f.Host) {
			kept = append(kept, f)
		}
	}
	for _, f := range all {
		reached := false
		for _, k := range kept {
			reached = reached || k.Host == f.Host
		}
		if !reached {
			return &Error{
				Text: "the connection to " + f.Host + " would not be encrypted",
				Hint: "say sslmode=verify-full and sslrootcert=FILE in the connection string; if the network between is trusted, say plaintext: true under data.postgres in node.yaml",
			}
		}
	}
	conf.Host, conf.Port, conf.TLSConfig, conf.Fallbacks = kept[0].Host, kept[0].Port, kept[0].TLSConfig, kept[1:]
	return nil
}

// local reports whether a host is this machine: a socket, or loopback.
func local(host string) bool {
	ip := net.ParseIP(host)
	return strings.HasPrefix(host, "/") || host == "localhost" || ip != nil && ip.IsLoopback()
}
