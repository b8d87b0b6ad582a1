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
	"github.com/hoc-analytics/coordaudit/internal/testdb"
	"github.com/hoc-analytics/coordaudit/internal/yardstick"
)

// The benchmarks run a call of ours and the bare pgx statement in turn, call by
// call, so that a noisy machine disturbs both alike, and report the medians and
// their ratio. The server keeps what it commits (fsync on).

func BenchmarkPersist(b *testing.B) {
	store, pool := benchStore(b)
	ctx := context.Background()
	compare(b, func() {
		rec := benchRecord(b)
		if err := yardstick.InsertOne(ctx, pool, &rec); err != nil {
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
			batch.Queue(yardstick.Insert, yardstick.InsertArgs(&rec)...)
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

// What the savepoint itself costs: PersistTx beside an INSERT that takes the
// caller's transaction with it when it fails.
func BenchmarkPersistTxBesideNoSavepoint(b *testing.B) {
	store, pool := benchStore(b)
	ctx := context.Background()
	compare(b, func() {
		inTx(b, pool, func(tx pgx.Tx) error {
			rec := benchRecord(b)
			return yardstick.InsertOne(ctx, tx, &rec)
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
				if err := yardstick.InsertAll(ctx, pool, benchRecords(b, size)); err != nil {
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

// compare runs the bare and our way in turn and reports medians, their ratio and
// the allocations that ours adds.
func compare(b *testing.B, bare, ours func()) {
	b.Helper()
	for range 20 { // statements prepared, pages warm
		bare()
		ours()
	}
	var bareTimes, ourTimes []time.Duration
	for oursFirst := false; b.Loop(); oursFirst = !oursFirst { // whoever goes second finds warmer pages
		if oursFirst {
			ourTimes = append(ourTimes, timed(ours))
		}
		bareTimes = append(bareTimes, timed(bare))
		if !oursFirst {
			ourTimes = append(ourTimes, timed(ours))
		}
	}
	bareMedian, ourMedian := median(bareTimes), median(ourTimes)
	b.ReportMetric(0, "ns/op") // of both together: says nothing
	b.ReportMetric(float64(bareMedian.Nanoseconds())/1e3, "bare-µs")
	b.ReportMetric(float64(ourMedian.Nanoseconds())/1e3, "ours-µs")
	b.ReportMetric(float64(ourMedian)/float64(bareMedian), "ratio")
	b.ReportMetric(testing.AllocsPerRun(100, ours)-testing.AllocsPerRun(100, bare), "allocs-above-bare")
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
	return coordaudit.New(db.Pool, quiet()), db.Pool
}

// benchRecord may be called from any goroutine, so it does not end the benchmark itself.
func benchRecord(b *testing.B) audit.Record {
	b.Helper()
	rec, err := yardstick.Record()
	if err != nil {
		b.Error(err)
	}
	return rec
}

func benchRecords(b *testing.B, n int) []audit.Record {
	b.Helper()
	recs, err := yardstick.Records(n)
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
