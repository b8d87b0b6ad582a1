package recorder

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/test/conformance/frame"
	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
)

// conflicting stores a record and returns another record with its id.
func conflicting(t *testing.T, db frame.Database) audit.Record {
	t.Helper()
	rec := fixture.NewRecord()
	fixture.MustPersist(t, frame.NewStore(db), rec)
	rec.Reason = "another one"
	return rec
}

func unkeptRecordLeavesGap(t *testing.T, db frame.Database) {
	config := frame.Hasty(t)
	if err := os.WriteFile(filepath.Join(config.SpoolDir, "rejected"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	recorder := frame.NewRecorder(t, frame.NewStore(db), config)
	if _, err := recorder.Record(t.Context(), conflicting(t, db)); !errors.Is(err, audit.ErrDropped) {
		t.Errorf("%v, want ErrDropped: it is kept nowhere", err)
	}
	frame.RequireTotal(t, recorder, audit.RecorderCounts{Accepted: 1, Dropped: 1})
	fixture.EventuallyWithin(t, time.Minute, func() bool { return frame.CountGaps(t, db) == 1 })
}

func unmovableRecordStays(t *testing.T, db frame.Database) {
	config := frame.Hasty(t)
	away := frame.NewRecorder(t, unreachable(t), config)
	frame.EnqueueAll(t, away, []audit.Record{conflicting(t, db), fixture.NewRecord()})
	frame.CloseRecorder(t, away)
	blocker := filepath.Join(config.SpoolDir, "rejected")
	if err := os.WriteFile(blocker, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	recorder := frame.NewRecorder(t, frame.NewStore(db), config)
	fixture.EventuallyWithin(t, time.Minute, func() bool { return recorder.Stats().Total().Persisted == 1 })
	frame.RequireTotal(t, recorder, audit.RecorderCounts{Accepted: 2, Persisted: 1, Spooled: 1})
	if err := os.Remove(blocker); err != nil {
		t.Fatal(err)
	}
	fixture.EventuallyWithin(t, time.Minute, func() bool { return recorder.Stats().Total().Rejected == 1 })
	frame.CloseRecorder(t, recorder)
	if kept := rejected(t, config.SpoolDir); len(kept) != 1 {
		t.Errorf("%d records are in rejected, want 1", len(kept))
	}
}
