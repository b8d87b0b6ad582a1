package recorder

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/test/conformance/frame"
	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
)

// sizes records the largest batch that was sent and the largest group that was spooled.
type sizes struct {
	slog.Handler
	mu           sync.Mutex
	batch, group int64
}

func (*sizes) ObservePersist(context.Context, audit.Observation) {}

func (s *sizes) ObserveFlush(_ context.Context, flush audit.Flush) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !flush.FromSpool {
		s.batch = max(s.batch, int64(flush.Records))
	}
}

func (*sizes) Enabled(context.Context, slog.Level) bool { return true }

func (s *sizes) Handle(_ context.Context, record slog.Record) error {
	if record.Message == "audit_spooled" {
		record.Attrs(func(attr slog.Attr) bool {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.group = max(s.group, attr.Value.Int64())
			return true
		})
	}
	return nil
}

func boundsBytes(t *testing.T, db frame.Database) {
	const (
		text       = 60_000
		queueBytes = 48 << 20
	)
	var seen sizes
	config := frame.Hasty(t)
	config.MaxQueuedBytes, config.RetryBudget = queueBytes, time.Hour
	recorder := frame.NewRecorder(t, coordaudit.New(db.Pool, coordaudit.Config{Logger: slog.New(&seen), Observer: &seen, Timeout: 30 * time.Second}), config)
	release := frame.LockTable(t, db)
	rec := fixture.NewRecord()
	for range 2 * queueBytes / text {
		rec = fixture.NewRecord()
		rec.Reason = strings.Repeat("x", text)
		if err := recorder.Enqueue(rec); err != nil && !errors.Is(err, audit.ErrDropped) {
			t.Fatal(err)
		}
		if bytes := recorder.Stats().QueueBytes; bytes > queueBytes {
			t.Fatalf("the queue takes %d bytes, at most %d are allowed", bytes, queueBytes)
		}
	}
	release()
	fixture.EventuallyWithin(t, time.Minute, func() bool { total := recorder.Stats().Total(); return total.Queued+total.Spooled == 0 })
	frame.CloseRecorder(t, recorder)
	seen.mu.Lock()
	defer seen.mu.Unlock()
	if most := int64(16 << 20 / (2 * text)); seen.batch > most {
		t.Errorf("a batch had %d records of %d bytes, at most %d make 16 MiB of memory", seen.batch, text, most)
	}
	if most := int64(8 << 20 / (2 * text)); seen.group > most || seen.group == 0 {
		t.Errorf("a group had %d records of %d bytes, at most %d make 8 MiB of memory", seen.group, text, most)
	}
}

func splitsSlowBatch(t *testing.T, db frame.Database) {
	fixture.MustExec(t, db.Pool, function("PERFORM pg_sleep(0.01);"))
	fixture.MustExec(t, db.Pool, breakTrigger)
	storeConfig := fixture.Quiet()
	storeConfig.Timeout = 500 * time.Millisecond
	config := frame.Hasty(t)
	recorder := frame.NewRecorder(t, coordaudit.New(db.Pool, storeConfig), config)
	frame.EnqueueAll(t, recorder, fixture.NewRecords(300))
	fixture.EventuallyWithin(t, time.Minute, func() bool { total := recorder.Stats().Total(); return total.Queued+total.Spooled == 0 })
	frame.CloseRecorder(t, recorder)
	frame.RequireStored(t, recorder, audit.RecorderCounts{Accepted: 300, Persisted: 300})
	if n := fixture.CountRecords(t, db.Pool); n != 300 {
		t.Errorf("%d rows of 300 records", n)
	}
}

func flushReportsPending(t *testing.T, _ frame.Database) {
	config := frame.Hasty(t)
	config.MaxSpoolBytes = 1 // no record fits into the directory
	recorder := frame.NewRecorder(t, unreachable(t), config)
	frame.EnqueueAll(t, recorder, fixture.NewRecords(3))
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := recorder.Flush(ctx); !errors.Is(err, audit.ErrPending) {
		t.Errorf("Flush: %v, want ErrPending", err)
	}
}
