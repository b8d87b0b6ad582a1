package persisting

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/test/conformance/frame"
	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
)

func storesRecord(t *testing.T, db frame.Database) {
	store := frame.NewStore(db)
	records := map[string]audit.Record{
		"applied": fixture.NewRecord(),
		"rejected, no tenant": func() audit.Record {
			rec := fixture.NewRecord()
			rec.Decision, rec.ConflictingEnvelopeID, rec.TenantID = audit.Rejected, "other", ""
			return rec
		}(),
		"preempted": func() audit.Record {
			rec := fixture.NewRecord()
			rec.Decision, rec.PreemptingEnvelopeID = audit.Preempted, "safety-cap"
			return rec
		}(),
		"no class, another zone, nanoseconds": func() audit.Record {
			rec := fixture.NewRecord()
			rec.EnvelopeClass = ""
			rec.DecisionTimestamp = time.Date(2026, 7, 1, 12, 0, 0, 123456789, time.FixedZone("", 5*3600+1800))
			return rec
		}(),
		"the bounds": func() audit.Record {
			rec := fixture.NewRecord()
			rec.EnvelopeID, rec.TenantID = strings.Repeat("é", 100), strings.Repeat("🚀", 100)
			rec.Reason = strings.Repeat("x", audit.MaxReasonBytes)
			rec.ActiveEnvelopesCount = 1<<31 - 1
			rec.DecisionTimestamp = time.Date(9999, 12, 31, 23, 59, 59, 999999999, time.UTC)
			return rec
		}(),
		"quotes, backslashes, commas, braces": func() audit.Record {
			rec := fixture.NewRecord()
			rec.EnvelopeID, rec.Reason, rec.TenantID = `{"a",'b'\}`, "NULL", ` \N,"" `
			return rec
		}(),
	}
	for name, rec := range records {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			result := fixture.MustPersist(t, store, rec)
			got, err := store.Get(t.Context(), audit.AllTenants(), rec.AuditID)
			if err != nil {
				t.Fatal(err)
			}
			want := rec.Normalized()
			want.Seq, want.CreatedAt = result.Seq, result.CreatedAt
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("record (-want +got):\n%s", diff)
			}
			if got.Seq == 0 || time.Since(got.CreatedAt).Abs() > time.Hour || got.CreatedAt.Location() != time.UTC {
				t.Errorf("seq %d and created_at %v are not the database's", got.Seq, got.CreatedAt)
			}
		})
	}
}

func makesMissingID(t *testing.T, db frame.Database) {
	store := frame.NewStore(db)
	rec := fixture.NewRecord()
	rec.AuditID = uuid.Nil
	first, second := fixture.MustPersist(t, store, rec), fixture.MustPersist(t, store, rec)
	if first.AuditID == uuid.Nil || first.AuditID.Version() != 7 || first.AuditID == second.AuditID {
		t.Errorf("ids %v and %v, want two of version 7", first.AuditID, second.AuditID)
	}
	if second.Seq <= first.Seq {
		t.Errorf("seq went from %d to %d, want it to grow", first.Seq, second.Seq)
	}
}

// Row 10: a replay returned True for garbage too.
func persistReplayWritesNothing(t *testing.T, db frame.Database) {
	store := frame.NewStore(db)
	replay := store.Replaying()
	rec := fixture.NewRecord()
	result, err := replay.Persist(t.Context(), rec)
	if err != nil || result != (audit.Result{AuditID: rec.AuditID, Outcome: audit.Skipped}) {
		t.Errorf("Persist() = %+v, %v; want Skipped", result, err)
	}
	results, err := replay.PersistMany(t.Context(), fixture.NewRecords(3))
	if err != nil || len(results) != 3 || results[2].Outcome != audit.Skipped {
		t.Errorf("PersistMany() = %+v, %v; want Skipped", results, err)
	}
	rec.EnvelopeClass = "garbage"
	if _, err := replay.Persist(t.Context(), rec); !errors.Is(err, audit.ErrInvalidRecord) {
		t.Errorf("garbage in a replay: %v, want ErrInvalidRecord", err)
	}
	if n := fixture.CountRecords(t, db.Pool); n != 0 {
		t.Errorf("%d rows, want none", n)
	}
	want := audit.Counts{Attempts: 5, Skipped: 4, Failed: 1}
	if diff := cmp.Diff(want, store.Stats().Total()); diff != "" {
		t.Errorf("the store and its replaying twin share their counts (-want +got):\n%s", diff)
	}
}

func refusedCommitFails(t *testing.T, db frame.Database) {
	store := frame.NewStore(db)
	fixture.MustExec(t, db.Pool, `CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'at commit' USING ERRCODE = '23514'; END $$`)
	fixture.MustExec(t, db.Pool, `CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON coordination_audit_records DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse()`)
	if _, err := store.Persist(t.Context(), fixture.NewRecord()); !errors.Is(err, audit.ErrRefused) {
		t.Errorf("Persist() = %v, want ErrRefused", err)
	}
	if n := fixture.CountRecords(t, db.Pool); n != 0 {
		t.Errorf("%d rows, want none", n)
	}
}

// Rows 1 and 2: every decision about an envelope of every class is stored.
func storesEveryDecision(t *testing.T, db frame.Database) {
	store := frame.NewStore(db)
	for _, class := range append(audit.EnvelopeClasses(), "") {
		for _, decision := range audit.Decisions() {
			rec := fixture.NewRecord()
			rec.EnvelopeClass, rec.Decision = class, decision
			if decision == audit.Preempted {
				rec.PreemptingEnvelopeID = "other"
			}
			fixture.MustPersist(t, store, rec)
		}
	}
	if n := fixture.CountRecords(t, db.Pool); n != 18 {
		t.Errorf("%d rows, want 18", n)
	}
}

// Row 14: created_at was the writer's clock, and records of the same time had no order.
func databaseSetsTimeAndSeq(t *testing.T, db frame.Database) {
	store := frame.NewStore(db)
	old := fixture.NewRecord()
	old.CreatedAt, old.Seq = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC), 1<<40
	before := time.Now().Add(-time.Minute)
	first, second := fixture.MustPersist(t, store, old), fixture.MustPersist(t, store, fixture.NewRecord())
	if first.CreatedAt.Before(before) || second.CreatedAt.Before(first.CreatedAt) {
		t.Errorf("created_at %v and %v, want the database's clock", first.CreatedAt, second.CreatedAt)
	}
	if first.Seq >= second.Seq || first.Seq > 1<<20 {
		t.Errorf("seq %d and %d, want the order of insertion", first.Seq, second.Seq)
	}

	tx := frame.CallersTx(t, db.Pool)
	time.Sleep(50 * time.Millisecond)
	decided := time.Now()
	result, err := store.PersistTx(t.Context(), tx, fixture.NewRecord())
	if err != nil {
		t.Fatal(err)
	}
	if result.CreatedAt.Before(decided.Add(-40 * time.Millisecond)) {
		t.Errorf("created_at %v is the transaction's start, not the insertion at %v", result.CreatedAt, decided)
	}
	if err := tx.Rollback(context.Background()); err != nil {
		t.Fatal(err)
	}
}

// "naive datetime": the stored time depended on the session's time zone.
func ignoresTimeZone(t *testing.T, db frame.Database) {
	store := fixture.OpenStore(t, fixture.WithSetting(db.URL, "timezone=America%2FNew_York"), fixture.Quiet())
	rec := fixture.NewRecord()
	fixture.MustPersist(t, store, rec)
	got, err := store.Get(t.Context(), audit.AllTenants(), rec.AuditID)
	if err != nil || !got.DecisionTimestamp.Equal(rec.DecisionTimestamp) || got.DecisionTimestamp.Location() != time.UTC {
		t.Errorf("stored time %v, %v; want %v", got.DecisionTimestamp, err, rec.DecisionTimestamp)
	}
}

func commitsBeforeReturn(t *testing.T, db frame.Database) {
	store := fixture.OpenStore(t, db.URL, fixture.Quiet())
	seen := func(rec audit.Record) int {
		return fixture.QueryInt(t, db.Pool, "SELECT count(*) FROM coordination_audit_records WHERE audit_id = $1", rec.AuditID)
	}
	for _, c := range frame.OwnCalls(store) {
		rec := fixture.NewRecord()
		c.WantOutcome(t, rec, audit.Persisted)
		if seen(rec) != 1 {
			t.Errorf("%s() returned, and another connection does not see the record", c.Name)
		}
	}
	for i, ends := range []func(pgx.Tx) error{
		func(tx pgx.Tx) error { return tx.Commit(t.Context()) },
		func(tx pgx.Tx) error { return tx.Rollback(t.Context()) },
	} {
		tx := frame.CallersTx(t, db.Pool)
		recs := fixture.NewRecords(2)
		for j, c := range frame.TxCalls(store, tx) {
			c.WantOutcome(t, recs[j], audit.Persisted)
		}
		if n := seen(recs[0]) + seen(recs[1]); n != 0 {
			t.Errorf("%d records are seen before the transaction ends", n)
		}
		if err := ends(tx); err != nil {
			t.Fatal(err)
		}
		if n, want := seen(recs[0])+seen(recs[1]), []int{2, 0}[i]; n != want {
			t.Errorf("%d records are seen after the transaction's end, want %d", n, want)
		}
	}
}
