package doctor

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/auditadmin"
	"github.com/hoc-analytics/coordaudit/auditadmin/internal/catalog"
	"github.com/hoc-analytics/coordaudit/internal/auditdriver"
)

// examination is what the checks of one run share.
type examination struct {
	pool   *pgxpool.Pool
	config Config
	limits limits
	now    func() time.Time

	server server
	trail  *catalog.Place // nil if there is none

	compared   bool
	found      []auditadmin.Difference
	compareErr error

	accounted  bool
	accounts   []audit.SourceAccount
	accountErr error
	at         time.Time // the database's clock then
}

// server is what most checks have to know.
type server struct {
	Version   int    `json:"version"` // such as 150018
	Recovery  bool   `json:"recovery"`
	Role      string `json:"role"` // quoted
	Monitor   bool   `json:"monitor"`
	Superuser bool   `json:"superuser"`
}

// connectTimeout bounds a connection whose URL sets no time.
const connectTimeout = 5 * time.Second

// connect opens a connection next to the pool, as the pool does. It leads to the trail.
func (x *examination) connect(ctx context.Context) (*pgx.Conn, error) {
	config := x.pool.Config()
	if config.BeforeConnect != nil {
		if err := config.BeforeConnect(ctx, config.ConnConfig); err != nil {
			return nil, fmt.Errorf("connecting: %w", err)
		}
	}
	if config.ConnConfig.ConnectTimeout == 0 {
		config.ConnConfig.ConnectTimeout = connectTimeout
	}
	conn, err := pgx.ConnectConfig(ctx, config.ConnConfig)
	if err != nil {
		return nil, fmt.Errorf("connecting: %w", auditdriver.ReadFailure(ctx, err))
	}
	if x.config.Schema == "" {
		return conn, nil
	}
	if _, err := conn.Exec(ctx, "SET search_path = "+pgx.Identifier{x.config.Schema}.Sanitize(), pgx.QueryExecModeSimpleProtocol); err != nil {
		closeConn(ctx, conn)
		return nil, fmt.Errorf("setting the search_path: %w", err)
	}
	return conn, nil
}

func closeConn(ctx context.Context, conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	_ = conn.Close(ctx) // the server ends the session all the same
}

// begin learns what most checks have to know.
func (x *examination) begin(ctx context.Context) error {
	conn, err := x.connect(ctx)
	if err != nil {
		return err
	}
	defer closeConn(ctx, conn)
	tx, err := catalog.Begin(ctx, conn)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }() // it only reads
	described, err := catalog.Described()
	if err != nil {
		return err
	}
	places, err := catalog.Locate(ctx, tx, described.EveryTableName())
	if err != nil {
		return err
	}
	for i, place := range places {
		if place.OnPath && slices.Contains(place.Tables, catalog.Records) {
			x.trail = &places[i]
			break
		}
	}
	if err := catalog.Isolate(ctx, tx); err != nil {
		return err
	}
	return catalog.Query(ctx, tx, "asking for the server", &x.server, `
		SELECT pg_catalog.jsonb_build_object(
			'version', pg_catalog.current_setting('server_version_num')::int,
			'recovery', pg_catalog.pg_is_in_recovery(),
			'role', pg_catalog.quote_ident(current_user),
			'monitor', pg_catalog.pg_has_role(current_user, 'pg_read_all_stats', 'USAGE'),
			'superuser', (SELECT r.rolsuper FROM pg_catalog.pg_roles AS r WHERE r.rolname = current_user)
		)::text`)
}

// ask reads one JSON value. The settings of the session do not change it.
func (x *examination) ask(ctx context.Context, target any, sql string, args ...any) error {
	return x.reading(ctx, func(tx pgx.Tx) error { return catalog.Query(ctx, tx, "asking the server", target, sql, args...) })
}

// reading runs a function in a transaction that only reads. No name that is not qualified
// leads anywhere but to the catalogs.
func (x *examination) reading(ctx context.Context, read func(pgx.Tx) error) error {
	conn, err := x.pool.Acquire(ctx)
	if err != nil {
		return fmt.Errorf("connecting: %w", err)
	}
	defer conn.Release()
	tx, err := catalog.Begin(ctx, conn.Conn())
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }() // it only reads
	if err := catalog.Isolate(ctx, tx); err != nil {
		return err
	}
	return read(tx)
}

// table returns the qualified name of a table of the trail.
func (x *examination) table(name string) string { return x.trail.Quoted + "." + name }

// has reports whether the trail has all of these tables. What is missing is for the guards.
func (x *examination) has(tables ...string) bool {
	return x.trail != nil && !slices.ContainsFunc(tables, func(t string) bool { return !slices.Contains(x.trail.Tables, t) })
}

// tables lists the trail's tables with their schema.
func (x *examination) tables() []string {
	if x.trail == nil {
		return []string{}
	}
	list := make([]string, len(x.trail.Tables))
	for i, name := range x.trail.Tables {
		list[i] = x.table(name)
	}
	return list
}

// The tables that checks read.
const (
	recordsTable    = catalog.Records
	gapsTable       = "coordination_audit_gaps"
	statementsTable = "coordination_audit_statements"
	eventsTable     = "coordination_audit_seal_events"
	checkpointTable = "coordination_audit_seal_checkpoints"
)

// seconds is an interval as the queries return it.
func seconds(n float64) time.Duration { return time.Duration(n * float64(time.Second)) }
