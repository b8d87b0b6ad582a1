// Package shared is what the commands of coordaudit have in common: the database, scope,
// filters, window, paging, and the forms of a record.
package shared

import (
	"context"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/auditmigrate"
	"github.com/hoc-analytics/coordaudit/internal/auditdriver"
	"github.com/hoc-analytics/coordaudit/internal/cli"
)

// Database is the database of the command line.
type Database struct {
	URL string `name:"database-url" placeholder:"URL" help:"The database, as postgres://user@host/name. Defaults to the variable DATABASE_URL. Put a URL with a password there: other users of this machine can read arguments."`
}

// Open opens a store for one command. Its log is discarded: the command itself says what
// a person has to know.
func (d *Database) Open(ctx context.Context, tried string, timeout time.Duration) (*coordaudit.Store, error) {
	if err := d.Check(tried); err != nil {
		return nil, err
	}
	store, err := coordaudit.Open(ctx, d.URL, coordaudit.Config{
		Logger:  slog.New(slog.DiscardHandler),
		Timeout: timeout,
		Retries: -1,
	})
	if err != nil {
		return nil, &cli.ShownError{Tried: tried, Cause: err}
	}
	return store, nil
}

// Check refuses a URL that cannot be used at all. auditmigrate parses it, because the text
// of its error shows no password, even if the URL is too broken to find one.
func (d *Database) Check(tried string) error {
	return cli.CheckDatabase(tried, d.URL, func(url string) error {
		_, err := auditmigrate.Open(url, auditmigrate.Config{})
		return err
	})
}

// OpenPool opens a pool for the commands that use no store.
func (d *Database) OpenPool(ctx context.Context, tried string) (*pgxpool.Pool, error) {
	if err := d.Check(tried); err != nil {
		return nil, err
	}
	pool, err := auditdriver.OpenPool(ctx, d.URL, nil)
	if err != nil {
		return nil, &cli.ShownError{Tried: tried, Cause: err}
	}
	return pool, nil
}

// OpenPoolWith is OpenPool with one more thing to do on each new connection.
func (d *Database) OpenPoolWith(ctx context.Context, tried string, most int32, connected func(context.Context, *pgx.Conn) error) (*pgxpool.Pool, error) {
	if err := d.Check(tried); err != nil {
		return nil, err
	}
	config, err := auditdriver.PoolConfig(d.URL, nil)
	if err != nil {
		return nil, &cli.ShownError{Tried: tried, Cause: err}
	}
	config.MaxConns, config.MinConns, config.MinIdleConns = most, 0, 0
	setUp := config.AfterConnect
	config.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
		if err := setUp(ctx, conn); err != nil {
			return err
		}
		return connected(ctx, conn)
	}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, &cli.ShownError{Tried: tried, Cause: err}
	}
	return pool, nil
}
