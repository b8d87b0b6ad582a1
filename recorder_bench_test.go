package coordaudit_test

import (
	"context"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/internal/test/baseline"
	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
)

// What group commit costs a lone caller.
func BenchmarkRecordNextToPersist(b *testing.B) {
	store, _ := benchStore(b)
	recorder := benchRecorder(b, store)
	ctx := context.Background()
	compare(b, func() {
		if _, err := store.Persist(ctx, benchRecord(b)); err != nil {
			b.Fatal(err)
		}
	}, func() {
		if _, err := recorder.Record(ctx, benchRecord(b)); err != nil {
			b.Fatal(err)
		}
	})
}

// Record by many callers, next to Persist, and next to a bare unnest INSERT on one connection
// with as many rows as Record's batches. The three take turns. Rates are medians of the turns.
func BenchmarkRecordCallers(b *testing.B) {
	for _, callers := range []int{16, 64} {
		b.Run(strconv.Itoa(callers), func(b *testing.B) {
			store, pool := benchStore(b)
			recorder := benchRecorder(b, store)
			ctx := context.Background()
			var persist, record, bare []float64
			batch := callers
			for b.Loop() {
				const turn = 300 * time.Millisecond
				persist = append(persist, rate(callers, turn, func() int {
					if _, err := store.Persist(ctx, benchRecord(b)); err != nil {
						b.Error(err)
					}
					return 1
				}))
				before := recorder.Stats()
				record = append(record, rate(callers, turn, func() int {
					if _, err := recorder.Record(ctx, benchRecord(b)); err != nil {
						b.Error(err)
					}
					return 1
				}))
				after := recorder.Stats()
				batch = max(1, int(float64(after.BatchedRecords-before.BatchedRecords)/float64(after.Batches-before.Batches)+0.5))
				bare = append(bare, rateBare(b, pool, turn, batch))
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(medianRate(persist), "persist-rows/s")
			b.ReportMetric(medianRate(record), "record-rows/s")
			b.ReportMetric(medianRate(bare), "bare-rows/s")
			b.ReportMetric(medianRate(record)/medianRate(persist), "times-persist")
			b.ReportMetric(medianRate(record)/medianRate(bare), "times-bare")
			b.ReportMetric(float64(batch), "batch")
		})
	}
}

func rateBare(b *testing.B, pool *pgxpool.Pool, turn time.Duration, batch int) float64 {
	b.Helper()
	return rate(1, turn, func() int {
		if err := baseline.InsertAll(context.Background(), pool, benchRecords(b, batch)); err != nil {
			b.Error(err)
		}
		return batch
	})
}

// How long a caller of Enqueue waits at 10,000 records a second, while the database is up, and
// while it is away and the spiller writes to disk.
func BenchmarkEnqueue(b *testing.B) {
	b.Run("Up", func(b *testing.B) {
		store, _ := benchStore(b)
		enqueue(b, store)
	})
	b.Run("Away", func(b *testing.B) {
		config := fixture.Quiet()
		config.Timeout = 200 * time.Millisecond
		store, err := coordaudit.Open(context.Background(), "postgres://none@127.0.0.1:1/none?sslmode=disable", config)
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(store.Close)
		enqueue(b, store)
	})
}

func enqueue(b *testing.B, store *coordaudit.Store) {
	b.Helper()
	const perSecond = 10_000
	recorder := benchRecorder(b, store)
	var times []time.Duration
	begun := time.Now()
	for b.Loop() {
		// A timer is late by up to a millisecond, so later calls catch up.
		if due := begun.Add(time.Duration(len(times)) * time.Second / perSecond); time.Until(due) > 0 {
			time.Sleep(time.Until(due))
		}
		rec := benchRecord(b)
		start := time.Now()
		if err := recorder.Enqueue(rec); err != nil {
			b.Fatal(err)
		}
		times = append(times, time.Since(start))
	}
	if offered := float64(len(times)) / time.Since(begun).Seconds(); len(times) > perSecond && offered < 0.9*perSecond {
		b.Errorf("only %.0f records a second were submitted", offered)
	}
	slices.Sort(times)
	at := func(share float64) float64 {
		return float64(times[min(len(times)-1, int(share*float64(len(times))))].Nanoseconds()) / 1e3
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(at(0.5), "p50-µs")
	b.ReportMetric(at(0.99), "p99-µs")
	b.ReportMetric(at(0.999), "p99.9-µs")
}

// rate runs work on the given number of goroutines for a while and returns the work done in a
// second.
func rate(callers int, turn time.Duration, work func() int) float64 {
	var done atomic.Int64
	var running sync.WaitGroup
	start := time.Now()
	for range callers {
		running.Go(func() {
			for time.Since(start) < turn {
				done.Add(int64(work()))
			}
		})
	}
	running.Wait()
	return float64(done.Load()) / time.Since(start).Seconds()
}

func medianRate(rates []float64) float64 {
	slices.Sort(rates)
	return rates[len(rates)/2]
}

func benchRecorder(b *testing.B, store *coordaudit.Store) *coordaudit.Recorder {
	b.Helper()
	recorder, err := store.NewRecorder(coordaudit.RecorderConfig{
		SpoolDir: b.TempDir(), WaitTimeout: time.Minute, RetryBudget: 100 * time.Millisecond,
	})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := recorder.Close(context.Background()); err != nil {
			b.Error(err)
		}
	})
	return recorder
}
