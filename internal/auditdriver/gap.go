package auditdriver

import (
	"context"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/dbgen"
)

// PersistGap puts a valid gap on record, in a transaction of its own. A nil error
// means committed. An id that is on record is not compared with what stands there:
// whoever made it made one gap. ctx bounds the call: see [bounded].
func (d *Driver) PersistGap(ctx context.Context, gap *audit.Gap) error {
	return d.onPool(ctx, func(ctx context.Context, db dbgen.DBTX) error {
		return d.queries.PersistAuditGap(ctx, db, gapParams(gap))
	})
}

// ListGaps reads the gaps of a normalized, valid query that has a limit, the latest
// to begin first.
func (d *Driver) ListGaps(ctx context.Context, q *audit.GapQuery) (gaps []audit.Gap, err error) {
	since, until := bounds(q.Window)
	err = d.read(ctx, func(db dbgen.DBTX) error {
		rows, err := d.queries.ListAuditGaps(ctx, db, dbgen.ListAuditGapsParams{Since: since, Until: until, PageSize: int32(q.Limit)})
		gaps = make([]audit.Gap, len(rows))
		for i := range rows {
			gaps[i] = fromGapRow(&rows[i])
		}
		return err
	})
	return gaps, err
}

func gapParams(gap *audit.Gap) dbgen.PersistAuditGapParams {
	return dbgen.PersistAuditGapParams{
		GapID:              toPG(gap.GapID),
		DroppedSafety:      gap.Dropped[audit.Safety],
		DroppedReliability: gap.Dropped[audit.Reliability],
		DroppedCost:        gap.Dropped[audit.Cost],
		DroppedPerformance: gap.Dropped[audit.Performance],
		DroppedUnknown:     gap.Dropped[audit.Unknown],
		FirstAuditID:       toPG(gap.FirstAuditID),
		LastAuditID:        toPG(gap.LastAuditID),
		LostFrom:           gap.From,
		LostUntil:          gap.Until,
		Cause:              gap.Cause,
	}
}

func fromGapRow(row *dbgen.AuditGap) audit.Gap {
	gap := audit.Gap{
		GapID:        row.GapID.Bytes,
		Dropped:      make(map[audit.EnvelopeClass]int64),
		FirstAuditID: row.FirstAuditID.Bytes,
		LastAuditID:  row.LastAuditID.Bytes,
		From:         row.LostFrom.UTC(),
		Until:        row.LostUntil.UTC(),
		Cause:        row.Cause,
		RecordedAt:   row.RecordedAt.UTC(),
	}
	for class, n := range map[audit.EnvelopeClass]int64{
		audit.Safety:      row.DroppedSafety,
		audit.Reliability: row.DroppedReliability,
		audit.Cost:        row.DroppedCost,
		audit.Performance: row.DroppedPerformance,
		audit.Unknown:     row.DroppedUnknown,
	} {
		if n > 0 {
			gap.Dropped[class] = n
		}
	}
	return gap
}
