package recorder

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/recorder/spool"
)

// waiting pushes records of which each takes about a KiB in a spool.
func waiting(t *testing.T, q *queue, records int) {
	t.Helper()
	for range records {
		rec := spooledRecord(uuid.New(), 1)
		rec.Reason = strings.Repeat("x", 1000)
		if err := q.push(newEntry(&rec)); err != nil {
			t.Fatal(err)
		}
	}
}

// A spool that takes nothing is reported once, however often it is tried, and again if it took
// something in between. The records wait meanwhile.
func TestFailingSpoolIsReportedOnce(t *testing.T) {
	t.Parallel()
	dir, _, err := spool.Open(spool.Config{Path: t.TempDir(), MaxBytes: 5000})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = dir.Close() })
	var output strings.Builder
	log := slog.New(slog.NewTextHandler(&output, &slog.HandlerOptions{Level: slog.LevelDebug}))
	synctest.Test(t, func(t *testing.T) {
		q, ledger := testQueue(100, plenty)
		wake := make(chan struct{}, 1)
		source := &statements{}
		s := &spiller{
			queue: q, ledger: ledger, files: dir, log: log, wakeDrainer: wake, delay: backoff{first: time.Second, max: time.Minute},
			health: newHealth(0, q.setUrgent, log), statements: source,
		}
		source.book = &book{own: newBook(Config{}, q, nil, nil).own}
		source.files, source.log, source.setShort = dir, log, q.setShort
		s.health.noteFailure(t.Context(), context.DeadlineExceeded) // away, so that nothing waits in memory
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { defer close(ended); s.run(ctx) }()
		for round := 1; round <= 2; round++ {
			s.writing.Lock() // the six are one group, which is more than the spool takes
			waiting(t, q, 6)
			s.writing.Unlock()
			time.Sleep(time.Hour)
			synctest.Wait()
			if n := strings.Count(output.String(), "level=ERROR msg=audit_spool_failing"); n != round {
				t.Errorf("reported %d times in round %d:\n%s", n, round, &output)
			}
			if left, _ := q.waits(); left != 6 || signalled(wake) {
				t.Errorf("%d records wait, want 6", left)
			}
			q.finish(byFlusher, q.take(byFlusher, 100, plenty)[4:]) // four are stored, and two fit
			time.Sleep(time.Hour)
			synctest.Wait()
			if left, _ := q.waits(); left != 0 || !signalled(wake) || !strings.Contains(output.String(), "level=DEBUG msg=audit_spooled records=2") {
				t.Errorf("%d records wait, want none", left)
			}
			batch, err := dir.Next(0)
			if err == nil {
				err = dir.Done(batch)
			}
			if err != nil || len(batch.Records) != 2 {
				t.Fatalf("%+v, %v; want two records", batch, err)
			}
		}
		cancel()
		<-ended
		if counts := ledger.counts()[audit.Cost]; counts.Spooled != 4 || counts.Queued != 8 {
			t.Errorf("counts %+v, want four spooled", counts) // those that were stored are the flusher's to count
		}
	})
}
