package conformance

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
)

func durability() []promise {
	return []promise{
		{"PersistStoresWhatGetReturns", persistStoresWhatGetReturns},
		{"AZeroIDIsMadeAndComesBackInTheReceipt", aZeroIDIsMadeAndComesBackInTheReceipt},
		{"ARecordGoesTheWayOfItsTransaction", aRecordGoesTheWayOfItsTransaction},
		{"TheRecordsOfOneDecisionAppearAtOnce", theRecordsOfOneDecisionAppearAtOnce},
		{"AReplayChecksAndWritesNothing", aReplayChecksAndWritesNothing},
		{"ACommitThatTheServerRefusesIsNoSuccess", aCommitThatTheServerRefusesIsNoSuccess},
		{"EveryDecisionOfEveryClassIsStored", everyDecisionOfEveryClassIsStored},
		{"TheTrailHasTheDatabasesClockAndATotalOrder", theTrailHasTheDatabasesClockAndATotalOrder},
		{"TheSessionsTimeZoneChangesNothing", theSessionsTimeZoneChangesNothing},
		{"AnAcknowledgedRecordIsCommitted", anAcknowledgedRecordIsCommitted},
		{"AReplayInATransactionWritesNothing", aReplayInATransactionWritesNothing},
	}
}

func persistStoresWhatGetReturns(t *testing.T, db Database) {
	store := newStore(db)
	records := map[string]audit.Record{
		"applied": newRecord(),
		"rejected, no tenant": func() audit.Record {
			rec := newRecord()
			rec.Decision, rec.ConflictingEnvelopeID, rec.TenantID = audit.Rejected, "other", ""
			return rec
		}(),
		"preempted": func() audit.Record {
			rec := newRecord()
			rec.Decision, rec.PreemptingEnvelopeID = audit.Preempted, "safety-cap"
			return rec
		}(),
		"no class, another zone, nanoseconds": func() audit.Record {
			rec := newRecord()
			rec.EnvelopeClass = ""
			rec.DecisionTimestamp = time.Date(2026, 7, 1, 12, 0, 0, 123456789, time.FixedZone("", 5*3600+1800))
			return rec
		}(),
		"the bounds": func() audit.Record {
			rec := newRecord()
			rec.EnvelopeID, rec.TenantID = strings.Repeat("é", 100), strings.Repeat("🚀", 100)
			rec.Reason = strings.Repeat("x", audit.MaxReasonBytes)
			rec.ActiveEnvelopesCount = 1<<31 - 1
			rec.DecisionTimestamp = time.Date(9999, 12, 31, 23, 59, 59, 999999999, time.UTC)
			return rec
		}(),
		"quotes, backslashes, commas, braces": func() audit.Record {
			rec := newRecord()
			rec.EnvelopeID, rec.Reason, rec.TenantID = `{"a",'b'\}`, "NULL", ` \N,"" `
			return rec
		}(),
	}
	for name, rec := range records {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			receipt := mustPersist(t, store, rec)
			got, err := store.Get(t.Context(), audit.AllTenants(), rec.AuditID)
			if err != nil {
				t.Fatal(err)
			}
			want := rec.Normalized()
			want.Seq, want.CreatedAt = receipt.Seq, receipt.CreatedAt
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("record (-want +got):\n%s", diff)
			}
			if got.Seq == 0 || time.Since(got.CreatedAt).Abs() > time.Hour || got.CreatedAt.Location() != time.UTC {
				t.Errorf("seq %d and created_at %v are not the database's", got.Seq, got.CreatedAt)
			}
		})
	}
}

func aZeroIDIsMadeAndComesBackInTheReceipt(t *testing.T, db Database) {
	store := newStore(db)
	rec := newRecord()
	rec.AuditID = uuid.Nil
	first, second := mustPersist(t, store, rec), mustPersist(t, store, rec)
	if first.AuditID == uuid.Nil || first.AuditID.Version() != 7 || first.AuditID == second.AuditID {
		t.Errorf("ids %v and %v, want two of version 7", first.AuditID, second.AuditID)
	}
	if second.Seq <= first.Seq {
		t.Errorf("seq went from %d to %d, want it to grow", first.Seq, second.Seq)
	}
}

func aRecordGoesTheWayOfItsTransaction(t *testing.T, db Database) {
	store := newStore(db)
	committed, rolledBack := newRecord(), newRecord()

	tx := callersTx(t, db.Pool)
	if _, err := store.PersistTx(t.Context(), tx, committed); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Get(t.Context(), audit.AllTenants(), committed.AuditID); !errors.Is(err, audit.ErrNotFound) {
		t.Errorf("before the commit Get() = %v, want ErrNotFound", err)
	}
	commit(t, tx)
	if _, err := store.Get(t.Context(), audit.AllTenants(), committed.AuditID); err != nil {
		t.Errorf("after the commit: %v", err)
	}

	tx = callersTx(t, db.Pool)
	if _, err := store.PersistTx(t.Context(), tx, rolledBack); err != nil {
		t.Fatal(err)
	}
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Get(t.Context(), audit.AllTenants(), rolledBack.AuditID); !errors.Is(err, audit.ErrNotFound) {
		t.Errorf("after the rollback Get() = %v, want ErrNotFound", err)
	}
	if n := queryInt(t, db.Pool, "SELECT count(*) FROM callers_rows"); n != 2 {
		t.Errorf("%d rows of the caller, want the 2 of the committed transaction", n)
	}
}

// Row 5: one apply that preempts three was four commits, and others saw one, two,
// three of them.
func theRecordsOfOneDecisionAppearAtOnce(t *testing.T, db Database) {
	store := newStore(db)
	tx := callersTx(t, db.Pool)
	for range 3 {
		preempted := newRecord()
		preempted.Decision, preempted.PreemptingEnvelopeID = audit.Preempted, "high"
		if _, err := store.PersistTx(t.Context(), tx, preempted); err != nil {
			t.Fatal(err)
		}
		if n := countRecords(t, db.Pool); n != 0 {
			t.Errorf("another connection sees %d rows before the commit", n)
		}
	}
	if _, err := store.PersistTx(t.Context(), tx, newRecord()); err != nil {
		t.Fatal(err)
	}
	commit(t, tx)
	if n := countRecords(t, db.Pool); n != 4 {
		t.Errorf("%d rows after the commit, want 4", n)
	}
}

// Row 10: a replay said True to garbage too.
func aReplayChecksAndWritesNothing(t *testing.T, db Database) {
	store := newStore(db)
	replay := store.Replaying()
	rec := newRecord()
	receipt, err := replay.Persist(t.Context(), rec)
	if err != nil || receipt != (audit.Receipt{AuditID: rec.AuditID, Outcome: audit.Skipped}) {
		t.Errorf("Persist() = %+v, %v; want Skipped", receipt, err)
	}
	receipts, err := replay.PersistMany(t.Context(), newRecords(3))
	if err != nil || len(receipts) != 3 || receipts[2].Outcome != audit.Skipped {
		t.Errorf("PersistMany() = %+v, %v; want Skipped", receipts, err)
	}
	rec.EnvelopeClass = "garbage"
	if _, err := replay.Persist(t.Context(), rec); !errors.Is(err, audit.ErrInvalidRecord) {
		t.Errorf("garbage in a replay: %v, want ErrInvalidRecord", err)
	}
	if n := countRecords(t, db.Pool); n != 0 {
		t.Errorf("%d rows, want none", n)
	}
	want := audit.Counts{Attempts: 5, Skipped: 4, Failed: 1}
	if diff := cmp.Diff(want, store.Stats().Total()); diff != "" {
		t.Errorf("the store and its replaying twin share their counts (-want +got):\n%s", diff)
	}
}

func aCommitThatTheServerRefusesIsNoSuccess(t *testing.T, db Database) {
	store := newStore(db)
	mustExec(t, db.Pool, `CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'at commit' USING ERRCODE = '23514'; END $$`)
	mustExec(t, db.Pool, `CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON coordination_audit_records DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse()`)
	if _, err := store.Persist(t.Context(), newRecord()); !errors.Is(err, audit.ErrRefused) {
		t.Errorf("Persist() = %v, want ErrRefused", err)
	}
	if n := countRecords(t, db.Pool); n != 0 {
		t.Errorf("%d rows, want none", n)
	}
}

// Rows 1 and 2: whatever the coordinator can decide about an envelope of
// whatever class is on record.
func everyDecisionOfEveryClassIsStored(t *testing.T, db Database) {
	store := newStore(db)
	for _, class := range append(audit.EnvelopeClasses(), "") {
		for _, decision := range audit.Decisions() {
			rec := newRecord()
			rec.EnvelopeClass, rec.Decision = class, decision
			if decision == audit.Preempted {
				rec.PreemptingEnvelopeID = "other"
			}
			mustPersist(t, store, rec)
		}
	}
	if n := countRecords(t, db.Pool); n != 18 {
		t.Errorf("%d rows, want 18", n)
	}
}

// Row 14: created_at was the writer's clock, and records of equal time had no order.
func theTrailHasTheDatabasesClockAndATotalOrder(t *testing.T, db Database) {
	store := newStore(db)
	old := newRecord()
	old.CreatedAt, old.Seq = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC), 1<<40
	before := time.Now().Add(-time.Minute)
	first, second := mustPersist(t, store, old), mustPersist(t, store, newRecord())
	if first.CreatedAt.Before(before) || second.CreatedAt.Before(first.CreatedAt) {
		t.Errorf("created_at %v and %v, want the database's clock", first.CreatedAt, second.CreatedAt)
	}
	if first.Seq >= second.Seq || first.Seq > 1<<20 {
		t.Errorf("seq %d and %d, want the order of insertion", first.Seq, second.Seq)
	}

	tx := callersTx(t, db.Pool)
	time.Sleep(50 * time.Millisecond)
	decided := time.Now()
	receipt, err := store.PersistTx(t.Context(), tx, newRecord())
	if err != nil {
		t.Fatal(err)
	}
	if receipt.CreatedAt.Before(decided.Add(-40 * time.Millisecond)) {
		t.Errorf("created_at %v is the transaction's start, not the insertion at %v", receipt.CreatedAt, decided)
	}
	if err := tx.Rollback(context.Background()); err != nil {
		t.Fatal(err)
	}
}

// "naive datetime": what was stored depended on the session's time zone.
func theSessionsTimeZoneChangesNothing(t *testing.T, db Database) {
	store := openStore(t, withSetting(db.URL, "timezone=America%2FNew_York"), quiet())
	rec := newRecord()
	mustPersist(t, store, rec)
	got, err := store.Get(t.Context(), audit.AllTenants(), rec.AuditID)
	if err != nil || !got.DecisionTimestamp.Equal(rec.DecisionTimestamp) || got.DecisionTimestamp.Location() != time.UTC {
		t.Errorf("stored time %v, %v; want %v", got.DecisionTimestamp, err, rec.DecisionTimestamp)
	}
}

func anAcknowledgedRecordIsCommitted(t *testing.T, db Database) {
	store := openStore(t, db.URL, quiet())
	seen := func(rec audit.Record) int {
		return queryInt(t, db.Pool, "SELECT count(*) FROM coordination_audit_records WHERE audit_id = $1", rec.AuditID)
	}
	for _, c := range ownCalls(store) {
		rec := newRecord()
		c.wantOutcome(t, rec, audit.Persisted)
		if seen(rec) != 1 {
			t.Errorf("%s() returned, and another connection does not see the record", c.name)
		}
	}
	for i, ends := range []func(pgx.Tx) error{
		func(tx pgx.Tx) error { return tx.Commit(t.Context()) },
		func(tx pgx.Tx) error { return tx.Rollback(t.Context()) },
	} {
		tx := callersTx(t, db.Pool)
		recs := newRecords(2)
		for j, c := range txCalls(store, tx) {
			c.wantOutcome(t, recs[j], audit.Persisted)
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

func aReplayInATransactionWritesNothing(t *testing.T, db Database) {
	replay := newStore(db).Replaying()
	tx := callersTx(t, db.Pool)
	for _, c := range txCalls(replay, tx) {
		c.wantOutcome(t, newRecord(), audit.Skipped)
		invalid := newRecord()
		invalid.Reason = ""
		_ = c.wantFailure(t.Context(), t, invalid, audit.ErrInvalidRecord)
	}
	commit(t, tx)
	if n := countRecords(t, db.Pool); n != 0 {
		t.Errorf("%d rows, want none", n)
	}
}
