package auditmigrate_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/auditmigrate"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

// The roles and grants of docs/deploy.md.
func TestOwnerAndServiceRoles(t *testing.T) {
	t.Parallel()
	db := testdb.NewEmpty(t)
	owner, service := newRole(t, db), newRole(t, db)

	_, err := as(db, owner).Up(t.Context())
	if err == nil || !strings.Contains(err.Error(), "permission denied for schema public (SQLSTATE 42501): migrate as the owner of the tables") {
		t.Errorf("without CREATE on the schema: %v", err)
	}
	execute(t, db.Pool, "GRANT CREATE ON SCHEMA public TO "+owner)
	if _, err := as(db, owner).Up(t.Context()); err != nil {
		t.Fatal(err)
	}

	if err := as(db, service).Validate(t.Context()); err == nil || !strings.Contains(err.Error(), "SELECT on coordaudit_schema_version is enough") {
		t.Errorf("a service without rights: %v", err)
	}
	execute(t, db.Pool, "GRANT SELECT, INSERT ON coordination_audit_records, coordination_audit_gaps, coordination_audit_statements TO "+service+"; GRANT SELECT ON coordaudit_schema_version TO "+service)
	if err := as(db, service).Validate(t.Context()); err != nil {
		t.Errorf("a service with its rights: %v", err)
	}

	pool := poolAs(t, db, service)
	for _, sql := range []string{insertRecord, insertGap, insertStatement} {
		if _, err := pool.Exec(t.Context(), sql); err != nil {
			t.Errorf("a service's %s: %v", sql, err)
		}
	}
	mustBeForbidden(t, pool, "service",
		"UPDATE coordination_audit_records SET reason = 'another'",
		"DELETE FROM coordination_audit_records",
		"TRUNCATE coordination_audit_records",
		"ALTER TABLE coordination_audit_records DISABLE TRIGGER ALL",
		"DROP TABLE coordination_audit_records",
		"UPDATE coordination_audit_gaps SET cause = 'another'",
		"DELETE FROM coordination_audit_gaps",
		"TRUNCATE coordination_audit_gaps",
		"UPDATE coordination_audit_statements SET label = 'another'",
		"DELETE FROM coordination_audit_statements",
		"TRUNCATE coordination_audit_statements",
		"DELETE FROM coordaudit_schema_version",
		"SELECT * FROM coordination_audit_seal_tiles",
		insertSealEvent,
	)
	if _, err := as(db, service).Down(t.Context()); err == nil {
		t.Error("a service has migrated down")
	}
	execute(t, db.Pool, insertSealEvent)
	const beforeSeals = 9
	if _, err := as(db, owner).DownTo(t.Context(), beforeSeals); !errors.Is(err, auditmigrate.ErrDataLoss) {
		t.Errorf("down by the owner: %v, want ErrDataLoss", err)
	}
	permitted := asWith(db, owner, auditmigrate.Config{Logger: slog.New(slog.DiscardHandler), AllowDataLoss: true})
	if _, err := permitted.DownTo(t.Context(), beforeSeals); err != nil {
		t.Errorf("down by the owner, permitted to drop the event: %v", err)
	}
	if _, err := as(db, owner).Up(t.Context()); err != nil {
		t.Errorf("up by the owner: %v", err)
	}
}

// A dashboard reads this way. Like a standby, its sessions refuse writes.
func TestReaderNeedsSelectOnly(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	execute(t, db.Pool, insertRecord)
	execute(t, db.Pool, insertContext)
	id := uuid.MustParse(texts(t, db.Pool, "SELECT audit_id::text FROM coordination_audit_records WHERE target_subsystem IS NOT NULL")[0])
	reader := newRole(t, db)
	execute(t, db.Pool, "GRANT SELECT ON coordination_audit_records, coordination_audit_gaps, coordination_audit_statements TO "+reader)

	pool := poolAs(t, db, reader, "default_transaction_read_only", "on")
	store := coordaudit.New(pool, coordaudit.Config{Logger: slog.New(slog.DiscardHandler)})
	scope := audit.AllTenants()
	window := audit.Window{Since: time.Now().Add(-time.Hour), Until: time.Now().Add(time.Hour)}
	for name, read := range map[string]func(context.Context) error{
		"Get": func(ctx context.Context) error { _, err := store.Get(ctx, scope, id); return err },
		"GetMany": func(ctx context.Context) error {
			_, _, err := store.GetMany(ctx, scope, []uuid.UUID{id})
			return err
		},
		"List": func(ctx context.Context) error {
			_, err := store.List(ctx, audit.Query{Scope: scope})
			return err
		},
		"ListFiltered": func(ctx context.Context) error {
			_, err := store.List(ctx, audit.Query{Scope: scope, TargetSubsystem: "retry"})
			return err
		},
		"Count": func(ctx context.Context) error {
			_, err := store.Count(ctx, audit.Query{Scope: scope})
			return err
		},
		"Timeline": func(ctx context.Context) error {
			_, err := store.Timeline(ctx, audit.TimelineQuery{Scope: scope, EnvelopeID: "envelope"})
			return err
		},
		"Signals": func(ctx context.Context) error {
			_, err := store.Signals(ctx, audit.SignalQuery{Scope: scope})
			return err
		},
		"Trend": func(ctx context.Context) error {
			_, err := store.Trend(ctx, audit.TrendQuery{Scope: scope, Window: window})
			return err
		},
		"Breakdown": func(ctx context.Context) error {
			_, err := store.Breakdown(ctx, audit.BreakdownQuery{Scope: scope, Window: window})
			return err
		},
		"Gaps": func(ctx context.Context) error { _, err := store.Gaps(ctx, audit.GapQuery{}); return err },
		"Completeness": func(ctx context.Context) error {
			_, err := store.Completeness(ctx, audit.CompletenessQuery{})
			return err
		},
	} {
		if err := read(t.Context()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}

	// The transaction is read-write, so only the right is missing.
	tx, err := pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(t.Context())) }()
	if _, err := tx.Exec(t.Context(), "SET TRANSACTION READ WRITE"); err != nil {
		t.Fatal(err)
	}
	mustBeForbidden(t, tx, "reader", insertRecord)
}
