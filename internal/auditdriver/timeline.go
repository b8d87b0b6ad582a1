package auditdriver

import (
	"context"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/dbgen"
)

// Timeline reads size records of a normalized, valid query beyond a position or,
// without one, from the beginning.
func (d *Driver) Timeline(ctx context.Context, q *audit.TimelineQuery, from *Position, size int) (recs []audit.Record, err error) {
	since, until := bounds(q.Window)
	begin := Position{DecisionTimestamp: since}
	if from != nil {
		begin = *from
	}
	err = d.readPlanned(ctx, func(db dbgen.DBTX) error {
		rows, err := d.queries.ListTimeline(ctx, db, dbgen.ListTimelineParams{
			EnvelopeID:    q.EnvelopeID,
			AllTenants:    q.Scope.IsAllTenants(),
			TenantID:      q.Scope.TenantID(),
			Until:         until,
			FromTimestamp: begin.DecisionTimestamp,
			FromSeq:       begin.Seq,
			PageSize:      int32(size),
		})
		recs = fromRows(rows)
		return err
	})
	return recs, err
}
