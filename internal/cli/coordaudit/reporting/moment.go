package reporting

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/cli/coordaudit/shared"
	"github.com/hoc-analytics/coordaudit/internal/report"
	"github.com/hoc-analytics/coordaudit/sealer"
)

// Collector reads all parts of a report as they are at one moment.
type Collector struct {
	DB       *shared.Database
	Query    audit.SignalQuery
	Made     time.Time
	Latest   int                  // how many records to list
	Exported *sealer.VerifyConfig // nil: no checkpoint is to be compared
	Tried    string
	Step     func(doing string) // is called at the begin of each part

	data report.Data
	hint string
}

// Collect returns the data, and a hint if there is nothing. It opens a store whose pool has one
// connection, so that it is known on which one the moment is read. ctx bounds each part.
func (c *Collector) Collect(ctx context.Context) (data report.Data, hint string, err error) {
	err = c.run(ctx)
	return c.data, c.hint, err
}

func (c *Collector) run(ctx context.Context) error {
	var session *pgx.Conn
	pool, err := c.DB.OpenPoolWith(ctx, c.Tried, 1, func(_ context.Context, conn *pgx.Conn) error {
		session = conn
		return nil
	})
	if err != nil {
		return err
	}
	defer pool.Close()
	store := coordaudit.New(pool, coordaudit.Config{Logger: slog.New(slog.DiscardHandler), Retries: -1})
	defer store.Close()
	gapsUnread, err := refusesGaps(ctx, store)
	if err != nil {
		return err
	}
	return store.AtOneMoment(ctx, func(store *coordaudit.Store) error {
		at, err := momentOf(ctx, session)
		if err != nil {
			return err
		}
		return c.collect(ctx, store, at, gapsUnread)
	})
}

// collect reads the account of the sources last. A role that may read the records may not be
// allowed to read it, and the moment ends with a statement that was refused.
func (c *Collector) collect(ctx context.Context, store *coordaudit.Store, at moment, gapsUnread bool) (err error) {
	window := c.Query.Window
	if c.data, err = CollectReport(ctx, store, c.Query, c.Made, c.Latest, c.Step); err != nil {
		return err
	}
	if c.data.Breakdown.Total == 0 {
		c.hint = shared.Outside(ctx, store, c.Query.Scope, window, c.Made)
	}
	if c.data.GapsUnread = gapsUnread; !gapsUnread {
		if c.data.Gaps, c.data.GapsUnread, err = collectGaps(ctx, store, window); err != nil {
			return err
		}
	}
	c.Step("reading the state of the seal")
	if err := c.collectSealing(ctx, at); err != nil {
		return err
	}
	c.Step("checking the guards")
	c.data.Guards = readGuards(ctx, c.DB, at)
	c.Step("accounting for the sources")
	c.data.Completeness, c.data.CompletenessUnread, err = collectCompleteness(ctx, store, window)
	return err
}

// moment is the snapshot of a transaction. Other connections can read at it while that
// transaction is open.
type moment string

// momentOf exports the snapshot of the transaction that is open on a connection.
func momentOf(ctx context.Context, conn *pgx.Conn) (at moment, err error) {
	if conn == nil || conn.PgConn().TxStatus() != 'T' {
		return "", errors.New("sharing the moment of the report: its transaction is not open")
	}
	if err := conn.QueryRow(ctx, "SELECT pg_catalog.pg_export_snapshot()", pgx.QueryExecModeSimpleProtocol).Scan(&at); err != nil {
		return "", fmt.Errorf("sharing the moment of the report: %w", err)
	}
	return at, nil
}

// begin begins a transaction that sees the moment.
func (m moment) begin(ctx context.Context, conn *pgx.Conn) (pgx.Tx, error) {
	tx, err := conn.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
	if err != nil {
		return nil, fmt.Errorf("entering the moment of the report: %w", err)
	}
	if _, err := tx.Exec(ctx, "SET TRANSACTION SNAPSHOT '"+string(m)+"'"); err != nil { // it takes no arguments, and this one is the server's
		return nil, fmt.Errorf("entering the moment of the report: %w", err)
	}
	return tx, nil
}

// enter keeps a new connection in the moment. The transaction ends with the connection.
func (m moment) enter(ctx context.Context, conn *pgx.Conn) error {
	_, err := m.begin(ctx, conn)
	return err
}
