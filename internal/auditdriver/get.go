package auditdriver

import (
	"context"

	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/dbgen"
)

// Get reads one record if the scope includes it, else [audit.ErrNotFound].
func (d *Driver) Get(ctx context.Context, scope audit.Scope, id uuid.UUID) (rec audit.Record, err error) {
	err = d.read(ctx, func(db dbgen.DBTX) error {
		row, err := d.queries.GetAuditRecord(ctx, db, dbgen.GetAuditRecordParams{
			AuditID:    toPG(id),
			AllTenants: scope.IsAllTenants(),
			TenantID:   scope.TenantID(),
		})
		rec = fromRow(&row)
		return err
	})
	return rec, err
}

// GetMany reads those of the records that the scope includes, in no order.
func (d *Driver) GetMany(ctx context.Context, scope audit.Scope, ids []uuid.UUID) (recs []audit.Record, err error) {
	err = d.read(ctx, func(db dbgen.DBTX) error {
		rows, err := d.queries.GetAuditRecords(ctx, db, dbgen.GetAuditRecordsParams{
			AuditIDs:   allToPG(ids),
			AllTenants: scope.IsAllTenants(),
			TenantID:   scope.TenantID(),
		})
		recs = fromRows(rows)
		return err
	})
	return recs, err
}
