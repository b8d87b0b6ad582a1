package auditdriver

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/dbgen"
)

// findDisplaced finds the records whose counterpart's decision is this one: by their link, or by
// the rule.
func (e *explanation) findDisplaced(ctx context.Context, db dbgen.DBTX) error {
	if e.Record.Decision != audit.Applied || e.Record.EnvelopeID == "" {
		return nil
	}
	q := audit.Query{
		Scope:                tenantScope(e.Record.TenantID),
		PreemptingEnvelopeID: e.Record.EnvelopeID,
		Decisions:            []audit.Decision{audit.Preempted},
		CausedBy:             e.Record.AuditID,
		Order:                audit.OldestFirst,
	}
	linked, err := e.related(ctx, db, q)
	if err != nil {
		return err
	}
	q.CausedBy = uuid.Nil
	if q.Window, err = e.reach(ctx, db); err != nil {
		return err
	}
	ruled, err := e.displacedByRule(ctx, db, &q)
	if err != nil {
		return err
	}
	all := slices.Concat(linked.Records, ruled.Records)
	slices.SortFunc(all, inOrder)
	e.Displaced = audit.Related{Records: all[:min(len(all), audit.MaxRelated)], More: linked.More || ruled.More || len(all) > audit.MaxRelated}
	return nil
}

// reach is the window of the records from which the rule may lead to the explained one. An envelope
// that is applied again and again takes a place each time, and those are of its other decisions.
// So the window ends halfway to the decisions before and after this one.
func (e *explanation) reach(ctx context.Context, db dbgen.DBTX) (audit.Window, error) {
	at := e.Record.DecisionTimestamp
	since, last := at.Add(-audit.ExplanationReach), at.Add(audit.ExplanationReach)
	rows, err := e.driver.queries.ListNearestApplied(ctx, db, dbgen.ListNearestAppliedParams{
		EnvelopeID:  e.Record.EnvelopeID,
		TenantID:    e.Record.TenantID,
		Since:       toPGTime(since.Add(-audit.ExplanationReach)),
		Last:        toPGTime(last.Add(audit.ExplanationReach)),
		AtTimestamp: toPGTime(at),
		AtSeq:       e.Record.Seq,
		AtAuditID:   toPG(e.Record.AuditID),
	})
	for _, other := range fromRows(rows) {
		away := other.DecisionTimestamp.Sub(at)
		if inOrder(other, e.Record) < 0 {
			since = later(since, at.Add(away/2-time.Microsecond))
		} else {
			last = earlier(last, at.Add(away/2+time.Microsecond))
		}
	}
	return audit.Window{Since: since, Until: last.Add(time.Microsecond)}.Normalized(), err
}

// inOrder compares two records by the order of a listing.
func inOrder(a, b audit.Record) int {
	return cmp.Or(a.DecisionTimestamp.Compare(b.DecisionTimestamp), cmp.Compare(a.Seq, b.Seq), slices.Compare(a.AuditID[:], b.AuditID[:]))
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// displacedByRule looks through the records of a query, page by page, since others of the window may
// link to another decision.
func (e *explanation) displacedByRule(ctx context.Context, db dbgen.DBTX, q *audit.Query) (found audit.Related, err error) {
	const pageSize = 100
	var from *Position
	for looked := 0; looked < audit.MaxExplained; looked += pageSize {
		rows, err := e.driver.listFiltered(ctx, db, q, pageOf(q, from, pageSize))
		if err != nil {
			return found, err
		}
		recs := fromRows(rows)
		for i := range recs {
			ours, err := e.isDisplacedByRule(ctx, db, &recs[i])
			switch {
			case err != nil:
				return found, err
			case ours && len(found.Records) == audit.MaxRelated:
				found.More = true
				return found, nil
			case ours:
				found.Records = append(found.Records, recs[i])
			}
		}
		if len(recs) < pageSize {
			return found, nil
		}
		last := &recs[len(recs)-1]
		from = &Position{DecisionTimestamp: last.DecisionTimestamp, Seq: last.Seq, AuditID: last.AuditID}
	}
	found.More = true
	return found, nil
}

// isDisplacedByRule reports whether the rule finds the explained record from a PREEMPTED one
// that names its envelope. A link to another decision of that envelope comes first.
func (e *explanation) isDisplacedByRule(ctx context.Context, db dbgen.DBTX, rec *audit.Record) (bool, error) {
	switch rec.Links.CausedBy {
	case uuid.Nil, rec.AuditID: // a link to itself leads nowhere
	case e.Record.AuditID:
		return false, nil // it is known by its link
	default:
		cause, err := e.get(ctx, db, rec.Links.CausedBy)
		if err != nil && !errors.Is(err, pgx.ErrNoRows) {
			return false, err
		}
		if found, _ := linked(&cause, e.Record.EnvelopeID, e.Record.TenantID); err == nil && found != nil {
			return false, nil
		}
	}
	by, err := e.nearestApplied(ctx, db, e.Record.EnvelopeID, rec)
	return by != nil && by.AuditID == e.Record.AuditID, err
}
