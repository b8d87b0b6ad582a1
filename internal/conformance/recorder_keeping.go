package conformance

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/load"
)

func recorderKeeping() []promise {
	return []promise{
		{"DeadLettersAreTakenBackInByTheNextRecorder", deadLettersAreTakenBackInByTheNextRecorder},
		{"ADamagedDeadLetterIsSetAside", aDamagedDeadLetterIsSetAside},
		{"WhatIsDroppedLeavesAGap", whatIsDroppedLeavesAGap},
		{"AGapThatCouldNotBeRecordedIsRecordedByTheNextRecorder", aGapThatCouldNotBeRecordedIsRecordedByTheNextRecorder},
		{"AGapThatIsRefusedHoldsNothingElseUp", aGapThatIsRefusedHoldsNothingElseUp},
		{"AStoreClosedUnderItsRecorderLosesNothing", aStoreClosedUnderItsRecorderLosesNothing},
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
	eventuallyWithin(t, time.Minute, func() bool { return next.Stats().Total().DeadLettered == 0 })
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

func aDamagedDeadLetterIsSetAside(t *testing.T, db Database) {
	dir := t.TempDir()
	var segment bytes.Buffer
	for _, rec := range newRecords(2) {
		if err := json.NewEncoder(&segment).Encode(rec); err != nil {
			t.Fatal(err)
		}
		segment.WriteString("damaged\n")
	}
	segment.WriteString(`{"audit_id":"torn`)
	if err := os.WriteFile(filepath.Join(dir, "0000000001.jsonl"), segment.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	recorder := newRecorder(t, newStore(db), coordaudit.RecorderConfig{DeadLetterDir: dir})
	eventuallyWithin(t, time.Minute, func() bool { return recorder.Stats().Total().DeadLettered == 0 })
	closeRecorder(t, recorder)
	requireTotal(t, recorder, audit.RecorderCounts{Accepted: 4, Persisted: 2, Rejected: 2})
	for _, pattern := range []string{"rejected/*.jsonl", "torn/*"} {
		if kept, err := filepath.Glob(filepath.Join(dir, pattern)); err != nil || len(kept) != 1 {
			t.Errorf("%s holds %v, %v; want one file", pattern, kept, err)
		}
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
	eventuallyWithin(t, time.Minute, func() bool { return countGaps(t, db) == 1 })
	eventuallyWithin(t, time.Minute, func() bool { return countRecords(t, db.Pool) == 10 })
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
	eventuallyWithin(t, time.Minute, func() bool { return countGaps(t, db) > 0 })
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
	eventuallyWithin(t, time.Minute, func() bool { return recorder.Stats().Total().Persisted > 0 })
	store.Close()
	eventuallyWithin(t, time.Minute, func() bool { return recorder.Stats().Total().DeadLettered > 10 })
	producers.Stop()
	closeRecorder(t, recorder)
	producers.Verify(t, db.Pool, config.DeadLetterDir)
}

func aGapThatIsRefusedHoldsNothingElseUp(t *testing.T, db Database) {
	pool, role := poolAsPlainRole(t, db, "SELECT, INSERT ON coordination_audit_records")
	storeConfig := quiet()
	storeConfig.Timeout = 200 * time.Millisecond
	config := hasty(t)
	config.MaxQueuedRecords, config.MaxDeadLetterBytes = 10, 20_000
	recorder := newRecorder(t, coordaudit.New(pool, storeConfig), config)
	release := lockTable(t, db)
	eventuallyWithin(t, time.Minute, func() bool {
		_ = recorder.Enqueue(newRecord()) // accepted or dropped, both are wanted
		total := recorder.Stats().Total()
		return total.Dropped > 0 && total.DeadLettered > 0
	})
	time.Sleep(2 * time.Second) // by then the gap is complete, and refused
	release()
	eventuallyWithin(t, time.Minute, func() bool {
		total := recorder.Stats().Total()
		return total.Queued == 0 && total.DeadLettered == 0 && total.Persisted > 0
	})
	if n := countGaps(t, db); n != 0 {
		t.Fatalf("%d gaps were recorded without the right to", n)
	}
	mustExec(t, db.Pool, "GRANT INSERT, SELECT ON coordination_audit_gaps TO "+role)
	eventuallyWithin(t, time.Minute, func() bool { return countGaps(t, db) == 1 })
}
