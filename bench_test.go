package coordaudit_test

import (
	"context"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/test/baseline"
	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

// The benchmarks alternate between a call of the library and the bare pgx statement, so that a noisy
// machine disturbs both alike. They report the medians and their ratio. The server has fsync on.

func BenchmarkPersist(b *testing.B) {
	store, pool := benchStore(b)
	ctx := context.Background()
	compare(b, func() {
		rec := benchRecord(b)
		if err := baseline.InsertOne(ctx, pool, &rec); err != nil {
			b.Fatal(err)
		}
	}, func() {
		if _, err := store.Persist(ctx, benchRecord(b)); err != nil {
			b.Fatal(err)
		}
	})
}

func BenchmarkPersistTx(b *testing.B) {
	store, pool := benchStore(b)
	ctx := context.Background()
	compare(b, func() {
		inTx(b, pool, func(tx pgx.Tx) error {
			rec := benchRecord(b)
			var batch pgx.Batch
			batch.Queue("SAVEPOINT s")
			batch.Queue(baseline.Insert, baseline.InsertArgs(&rec)...)
			batch.Queue("RELEASE SAVEPOINT s")
			return tx.SendBatch(ctx, &batch).Close()
		})
	}, func() {
		inTx(b, pool, func(tx pgx.Tx) error {
			_, err := store.PersistTx(ctx, tx, benchRecord(b))
			return err
		})
	})
}

// The cost of the savepoint itself: PersistTx next to an INSERT that aborts the caller's transaction when
// it fails.
func BenchmarkPersistTxBesideNoSavepoint(b *testing.B) {
	store, pool := benchStore(b)
	ctx := context.Background()
	compare(b, func() {
		inTx(b, pool, func(tx pgx.Tx) error {
			rec := benchRecord(b)
			return baseline.InsertOne(ctx, tx, &rec)
		})
	}, func() {
		inTx(b, pool, func(tx pgx.Tx) error {
			_, err := store.PersistTx(ctx, tx, benchRecord(b))
			return err
		})
	})
}

func BenchmarkPersistMany(b *testing.B) {
	for _, size := range []int{100, 1000, 10_000} {
		b.Run(strconv.Itoa(size), func(b *testing.B) {
			store, pool := benchStore(b)
			ctx := context.Background()
			compare(b, func() {
				if err := baseline.InsertAll(ctx, pool, benchRecords(b, size)); err != nil {
					b.Fatal(err)
				}
			}, func() {
				if _, err := store.PersistMany(ctx, benchRecords(b, size)); err != nil {
					b.Fatal(err)
				}
			})
		})
	}
}

// compare alternates between both calls and reports the medians, their ratio and the allocations that
// ours adds.
func compare(b *testing.B, bare, ours func()) {
	b.Helper()
	takeTurns(b, 20, bare, ours)
	b.ReportMetric(testing.AllocsPerRun(100, ours)-testing.AllocsPerRun(100, bare), "allocs-above-bare")
}

// compareSlow is compare for calls of seconds, which it makes less often.
func compareSlow(b *testing.B, bare, ours func()) {
	b.Helper()
	takeTurns(b, 2, bare, ours)
}

// takeTurns reports the medians and their ratio, after as many calls that only warm up: until
// statements are prepared and pages are warm.
func takeTurns(b *testing.B, warm int, bare, ours func()) {
	b.Helper()
	for range warm {
		bare()
		ours()
	}
	var bareTimes, ourTimes []time.Duration
	for oursFirst := false; b.Loop(); oursFirst = !oursFirst { // the second call finds warmer pages
		if oursFirst {
			ourTimes = append(ourTimes, timed(ours))
		}
		bareTimes = append(bareTimes, timed(bare))
		if !oursFirst {
			ourTimes = append(ourTimes, timed(ours))
		}
	}
	bareMedian, ourMedian := median(bareTimes), median(ourTimes)
	b.ReportMetric(0, "ns/op") // it measures both together
	b.ReportMetric(float64(bareMedian.Nanoseconds())/1e3, "bare-µs")
	b.ReportMetric(float64(ourMedian.Nanoseconds())/1e3, "ours-µs")
	b.ReportMetric(float64(ourMedian)/float64(bareMedian), "ratio")
}

func timed(call func()) time.Duration {
	start := time.Now()
	call()
	return time.Since(start)
}

func median(times []time.Duration) time.Duration {
	slices.Sort(times)
	return times[len(times)/2]
}

func benchStore(b *testing.B) (*coordaudit.Store, *pgxpool.Pool) {
	b.Helper()
	db := testdb.NewOn(b, testdb.Durable(b))
	return coordaudit.New(db.Pool, fixture.Quiet()), db.Pool
}

// benchRecord may be called from any goroutine, so it does not end the benchmark itself.
func benchRecord(b *testing.B) audit.Record {
	b.Helper()
	rec, err := baseline.Record()
	if err != nil {
		b.Error(err)
	}
	return rec
}

func benchRecords(b *testing.B, n int) []audit.Record {
	b.Helper()
	recs, err := baseline.Records(n)
	if err != nil {
		b.Error(err)
	}
	return recs
}

func inTx(b *testing.B, pool *pgxpool.Pool, work func(pgx.Tx) error) {
	b.Helper()
	if err := pgx.BeginFunc(context.Background(), pool, work); err != nil {
		b.Fatal(err)
	}
}
