package postgres

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/koinon-eu/koinon/models/feature"
)

// Error is what went wrong, in one line, and what to do about it.
type Error struct {
	Text string
	Hint string
}

func (e *Error) Error() string { return e.Text }

// secrets are texts that no error may hold.
type secrets []string

func (s secrets) redact(text string) string {
	for _, secret := range s {
		for _, form := range []string{secret, url.QueryEscape(secret), url.PathEscape(secret)} {
			if secret != "" {
				text = strings.ReplaceAll(text, form, "…")
			}
		}
	}
	return text
}

// fault puts what the library or the server says into a person's words.
func (r *Reader) fault(err error) error {
	e := explain(err)
	e.Text = r.secrets.redact(strings.Join(strings.Fields(e.Text), " "))
	return e
}

func explain(err error) *Error {
	var server *pgconn.PgError
	var long *pgproto3.ExceededMaxBodyLenErr
	var verify *tls.CertificateVerificationError
	var op *net.OpError
	var dns *net.DNSError
	text := deepest(err).Error()
	switch {
	case errors.As(err, &server):
		return serverFault(server)
	case errors.As(err, &long):
		return &Error{fmt.Sprintf("a row has more than %d MiB", maxRow>>20), "name only the columns of the schema in a query, without long texts"}
	case errors.As(err, &verify):
		return &Error{"the server's certificate does not hold: " + verify.Err.Error(), "sslrootcert must name the authority of the server's certificate, and host the name in it"}
	case strings.Contains(text, "refused TLS"):
		return &Error{"the server speaks no TLS", "switch it on there (ssl = on), or see plaintext in the documentation of node.yaml"}
	case errors.As(err, &dns):
		return &Error{"host " + dns.Name + " is not known", "check host in the connection string"}
	case errors.As(err, &op) && op.Op == "dial" && op.Addr != nil:
		return &Error{"server at " + op.Addr.String() + " is not reached: " + op.Err.Error(), "check that it runs, its address, and that the network lets this node reach it"}
	case errors.Is(err, context.Canceled):
		return &Error{Text: "reading was cancelled"}
	case pgconn.Timeout(err), errors.Is(err, context.DeadlineExceeded):
		return &Error{"the server does not answer in time", "check that it runs; a query may take as long as timeout under data.postgres in node.yaml says"}
	}
	return &Error{"the connection failed: " + text, "look at the server's log; koinon-node doctor tries again"}
}

// deepest is the cause of a chain of errors: those above name the user and the
// database over and over.
func deepest(err error) error {
	for {
		var next error
		switch x := err.(type) {
		case interface{ Unwrap() error }:
			next = x.Unwrap()
		case interface{ Unwrap() []error }:
			if all := x.Unwrap(); len(all) > 0 {
				next = all[0]
			}
		}
		if next == nil {
			return err
		}
		err = next
	}
}

// hints are by SQLSTATE, or its class of two characters.
var hints = map[string]string{
	"28":    "check user and password (data.postgres.password in node.yaml, or .pgpass) and the server's pg_hba.conf",
	"3D000": "check dbname in the connection string",
	"3F000": "name a table as SCHEMA.TABLE; a name in capitals must be quoted",
	"42P01": "name a table as SCHEMA.TABLE; a name in capitals must be quoted",
	"42703": "mend the query; a name in capitals must be quoted",
	"42501": "the owner grants it: GRANT USAGE ON SCHEMA s TO role; GRANT SELECT ON s.table TO role",
	"42":    "mend the query in node.yaml; psql shows where it is wrong",
	"57014": "give it more time (timeout under data.postgres in node.yaml), or the server an index or a materialized view",
	"55P03": "somebody holds a lock on the table, such as ALTER TABLE; try again",
	"57P":   "wait until the server has started, and try again",
	"53300": "the server has no connection left; try again, or give the role one",
	"25006": "the query, or a function in it, writes; only what reads is run",
	"22":    "run the query in psql; a cast or a division does not hold for a row",
}

// serverFault words an error of the server. Its message is shown only where it
// speaks of names and never of values; detail and context never are.
func serverFault(e *pgconn.PgError) *Error {
	out := &Error{Text: fmt.Sprintf("the server gave up with SQLSTATE %s", e.Code), Hint: "the server's log says more"}
	for _, class := range []string{"28", "3D", "3F", "42", "57", "55", "53", "25", "08", "0A"} {
		if strings.HasPrefix(e.Code, class) {
			out.Text = e.Message
		}
	}
	if strings.HasPrefix(e.Code, "22") {
		out.Text = fmt.Sprintf("the query fails on a value (SQLSTATE %s)", e.Code)
	}
	for n := min(2, len(e.Code)); n <= len(e.Code); n++ { // the longest wins
		if h, ok := hints[e.Code[:n]]; ok {
			out.Hint = h
		}
	}
	return out
}

// Explain adds to an error of feature.Read, for a column that the table lacks,
// the name that may have been meant.
func (r *Reader) Explain(err error) error {
	var missing *feature.MissingError
	if !errors.As(err, &missing) {
		return err
	}
	out := &Error{Text: "no column " + strings.Join(missing.Columns, ", "), Hint: "name the columns as the schema does: in a view, or in a query with AS"}
	var meant []string
	for _, want := range missing.Columns {
		if name, ok := r.nearest(want); ok {
			meant = append(meant, fmt.Sprintf("%s AS %s", quote(name), quote(want)))
		}
	}
	if len(meant) > 0 {
		out.Hint = "did you mean " + strings.Join(meant, ", ") + "? " + out.Hint
	}
	return out
}

// nearest is the column whose name differs least, if it differs little.
func (r *Reader) nearest(want string) (name string, ok bool) {
	best := len(want)/3 + 1
	for _, c := range r.columns {
		if d := distance(fold(want), fold(c.name)); d < best {
			name, best, ok = c.name, d, true
		}
	}
	return name, ok
}

func fold(s string) string {
	return strings.ToLower(strings.NewReplacer("_", "", "-", "", " ", "").Replace(s))
}

// distance counts the letters to insert, take out or replace (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		last := slices.Clone(row)
		row[0] = i + 1
		for j := range len(b) {
			change := 1
			if a[i] == b[j] {
				change = 0
			}
			row[j+1] = min(last[j]+change, last[j+1]+1, row[j]+1)
		}
	}
	return row[len(b)]
}
