// Package demo has the command demo: a small coordinator, its trail, and an edit that is found.
package demo

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/auditmigrate"
	"github.com/hoc-analytics/coordaudit/examples/coordinator"
	"github.com/hoc-analytics/coordaudit/internal/cli"
	"github.com/hoc-analytics/coordaudit/internal/cli/coordaudit/shared"
	"github.com/hoc-analytics/coordaudit/internal/cli/term"
)

// Demo is the command demo.
type Demo struct {
	Keep bool `help:"Keep the database until Ctrl-C, and show how to look at it with psql."`
}

// Run is called by kong. The demo writes nothing into a database that already exists,
// because no one could remove the records from its trail again.
func (c *Demo) Run(ctx context.Context, p *cli.Program, db *shared.Database) (err error) {
	const tried = "running the demo"
	on := p.Screen(false)
	on.Columns = cmp.Or(on.Columns, term.DefaultColumns) // a story is for people: its lines are broken in a pipe as well
	if err := p.Print(on.Hang("", "coordaudit demo: a small optimization coordinator and its audit trail") + "\n"); err != nil {
		return err
	}
	progress := p.Progress("starting a PostgreSQL for the demo")
	host, err := startDemoHost(ctx, db)
	progress.Stop()
	if err != nil {
		return err
	}
	defer func() {
		if stopErr := host.stop(); stopErr != nil {
			err = errors.Join(err, &cli.ShownError{Tried: "cleaning up after the demo", Cause: stopErr})
		}
	}()
	if err := p.Print(p.Screen(false).Hang("  server  ", host.about)); err != nil {
		return err
	}
	pool, err := pgxpool.NewWithConfig(ctx, host.config)
	if err != nil {
		return &cli.ShownError{Tried: tried, Cause: err}
	}
	defer pool.Close()
	progress = p.Progress(tried)
	shown, err := perform(ctx, pool)
	progress.Stop()
	if err != nil {
		return &cli.ShownError{Tried: tried, Cause: err}
	}
	if err := p.Print(shown.text(on, c.Keep)); err != nil {
		return err
	}
	if !c.Keep {
		return nil
	}
	err = p.Print(fmt.Sprintf("\nLook at it with\n  %s\nor, for the programs,\n  export DATABASE_URL=%s\nCtrl-C ends the demo and removes %s.\n", host.psql(), quoted(host.url()), host.what))
	if err == nil {
		<-ctx.Done()
	}
	return err
}

// performance is what the demo shows.
type performance struct {
	changes   []auditmigrate.Change
	start     time.Time
	records   []audit.Record // as read back
	repeated  []audit.Result
	rows      int64 // in the table, at the end
	guards    int64
	tampering *tampering
	elapsed   time.Duration
	decisions map[audit.Decision]int
}

// perform migrates, lets the coordinator decide, and reads back what was stored.
func perform(ctx context.Context, pool *pgxpool.Pool) (*performance, error) {
	began := time.Now()
	quiet := slog.New(slog.DiscardHandler)
	shown := &performance{start: time.Date(2026, 1, 5, 9, 0, 0, 0, time.UTC), decisions: map[audit.Decision]int{}}
	var err error
	if shown.changes, err = auditmigrate.New(pool.Config().ConnConfig, auditmigrate.Config{Logger: quiet}).Up(ctx); err != nil {
		return nil, err
	}
	if err := coordinator.CreateTables(ctx, pool); err != nil {
		return nil, err
	}
	store := coordaudit.New(pool, coordaudit.Config{Logger: quiet, Timeout: demoTimeout})
	if err := coordinator.Play(ctx, pool, store, shown.start); err != nil {
		return nil, err
	}
	for rec, err := range store.All(ctx, audit.Query{Scope: audit.AllTenants(), Order: audit.OldestFirst}) {
		if err != nil {
			return nil, err
		}
		shown.records = append(shown.records, rec)
		shown.decisions[rec.Decision]++
	}
	if shown.repeated, err = store.PersistMany(ctx, shown.records); err != nil {
		return nil, err
	}
	if shown.guards, err = countGuards(ctx, pool); err != nil {
		return nil, err
	}
	if shown.rows, err = store.Count(ctx, audit.Query{Scope: audit.AllTenants()}); err != nil {
		return nil, err
	}
	shown.elapsed = time.Since(began)
	if shown.tampering, err = tamper(ctx, pool, shown.records[len(shown.records)/2].AuditID); err != nil {
		return nil, err
	}
	return shown, nil
}

// countGuards counts the triggers that refuse changes of history. The demo does not try
// them, because a statement that edits the trail belongs only in a test.
func countGuards(ctx context.Context, pool *pgxpool.Pool) (n int64, err error) {
	const sql = `
		SELECT count(*)
		FROM pg_catalog.pg_trigger
		WHERE tgrelid = 'coordination_audit_records'::regclass AND NOT tgisinternal AND tgenabled = 'A'`
	if err := pool.QueryRow(ctx, sql).Scan(&n); err != nil {
		return 0, fmt.Errorf("counting the triggers: %w", err)
	}
	if n < 2 { // one for UPDATE and DELETE, one for TRUNCATE
		return 0, fmt.Errorf("counting the triggers: %d refuse to change history, 2 should", n)
	}
	return n, nil
}
