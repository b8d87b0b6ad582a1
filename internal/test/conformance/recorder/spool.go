package recorder

import (
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/test/conformance/frame"
	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
	"github.com/hoc-analytics/coordaudit/internal/test/loadgen"
)

// unreachable returns a store whose database never answers.
func unreachable(t *testing.T) *coordaudit.Store {
	t.Helper()
	config := fixture.Quiet()
	config.Timeout = 200 * time.Millisecond
	return fixture.OpenStore(t, "postgres://user@127.0.0.1:1/none?sslmode=disable", config)
}

func nextRecorderDrains(t *testing.T, db frame.Database) {
	config := frame.Hasty(t)
	config.SegmentBytes = 10_000
	away := frame.NewRecorder(t, unreachable(t), config)
	recs := fixture.NewRecords(200)
	for _, rec := range recs {
		if err := away.Enqueue(rec); err != nil {
			t.Fatal(err)
		}
	}
	result, err := away.Record(t.Context(), fixture.NewRecord())
	if !errors.Is(err, audit.ErrPending) || result.Outcome != "" {
		t.Errorf("a waiting caller's: %+v, %v; want ErrPending", result, err)
	}
	if !away.Emit(t.Context(), fixture.NewRecord()) {
		t.Error("Emit refused a record that is spooled")
	}
	frame.CloseRecorder(t, away)
	frame.RequireTotal(t, away, audit.RecorderCounts{Accepted: 202, Spooled: 202})
	if away.Stats().SpoolBytes == 0 {
		t.Error("spooled records take no bytes")
	}

	next := frame.NewRecorder(t, frame.NewStore(db), config)
	fixture.EventuallyWithin(t, time.Minute, func() bool { return next.Stats().Total().Spooled == 0 })
	frame.RequireTotal(t, next, audit.RecorderCounts{Accepted: 202, Persisted: 202})
	frame.CloseRecorder(t, next)
	disordered := fixture.QueryInt(t, db.Pool, `SELECT count(*) FROM (
			SELECT seq, lag(seq) OVER (ORDER BY array_position($1::uuid[], audit_id)) AS before
			FROM coordination_audit_records WHERE audit_id = ANY ($1)
		) AS ordered WHERE seq < before`, idsOf(recs))
	if disordered != 0 {
		t.Errorf("%d records are not in the order in which they were enqueued", disordered)
	}
	if left, err := filepath.Glob(filepath.Join(config.SpoolDir, "*.jsonl")); err != nil || len(left) != 0 {
		t.Errorf("files left: %v, %v", left, err)
	}
}

func idsOf(recs []audit.Record) []uuid.UUID {
	ids := make([]uuid.UUID, len(recs))
	for i, rec := range recs {
		ids[i] = rec.AuditID
	}
	return ids
}

func dropLeavesGap(t *testing.T, db frame.Database) {
	storeConfig := fixture.Quiet()
	storeConfig.Timeout = 200 * time.Millisecond
	config := frame.Hasty(t)
	config.MaxQueuedRecords, config.MaxSpoolBytes = 10, 1 // no record fits into the directory
	store := coordaudit.New(db.Pool, storeConfig)
	recorder := frame.NewRecorder(t, store, config)
	release := frame.LockTable(t, db)
	var accepted, dropped []audit.Record
	for _, rec := range fixture.NewRecords(30) {
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
	if recorder.Emit(t.Context(), fixture.NewRecord()) {
		t.Error("Emit accepted a record that there is no room for")
	}
	release()
	fixture.EventuallyWithin(t, time.Minute, func() bool { return frame.CountGaps(t, db) == 1 })
	fixture.EventuallyWithin(t, time.Minute, func() bool { return fixture.CountRecords(t, db.Pool) == 10 })
	fixture.EventuallyWithin(t, time.Minute, func() bool { return recorder.Stats().Total().Queued == 0 })
	frame.RequireStored(t, recorder, audit.RecorderCounts{Accepted: 31, Persisted: 10, Dropped: 21})

	gaps, err := store.Gaps(t.Context(), audit.GapQuery{})
	if err != nil {
		t.Fatal(err)
	}
	gap := gaps[0]
	if gap.Total() != 21 || gap.Dropped[audit.Reliability] != 21 || gap.FirstAuditID != dropped[0].AuditID || gap.Until.Before(gap.From) || gap.Cause == "" {
		t.Errorf("gap %+v, want the 21 records from %s on", gap, dropped[0].AuditID)
	}
}

func nextRecorderStoresGap(t *testing.T, db frame.Database) {
	config := frame.Hasty(t)
	config.MaxQueuedRecords, config.MaxSpoolBytes = 5, 1
	away := frame.NewRecorder(t, unreachable(t), config)
	for _, rec := range fixture.NewRecords(8) {
		_ = away.Enqueue(rec) // three of them are dropped, as the counts show
	}
	if err := away.Close(t.Context()); !errors.Is(err, audit.ErrDropped) {
		t.Errorf("Close: %v, want ErrDropped: the queue had nowhere to go", err)
	}
	frame.RequireTotal(t, away, audit.RecorderCounts{Accepted: 8, Dropped: 8})

	next := frame.NewRecorder(t, frame.NewStore(db), config)
	fixture.EventuallyWithin(t, time.Minute, func() bool { return frame.CountGaps(t, db) > 0 })
	frame.CloseRecorder(t, next)
	missing := fixture.QueryInt(t, db.Pool, "SELECT sum(dropped_reliability) FROM coordination_audit_gaps")
	if missing != 8 {
		t.Errorf("the gaps hold %d records, want 8", missing)
	}
	before := frame.CountGaps(t, db)
	frame.CloseRecorder(t, frame.NewRecorder(t, frame.NewStore(db), config))
	if n := frame.CountGaps(t, db); n != before {
		t.Errorf("%d gaps after another start, want %d", n, before)
	}
}

func closedStoreLosesNothing(t *testing.T, db frame.Database) {
	store := fixture.OpenStore(t, db.URL, fixture.Quiet())
	config := frame.Hasty(t)
	recorder := frame.NewRecorder(t, store, config)
	producers := loadgen.Start(t, recorder, loadgen.Config{Producers: 4, Every: time.Millisecond})
	fixture.EventuallyWithin(t, time.Minute, func() bool { return recorder.Stats().Total().Persisted > 0 })
	store.Close()
	fixture.EventuallyWithin(t, time.Minute, func() bool { return recorder.Stats().Total().Spooled > 10 })
	producers.Stop()
	frame.CloseRecorder(t, recorder)
	producers.Verify(t, db.Pool, config.SpoolDir)
}

func refusedGapDelaysNothing(t *testing.T, db frame.Database) {
	pool, role := frame.PoolAsPlainRole(t, db, "SELECT, INSERT ON coordination_audit_records")
	storeConfig := fixture.Quiet()
	storeConfig.Timeout = 200 * time.Millisecond
	config := frame.Hasty(t)
	config.MaxQueuedRecords, config.MaxSpoolBytes = 10, 20_000
	recorder := frame.NewRecorder(t, coordaudit.New(pool, storeConfig), config)
	release := frame.LockTable(t, db)
	fixture.EventuallyWithin(t, time.Minute, func() bool {
		_ = recorder.Enqueue(fixture.NewRecord()) // accepted and dropped records are both wanted
		total := recorder.Stats().Total()
		return total.Dropped > 0 && total.Spooled > 0
	})
	time.Sleep(2 * time.Second) // by then the gap is complete, and the database has refused it
	release()
	fixture.EventuallyWithin(t, time.Minute, func() bool {
		total := recorder.Stats().Total()
		return total.Queued == 0 && total.Spooled == 0 && total.Persisted > 0
	})
	if n := frame.CountGaps(t, db); n != 0 {
		t.Fatalf("%d gaps were recorded without the right to", n)
	}
	fixture.MustExec(t, db.Pool, "GRANT INSERT, SELECT ON coordination_audit_gaps TO "+role)
	fixture.EventuallyWithin(t, time.Minute, func() bool { return frame.CountGaps(t, db) == 1 })
}
