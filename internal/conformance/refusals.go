package conformance

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
)

func refusals() []promise {
	return []promise{
		{"AnInvalidRecordIsRefusedForAllItsFaultsAndNothingIsSent", anInvalidRecordIsRefusedForAllItsFaultsAndNothingIsSent},
		{"WhatTheDatabaseRefusesIsToldAsRefused", whatTheDatabaseRefusesIsToldAsRefused},
		{"ARowThatRowLevelSecurityHidesIsRefused", aRowThatRowLevelSecurityHidesIsRefused},
	}
}

func anInvalidRecordIsRefusedForAllItsFaultsAndNothingIsSent(t *testing.T, db Database) {
	store := newStore(db)
	rec := newRecord()
	rec.EnvelopeID, rec.EnvelopeClass, rec.Decision, rec.Reason, rec.ActiveEnvelopesCount = "", "LATENCY", "MAYBE", " ", -1
	want := []string{"envelope_id", "envelope_class", "decision", "reason", "active_envelopes_count"}

	tx := callersTx(t, db.Pool)
	sent := db.Pool.Stat().AcquireCount()
	for _, c := range append(ownCalls(store), txCalls(store, tx)...) {
		failed := c.wantFailure(t.Context(), t, rec, audit.ErrInvalidRecord)
		invalid, ok := errors.AsType[*audit.InvalidRecordError](failed)
		if !ok {
			t.Fatalf("%s() = %v, want an InvalidRecordError", c.name, failed)
		}
		var fields []string
		for _, fault := range invalid.Faults {
			fields = append(fields, fault.Field)
		}
		if diff := cmp.Diff(want, fields); diff != "" || failed.Attempts != 0 {
			t.Errorf("%s(): %d attempts, faulty fields (-want +got):\n%s", c.name, failed.Attempts, diff)
		}
	}
	if now := db.Pool.Stat().AcquireCount(); now != sent {
		t.Errorf("%d connections were taken for records that are not to be sent", now-sent)
	}
	commit(t, tx)
}

// Every call, in the pool and in a transaction that goes on.
func whatTheDatabaseRefusesIsToldAsRefused(t *testing.T, db Database) {
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
			db := db.another(t)
			mustExec(t, db.Pool, test.breakIt)
			pool := db.Pool
			if test.grants != nil {
				pool, _ = poolAsPlainRole(t, db, test.grants...)
			}
			store := coordaudit.New(pool, quiet())
			tx := callersTx(t, pool)
			for _, c := range append(ownCalls(store), txCalls(store, tx)...) {
				failed := c.wantFailure(t.Context(), t, newRecord(), audit.ErrRefused)
				if failed.SQLState != test.sqlState || failed.Attempts != 1 {
					t.Errorf("%s(): SQLSTATE %s after %d attempts, want %s after 1", c.name, failed.SQLState, failed.Attempts, test.sqlState)
				}
			}
			commit(t, tx)
		})
	}
}

func aRowThatRowLevelSecurityHidesIsRefused(t *testing.T, db Database) {
	hidden := newRecord()
	mustPersist(t, newStore(db), hidden)
	mustExec(t, db.Pool, "ALTER TABLE coordination_audit_records ENABLE ROW LEVEL SECURITY")
	mustExec(t, db.Pool, "CREATE POLICY mine ON coordination_audit_records USING (tenant_id = 'mine')")
	pool, _ := poolAsPlainRole(t, db, "INSERT, SELECT ON coordination_audit_records", "CREATE ON SCHEMA public")

	store := coordaudit.New(pool, quiet())
	mine := newRecord()
	mine.TenantID = "mine"
	tx := callersTx(t, pool)
	for _, c := range append(ownCalls(store), txCalls(store, tx)...) {
		rec := mine
		rec.AuditID = hidden.AuditID
		failed := c.wantFailure(t.Context(), t, rec, audit.ErrRefused)
		if failed.SQLState != "" || !strings.Contains(failed.Error(), "row-level security") {
			t.Errorf("%s() = %v, want the hidden row named as the cause", c.name, failed)
		}
	}
	commit(t, tx)
	ownCalls(store)[0].wantOutcome(t, mine, audit.Persisted)
	if n := countRecords(t, db.Pool); n != 2 {
		t.Errorf("%d rows, want the hidden one and the role's own", n)
	}
}
