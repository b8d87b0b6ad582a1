package conformance

import (
	"context"
	"testing"
	"time"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
)

// newRecorder starts a quiet recorder on a store, closed when the test ends.
func newRecorder(t *testing.T, store *coordaudit.Store, config coordaudit.RecorderConfig) *coordaudit.Recorder {
	t.Helper()
	if config.DeadLetterDir == "" {
		config.DeadLetterDir = t.TempDir()
	}
	recorder, err := store.NewRecorder(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = recorder.Close(context.Background()) })
	return recorder
}

// hasty is a recorder's configuration that takes the database for away at once.
func hasty(t *testing.T) coordaudit.RecorderConfig {
	t.Helper()
	return coordaudit.RecorderConfig{DeadLetterDir: t.TempDir(), RetryBudget: time.Millisecond, MaxRetryDelay: 100 * time.Millisecond}
}

func closeRecorder(t *testing.T, recorder *coordaudit.Recorder) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := recorder.Close(ctx); err != nil {
		t.Errorf("closing the recorder: %v", err)
	}
}

func requireTotal(t *testing.T, recorder *coordaudit.Recorder, want audit.RecorderCounts) {
	t.Helper()
	if total := recorder.Stats().Total(); total != want || total.Accepted != total.AccountedFor() {
		t.Errorf("counts %+v, want %+v", total, want)
	}
}
