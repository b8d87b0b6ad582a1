package coordaudit_test

import (
	"context"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/testdb"
)

// The benchmarks run a call of ours and the bare pgx statement in turn, call by
// call, so that a noisy machine disturbs both alike, and report the medians and
// their ratio. The server keeps what it commits (fsync on).

const (
	bareInsert = `INSERT INTO coordination_audit_records (audit_id, envelope_id, envelope_class, decision, reason, decision_timestamp,
		conflicting_envelope_id, preempting_envelope_id, active_envelopes_count, tenant_id, target_subsystem, target_parameter, counterpart_class)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) ON CONFLICT (audit_id) DO NOTHING RETURNING seq, created_at`

	bareInsertMany = `INSERT INTO coordination_audit_records (audit_id, envelope_id, envelope_class, decision, reason, decision_timestamp,
		conflicting_envelope_id, preempting_envelope_id, active_envelopes_count, tenant_id, target_subsystem, target_parameter, counterpart_class)
		SELECT unnest($1::uuid[]), unnest($2::text[]), unnest($3::text[]), unnest($4::text[]), unnest($5::text[]), unnest($6::timestamptz[]),
		nullif(unnest($7::text[]), ''), nullif(unnest($8::text[]), ''), unnest($9::integer[]), nullif(unnest($10::text[]), ''),
		nullif(unnest($11::text[]), ''), nullif(unnest($12::text[]), ''), nullif(unnest($13::text[]), '')
		ON CONFLICT (audit_id) DO NOTHING RETURNING audit_id, seq, created_at`
)

func BenchmarkPersist(b *testing.B) {
	store, pool := benchStore(b)
	ctx := context.Background()
	compare(b, func() {
		rec := benchRecord()
		if err := insertBare(ctx, pool, &rec); err != nil {
			b.Fatal(err)
		}
	}, func() {
		if _, err := store.Persist(ctx, benchRecord()); err != nil {
			b.Fatal(err)
		}
	})
}

func BenchmarkPersistTx(b *testing.B) {
	store, pool := benchStore(b)
	ctx := context.Background()
	compare(b, func() {
		inTx(b, pool, func(tx pgx.Tx) error {
			rec := benchRecord()
			var batch pgx.Batch
			batch.Queue("SAVEPOINT s")
			batch.Queue(bareInsert, insertArgs(&rec)...)
			batch.Queue("RELEASE SAVEPOINT s")
			return tx.SendBatch(ctx, &batch).Close()
		})
	}, func() {
		inTx(b, pool, func(tx pgx.Tx) error {
			_, err := store.PersistTx(ctx, tx, benchRecord())
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
			rec := benchRecord()
			var seq int64
			var createdAt time.Time
			return tx.QueryRow(ctx, bareInsert, insertArgs(&rec)...).Scan(&seq, &createdAt)
		})
	}, func() {
		inTx(b, pool, func(tx pgx.Tx) error {
			_, err := store.PersistTx(ctx, tx, benchRecord())
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
				if err := insertManyBare(ctx, pool, benchRecords(size)); err != nil {
					b.Fatal(err)
				}
			}, func() {
				if _, err := store.PersistMany(ctx, benchRecords(size)); err != nil {
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

func benchRecord() audit.Record {
	id, _ := uuid.NewV7()
	return audit.Record{
		AuditID:               id,
		EnvelopeID:            "fleet-saver-llmrouter-19",
		EnvelopeClass:         audit.Cost,
		Decision:              audit.Rejected,
		Reason:                "Same-parameter conflict: llm_router.temperature is held by fleet-steady-llmrouter-18",
		DecisionTimestamp:     time.Now(),
		ConflictingEnvelopeID: "fleet-steady-llmrouter-18",
		ActiveEnvelopesCount:  3,
		TenantID:              "tenant-emu",
		TargetSubsystem:       "llm_router",
		TargetParameter:       "temperature",
		CounterpartClass:      audit.Reliability,
	}
}

func benchRecords(n int) []audit.Record {
	recs := make([]audit.Record, n)
	for i := range recs {
		recs[i] = benchRecord()
	}
	return recs
}

func insertArgs(rec *audit.Record) []any {
	return []any{
		rec.AuditID, rec.EnvelopeID, string(rec.EnvelopeClass), string(rec.Decision), rec.Reason, rec.DecisionTimestamp,
		&rec.ConflictingEnvelopeID, (*string)(nil), rec.ActiveEnvelopesCount, &rec.TenantID,
		&rec.TargetSubsystem, &rec.TargetParameter, new(string(rec.CounterpartClass)),
	}
}

func insertBare(ctx context.Context, pool *pgxpool.Pool, rec *audit.Record) error {
	var seq int64
	var createdAt time.Time
	return pool.QueryRow(ctx, bareInsert, insertArgs(rec)...).Scan(&seq, &createdAt)
}

func insertManyBare(ctx context.Context, pool *pgxpool.Pool, recs []audit.Record) error {
	n := len(recs)
	ids, times, counts := make([]uuid.UUID, n), make([]time.Time, n), make([]int32, n)
	var texts [10][]string
	for column := range texts {
		texts[column] = make([]string, n)
	}
	for i, rec := range recs {
		ids[i], times[i], counts[i] = rec.AuditID, rec.DecisionTimestamp, rec.ActiveEnvelopesCount
		row := [10]string{
			rec.EnvelopeID, string(rec.EnvelopeClass), string(rec.Decision), rec.Reason,
			rec.ConflictingEnvelopeID, rec.PreemptingEnvelopeID, rec.TenantID,
			rec.TargetSubsystem, rec.TargetParameter, string(rec.CounterpartClass),
		}
		for column := range texts {
			texts[column][i] = row[column]
		}
	}
	rows, err := pool.Query(ctx, bareInsertMany, ids, texts[0], texts[1], texts[2], texts[3], times, texts[4], texts[5], counts, texts[6],
		texts[7], texts[8], texts[9])
	if err != nil {
		return err
	}
	var id uuid.UUID
	var seq int64
	var createdAt time.Time
	_, err = pgx.ForEachRow(rows, []any{&id, &seq, &createdAt}, func() error { return nil })
	return err
}

func inTx(b *testing.B, pool *pgxpool.Pool, work func(pgx.Tx) error) {
	b.Helper()
	if err := pgx.BeginFunc(context.Background(), pool, work); err != nil {
		b.Fatal(err)
	}
}
