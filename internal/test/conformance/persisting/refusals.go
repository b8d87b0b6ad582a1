package persisting

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/test/conformance/frame"
	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
)

func invalidRecordIsNotSent(t *testing.T, db frame.Database) {
	store := frame.NewStore(db)
	rec := fixture.NewRecord()
	rec.EnvelopeID, rec.EnvelopeClass, rec.Decision, rec.Reason, rec.ActiveEnvelopesCount = "", "LATENCY", "MAYBE", " ", -1
	want := []string{"envelope_id", "envelope_class", "decision", "reason", "active_envelopes_count"}

	tx := frame.CallersTx(t, db.Pool)
	sent := db.Pool.Stat().AcquireCount()
	for _, c := range append(frame.OwnCalls(store), frame.TxCalls(store, tx)...) {
		failed := c.WantFailure(t.Context(), t, rec, audit.ErrInvalidRecord)
		invalid, ok := errors.AsType[*audit.InvalidRecordError](failed)
		if !ok {
			t.Fatalf("%s() = %v, want an InvalidRecordError", c.Name, failed)
		}
		var fields []string
		for _, fault := range invalid.Faults {
			fields = append(fields, fault.Field)
		}
		if diff := cmp.Diff(want, fields); diff != "" || failed.Attempts != 0 {
			t.Errorf("%s(): %d attempts, faulty fields (-want +got):\n%s", c.Name, failed.Attempts, diff)
		}
	}
	if now := db.Pool.Stat().AcquireCount(); now != sent {
		t.Errorf("%d connections were taken for records that must not be sent", now-sent)
	}
	frame.Commit(t, tx)
}

// Each call reports it, on the pool and in a transaction that goes on.
func refusalIsReported(t *testing.T, db frame.Database) {
	tests := map[string]struct {
		breakIt  string
		grants   []string
		sqlState string
	}{
		"table missing":  {"ALTER TABLE coordination_audit_records RENAME TO elsewhere", nil, "42P01"},
		"column missing": {"ALTER TABLE coordination_audit_records RENAME COLUMN tenant_id TO tenant", nil, "42703"},
		"no rights":      {"SELECT", []string{"CREATE ON SCHEMA public"}, "42501"},
		"constraint":     {"ALTER TABLE coordination_audit_records ADD CONSTRAINT dba_says_no CHECK (tenant_id <> 'acme')", nil, "23514"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := db.Another(t)
			fixture.MustExec(t, db.Pool, test.breakIt)
			pool := db.Pool
			if test.grants != nil {
				pool, _ = frame.PoolAsPlainRole(t, db, test.grants...)
			}
			store := coordaudit.New(pool, fixture.Quiet())
			tx := frame.CallersTx(t, pool)
			for _, c := range append(frame.OwnCalls(store), frame.TxCalls(store, tx)...) {
				failed := c.WantFailure(t.Context(), t, fixture.NewRecord(), audit.ErrRefused)
				if failed.SQLState != test.sqlState || failed.Attempts != 1 {
					t.Errorf("%s(): SQLSTATE %s after %d attempts, want %s after 1", c.Name, failed.SQLState, failed.Attempts, test.sqlState)
				}
			}
			frame.Commit(t, tx)
		})
	}
}

func hiddenRowIsRefused(t *testing.T, db frame.Database) {
	hidden := fixture.NewRecord()
	fixture.MustPersist(t, frame.NewStore(db), hidden)
	fixture.MustExec(t, db.Pool, "ALTER TABLE coordination_audit_records ENABLE ROW LEVEL SECURITY")
	fixture.MustExec(t, db.Pool, "CREATE POLICY mine ON coordination_audit_records USING (tenant_id = 'mine')")
	pool, _ := frame.PoolAsPlainRole(t, db, "INSERT, SELECT ON coordination_audit_records", "CREATE ON SCHEMA public")

	store := coordaudit.New(pool, fixture.Quiet())
	mine := fixture.NewRecord()
	mine.TenantID = "mine"
	tx := frame.CallersTx(t, pool)
	for _, c := range append(frame.OwnCalls(store), frame.TxCalls(store, tx)...) {
		rec := mine
		rec.AuditID = hidden.AuditID
		failed := c.WantFailure(t.Context(), t, rec, audit.ErrRefused)
		if failed.SQLState != "" || !strings.Contains(failed.Error(), "row-level security") {
			t.Errorf("%s() = %v, want the hidden row named as the cause", c.Name, failed)
		}
	}
	for _, c := range append(frame.OwnCalls(store)[:1], frame.TxCalls(store, tx)...) {
		failed := c.WantFailure(t.Context(), t, fixture.NewRecord(), audit.ErrRefused)
		if text := failed.Error(); !strings.Contains(text, "CREATE POLICY") || strings.Contains(text, "migrate grants") {
			t.Errorf("%s() = %v, want the policy named as what to change", c.Name, failed)
		}
	}
	frame.Commit(t, tx)
	frame.OwnCalls(store)[0].WantOutcome(t, mine, audit.Persisted)
	if n := fixture.CountRecords(t, db.Pool); n != 2 {
		t.Errorf("%d rows, want the hidden one and the role's own", n)
	}
}
