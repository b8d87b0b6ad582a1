package main

import (
	"time"

	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/yardstick"
)

// What anybody would write, for the contenders that bring no SQL of their own.
// coalesce, because that is what the table's index by tenant is made of.
const (
	selected = `SELECT ` + yardstick.Columns + `, seq, created_at FROM coordination_audit_records `
	newest   = ` ORDER BY decision_timestamp DESC, seq DESC LIMIT `

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
		Reason: rec.Reason, DecisionTimestamp: rec.DecisionTimestamp, ConflictingEnvelopeID: yardstick.Nullable(rec.ConflictingEnvelopeID),
		PreemptingEnvelopeID: yardstick.Nullable(rec.PreemptingEnvelopeID), ActiveEnvelopesCount: rec.ActiveEnvelopesCount,
		TenantID: yardstick.Nullable(rec.TenantID), TargetSubsystem: yardstick.Nullable(rec.TargetSubsystem), TargetParameter: yardstick.Nullable(rec.TargetParameter),
		CounterpartClass: yardstick.Nullable(string(rec.CounterpartClass)),
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
