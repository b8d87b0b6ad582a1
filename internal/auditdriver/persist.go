package auditdriver

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/dbgen"
)

// persist is one statement on the common path. Only a taken id costs a second
// one, to see what stands under it.
func (d *Driver) persist(ctx context.Context, db dbgen.DBTX, rec *audit.Record) (audit.Receipt, error) {
	row, err := d.queries.PersistAuditRecord(ctx, db, persistParams(rec))
	if err == nil {
		return audit.Receipt{AuditID: rec.AuditID, Outcome: audit.Persisted, Seq: row.Seq, CreatedAt: row.CreatedAt.UTC()}, nil
	}
	if !errors.Is(err, pgx.ErrNoRows) {
		return audit.Receipt{}, err
	}

	stored, err := d.queries.GetAuditRecord(ctx, db, dbgen.GetAuditRecordParams{AuditID: toPG(rec.AuditID), AllTenants: true})
	if errors.Is(err, pgx.ErrNoRows) {
		return audit.Receipt{}, errHiddenRow
	}
	if err != nil {
		return audit.Receipt{}, err
	}
	return compare(rec, fromRow(&stored))
}

// compare decides what a second record under a stored one's id is.
func compare(rec *audit.Record, stored audit.Record) (audit.Receipt, error) {
	if fields := rec.DiffersIn(stored); len(fields) > 0 {
		return audit.Receipt{}, &audit.ConflictError{AuditID: rec.AuditID, Fields: fields}
	}
	return audit.Receipt{AuditID: rec.AuditID, Outcome: audit.AlreadyPersisted, Seq: stored.Seq, CreatedAt: stored.CreatedAt}, nil
}
