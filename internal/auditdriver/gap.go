package auditdriver

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/dbgen"
)

// PersistGap puts a valid gap on record in its own transaction. A nil error means that it is
// committed, by a commit that was not cancelled. If the id is on record, the gap is not
// compared with the stored one: one id is one gap. ctx bounds the call: see
// [Driver.bounded].
func (d *Driver) PersistGap(ctx context.Context, gap *audit.Gap) error {
	return d.onPool(ctx, func(ctx context.Context, db located) error {
		return d.persistGap(ctx, db, gap)
	})
}

func (d *Driver) persistGap(ctx context.Context, db located, gap *audit.Gap) error {
	db, err := d.storingIn(ctx, db)
	if err != nil {
		return err
	}
	row, err := d.queries.PersistAuditGap(ctx, db, gapParams(gap))
	inserted := err == nil
	switch {
	case inserted && !row.Intact:
		return refusedAll(errDiscarded)
	case inserted:
		if err := d.committedUnder(ctx, db, row.Session); err != nil || !db.table.rewritesGaps {
			return err
		}
	case !errors.Is(err, pgx.ErrNoRows):
		return err
	}
	same, err := d.queries.CompareAuditGap(ctx, db, dbgen.CompareAuditGapParams(gapParams(gap)))
	switch {
	case errors.Is(err, pgx.ErrNoRows), err == nil && inserted && !same:
		return refusedAll(errDiscarded)
	case err != nil && inserted: // stored, but with which content?
		return &unconfirmedError{err}
	case err != nil:
		return err
	case inserted:
		return nil
	}
	return d.confirm(ctx, db)
}

// ListGaps reads the gaps of a normalized, valid query that has a limit. The gap that began
// last comes first.
func (d *Driver) ListGaps(ctx context.Context, q *audit.GapQuery) (gaps []audit.Gap, err error) {
	since, last := bounds(q.Window)
	err = d.read(ctx, func(db dbgen.DBTX) error {
		rows, err := d.queries.ListAuditGaps(ctx, db, dbgen.ListAuditGapsParams{Since: toPGTime(since), Last: toPGTime(last), PageSize: int32(q.Limit)})
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
		LostFrom:           toPGTime(gap.From),
		LostUntil:          toPGTime(gap.Until),
		Cause:              gap.Cause,
	}
}

func fromGapRow(row *dbgen.AuditGap) audit.Gap {
	gap := audit.Gap{
		GapID:        row.GapID.Bytes,
		Dropped:      make(map[audit.EnvelopeClass]int64),
		FirstAuditID: row.FirstAuditID.Bytes,
		LastAuditID:  row.LastAuditID.Bytes,
		From:         fromPGTime(row.LostFrom),
		Until:        fromPGTime(row.LostUntil),
		Cause:        row.Cause,
		RecordedAt:   fromPGTime(row.RecordedAt),
	}
	for class, n := range map[audit.EnvelopeClass]int64{
		audit.Safety:      row.DroppedSafety,
		audit.Reliability: row.DroppedReliability,
		audit.Cost:        row.DroppedCost,
		audit.Performance: row.DroppedPerformance,
		audit.Unknown:     row.DroppedUnknown,
	} {
		if n != 0 {
			gap.Dropped[class] = n
		}
	}
	return gap
}
