package recorder_test

import (
	"errors"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/test/faultproxy"
	"github.com/hoc-analytics/coordaudit/internal/test/loadgen"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

// smallDisk returns a directory with a file system of its own, of 256 KiB.
func smallDisk(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=256k")
	switch {
	case err != nil && os.Getenv("COORDAUDIT_REQUIRE_TMPFS") != "":
		t.Fatalf("mounting a small tmpfs: %v", err)
	case err != nil:
		t.Skipf("needs a small tmpfs, and the right to mount it: %v", err)
	}
	t.Cleanup(func() {
		// A child that another test is just starting may hold the disk open until it execs.
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Errorf("unmounting %s: %v", dir, err)
		}
	})
	return dir
}

// The database does not answer, the disk is full, and so is the queue. Accepted records stay
// accepted, and dropped records are on record afterwards.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	dir := smallDisk(t)
	proxy := faultproxy.New(t, db.URL)
	config := quiet()
	config.Timeout = 200 * time.Millisecond
	store, err := coordaudit.Open(t.Context(), proxy.URL(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.Close)
	recorder := newRecorder(t, store, coordaudit.RecorderConfig{
		SpoolDir: dir, RetryBudget: 100 * time.Millisecond, MaxRetryDelay: 200 * time.Millisecond, MaxQueuedRecords: 500,
	})
	producers := loadgen.Start(t, recorder, loadgen.Config{Producers: 8, Every: time.Millisecond})
	eventually(t, 30*time.Second, func() bool { return recorder.Stats().Total().Persisted > 0 })

	proxy.Stall()
	eventually(t, time.Minute, func() bool { return recorder.Stats().Total().Dropped > 100 })
	// The queue may be full before the first attempt has given up, which is when the disk gets records.
	eventually(t, time.Minute, func() bool { return recorder.Stats().Total().Spooled > 0 })
	// A full disk changes no other error, and records that were accepted before wait in memory.
	if err := recorder.Enqueue(audit.Record{}); !errors.Is(err, audit.ErrInvalidRecord) {
		t.Errorf("%v, want ErrInvalidRecord", err)
	}
	producers.Stop()
	stats := recorder.Stats()
	proxy.Resume()
	eventually(t, time.Minute, func() bool { total := recorder.Stats().Total(); return total.Queued == 0 && total.Spooled == 0 })
	requireGaps(t, store, stats.Total().Dropped)
	if err := recorder.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if total := recorder.Stats().Total(); total.Persisted+total.AlreadyPersisted+total.Dropped != total.Accepted {
		t.Errorf("%+v, want each record stored or dropped", total)
	}
}

func requireGaps(t *testing.T, store *coordaudit.Store, dropped int64) {
	t.Helper()
	var missing int64
	eventually(t, 30*time.Second, func() bool {
		gaps, err := store.Gaps(t.Context(), audit.GapQuery{})
		if err != nil {
			t.Fatal(err)
		}
		missing = 0
		for _, gap := range gaps {
			missing += gap.Total()
			if gap.Until.Before(gap.From) {
				t.Errorf("gap %s ends before it begins", gap.GapID)
			}
		}
		return missing >= dropped
	})
	if missing != dropped {
		t.Errorf("the gaps hold %d records, want the %d that were dropped", missing, dropped)
	}
}
