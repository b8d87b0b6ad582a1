// Package baseline holds the statements and the record that benchmarks compare the library with. They are
// what an engineer would write with pgx alone.
package baseline

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/hoc-analytics/coordaudit/audit"
)

// Columns are the columns that a writer fills.
const Columns = `audit_id, envelope_id, envelope_class, decision, reason, decision_timestamp, conflicting_envelope_id, preempting_envelope_id, active_envelopes_count, tenant_id, target_subsystem, target_parameter, counterpart_class, ` +
	`reason_code, policy_version, actor, caused_by, corrects, correlation_id, trace_id, span_id, details, source_id, source_seq`

// Insert stores one record. InsertMany stores one for each element of its arrays. From $14 on, an array
// is NULL if no record states the column. Both are idempotent, as the library is.
const (
	Insert = `INSERT INTO coordination_audit_records (` + Columns + `)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24)
		ON CONFLICT (audit_id) DO NOTHING RETURNING seq, created_at`

	InsertMany = `INSERT INTO coordination_audit_records (` + Columns + `)
		SELECT unnest($1::uuid[]), unnest($2::text[]), unnest($3::text[]), unnest($4::text[]), unnest($5::text[]), unnest($6::timestamptz[]),
		nullif(unnest($7::text[]), ''), nullif(unnest($8::text[]), ''), unnest($9::integer[]), nullif(unnest($10::text[]), ''),
		nullif(unnest($11::text[]), ''), nullif(unnest($12::text[]), ''), nullif(unnest($13::text[]), ''),
		unnest($14::text[]), unnest($15::text[]), unnest($16::text[]), unnest($17::uuid[]), unnest($18::uuid[]), unnest($19::text[]),
		unnest($20::bytea[]), unnest($21::bytea[]), unnest($22::text[])::jsonb, unnest($23::uuid[]), unnest($24::bigint[])
		ON CONFLICT (audit_id) DO NOTHING RETURNING audit_id, seq, created_at`
)

// Querier is a pool, a connection or a transaction.
type Querier interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// InsertOne stores a record and reads its result, as the library does.
func InsertOne(ctx context.Context, db Querier, rec *audit.Record) error {
	var seq int64
	var createdAt time.Time
	return db.QueryRow(ctx, Insert, InsertArgs(rec)...).Scan(&seq, &createdAt)
}

// InsertAll stores records and reads their results.
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

// InsertArgs returns the arguments of Insert.
func InsertArgs(rec *audit.Record) []any {
	return []any{
		rec.AuditID, rec.EnvelopeID, string(rec.EnvelopeClass), string(rec.Decision), rec.Reason, rec.DecisionTimestamp,
		Nullable(rec.ConflictingEnvelopeID), Nullable(rec.PreemptingEnvelopeID), rec.ActiveEnvelopesCount, Nullable(rec.TenantID),
		Nullable(rec.TargetSubsystem), Nullable(rec.TargetParameter), Nullable(string(rec.CounterpartClass)),
		Nullable(rec.ReasonCode), Nullable(rec.PolicyVersion), Nullable(rec.Actor), ID(rec.Links.CausedBy), ID(rec.Links.Corrects),
		Nullable(rec.Links.CorrelationID), Bytes(rec.Origin.TraceID[:]), Bytes(rec.Origin.SpanID[:]), Nullable(string(rec.Details)),
		ID(rec.Origin.SourceID), Number(rec.Origin.SourceSeq),
	}
}

// InsertManyArgs returns the arguments of InsertMany: the columns as arrays.
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
		stated(recs, func(rec *audit.Record) *string { return Nullable(rec.ReasonCode) }),
		stated(recs, func(rec *audit.Record) *string { return Nullable(rec.PolicyVersion) }),
		stated(recs, func(rec *audit.Record) *string { return Nullable(rec.Actor) }),
		stated(recs, func(rec *audit.Record) *uuid.UUID { return ID(rec.Links.CausedBy) }),
		stated(recs, func(rec *audit.Record) *uuid.UUID { return ID(rec.Links.Corrects) }),
		stated(recs, func(rec *audit.Record) *string { return Nullable(rec.Links.CorrelationID) }),
		stated(recs, func(rec *audit.Record) *[]byte { return pointer(Bytes(rec.Origin.TraceID[:])) }),
		stated(recs, func(rec *audit.Record) *[]byte { return pointer(Bytes(rec.Origin.SpanID[:])) }),
		stated(recs, func(rec *audit.Record) *string { return Nullable(string(rec.Details)) }),
		stated(recs, func(rec *audit.Record) *uuid.UUID { return ID(rec.Origin.SourceID) }),
		stated(recs, func(rec *audit.Record) *int64 { return Number(rec.Origin.SourceSeq) }),
	}
}

// stated returns a column as an array, which is nil if no record states it.
func stated[T any](recs []audit.Record, of func(*audit.Record) *T) []*T {
	var column []*T
	for i := range recs {
		value := of(&recs[i])
		if value == nil {
			continue
		}
		if column == nil {
			column = make([]*T, len(recs))
		}
		column[i] = value
	}
	return column
}

// Nullable returns a column's value: NULL for "".
func Nullable(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

// ID returns a column's value: NULL for the zero id.
func ID(id uuid.UUID) *uuid.UUID {
	if id == uuid.Nil {
		return nil
	}
	return &id
}

// Number returns a column's value: NULL for 0.
func Number(n int64) *int64 {
	if n == 0 {
		return nil
	}
	return &n
}

// Bytes returns a column's value: NULL for zeros.
func Bytes(id []byte) []byte {
	if len(bytes.Trim(id, "\x00")) == 0 {
		return nil
	}
	return id
}

func pointer(id []byte) *[]byte {
	if id == nil {
		return nil
	}
	return &id
}

// Record returns a new typical record.
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

// Records returns new typical records with ascending ids.
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
