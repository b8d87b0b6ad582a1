package auditdriver

import (
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/dbgen"
)

func persistParams(rec *audit.Record) dbgen.PersistAuditRecordParams {
	return dbgen.PersistAuditRecordParams{
		AuditID:               toPG(rec.AuditID),
		EnvelopeID:            rec.EnvelopeID,
		EnvelopeClass:         rec.EnvelopeClass,
		Decision:              rec.Decision,
		Reason:                rec.Reason,
		DecisionTimestamp:     rec.DecisionTimestamp,
		ConflictingEnvelopeID: nullable(&rec.ConflictingEnvelopeID),
		PreemptingEnvelopeID:  nullable(&rec.PreemptingEnvelopeID),
		ActiveEnvelopesCount:  rec.ActiveEnvelopesCount,
		TenantID:              nullable(&rec.TenantID),
		TargetSubsystem:       nullable(&rec.TargetSubsystem),
		TargetParameter:       nullable(&rec.TargetParameter),
		CounterpartClass:      nullable(&rec.CounterpartClass),
	}
}

func persistManyParams(recs []audit.Record, first map[uuid.UUID]int) dbgen.PersistAuditRecordsParams {
	n := len(first)
	params := dbgen.PersistAuditRecordsParams{
		AuditIDs:               make([]pgtype.UUID, 0, n),
		EnvelopeIDs:            make([]string, 0, n),
		EnvelopeClasses:        make([]string, 0, n),
		Decisions:              make([]string, 0, n),
		Reasons:                make([]string, 0, n),
		DecisionTimestamps:     make([]time.Time, 0, n),
		ConflictingEnvelopeIDs: make([]string, 0, n),
		PreemptingEnvelopeIDs:  make([]string, 0, n),
		ActiveEnvelopesCounts:  make([]int32, 0, n),
		TenantIDs:              make([]string, 0, n),
		TargetSubsystems:       make([]string, 0, n),
		TargetParameters:       make([]string, 0, n),
		CounterpartClasses:     make([]string, 0, n),
	}
	for i := range recs {
		rec := &recs[i]
		if first[rec.AuditID] != i {
			continue
		}
		params.AuditIDs = append(params.AuditIDs, toPG(rec.AuditID))
		params.EnvelopeIDs = append(params.EnvelopeIDs, rec.EnvelopeID)
		params.EnvelopeClasses = append(params.EnvelopeClasses, string(rec.EnvelopeClass))
		params.Decisions = append(params.Decisions, string(rec.Decision))
		params.Reasons = append(params.Reasons, rec.Reason)
		params.DecisionTimestamps = append(params.DecisionTimestamps, rec.DecisionTimestamp)
		params.ConflictingEnvelopeIDs = append(params.ConflictingEnvelopeIDs, rec.ConflictingEnvelopeID)
		params.PreemptingEnvelopeIDs = append(params.PreemptingEnvelopeIDs, rec.PreemptingEnvelopeID)
		params.ActiveEnvelopesCounts = append(params.ActiveEnvelopesCounts, rec.ActiveEnvelopesCount)
		params.TenantIDs = append(params.TenantIDs, rec.TenantID)
		params.TargetSubsystems = append(params.TargetSubsystems, rec.TargetSubsystem)
		params.TargetParameters = append(params.TargetParameters, rec.TargetParameter)
		params.CounterpartClasses = append(params.CounterpartClasses, string(rec.CounterpartClass))
	}
	return params
}

// fromRow brings the row's times from the session's zone to UTC, so that what
// was written equals what is read.
func fromRow(row *dbgen.AuditRecord) audit.Record {
	return audit.Record{
		AuditID:               row.AuditID.Bytes,
		EnvelopeID:            row.EnvelopeID,
		EnvelopeClass:         row.EnvelopeClass,
		Decision:              row.Decision,
		Reason:                row.Reason,
		DecisionTimestamp:     row.DecisionTimestamp.UTC(),
		ConflictingEnvelopeID: value(row.ConflictingEnvelopeID),
		PreemptingEnvelopeID:  value(row.PreemptingEnvelopeID),
		ActiveEnvelopesCount:  row.ActiveEnvelopesCount,
		TenantID:              value(row.TenantID),
		TargetSubsystem:       value(row.TargetSubsystem),
		TargetParameter:       value(row.TargetParameter),
		CounterpartClass:      value(row.CounterpartClass),
		Seq:                   row.Seq,
		CreatedAt:             row.CreatedAt.UTC(),
	}
}

func fromRows(rows []dbgen.AuditRecord) []audit.Record {
	recs := make([]audit.Record, len(rows))
	for i := range rows {
		recs[i] = fromRow(&rows[i])
	}
	return recs
}

func nullable[T ~string](text *T) *T {
	if *text == "" {
		return nil
	}
	return text
}

func value[T ~string](text *T) T {
	if text == nil {
		return ""
	}
	return *text
}

func texts[T ~string](values []T) []string {
	texts := make([]string, len(values))
	for i, value := range values {
		texts[i] = string(value)
	}
	return texts
}

func toPG(id uuid.UUID) pgtype.UUID { return pgtype.UUID{Bytes: id, Valid: true} }

func allToPG(ids []uuid.UUID) []pgtype.UUID {
	pg := make([]pgtype.UUID, len(ids))
	for i, id := range ids {
		pg[i] = toPG(id)
	}
	return pg
}

func allFromPG(pg []pgtype.UUID) []uuid.UUID {
	ids := make([]uuid.UUID, len(pg))
	for i, id := range pg {
		ids[i] = id.Bytes
	}
	return ids
}
