package frame

import (
	"context"
	"testing"
	"time"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
)

// NewRecorder starts a Recorder on a store, closed when the test ends.
func NewRecorder(t *testing.T, store *coordaudit.Store, config coordaudit.RecorderConfig) *coordaudit.Recorder {
	t.Helper()
	if config.SpoolDir == "" {
		config.SpoolDir = t.TempDir()
	}
	recorder, err := store.NewRecorder(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = recorder.Close(context.Background()) })
	return recorder
}

// Hasty returns the configuration of a Recorder that spools after the first failure.
func Hasty(t *testing.T) coordaudit.RecorderConfig {
	t.Helper()
	return coordaudit.RecorderConfig{SpoolDir: t.TempDir(), RetryBudget: time.Millisecond, MaxRetryDelay: 100 * time.Millisecond}
}

// CloseRecorder closes a Recorder, which has 30 seconds to store or spool its records.
func CloseRecorder(t *testing.T, recorder *coordaudit.Recorder) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := recorder.Close(ctx); err != nil {
		t.Errorf("closing the recorder: %v", err)
	}
}

// RequireTotal fails unless the counts of all classes are want and add up.
func RequireTotal(t *testing.T, recorder *coordaudit.Recorder, want audit.RecorderCounts) {
	t.Helper()
	if total := recorder.Stats().Total(); total != want || total.Accepted != total.AccountedFor() {
		t.Errorf("counts %+v, want %+v", total, want)
	}
}

// RequireStored fails unless the counts of all classes are want, in which Persisted stands
// for both ways to be stored. A commit whose answer comes after the attempt's end is found
// by the retry, as AlreadyPersisted.
func RequireStored(t *testing.T, recorder *coordaudit.Recorder, want audit.RecorderCounts) {
	t.Helper()
	total := recorder.Stats().Total()
	balanced := total.Accepted == total.AccountedFor()
	total.Persisted, total.AlreadyPersisted = total.Persisted+total.AlreadyPersisted, 0
	if total != want || !balanced {
		t.Errorf("counts %+v, want %+v", total, want)
	}
}

// EnqueueAll enqueues each record.
func EnqueueAll(t *testing.T, recorder *coordaudit.Recorder, recs []audit.Record) {
	t.Helper()
	for _, rec := range recs {
		if err := recorder.Enqueue(rec); err != nil {
			t.Fatal(err)
		}
	}
}
