// Package yardstick is what anybody would write with pgx: the statements and the
// record that benchmarks hold the library against.
package yardstick

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/hoc-analytics/coordaudit/audit"
)

// Columns are those that a writer fills.
const Columns = `audit_id, envelope_id, envelope_class, decision, reason, decision_timestamp, conflicting_envelope_id, preempting_envelope_id, active_envelopes_count, tenant_id, target_subsystem, target_parameter, counterpart_class`

// Insert stores one record, and InsertMany as many as its arrays are long. Both are
// idempotent, as the library is.
const (
	Insert = `INSERT INTO coordination_audit_records (` + Columns + `)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) ON CONFLICT (audit_id) DO NOTHING RETURNING seq, created_at`

	InsertMany = `INSERT INTO coordination_audit_records (` + Columns + `)
		SELECT unnest($1::uuid[]), unnest($2::text[]), unnest($3::text[]), unnest($4::text[]), unnest($5::text[]), unnest($6::timestamptz[]),
		nullif(unnest($7::text[]), ''), nullif(unnest($8::text[]), ''), unnest($9::integer[]), nullif(unnest($10::text[]), ''),
		nullif(unnest($11::text[]), ''), nullif(unnest($12::text[]), ''), nullif(unnest($13::text[]), '')
		ON CONFLICT (audit_id) DO NOTHING RETURNING audit_id, seq, created_at`
)

// Querier is a pool, a connection or a transaction.
type Querier interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// InsertOne stores a record and takes its receipt, as the library does.
func InsertOne(ctx context.Context, db Querier, rec *audit.Record) error {
	var seq int64
	var createdAt time.Time
	return db.QueryRow(ctx, Insert, InsertArgs(rec)...).Scan(&seq, &createdAt)
}

// InsertAll stores records and takes their receipts.
func InsertAll(ctx context.Context, pool *pgxpool.Pool, recs []audit.Record) error {
	rows, err := pool.Query(ctx, InsertMany, InsertManyArgs(recs)...)
	if err != nil {
		return err
	}
	var id uuid.UUID
	var seq int64
	var createdAt time.Time
	_, err = pgx.ForEachRow(rows, []any{&id, &seq, &createdAt}, func() error { return nil })
	return err
}

// InsertArgs are Insert's.
func InsertArgs(rec *audit.Record) []any {
	return []any{
		rec.AuditID, rec.EnvelopeID, string(rec.EnvelopeClass), string(rec.Decision), rec.Reason, rec.DecisionTimestamp,
		Nullable(rec.ConflictingEnvelopeID), Nullable(rec.PreemptingEnvelopeID), rec.ActiveEnvelopesCount, Nullable(rec.TenantID),
		Nullable(rec.TargetSubsystem), Nullable(rec.TargetParameter), Nullable(string(rec.CounterpartClass)),
	}
}

// InsertManyArgs are InsertMany's: the columns as arrays.
func InsertManyArgs(recs []audit.Record) []any {
	n := len(recs)
	ids, times, counts := make([]uuid.UUID, n), make([]time.Time, n), make([]int32, n)
	var texts [10][]string
	for column := range texts {
		texts[column] = make([]string, n)
	}
	for i := range recs {
		rec := &recs[i]
		ids[i], times[i], counts[i] = rec.AuditID, rec.DecisionTimestamp, rec.ActiveEnvelopesCount
		for column, text := range [10]string{
			rec.EnvelopeID, string(rec.EnvelopeClass), string(rec.Decision), rec.Reason, rec.ConflictingEnvelopeID,
			rec.PreemptingEnvelopeID, rec.TenantID, rec.TargetSubsystem, rec.TargetParameter, string(rec.CounterpartClass),
		} {
			texts[column][i] = text
		}
	}
	return []any{
		ids, texts[0], texts[1], texts[2], texts[3], times, texts[4], texts[5], counts, texts[6], texts[7], texts[8], texts[9],
	}
}

// Nullable is a column's value where "" stands for none.
func Nullable(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

// Record is a typical one, new each time.
func Record() (audit.Record, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return audit.Record{}, fmt.Errorf("making an audit id: %w", err)
	}
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
	}, nil
}

// Records are typical ones, with ids that rise.
func Records(n int) ([]audit.Record, error) {
	recs := make([]audit.Record, n)
	for i := range recs {
		var err error
		if recs[i], err = Record(); err != nil {
			return nil, err
		}
	}
	return recs, nil
}
