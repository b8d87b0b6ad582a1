package conformance

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/faultproxy"
	"github.com/hoc-analytics/coordaudit/internal/load"
)

func recorderFaults() []promise {
	return []promise{
		{"APoisonedRecordDoesNotHoldUpItsBatch", aPoisonedRecordDoesNotHoldUpItsBatch},
		{"ARightThatIsMissingIsNoRecordsFault", aRightThatIsMissingIsNoRecordsFault},
		{"APolicyThatRefusesSomeRecordsIsTheirFault", aPolicyThatRefusesSomeRecordsIsTheirFault},
		{"ATableLockedForFiveSecondsLosesNothing", aTableLockedForFiveSecondsLosesNothing},
		{"AStatementTimeoutLosesNothing", aStatementTimeoutLosesNothing},
		{"APoolThatItsOwnerExhaustsLosesNothing", aPoolThatItsOwnerExhaustsLosesNothing},
		{"SerializationFailuresLoseNothing", serializationFailuresLoseNothing},
		{"AStormOfTerminatedSessionsLosesNothing", aStormOfTerminatedSessionsLosesNothing},
		{"ConnectionsCutAroundTheCommitLoseNothing", connectionsCutAroundTheCommitLoseNothing},
		{"AServerThatFallsSilentLosesNothing", aServerThatFallsSilentLosesNothing},
		{"DeadLettersAreTakenBackInByTheNextRecorder", deadLettersAreTakenBackInByTheNextRecorder},
		{"WhatIsDroppedLeavesAGap", whatIsDroppedLeavesAGap},
		{"AGapThatCouldNotBeRecordedIsRecordedByTheNextRecorder", aGapThatCouldNotBeRecordedIsRecordedByTheNextRecorder},
		{"AStoreClosedUnderItsRecorderLosesNothing", aStoreClosedUnderItsRecorderLosesNothing},
	}
}

func aPoisonedRecordDoesNotHoldUpItsBatch(t *testing.T, db Database) {
	mustExec(t, db.Pool, "ALTER TABLE coordination_audit_records ADD CONSTRAINT dba_says_no CHECK (envelope_id <> 'poison')")
	config := coordaudit.RecorderConfig{DeadLetterDir: t.TempDir()}
	recorder := newRecorder(t, newStore(db), config)
	recs := newRecords(500)
	poisoned := map[int]bool{0: true, 250: true, 251: true, 499: true}
	for i := range recs {
		if poisoned[i] {
			recs[i].EnvelopeID = "poison"
		}
		if err := recorder.Enqueue(recs[i]); err != nil {
			t.Fatal(err)
		}
	}
	if err := recorder.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	poison := newRecord()
	poison.EnvelopeID = "poison"
	if _, err := recorder.Record(t.Context(), poison); !errors.Is(err, audit.ErrRefused) {
		t.Errorf("a waiting caller's: %v, want ErrRefused", err)
	}
	requireTotal(t, recorder, audit.RecorderCounts{Accepted: 501, Persisted: 496, Rejected: 5})
	closeRecorder(t, recorder)

	kept := rejected(t, config.DeadLetterDir)
	if len(kept) != 5 {
		t.Fatalf("%d records in rejected, want 5", len(kept))
	}
	for _, r := range kept {
		if r.Record.EnvelopeID != "poison" || r.SQLState != "23514" || !strings.Contains(r.Reason, "dba_says_no") {
			t.Errorf("rejected %q, %q: want the poisoned ones, and why", r.SQLState, r.Reason)
		}
	}
	if diff := kept[4].Record.DiffersIn(poison); len(diff) > 0 || kept[4].Record.AuditID != poison.AuditID {
		t.Errorf("the record that was kept differs in %v", diff)
	}
}

type rejectedRecord struct {
	Reason   string       `json:"reason"`
	SQLState string       `json:"sqlstate"`
	Record   audit.Record `json:"record"`
}

func rejected(t *testing.T, dir string) (all []rejectedRecord) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "rejected", "*.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for line := range bytes.Lines(content) {
			var one rejectedRecord
			if err := json.Unmarshal(line, &one); err != nil {
				t.Fatal(err)
			}
			all = append(all, one)
		}
	}
	return all
}

func aRightThatIsMissingIsNoRecordsFault(t *testing.T, db Database) {
	pool, role := poolAsPlainRole(t, db, "SELECT ON coordination_audit_records")
	recorder := newRecorder(t, coordaudit.New(pool, quiet()), hasty(t))
	for _, rec := range newRecords(20) {
		if err := recorder.Enqueue(rec); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, func() bool { return recorder.Stats().Total().DeadLettered == 20 })
	mustExec(t, db.Pool, "GRANT INSERT ON coordination_audit_records TO "+role)
	eventually(t, func() bool { return recorder.Stats().Total().DeadLettered == 0 })
	requireTotal(t, recorder, audit.RecorderCounts{Accepted: 20, Persisted: 20})
}

func aPolicyThatRefusesSomeRecordsIsTheirFault(t *testing.T, db Database) {
	pool, _ := poolAsPlainRole(t, db, "SELECT, INSERT ON coordination_audit_records")
	mustExec(t, db.Pool, "ALTER TABLE coordination_audit_records ENABLE ROW LEVEL SECURITY")
	mustExec(t, db.Pool, "CREATE POLICY acme_only ON coordination_audit_records USING (true) WITH CHECK (tenant_id = 'acme')")
	recorder := newRecorder(t, coordaudit.New(pool, quiet()), hasty(t))
	recs := newRecords(100)
	for i := range recs {
		if i%10 == 0 {
			recs[i].TenantID = "other"
		}
		if err := recorder.Enqueue(recs[i]); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, func() bool { total := recorder.Stats().Total(); return total.Persisted+total.Rejected == 100 })
	requireTotal(t, recorder, audit.RecorderCounts{Accepted: 100, Persisted: 90, Rejected: 10})
}

// underLoad runs a fault while producers hand in records, and then requires that
// nothing is lost. meanwhile returns when the fault is over.
func underLoad(t *testing.T, db Database, store *coordaudit.Store, config coordaudit.RecorderConfig, meanwhile func()) audit.RecorderStats {
	t.Helper()
	recorder := newRecorder(t, store, config)
	producers := load.Start(t, recorder, load.Config{Producers: 8, Every: 2 * time.Millisecond})
	eventually(t, func() bool { return recorder.Stats().Total().Persisted > 0 })
	meanwhile()
	after := producers.Offered()
	eventually(t, func() bool { return producers.Offered() > after+100 })
	producers.Stop()
	eventuallyWithin(t, time.Minute, func() bool {
		total := recorder.Stats().Total()
		return total.DeadLettered == 0 && total.Queued == 0
	})
	stats := recorder.Stats()
	closeRecorder(t, recorder)
	producers.Verify(t, db.Pool, config.DeadLetterDir)
	if total := stats.Total(); total.Dropped != 0 || total.Rejected != 0 || total.Persisted+total.AlreadyPersisted != total.Accepted {
		t.Errorf("not all of it is stored: %+v", total)
	}
	return stats
}

func aTableLockedForFiveSecondsLosesNothing(t *testing.T, db Database) {
	config := hasty(t)
	config.RetryBudget = time.Second
	storeConfig := quiet()
	storeConfig.Timeout = 500 * time.Millisecond
	stats := underLoad(t, db, coordaudit.New(db.Pool, storeConfig), config, func() {
		release := lockTable(t, db)
		time.Sleep(5 * time.Second)
		release()
	})
	if stats.Retries == 0 {
		t.Error("no batch was tried again: the lock was not met")
	}
}

func aStatementTimeoutLosesNothing(t *testing.T, db Database) {
	pool := openPool(t, withSetting(db.URL, "statement_timeout=50"), func(*pgxpool.Config) {})
	stats := underLoad(t, db, coordaudit.New(pool, quiet()), hasty(t), func() {
		release := lockTable(t, db)
		time.Sleep(time.Second)
		release()
	})
	if stats.Retries == 0 {
		t.Error("no batch was tried again: the lock was not met")
	}
}

func aPoolThatItsOwnerExhaustsLosesNothing(t *testing.T, db Database) {
	pool := openPool(t, db.URL, func(config *pgxpool.Config) { config.MaxConns = 2 })
	storeConfig := quiet()
	storeConfig.Timeout = 100 * time.Millisecond
	stats := underLoad(t, db, coordaudit.New(pool, storeConfig), hasty(t), func() {
		for range 2 {
			conn, err := pool.Acquire(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Release()
		}
		time.Sleep(time.Second)
	})
	if stats.Retries == 0 {
		t.Error("no batch was tried again: the pool was not exhausted")
	}
}

func serializationFailuresLoseNothing(t *testing.T, db Database) {
	mustExec(t, db.Pool, "CREATE SEQUENCE inserts") // it goes on when a transaction is rolled back
	mustExec(t, db.Pool, `CREATE FUNCTION fail_often() RETURNS trigger LANGUAGE plpgsql AS $$
		BEGIN
			IF nextval('inserts') % 10 <> 0 THEN
				RAISE EXCEPTION 'could not serialize access' USING ERRCODE = 'serialization_failure';
			END IF;
			RETURN NULL;
		END $$`)
	config := hasty(t)
	stats := underLoad(t, db, newStore(db), config, func() {
		mustExec(t, db.Pool, "CREATE TRIGGER fail_often AFTER INSERT ON coordination_audit_records FOR EACH STATEMENT EXECUTE FUNCTION fail_often()")
		time.Sleep(time.Second)
		mustExec(t, db.Pool, "DROP TRIGGER fail_often ON coordination_audit_records")
	})
	if stats.Retries == 0 {
		t.Error("no batch was tried again: no insert failed")
	}
}

func aStormOfTerminatedSessionsLosesNothing(t *testing.T, db Database) {
	pool := openPool(t, withSetting(db.URL, "application_name=recorder"), func(*pgxpool.Config) {})
	terminated := 0
	underLoad(t, db, coordaudit.New(pool, quiet()), hasty(t), func() {
		for end := time.Now().Add(3 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
			terminated += queryInt(t, db.Pool, `SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
				WHERE application_name = 'recorder' AND datname = current_database()`)
		}
	})
	if terminated < 20 {
		t.Errorf("only %d sessions were terminated, which proves nothing", terminated)
	}
}

func connectionsCutAroundTheCommitLoseNothing(t *testing.T, db Database) {
	proxy := faultproxy.New(t, db.URL)
	store := openStore(t, proxy.URL(), quiet())
	stats := underLoad(t, db, store, hasty(t), func() {
		for range 20 {
			for _, cut := range []func(){
				func() { proxy.CutAtClient(faultproxy.Execute) },         // before the statement
				func() { proxy.CutAtClient(faultproxy.Sync) },            // sent, not committed
				func() { proxy.CutAtServer(faultproxy.CommandComplete) }, // committing
				func() { proxy.CutAtServer(faultproxy.ReadyForQuery) },   // committed
			} {
				cut()
				time.Sleep(20 * time.Millisecond)
			}
		}
	})
	if stats.Retries < 10 {
		t.Errorf("%d batches were tried again, which proves little", stats.Retries)
	}
}

func aServerThatFallsSilentLosesNothing(t *testing.T, db Database) {
	proxy := faultproxy.New(t, db.URL)
	storeConfig := quiet()
	storeConfig.Timeout = 100 * time.Millisecond
	dir := t.TempDir()
	recorder := newRecorder(t, openStore(t, proxy.URL(), storeConfig), coordaudit.RecorderConfig{DeadLetterDir: dir, RetryBudget: time.Second})
	producers := load.Start(t, recorder, load.Config{Producers: 8, Every: 2 * time.Millisecond})
	eventually(t, func() bool { return recorder.Stats().Total().Persisted > 0 })
	proxy.Stall()
	eventually(t, func() bool { return recorder.Stats().Total().DeadLettered > 100 })
	producers.Stop()
	closeRecorder(t, recorder)
	producers.Verify(t, db.Pool, dir)

	next := newRecorder(t, newStore(db), coordaudit.RecorderConfig{DeadLetterDir: dir})
	eventuallyWithin(t, time.Minute, func() bool { return next.Stats().Total().DeadLettered == 0 })
	closeRecorder(t, next)
	if n := countRecords(t, db.Pool); n != int(producers.Offered()) {
		t.Errorf("%d rows of %d records", n, producers.Offered())
	}
}

// unreachable is a store whose database is away for good.
func unreachable(t *testing.T) *coordaudit.Store {
	t.Helper()
	config := quiet()
	config.Timeout = 200 * time.Millisecond
	return openStore(t, "postgres://nobody@127.0.0.1:1/none?sslmode=disable", config)
}

func deadLettersAreTakenBackInByTheNextRecorder(t *testing.T, db Database) {
	config := hasty(t)
	config.SegmentBytes = 10_000
	away := newRecorder(t, unreachable(t), config)
	recs := newRecords(200)
	for _, rec := range recs {
		if err := away.Enqueue(rec); err != nil {
			t.Fatal(err)
		}
	}
	receipt, err := away.Record(t.Context(), newRecord())
	if !errors.Is(err, audit.ErrPending) || receipt.Outcome != "" {
		t.Errorf("a waiting caller's: %+v, %v; want ErrPending", receipt, err)
	}
	if !away.Emit(t.Context(), newRecord()) {
		t.Error("Emit refused a record that is kept")
	}
	closeRecorder(t, away)
	requireTotal(t, away, audit.RecorderCounts{Accepted: 202, DeadLettered: 202})
	if away.Stats().DeadLetterBytes == 0 {
		t.Error("dead letters take no bytes")
	}

	next := newRecorder(t, newStore(db), config)
	eventually(t, func() bool { return next.Stats().Total().DeadLettered == 0 })
	requireTotal(t, next, audit.RecorderCounts{Accepted: 202, Persisted: 202})
	closeRecorder(t, next)
	disordered := queryInt(t, db.Pool, `SELECT count(*) FROM (
			SELECT seq, lag(seq) OVER (ORDER BY array_position($1::uuid[], audit_id)) AS before
			FROM coordination_audit_records WHERE audit_id = ANY ($1)
		) AS ordered WHERE seq < before`, idsOf(recs))
	if disordered != 0 {
		t.Errorf("%d records are not in the order in which they were handed in", disordered)
	}
	if left, err := filepath.Glob(filepath.Join(config.DeadLetterDir, "*.jsonl")); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func idsOf(recs []audit.Record) []uuid.UUID {
	ids := make([]uuid.UUID, len(recs))
	for i, rec := range recs {
		ids[i] = rec.AuditID
	}
	return ids
}

func whatIsDroppedLeavesAGap(t *testing.T, db Database) {
	storeConfig := quiet()
	storeConfig.Timeout = 200 * time.Millisecond
	config := hasty(t)
	config.MaxQueuedRecords, config.MaxDeadLetterBytes = 10, 1 // nothing fits into the directory
	store := coordaudit.New(db.Pool, storeConfig)
	recorder := newRecorder(t, store, config)
	release := lockTable(t, db)
	var accepted, dropped []audit.Record
	for _, rec := range newRecords(30) {
		switch err := recorder.Enqueue(rec); {
		case err == nil:
			accepted = append(accepted, rec)
		case errors.Is(err, audit.ErrDropped):
			dropped = append(dropped, rec)
		default:
			t.Fatal(err)
		}
	}
	if len(accepted) != 10 {
		t.Fatalf("%d records were accepted, want 10", len(accepted))
	}
	if recorder.Emit(t.Context(), newRecord()) {
		t.Error("Emit accepted a record that there is no room for")
	}
	release()
	eventually(t, func() bool { return countGaps(t, db) == 1 })
	eventually(t, func() bool { return countRecords(t, db.Pool) == 10 })
	requireTotal(t, recorder, audit.RecorderCounts{Accepted: 31, Persisted: 10, Dropped: 21})

	gaps, err := store.Gaps(t.Context(), audit.GapQuery{})
	if err != nil {
		t.Fatal(err)
	}
	gap := gaps[0]
	if gap.Total() != 21 || gap.Dropped[audit.Reliability] != 21 || gap.FirstAuditID != dropped[0].AuditID || gap.Until.Before(gap.From) || gap.Cause == "" {
		t.Errorf("gap %+v, want the 21 records from %s on", gap, dropped[0].AuditID)
	}
}

func aGapThatCouldNotBeRecordedIsRecordedByTheNextRecorder(t *testing.T, db Database) {
	config := hasty(t)
	config.MaxQueuedRecords, config.MaxDeadLetterBytes = 5, 1
	away := newRecorder(t, unreachable(t), config)
	for _, rec := range newRecords(8) {
		_ = away.Enqueue(rec) // three of them are dropped, which is what is looked at
	}
	if err := away.Close(t.Context()); !errors.Is(err, audit.ErrDropped) {
		t.Errorf("Close: %v, want ErrDropped: the queue had nowhere to go", err)
	}
	requireTotal(t, away, audit.RecorderCounts{Accepted: 8, Dropped: 8})

	next := newRecorder(t, newStore(db), config)
	eventually(t, func() bool { return countGaps(t, db) > 0 })
	closeRecorder(t, next)
	missing := queryInt(t, db.Pool, "SELECT sum(dropped_reliability) FROM coordination_audit_gaps")
	if missing != 8 {
		t.Errorf("the gaps hold %d records, want 8", missing)
	}
	before := countGaps(t, db)
	closeRecorder(t, newRecorder(t, newStore(db), config))
	if n := countGaps(t, db); n != before {
		t.Errorf("%d gaps after another start, want %d", n, before)
	}
}

func aStoreClosedUnderItsRecorderLosesNothing(t *testing.T, db Database) {
	store := openStore(t, db.URL, quiet())
	config := hasty(t)
	recorder := newRecorder(t, store, config)
	producers := load.Start(t, recorder, load.Config{Producers: 4, Every: time.Millisecond})
	eventually(t, func() bool { return recorder.Stats().Total().Persisted > 0 })
	store.Close()
	eventually(t, func() bool { return recorder.Stats().Total().DeadLettered > 10 })
	producers.Stop()
	closeRecorder(t, recorder)
	producers.Verify(t, db.Pool, config.DeadLetterDir)
}
