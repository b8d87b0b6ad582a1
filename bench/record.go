package main

import (
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit/audit"
)

// What anybody would write, for the contenders that bring no SQL of their own.
// coalesce, because that is what the table's index by tenant is made of.
const (
	written  = `audit_id, envelope_id, envelope_class, decision, reason, decision_timestamp, conflicting_envelope_id, preempting_envelope_id, active_envelopes_count, tenant_id, target_subsystem, target_parameter, counterpart_class`
	selected = `SELECT ` + written + `, seq, created_at FROM coordination_audit_records `
	newest   = ` ORDER BY decision_timestamp DESC, seq DESC LIMIT `

	insertSQL = `INSERT INTO coordination_audit_records (` + written + `)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) ON CONFLICT (audit_id) DO NOTHING RETURNING seq, created_at`

	insertManySQL = `INSERT INTO coordination_audit_records (` + written + `)
		SELECT unnest($1::uuid[]), unnest($2::text[]), unnest($3::text[]), unnest($4::text[]), unnest($5::text[]), unnest($6::timestamptz[]),
		nullif(unnest($7::text[]), ''), nullif(unnest($8::text[]), ''), unnest($9::integer[]), nullif(unnest($10::text[]), ''),
		nullif(unnest($11::text[]), ''), nullif(unnest($12::text[]), ''), nullif(unnest($13::text[]), '')
		ON CONFLICT (audit_id) DO NOTHING RETURNING audit_id, seq, created_at`

	getSQL        = selected + `WHERE audit_id = $1`
	firstPageSQL  = selected + `WHERE coalesce(tenant_id, '') = $1` + newest + `$2`
	pageAfterSQL  = selected + `WHERE coalesce(tenant_id, '') = $1 AND (decision_timestamp, seq) < ($3, $4)` + newest + `$2`
	pageOffsetSQL = selected + `WHERE coalesce(tenant_id, '') = $1` + newest + `$2 OFFSET $3`

	timelineSQL = selected + `WHERE coalesce(tenant_id, '') = $1
		AND (envelope_id = $2 OR conflicting_envelope_id = $2 OR preempting_envelope_id = $2)
		ORDER BY decision_timestamp, seq LIMIT $3`
)

// signalsSQL is a plain count for each signal of a tenant between two times, given
// how the contender marks these three: a name, another one, and how often. It is
// less than what coordaudit answers: no ids of the records behind a number, no
// look-up of a class that a record does not state, and each of another moment.
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

// row is a record as the table holds it, also for GORM, which fills the last two
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
	Seq                   int64     `gorm:"->;default:(-)"`
	StoredAt              time.Time `gorm:"column:created_at;->;default:(-)"`
}

// TableName is GORM's way to learn it.
func (row) TableName() string { return "coordination_audit_records" }

func rowOf(rec *audit.Record) row {
	return row{
		AuditID: rec.AuditID, EnvelopeID: rec.EnvelopeID, EnvelopeClass: string(rec.EnvelopeClass), Decision: string(rec.Decision),
		Reason: rec.Reason, DecisionTimestamp: rec.DecisionTimestamp, ConflictingEnvelopeID: nullable(rec.ConflictingEnvelopeID),
		PreemptingEnvelopeID: nullable(rec.PreemptingEnvelopeID), ActiveEnvelopesCount: rec.ActiveEnvelopesCount,
		TenantID: nullable(rec.TenantID), TargetSubsystem: nullable(rec.TargetSubsystem), TargetParameter: nullable(rec.TargetParameter),
		CounterpartClass: nullable(string(rec.CounterpartClass)),
	}
}

func nullable(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

func insertArgs(rec *audit.Record) []any {
	return []any{
		rec.AuditID, rec.EnvelopeID, string(rec.EnvelopeClass), string(rec.Decision), rec.Reason, rec.DecisionTimestamp,
		nullable(rec.ConflictingEnvelopeID), nullable(rec.PreemptingEnvelopeID), rec.ActiveEnvelopesCount, nullable(rec.TenantID),
		nullable(rec.TargetSubsystem), nullable(rec.TargetParameter), nullable(string(rec.CounterpartClass)),
	}
}

// insertManyArgs are the columns as arrays.
func insertManyArgs(recs []audit.Record) []any {
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

// scanner is a row of pgx or of database/sql.
type scanner interface{ Scan(into ...any) error }

func scanRow(from scanner) (r row, err error) {
	err = from.Scan(&r.AuditID, &r.EnvelopeID, &r.EnvelopeClass, &r.Decision, &r.Reason, &r.DecisionTimestamp,
		&r.ConflictingEnvelopeID, &r.PreemptingEnvelopeID, &r.ActiveEnvelopesCount, &r.TenantID,
		&r.TargetSubsystem, &r.TargetParameter, &r.CounterpartClass, &r.Seq, &r.StoredAt)
	return r, err
}

// typical is the record that the root's benchmarks write, too.
func typical() (audit.Record, error) {
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

func typicals(n int) ([]audit.Record, error) {
	recs := make([]audit.Record, n)
	for i := range recs {
		var err error
		if recs[i], err = typical(); err != nil {
			return nil, err
		}
	}
	return recs, nil
}
