package auditdriver

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/hoc-analytics/coordaudit/internal/dsn"
)

// OpenPool opens a pool on a database URL or key=value string. It bounds what the URL does
// not set and pgx leaves unbounded. It does not wait for the database.
func OpenPool(ctx context.Context, databaseURL string, tracer pgx.QueryTracer) (*pgxpool.Pool, error) {
	config, err := dsn.Parse(databaseURL, pgxpool.ParseConfig)
	if err != nil {
		return nil, err
	}
	if config.ConnConfig.ConnectTimeout == 0 {
		config.ConnConfig.ConnectTimeout = 5 * time.Second
	}
	if config.MaxConnLifetimeJitter == 0 {
		// Without jitter, connections that were opened together are closed together.
		config.MaxConnLifetimeJitter = config.MaxConnLifetime / 10
	}
	if tracer != nil {
		config.ConnConfig.Tracer = tracer
	}
	configureSessions(config, true)
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("opening the connection pool: %w", err)
	}
	return pool, nil
}

// ConfigurePool sets on a pool's configuration what the promises rest on and what must be
// set before connecting. The configuration's own hooks still run, and run first.
func ConfigurePool(config *pgxpool.Config) { configureSessions(config, false) }

// configureSessions prepares each session of a pool. It raises synchronous_commit only in a
// pool of our own.
func configureSessions(config *pgxpool.Config, ours bool) {
	conn := config.ConnConfig
	params := sessionParams()
	maps.DeleteFunc(conn.RuntimeParams, func(name, _ string) bool { return params[strings.ToLower(name)] != "" })
	maps.Copy(conn.RuntimeParams, params)
	raise := ours && !sets(conn.RuntimeParams, "synchronous_commit")

	onNotice := conn.OnNotice
	conn.OnNotice = func(pg *pgconn.PgConn, notice *pgconn.Notice) {
		if onNotice != nil {
			onNotice(pg, notice)
		}
		if EndsStandbyWait(notice) {
			sessionOf(pg).unreplicated.Store(true)
		}
	}
	afterConnect := config.AfterConnect
	config.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
		if afterConnect != nil {
			if err := afterConnect(ctx, conn); err != nil {
				return err
			}
		}
		return setUp(ctx, conn, raise)
	}
}

// sets reports whether a connection's parameters set a name, directly or in options.
func sets(params map[string]string, name string) bool {
	_, named := params[name]
	return named || strings.Contains(params["options"], name)
}

// EndsStandbyWait reports the server's warning that a commit no longer waits for its standby:
// it is local, and might not be replicated. The message is localized, the routine is not.
// With 57P01 the warning comes before the session ends.
func EndsStandbyWait(notice *pgconn.Notice) bool {
	return notice.Routine == "SyncRepWaitForLSN" && (notice.Code == stateWarning || notice.Code == stateAdminShutdown)
}
