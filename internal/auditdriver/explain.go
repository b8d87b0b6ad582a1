package auditdriver

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/dbgen"
)

// Explain reads a record, if it is in the scope, and what explains it: all of an
// explanation but the conclusions.
func (d *Driver) Explain(ctx context.Context, scope audit.Scope, id uuid.UUID) (audit.Explanation, error) {
	e := explanation{driver: d, scope: scope}
	err := d.readMoment(ctx,
		func(ctx context.Context, db dbgen.DBTX) (err error) {
			e.Record, err = e.get(ctx, db, id)
			return err
		},
		e.followCauses, e.findCounterpart, e.findDisplaced, e.findNext, e.countMeetings, e.findCorrections, e.findLosses)
	if err != nil {
		return audit.Explanation{}, err
	}
	return e.Explanation, nil
}

// explanation is an Explanation that is being read.
type explanation struct {
	audit.Explanation
	driver *Driver
	scope  audit.Scope
}

// get reads one record of the scope. The error is pgx.ErrNoRows if there is none.
func (e *explanation) get(ctx context.Context, db dbgen.DBTX, id uuid.UUID) (audit.Record, error) {
	row, err := e.driver.queries.GetAuditRecord(ctx, db, dbgen.GetAuditRecordParams{
		AuditID: toPG(id), AllTenants: e.scope.IsAllTenants(), TenantID: e.scope.TenantID(),
	})
	return fromRow(&row), err
}

// followCauses follows caused_by to its end, to a record that was there before, or to the
// maximum.
func (e *explanation) followCauses(ctx context.Context, db dbgen.DBTX) error {
	seen := map[uuid.UUID]bool{e.Record.AuditID: true}
	for next := e.Record.Links.CausedBy; ; {
		switch {
		case next == uuid.Nil:
			e.CausesEnd = audit.CausesNone
			return nil
		case seen[next]:
			e.CausesEnd = audit.CausesLoop
			return nil
		case len(e.Causes) == audit.MaxCauses:
			e.CausesEnd = audit.CausesMore
			return nil
		}
		cause, err := e.get(ctx, db, next)
		if errors.Is(err, pgx.ErrNoRows) {
			e.CausesEnd = audit.CausesAbsent
			return nil
		}
		if err != nil {
			return err
		}
		e.Causes = append(e.Causes, cause)
		seen[next] = true
		next = cause.Links.CausedBy
	}
}

// findCounterpart finds the decision of the envelope that the record names.
func (e *explanation) findCounterpart(ctx context.Context, db dbgen.DBTX) (err error) {
	other := e.Record.ConflictingEnvelopeID
	if e.Record.Decision == audit.Preempted {
		other = e.Record.PreemptingEnvelopeID
	}
	if other == "" {
		return nil
	}
	e.Counterpart = audit.Counterpart{EnvelopeID: other, EnvelopeClass: e.Record.CounterpartClass}
	var cause *audit.Record
	if len(e.Causes) > 0 {
		cause = &e.Causes[0]
	}
	found, by := linked(cause, other, e.Record.TenantID)
	switch {
	case found != nil:
	case e.Record.Decision == audit.Preempted:
		found, err = e.nearestApplied(ctx, db, other, &e.Record)
	default:
		found, err = optionalRecord(e.driver.queries.GetLatestMove(ctx, db, dbgen.GetLatestMoveParams(e.movesOf(other))))
	}
	if found == nil || err != nil {
		return err
	}
	e.Counterpart.Record, e.Counterpart.FoundBy = found, by
	if e.Counterpart.EnvelopeClass == "" {
		e.Counterpart.EnvelopeClass = found.EnvelopeClass
	}
	return nil
}

// linked returns the record that caused_by leads to, if it is a decision of the envelope.
// Otherwise a rule has to find one.
func linked(cause *audit.Record, envelopeID, tenantID string) (*audit.Record, audit.FoundBy) {
	if cause != nil && cause.EnvelopeID == envelopeID && cause.TenantID == tenantID {
		return cause, audit.FoundByLink
	}
	return nil, audit.FoundByRule
}

// nearestApplied finds the APPLIED record of an envelope that is nearest to a record of the
// same tenant. It is nil if none is near.
func (e *explanation) nearestApplied(ctx context.Context, db dbgen.DBTX, envelopeID string, to *audit.Record) (*audit.Record, error) {
	rows, err := e.driver.queries.ListNearestApplied(ctx, db, dbgen.ListNearestAppliedParams{
		EnvelopeID:  envelopeID,
		TenantID:    to.TenantID,
		Since:       toPGTime(to.DecisionTimestamp.Add(-audit.ExplanationReach)),
		Last:        toPGTime(to.DecisionTimestamp.Add(audit.ExplanationReach)),
		AtTimestamp: toPGTime(to.DecisionTimestamp),
		AtSeq:       to.Seq,
		AtAuditID:   toPG(to.AuditID),
	})
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	recs := fromRows(rows)
	distance := func(i int) time.Duration { return recs[i].DecisionTimestamp.Sub(to.DecisionTimestamp).Abs() }
	if len(recs) == 2 && distance(0) < distance(1) {
		return &recs[0], nil
	}
	return &recs[len(recs)-1], nil
}

func tenantScope(id string) audit.Scope {
	if id == "" {
		return audit.NoTenant()
	}
	return audit.Tenant(id)
}

// related lists the oldest records of a query.
func (e *explanation) related(ctx context.Context, db dbgen.DBTX, q audit.Query) (audit.Related, error) {
	q.Order = audit.OldestFirst
	rows, err := e.driver.listFiltered(ctx, db, &q, pageOf(&q, nil, audit.MaxRelated+1))
	recs := fromRows(rows)
	return audit.Related{Records: recs[:min(len(recs), audit.MaxRelated)], More: len(recs) > audit.MaxRelated}, err
}

// movesOf are the parameters to look for the moves of an envelope around the record.
func (e *explanation) movesOf(envelopeID string) dbgen.GetNextMoveParams {
	return dbgen.GetNextMoveParams{
		EnvelopeID:  envelopeID,
		TenantID:    e.Record.TenantID,
		AtTimestamp: toPGTime(e.Record.DecisionTimestamp),
		AtSeq:       e.Record.Seq,
		AtAuditID:   toPG(e.Record.AuditID),
		MaxRows:     audit.MaxExplained,
	}
}

func (e *explanation) findNext(ctx context.Context, db dbgen.DBTX) (err error) {
	e.Next, err = optionalRecord(e.driver.queries.GetNextMove(ctx, db, e.movesOf(e.Record.EnvelopeID)))
	return err
}

// optionalRecord returns nil if there is no row.
func optionalRecord(row dbgen.AuditRecord, err error) (*audit.Record, error) {
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil //nolint:nilnil // there is none, which is an answer
	}
	if err != nil {
		return nil, err
	}
	rec := fromRow(&row)
	return &rec, nil
}

func (e *explanation) countMeetings(ctx context.Context, db dbgen.DBTX) error {
	other := e.Counterpart.EnvelopeID
	if other == "" || other == e.Record.EnvelopeID {
		return nil
	}
	row, err := e.driver.queries.CountMeetings(ctx, db, dbgen.CountMeetingsParams{
		EnvelopeID: e.Record.EnvelopeID,
		OtherID:    other,
		TenantID:   e.Record.TenantID,
		Since:      toPGTime(e.Record.DecisionTimestamp.Add(-audit.MeetingReach)),
		Last:       toPGTime(e.Record.DecisionTimestamp.Add(audit.MeetingReach)),
		MaxRows:    audit.MaxExplained + 1,
	})
	e.Meetings = audit.Meetings{
		Preempted: row.Preempted, Rejected: row.Rejected, PreemptedOther: row.PreemptedOther, RejectedOther: row.RejectedOther,
		AtLeast: max(row.OwnRows, row.OtherRows) > audit.MaxExplained,
	}
	return err
}

func (e *explanation) findCorrections(ctx context.Context, db dbgen.DBTX) (err error) {
	if e.Corrections, err = e.related(ctx, db, audit.Query{Scope: e.scope, Corrects: e.Record.AuditID}); err != nil {
		return err
	}
	if e.Record.Links.Corrects == uuid.Nil {
		return nil
	}
	corrected, err := e.get(ctx, db, e.Record.Links.Corrects)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return nil
	case err != nil:
		return err
	}
	e.Corrected = &corrected
	return nil
}
