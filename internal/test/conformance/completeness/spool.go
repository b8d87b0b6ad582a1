package completeness

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/test/conformance/frame"
	"github.com/hoc-analytics/coordaudit/internal/test/faultproxy"
	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
)

// spooling leaves n records in a directory, by a Recorder whose database is away.
func spooling(t *testing.T, n int) coordaudit.RecorderConfig {
	t.Helper()
	storeConfig := fixture.Quiet()
	storeConfig.Timeout = 200 * time.Millisecond
	away := fixture.OpenStore(t, "postgres://user@127.0.0.1:1/none?sslmode=disable", storeConfig)
	config := frame.Hasty(t)
	config.SegmentBytes = 2000
	recorder := frame.NewRecorder(t, away, config)
	for _, rec := range fixture.NewRecords(n) { // each in a group of its own, so that there are several segments
		if _, err := recorder.Record(t.Context(), rec); !errors.Is(err, audit.ErrPending) {
			t.Fatalf("%v, want ErrPending", err)
		}
	}
	frame.CloseRecorder(t, recorder)
	return config
}

// Its database never heard of the first Recorder. Its statements wait with its records.
func nextRecorderCarriesOn(t *testing.T, db frame.Database) {
	config := spooling(t, 12)
	next := frame.NewRecorder(t, frame.NewStore(db), config)
	fixture.EventuallyWithin(t, time.Minute, func() bool { return next.Stats().Total().Spooled == 0 })
	frame.CloseRecorder(t, next)
	result := account(t, db)
	if len(result.Sources) != 2 || !result.Complete() {
		t.Fatalf("%+v, want two complete sources", result)
	}
	for _, source := range result.Sources {
		if source.AcceptedThrough != 0 {
			require(t, source, audit.SourceAccount{Closed: true, AcceptedThrough: 12, ReservedThrough: 12, Present: 12})
		}
	}
	if left, err := filepath.Glob(filepath.Join(config.SpoolDir, "*.jsonl")); err != nil || len(left) != 0 {
		t.Errorf("left in the spool: %v, %v", left, err)
	}
}

func spooledRecordsWait(t *testing.T, db frame.Database) {
	config := frame.Hasty(t)
	storeConfig := fixture.Quiet()
	storeConfig.Timeout = 200 * time.Millisecond
	recorder := frame.NewRecorder(t, coordaudit.New(db.Pool, storeConfig), config)
	frame.EnqueueAll(t, recorder, fixture.NewRecords(5))
	fixture.EventuallyWithin(t, time.Minute, func() bool { return fixture.CountRecords(t, db.Pool) == 5 })
	release := frame.LockTable(t, db)
	frame.EnqueueAll(t, recorder, fixture.NewRecords(7))
	fixture.EventuallyWithin(t, time.Minute, func() bool { return recorder.Stats().Total().Spooled == 7 })
	frame.CloseRecorder(t, recorder)
	release()
	source := only(t, db) // its end waits in the spool, too
	if source.Closed || source.Present != 5 || len(source.Unexplained)+len(source.Findings) > 0 || source.Waiting+source.LastBlock < 7 {
		t.Errorf("%+v, want five present, and seven waiting or in the last block", source)
	}
	next := frame.NewRecorder(t, frame.NewStore(db), config)
	fixture.EventuallyWithin(t, time.Minute, func() bool { return next.Stats().Total().Spooled == 0 })
	frame.CloseRecorder(t, next)
	result := account(t, db)
	if !result.Complete() || len(result.Sources) != 2 {
		t.Errorf("%+v, want two complete sources", result)
	}
	require(t, result.Sources[0], audit.SourceAccount{Closed: true, AcceptedThrough: 12, ReservedThrough: 12, Present: 12})
}

// What is removed while no process looks is no longer in the next Recorder's account.
func findsRemovedSegment(t *testing.T, db frame.Database) {
	config := spooling(t, 12)
	segments, err := filepath.Glob(filepath.Join(config.SpoolDir, "0*.jsonl"))
	if err != nil || len(segments) < 2 {
		t.Fatalf("%v, %v; want several segments", segments, err)
	}
	if err := os.Remove(segments[0]); err != nil {
		t.Fatal(err)
	}
	next := frame.NewRecorder(t, frame.NewStore(db), config)
	fixture.EventuallyWithin(t, time.Minute, func() bool { return next.Stats().Total().Spooled == 0 })
	frame.CloseRecorder(t, next)
	result := account(t, db)
	if len(result.Sources) != 2 || result.Complete() {
		t.Fatalf("%+v, want two sources and missing records", result)
	}
	for _, source := range result.Sources {
		if source.AcceptedThrough == 0 {
			continue
		}
		var missing int64
		for _, r := range source.Unexplained {
			missing += r.Last - r.First + 1
		}
		if source.Present == 12 || source.Present+missing != 12 || source.Waiting != 0 {
			t.Errorf("%+v, want the records of one segment unexplained", source)
		}
	}
}

// What is removed under the eyes of a Recorder is dropped, which it says.
func lostSpoolIsExplained(t *testing.T, db frame.Database) {
	config := frame.Hasty(t)
	storeConfig := fixture.Quiet()
	storeConfig.Timeout = 200 * time.Millisecond
	recorder := frame.NewRecorder(t, coordaudit.New(db.Pool, storeConfig), config)
	release := frame.LockTable(t, db)
	frame.EnqueueAll(t, recorder, fixture.NewRecords(9))
	fixture.EventuallyWithin(t, time.Minute, func() bool { return recorder.Stats().Total().Spooled == 9 })
	segments, err := filepath.Glob(filepath.Join(config.SpoolDir, "0*.jsonl"))
	if err != nil || len(segments) == 0 {
		t.Fatal(segments, err)
	}
	for _, segment := range segments {
		if err := os.Remove(segment); err != nil {
			t.Fatal(err)
		}
	}
	if err := recorder.Flush(t.Context()); err != nil && !errors.Is(err, audit.ErrDropped) {
		t.Errorf("Flush: %v", err)
	}
	release()
	_ = recorder.Close(context.Background()) // the records that were held are stored, the others dropped
	next := frame.NewRecorder(t, frame.NewStore(db), config)
	fixture.EventuallyWithin(t, time.Minute, func() bool { return next.Stats().Total().Spooled == 0 })
	frame.CloseRecorder(t, next)
	for _, source := range account(t, db).Sources {
		if source.AcceptedThrough > 0 && (source.Present+source.Explained.Dropped != 9 || len(source.Unexplained)+len(source.Findings) > 0) {
			t.Errorf("%+v, want nine present or dropped", source)
		}
	}
}

// A retry finds its own row, which was stored under the same ordinal.
func lostAnswerIsPresent(t *testing.T, db frame.Database) {
	proxy := faultproxy.New(t, db.URL)
	recorder := frame.NewRecorder(t, fixture.OpenStore(t, proxy.URL(), fixture.Quiet()), frame.Hasty(t))
	if _, err := recorder.Record(t.Context(), fixture.NewRecord()); err != nil {
		t.Fatal(err)
	}
	lost := 0
	fixture.EventuallyWithin(t, time.Minute, func() bool {
		proxy.CutAtServer(faultproxy.ReadyForQuery) // committed
		if _, err := recorder.Record(t.Context(), fixture.NewRecord()); err != nil {
			t.Fatal(err)
		}
		lost++
		return recorder.Stats().Total().AlreadyPersisted > 0
	})
	frame.CloseRecorder(t, recorder)
	n := int64(1 + lost)
	require(t, only(t, db), audit.SourceAccount{Closed: true, AcceptedThrough: n, ReservedThrough: n, Present: n})
}

// A record whose answer was lost may be stored. If it is refused when it is sent again, from
// the spool, its row is no finding.
func refusedAfterLostAnswer(t *testing.T, db frame.Database) {
	proxy := faultproxy.New(t, db.URL)
	storeConfig := fixture.Quiet()
	storeConfig.Timeout = 500 * time.Millisecond
	config := frame.Hasty(t)
	recorder := frame.NewRecorder(t, fixture.OpenStore(t, proxy.URL(), storeConfig), config)
	stored := func() int {
		return fixture.QueryInt(t, db.Pool, "SELECT count(*) FROM coordination_audit_records WHERE reason = 'refused'")
	}
	fixture.EventuallyWithin(t, time.Minute, func() bool {
		if _, err := recorder.Record(t.Context(), fixture.NewRecord()); err != nil && !errors.Is(err, audit.ErrPending) {
			t.Fatal(err)
		}
		proxy.CutAtServer(faultproxy.ReadyForQuery) // committed
		proxy.StallNewConnections()
		defer proxy.Resume()
		rec := fixture.NewRecord()
		rec.Reason = "refused"
		_, err := recorder.Record(t.Context(), rec)
		return errors.Is(err, audit.ErrPending) && stored() > 0 && stopSpooled(t, recorder)
	})
	fixture.MustExec(t, db.Pool, "ALTER TABLE coordination_audit_records ADD CONSTRAINT says_no CHECK (reason <> 'refused') NOT VALID")

	next := frame.NewRecorder(t, fixture.OpenStore(t, db.URL, fixture.Quiet()), config)
	fixture.EventuallyWithin(t, time.Minute, func() bool {
		if _, err := next.Record(t.Context(), fixture.NewRecord()); err != nil { // accepted, so the refused one is to blame
			t.Fatal(err)
		}
		return next.Stats().Total().Rejected > 0
	})
	frame.CloseRecorder(t, next)
	for _, source := range account(t, db).Sources {
		if len(source.Unexplained)+len(source.Findings) > 0 {
			t.Errorf("%+v, want nothing found", source)
		}
	}
}

// stopSpooled closes a recorder while its database does not answer.
func stopSpooled(t *testing.T, recorder *coordaudit.Recorder) bool {
	t.Helper()
	frame.CloseRecorder(t, recorder)
	return true
}
