// Package postgrestest prepares the tables of tests in a PostgreSQL server.
package postgrestest

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5/pgconn"
)

// Exec runs statements and returns the first value of the last result.
func Exec(ctx context.Context, dsn, statements string) (value string, err error) {
	conn, err := pgconn.Connect(ctx, dsn)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, conn.Close(ctx)) }()
	results, err := conn.Exec(ctx, statements).ReadAll()
	if err == nil && len(results) > 0 {
		if last := results[len(results)-1]; len(last.Rows) > 0 {
			value = string(last.Rows[0][0])
		}
	}
	return value, err
}
