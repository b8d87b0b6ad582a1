package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/seed"
	"github.com/hoc-analytics/coordaudit/internal/yardstick"
)

const dietBatch = 1000

// writeResult is what a writer did.
type writeResult struct {
	Writer  string      `json:"writer"`
	Indexes []string    `json:"indexes,omitempty"`
	Turns   []writeTurn `json:"turns"`
}

// writeTurn is some batches of a thousand records.
type writeTurn struct {
	Rows    int     `json:"rows"`
	Seconds float64 `json:"seconds"`
	WAL     int64   `json:"wal_bytes"`
}

// predecessorInsert has its columns alone.
const predecessorInsert = `INSERT INTO ` + predecessorTable + ` (audit_id, envelope_id, envelope_class, decision, reason, decision_timestamp,
	conflicting_envelope_id, preempting_envelope_id, active_envelopes_count, tenant_id)
	SELECT unnest($1::uuid[]), unnest($2::text[]), unnest($3::text[]), unnest($4::text[]), unnest($5::text[]), unnest($6::timestamptz[]),
	nullif(unnest($7::text[]), ''), nullif(unnest($8::text[]), ''), unnest($9::integer[]), nullif(unnest($10::text[]), '')
	ON CONFLICT (audit_id) DO NOTHING RETURNING audit_id`

// write gives each writer its turns.
func (t *dietTables) write(ctx context.Context, rounds, batches int, log io.Writer) ([]writeResult, error) {
	var all []writer
	for _, w := range writers() {
		if w.everySize || t.smallest {
			all = append(all, w)
		}
	}
	results := make([]writeResult, len(all))
	next, stop := iter.Pull(t.fresh())
	defer stop()
	if _, err := t.admin.Exec(ctx, "CHECKPOINT"); err != nil {
		return nil, fmt.Errorf("asking for a checkpoint: %w", err)
	}
	fmt.Fprintf(log, "bench: writing %d rounds\n", rounds)
	for i, w := range all {
		results[i].Writer, results[i].Indexes = w.name, w.indexes
	}
	err := inTurns(-1, rounds, len(all), func(round, i int) error {
		turn, err := t.writeTurn(ctx, all[i], batches, next)
		if err != nil {
			return fmt.Errorf("writing, %s: %w", all[i].name, err)
		}
		if round >= 0 {
			results[i].Turns = append(results[i].Turns, turn)
		}
		return nil
	})
	return results, err
}

// fresh are records of the time after the seeded ones: an index grows where time does.
func (t *dietTables) fresh() iter.Seq[audit.Record] {
	return func(yield func(audit.Record) bool) {
		for rec := range seed.Records(seed.Config{Records: 100_000_000, Seed: 3, Start: t.written, Span: 10_000 * 24 * time.Hour}) {
			if !yield(t.comparable(rec)) {
				return
			}
		}
	}
}

// writeTurn counts from the second batch on: a connection's first one plans.
func (t *dietTables) writeTurn(ctx context.Context, w writer, batches int, next func() (audit.Record, bool)) (turn writeTurn, err error) {
	if err := t.use(ctx, w.indexes); err != nil {
		return turn, err
	}
	conn, err := pgx.Connect(ctx, t.url)
	if err != nil {
		return turn, fmt.Errorf("connecting: %w", err)
	}
	defer func() { err = errors.Join(err, conn.Close(context.WithoutCancel(ctx))) }()
	var before int64
	for batch := range batches + 1 {
		took, err := w.write(ctx, conn, next)
		if err != nil {
			return turn, err
		}
		if batch == 0 {
			if before, err = t.wal(ctx); err != nil {
				return turn, err
			}
			continue
		}
		turn.Rows, turn.Seconds = turn.Rows+dietBatch, turn.Seconds+took.Seconds()
	}
	after, err := t.wal(ctx)
	turn.WAL = after - before
	return turn, err
}

// wal is how much was ever written to the log.
func (t *dietTables) wal(ctx context.Context) (bytes int64, err error) {
	if err := t.admin.QueryRow(ctx, "SELECT pg_current_wal_insert_lsn() - '0/0'").Scan(&bytes); err != nil {
		return 0, fmt.Errorf("asking for the log's length: %w", err)
	}
	return bytes, nil
}

// write stores a batch, and says how long that took.
func (w writer) write(ctx context.Context, conn *pgx.Conn, next func() (audit.Record, bool)) (time.Duration, error) {
	recs := takeBatch(next)
	for i := range recs {
		if w.random {
			recs[i].AuditID = uuid.New()
		}
	}
	if !w.predecessor {
		return insertBatch(ctx, conn, yardstick.InsertMany, yardstick.InsertManyArgs(recs))
	}
	return insertBatch(ctx, conn, predecessorInsert, yardstick.InsertManyArgs(recs)[:10])
}

func takeBatch(next func() (audit.Record, bool)) []audit.Record {
	recs := make([]audit.Record, dietBatch)
	for i := range recs {
		recs[i], _ = next()
	}
	return recs
}

func insertBatch(ctx context.Context, conn *pgx.Conn, sql string, args []any) (time.Duration, error) {
	start := time.Now()
	tag, err := conn.Exec(ctx, sql, args...)
	took := time.Since(start)
	if err == nil && tag.RowsAffected() != dietBatch {
		err = fmt.Errorf("%d of %d records were written", tag.RowsAffected(), dietBatch)
	}
	return took, err
}
