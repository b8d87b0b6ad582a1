package auditdriver

import (
	"context"
	"math"

	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/completeness"
	"github.com/hoc-analytics/coordaudit/internal/dbgen"
)

// findLosses looks for gaps and ordinals near the record, as far as the role may.
func (e *explanation) findLosses(ctx context.Context, db dbgen.DBTX) error {
	may, err := e.driver.queries.MayReadLosses(ctx, db)
	if err != nil {
		return err
	}
	e.Losses = audit.NearbyLosses{GapsUnread: !may.Gaps}
	if may.Gaps {
		rows, err := e.driver.queries.ListAuditGaps(ctx, db, dbgen.ListAuditGapsParams{
			Since:    toPGTime(e.Record.DecisionTimestamp.Add(-audit.GapReach)),
			Last:     toPGTime(e.Record.DecisionTimestamp.Add(audit.GapReach)),
			PageSize: audit.MaxRelated,
		})
		if err != nil {
			return err
		}
		for i := range rows {
			gap := fromGapRow(&rows[i])
			e.Losses.Gaps = append(e.Losses.Gaps, audit.NearbyGap{GapID: gap.GapID, From: gap.From, Until: gap.Until, Records: gap.Total(), Cause: gap.Cause})
		}
	}
	if e.Record.Origin.SourceID == uuid.Nil || e.Record.Origin.SourceSeq < 1 {
		return nil
	}
	if e.Losses.OrdinalsUnread = !may.Ordinals; !may.Ordinals {
		return nil
	}
	return e.findOrdinals(ctx, db)
}

const (
	nearOrdinals  = 8    // to both sides of the record's own
	nearRows      = 512  // stored before and after the record
	maxStatements = 5000 // a source makes one a minute
)

// findOrdinals looks for numbers next to the record's own that no row near it carries. What a
// statement has ever called dropped, rejected, already persisted or waiting counts as
// explained: a record that waited may be stored far away.
func (e *explanation) findOrdinals(ctx context.Context, db dbgen.DBTX) error {
	origin := e.Record.Origin
	near := completeness.Span(max(1, origin.SourceSeq-nearOrdinals), min(origin.SourceSeq, math.MaxInt64-nearOrdinals-1)+nearOrdinals)
	said, err := e.driver.queries.GatherStatementsAround(ctx, db, dbgen.GatherStatementsAroundParams{
		SourceID: toPG(origin.SourceID), Ordinals: near.String(), MaxStatements: maxStatements,
	})
	if err != nil || said.Statements == 0 || said.Imported {
		return err
	}
	if said.FirstStatementNo > 1 {
		e.Losses.OrdinalsUnread = true
		return nil
	}
	carried, err := e.driver.queries.ListOrdinalsAround(ctx, db, dbgen.ListOrdinalsAroundParams{
		FirstSeq: max(e.Record.Seq, math.MinInt64+nearRows) - nearRows, LastSeq: min(e.Record.Seq, math.MaxInt64-nearRows) + nearRows,
		SourceID: toPG(origin.SourceID), FirstOrdinal: near[0].First, LastOrdinal: near[0].Last,
	})
	if err != nil {
		return err
	}
	missing := near.And(completeness.Span(1, said.AcceptedThrough)).Minus(completeness.SetOf(carried...))
	for _, text := range said.Explained {
		explained, err := completeness.ParseSet(text)
		if err != nil {
			return unreadableOrdinals("a statement of source " + origin.SourceID.String() + " explains ordinals")
		}
		missing = missing.Minus(explained)
	}
	for _, r := range missing {
		for ordinal := r.First; ordinal <= r.Last; ordinal++ {
			e.Losses.Ordinals = append(e.Losses.Ordinals, ordinal)
		}
	}
	return nil
}
