package main

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/test/baseline"
)

// The plain statements, for the contenders without SQL of their own. Their
// coalesce(tenant_id, …) is the expression of the table's index by tenant.
const (
	selected = `SELECT ` + baseline.Columns + `, seq, created_at FROM coordination_audit_records `
	newest   = ` ORDER BY decision_timestamp DESC, seq DESC LIMIT `

	getSQL        = selected + `WHERE audit_id = $1`
	firstPageSQL  = selected + `WHERE coalesce(tenant_id, '') = $1` + newest + `$2`
	pageAfterSQL  = selected + `WHERE coalesce(tenant_id, '') = $1 AND (decision_timestamp, seq) < ($3, $4)` + newest + `$2`
	pageOffsetSQL = selected + `WHERE coalesce(tenant_id, '') = $1` + newest + `$2 OFFSET $3`

	timelineSQL = selected + `WHERE coalesce(tenant_id, '') = $1
		AND (envelope_id = $2 OR conflicting_envelope_id = $2 OR preempting_envelope_id = $2)
		ORDER BY decision_timestamp, seq LIMIT $3`
)

// reading runs one of the plain SELECTs.
type reading func(ctx context.Context, sql string, args ...any) (answer, error)

func (read reading) page(ctx context.Context, q pageQuery) (answer, error) {
	if q.skip == 0 {
		return read(ctx, firstPageSQL, tenant, q.limit)
	}
	return read(ctx, pageAfterSQL, tenant, q.limit, q.after.decisionTimestamp, q.after.seq)
}

func (read reading) timeline(ctx context.Context, envelopeID string, limit int) (answer, error) {
	return read(ctx, timelineSQL, tenant, envelopeID, limit)
}

// signalsSQL returns one plain count per signal, for a tenant and a window of time. The
// arguments are the contender's placeholders. The columns are a name, a second name and
// a number. coordaudit answers more: it adds the ids of the records behind a number,
// looks up classes that a record does not state, and reads everything at one moment.
func signalsSQL(tenant, since, until string) []string {
	from := ` FROM coordination_audit_records WHERE coalesce(tenant_id, '') = ` + tenant +
		` AND decision_timestamp >= ` + since + ` AND decision_timestamp < ` + until + ` `
	return []string{
		`SELECT envelope_class AS name, decision AS other, count(*) AS n` + from + `GROUP BY 1, 2 ORDER BY 3 DESC`,
		`SELECT envelope_id AS name, '' AS other, count(*) AS n FROM (
			SELECT envelope_id, decision, lead(decision) OVER (PARTITION BY envelope_id ORDER BY decision_timestamp, seq) AS next` + from + `
			AND decision IN ('APPLIED', 'PREEMPTED')) AS moves
			WHERE decision = 'PREEMPTED' AND next = 'APPLIED' GROUP BY 1 HAVING count(*) >= 2 ORDER BY 3 DESC`,
		`SELECT envelope_class AS name, counterpart_class AS other, count(*) AS n` + from + `AND counterpart_class IS NOT NULL
			GROUP BY 1, 2 HAVING count(*) >= 3 ORDER BY 3 DESC`,
		`SELECT envelope_id AS name, '' AS other, count(*) AS n` + from + `AND decision = 'REJECTED'
			GROUP BY 1 HAVING count(*) >= 3 ORDER BY 3 DESC`,
		`SELECT target_subsystem AS name, target_parameter AS other, count(*) AS n` + from + `AND decision = 'REJECTED'
			AND target_subsystem IS NOT NULL AND target_parameter IS NOT NULL GROUP BY 1, 2 HAVING count(*) >= 3 ORDER BY 3 DESC`,
	}
}

// row is a record as the table holds it. GORM uses it too, and fills the last two fields
// from RETURNING.
type row struct {
	AuditID               uuid.UUID `gorm:"primaryKey;type:uuid"`
	EnvelopeID            string
	EnvelopeClass         string
	Decision              string
	Reason                string
	DecisionTimestamp     time.Time
	ConflictingEnvelopeID *string
	PreemptingEnvelopeID  *string
	ActiveEnvelopesCount  int32
	TenantID              *string
	TargetSubsystem       *string
	TargetParameter       *string
	CounterpartClass      *string
	ReasonCode            *string
	PolicyVersion         *string
	Actor                 *string
	CausedBy              *uuid.UUID `gorm:"type:uuid"`
	Corrects              *uuid.UUID `gorm:"type:uuid"`
	CorrelationID         *string
	TraceID               []byte
	SpanID                []byte
	Details               *string    `gorm:"type:jsonb"`
	SourceID              *uuid.UUID `gorm:"type:uuid"`
	SourceSeq             *int64
	Seq                   int64     `gorm:"->;default:(-)"`
	StoredAt              time.Time `gorm:"column:created_at;->;default:(-)"`
}

// TableName tells GORM the name of the table.
func (row) TableName() string { return "coordination_audit_records" }

func rowOf(rec *audit.Record) row {
	return row{
		AuditID: rec.AuditID, EnvelopeID: rec.EnvelopeID, EnvelopeClass: string(rec.EnvelopeClass), Decision: string(rec.Decision),
		Reason: rec.Reason, DecisionTimestamp: rec.DecisionTimestamp, ConflictingEnvelopeID: baseline.Nullable(rec.ConflictingEnvelopeID),
		PreemptingEnvelopeID: baseline.Nullable(rec.PreemptingEnvelopeID), ActiveEnvelopesCount: rec.ActiveEnvelopesCount,
		TenantID: baseline.Nullable(rec.TenantID), TargetSubsystem: baseline.Nullable(rec.TargetSubsystem), TargetParameter: baseline.Nullable(rec.TargetParameter),
		CounterpartClass: baseline.Nullable(string(rec.CounterpartClass)),
		ReasonCode:       baseline.Nullable(rec.ReasonCode), PolicyVersion: baseline.Nullable(rec.PolicyVersion), Actor: baseline.Nullable(rec.Actor),
		CausedBy: baseline.ID(rec.Links.CausedBy), Corrects: baseline.ID(rec.Links.Corrects), CorrelationID: baseline.Nullable(rec.Links.CorrelationID),
		TraceID: baseline.Bytes(rec.Origin.TraceID[:]), SpanID: baseline.Bytes(rec.Origin.SpanID[:]), Details: baseline.Nullable(string(rec.Details)),
		SourceID: baseline.ID(rec.Origin.SourceID), SourceSeq: baseline.Number(rec.Origin.SourceSeq),
	}
}

// scanner is a row of pgx or database/sql.
type scanner interface{ Scan(into ...any) error }

func scanRow(from scanner) (r row, err error) {
	err = from.Scan(&r.AuditID, &r.EnvelopeID, &r.EnvelopeClass, &r.Decision, &r.Reason, &r.DecisionTimestamp,
		&r.ConflictingEnvelopeID, &r.PreemptingEnvelopeID, &r.ActiveEnvelopesCount, &r.TenantID,
		&r.TargetSubsystem, &r.TargetParameter, &r.CounterpartClass, &r.ReasonCode, &r.PolicyVersion, &r.Actor,
		&r.CausedBy, &r.Corrects, &r.CorrelationID, &r.TraceID, &r.SpanID, &r.Details, &r.SourceID, &r.SourceSeq, &r.Seq, &r.StoredAt)
	return r, err
}
