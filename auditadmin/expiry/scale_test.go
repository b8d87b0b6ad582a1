package expiry_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/auditadmin/expiry"
	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
	"github.com/hoc-analytics/coordaudit/internal/test/seed"
)

// A quarter of the trail expires next to writers, whose slowest calls are compared with those
// before. COORDAUDIT_TEST_EXPIRY_SCALE is the number of records, such as 20000000. The rates and the
// ratio are judged from a million on: a smaller run measures the noise of the machine.
func TestExpiryBesideWriters(t *testing.T) {
	t.Parallel()
	records := fixture.Size(t, "COORDAUDIT_TEST_EXPIRY_SCALE", 20_000)
	tr := newTrail(t)
	if _, err := seed.Copy(t.Context(), tr.db.Pool, seed.Records(seed.Config{Records: records})); err != nil {
		t.Fatal(err)
	}
	tr.seal(t)
	filter := cost()

	before := tr.writeBeside(t, func(ctx context.Context) { pause(ctx, 3*time.Second) })
	dir := filepath.Join(tr.dir, "archive")
	started := time.Now()
	m, err := expiry.Archive(t.Context(), tr.config(t), expiry.ArchiveConfig{Filter: filter, Dir: dir, Software: "a test"})
	if err != nil {
		t.Fatal(err)
	}
	archived := float64(m.Records) / time.Since(started).Seconds()
	var applied float64
	during := tr.writeBeside(t, func(ctx context.Context) {
		var began time.Time
		done, err := expiry.Apply(ctx, tr.config(t), expiry.ApplyConfig{Dir: dir, Progress: func(int64, int64) {
			if began.IsZero() {
				began = time.Now()
			}
		}})
		if err != nil {
			t.Error(err)
			return
		}
		applied = float64(done.Expired) / time.Since(began).Seconds()
	})
	t.Logf("%d of %d records; archived %.0f/s, applied %.0f/s; p99 of the writers %v before and %v meanwhile", m.Records, records, archived, applied, before, during)
	tr.seal(t)
	if result := tr.mustVerify(t); result.Expired != m.Records {
		t.Errorf("%+v", result)
	}
	if os.Getenv("COORDAUDIT_TEST_EXPIRY_SCALE") == "" || records < 1_000_000 {
		return
	}
	if archived < 50_000 || applied < 50_000 {
		t.Errorf("archived %.0f/s and applied %.0f/s, want 50,000/s each", archived, applied)
	}
	if during > 2*before {
		t.Errorf("p99 %v before and %v meanwhile, want twice at most", before, during)
	}
}

// writeBeside stores records at 1,000/s while work runs, and returns the p99 of the calls.
func (tr *trail) writeBeside(tb testing.TB, work func(ctx context.Context)) time.Duration {
	tb.Helper()
	ctx, cancel := context.WithCancel(tb.Context())
	defer cancel()
	const writers, each = 8, 8 * time.Millisecond
	took := make([][]time.Duration, writers)
	var writing sync.WaitGroup
	for w := range writers {
		writing.Go(func() {
			ticks := time.NewTicker(each)
			defer ticks.Stop()
			for {
				select {
				case <-ctx.Done():
					return
				case <-ticks.C:
				}
				started := time.Now()
				if _, err := tr.store.Persist(context.WithoutCancel(ctx), fixture.NewRecord()); err != nil {
					tb.Errorf("a writer: %v", err)
					return
				}
				took[w] = append(took[w], time.Since(started))
			}
		})
	}
	work(ctx)
	cancel()
	writing.Wait()
	all := slices.Concat(took...)
	slices.Sort(all)
	if len(all) == 0 {
		return 0
	}
	return all[len(all)*99/100]
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// A hold that is placed while batches expire stops the next one. What has expired stays on record,
// and the rest goes on once the hold is released.
func TestHoldStopsExpiryAtWork(t *testing.T) {
	t.Parallel()
	tr := newTrail(t)
	tr.fill(t, 2000)
	tr.seal(t)
	dir, m := tr.archive(t, all())
	held := false
	_, err := expiry.Apply(t.Context(), tr.config(t), expiry.ApplyConfig{Dir: dir, Progress: func(done, _ int64) {
		if held || done < m.Records/2 {
			return
		}
		held = true
		if _, err := expiry.PlaceHold(t.Context(), tr.keeper, "", expiry.Hold{TenantID: "acme", Why: "case 4711"}); err != nil {
			t.Error(err)
		}
	}})
	if !held || !errors.Is(err, expiry.ErrHeld) || tr.count(t) == 2000-m.Records {
		t.Fatalf("%v; %d rows", err, tr.count(t))
	}
	checkBalance(t, tr, 2000)
	tr.seal(t)
	tr.mustVerify(t)
	holds, err := expiry.Holds(t.Context(), tr.keeper, "")
	if err != nil || len(holds) != 1 {
		t.Fatalf("%+v, %v", holds, err)
	}
	if _, err := expiry.ReleaseHold(t.Context(), tr.keeper, "", holds[0].ID, "closed"); err != nil {
		t.Fatal(err)
	}
	if applied := tr.mustApply(t, dir); applied.Before == 0 || applied.Expired == 0 {
		t.Errorf("%+v", applied)
	}
	if found, err := tr.store.Completeness(t.Context(), audit.CompletenessQuery{}); err != nil || !found.Complete() {
		t.Errorf("%+v, %v", found, err)
	}
}
