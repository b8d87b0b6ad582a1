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
		DecisionTimestamp:     toPGTime(rec.DecisionTimestamp),
		ConflictingEnvelopeID: nullable(&rec.ConflictingEnvelopeID),
		PreemptingEnvelopeID:  nullable(&rec.PreemptingEnvelopeID),
		ActiveEnvelopesCount:  rec.ActiveEnvelopesCount,
		TenantID:              nullable(&rec.TenantID),
		TargetSubsystem:       nullable(&rec.TargetSubsystem),
		TargetParameter:       nullable(&rec.TargetParameter),
		CounterpartClass:      nullable(&rec.CounterpartClass),
		ReasonCode:            nullable(&rec.ReasonCode),
		PolicyVersion:         nullable(&rec.PolicyVersion),
		Actor:                 nullable(&rec.Actor),
		CausedBy:              optionalID(rec.Links.CausedBy),
		Corrects:              optionalID(rec.Links.Corrects),
		CorrelationID:         nullable(&rec.Links.CorrelationID),
		TraceID:               optionalBytes(rec.Origin.TraceID[:]),
		SpanID:                optionalBytes(rec.Origin.SpanID[:]),
		Details:               nullable((*string)(&rec.Details)),
		SourceID:              optionalID(rec.Origin.SourceID),
		SourceSeq:             optionalNumber(&rec.Origin.SourceSeq),
	}
}

// persistManyParams has an array of the later columns only where a record of the batch
// states the column: see PersistAuditRecords.
func persistManyParams(recs []audit.Record, first map[uuid.UUID]int) dbgen.PersistAuditRecordsParams {
	n := len(first)
	params := dbgen.PersistAuditRecordsParams{
		AuditIDs:               make([]pgtype.UUID, 0, n),
		EnvelopeIDs:            make([]string, 0, n),
		EnvelopeClasses:        make([]string, 0, n),
		Decisions:              make([]string, 0, n),
		Reasons:                make([]string, 0, n),
		DecisionTimestamps:     make([]pgtype.Timestamptz, 0, n),
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
		params.DecisionTimestamps = append(params.DecisionTimestamps, toPGTime(rec.DecisionTimestamp))
		params.ConflictingEnvelopeIDs = append(params.ConflictingEnvelopeIDs, rec.ConflictingEnvelopeID)
		params.PreemptingEnvelopeIDs = append(params.PreemptingEnvelopeIDs, rec.PreemptingEnvelopeID)
		params.ActiveEnvelopesCounts = append(params.ActiveEnvelopesCounts, rec.ActiveEnvelopesCount)
		params.TenantIDs = append(params.TenantIDs, rec.TenantID)
		params.TargetSubsystems = append(params.TargetSubsystems, rec.TargetSubsystem)
		params.TargetParameters = append(params.TargetParameters, rec.TargetParameter)
		params.CounterpartClasses = append(params.CounterpartClasses, string(rec.CounterpartClass))

		at := len(params.AuditIDs) - 1
		state(&params.ReasonCodes, n, at, rec.ReasonCode, rec.ReasonCode != "")
		state(&params.PolicyVersions, n, at, rec.PolicyVersion, rec.PolicyVersion != "")
		state(&params.Actors, n, at, rec.Actor, rec.Actor != "")
		state(&params.Causes, n, at, toPG(rec.Links.CausedBy), rec.Links.CausedBy != uuid.Nil)
		state(&params.Corrections, n, at, toPG(rec.Links.Corrects), rec.Links.Corrects != uuid.Nil)
		state(&params.CorrelationIDs, n, at, rec.Links.CorrelationID, rec.Links.CorrelationID != "")
		state(&params.TraceIDs, n, at, rec.Origin.TraceID[:], rec.Origin.TraceID != audit.TraceID{})
		state(&params.SpanIDs, n, at, rec.Origin.SpanID[:], rec.Origin.SpanID != audit.SpanID{})
		state(&params.Details, n, at, string(rec.Details), rec.Details != "")
		state(&params.SourceIDs, n, at, toPG(rec.Origin.SourceID), rec.Origin.SourceID != uuid.Nil)
		state(&params.SourceSeqs, n, at, rec.Origin.SourceSeq, rec.Origin.SourceSeq != 0)
	}
	return params
}

// state sets the element of a column at a place. The array has n elements, none of them
// stated, from the first one that is.
func state[T any](column *[]T, n, at int, value T, stated bool) {
	if !stated {
		return
	}
	if *column == nil {
		*column = noneStated[T](n)
	}
	(*column)[at] = value
}

// noneStated returns elements that each stand for none. pgx would send a nil []byte or an
// invalid UUID as NULL, which a session with array_nulls off reads as a text.
func noneStated[T any](n int) []T {
	column := make([]T, n)
	for i := range column {
		switch element := any(&column[i]).(type) {
		case *[]byte:
			*element = []byte{}
		case *pgtype.UUID:
			element.Valid = true
		}
	}
	return column
}

func fromRow(row *dbgen.AuditRecord) audit.Record {
	return audit.Record{
		AuditID:               row.AuditID.Bytes,
		EnvelopeID:            row.EnvelopeID,
		EnvelopeClass:         row.EnvelopeClass,
		Decision:              row.Decision,
		Reason:                row.Reason,
		DecisionTimestamp:     fromPGTime(row.DecisionTimestamp),
		ConflictingEnvelopeID: value(row.ConflictingEnvelopeID),
		PreemptingEnvelopeID:  value(row.PreemptingEnvelopeID),
		ActiveEnvelopesCount:  row.ActiveEnvelopesCount,
		TenantID:              value(row.TenantID),
		TargetSubsystem:       value(row.TargetSubsystem),
		TargetParameter:       value(row.TargetParameter),
		CounterpartClass:      value(row.CounterpartClass),
		ReasonCode:            value(row.ReasonCode),
		PolicyVersion:         value(row.PolicyVersion),
		Actor:                 value(row.Actor),
		Links: audit.Links{
			CausedBy:      row.CausedBy.Bytes,
			Corrects:      row.Corrects.Bytes,
			CorrelationID: value(row.CorrelationID),
		},
		Details:   audit.Details(row.Details),
		Origin:    originOf(row),
		Seq:       row.Seq,
		CreatedAt: fromPGTime(row.CreatedAt),
	}
}

// originOf reads an id of another length as none: without our CHECKs, the column holds
// anything.
func originOf(row *dbgen.AuditRecord) audit.Origin {
	origin := audit.Origin{SourceID: row.SourceID.Bytes}
	if len(row.TraceID) == len(origin.TraceID) {
		origin.TraceID = audit.TraceID(row.TraceID)
	}
	if len(row.SpanID) == len(origin.SpanID) {
		origin.SpanID = audit.SpanID(row.SpanID)
	}
	if row.SourceSeq != nil {
		origin.SourceSeq = *row.SourceSeq
	}
	return origin
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

func optionalID(id uuid.UUID) pgtype.UUID { return pgtype.UUID{Bytes: id, Valid: id != uuid.Nil} }

func optionalNumber(n *int64) *int64 {
	if *n == 0 {
		return nil
	}
	return n
}

// optionalBytes returns nil for bytes that are all zero.
func optionalBytes(id []byte) []byte {
	for _, b := range id {
		if b != 0 {
			return id
		}
	}
	return nil
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

// fromPGTime converts a column's time from the session's zone to UTC, so that what was
// written equals what is read. No time column of the trail is NULL.
func fromPGTime(at pgtype.Timestamptz) time.Time {
	switch at.InfinityModifier {
	case pgtype.Infinity:
		return audit.InfiniteFuture()
	case pgtype.NegativeInfinity:
		return audit.InfinitePast()
	case pgtype.Finite:
	}
	return at.Time.UTC()
}

func toPGTime(at time.Time) pgtype.Timestamptz {
	switch {
	case !at.Before(audit.InfiniteFuture()):
		return pgtype.Timestamptz{InfinityModifier: pgtype.Infinity, Valid: true}
	case !at.After(audit.InfinitePast()):
		return pgtype.Timestamptz{InfinityModifier: pgtype.NegativeInfinity, Valid: true}
	default:
		return pgtype.Timestamptz{Time: at, Valid: true}
	}
}

// bounds returns the first and the last moment of a normalized window, both included. An open
// end is infinite, so it hides no row.
func bounds(w audit.Window) (since, last time.Time) {
	since, last = audit.InfinitePast(), audit.InfiniteFuture()
	if !w.Since.IsZero() {
		since = w.Since
	}
	if !w.Until.IsZero() {
		last = w.Until.Add(-time.Microsecond)
	}
	return since, last
}
