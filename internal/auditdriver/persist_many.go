package auditdriver

import (
	"context"
	"errors"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/dbgen"
)

// Result is what became of one record of a batch: a receipt, or the error of this
// record alone.
type Result struct {
	Receipt audit.Receipt
	Err     error
}

// persistMany sends each id once, by its first record, and holds every other
// record of a taken id against what is stored. Next to an error, results that are
// not nil say that the records were sent and what is known of them.
func (d *Driver) persistMany(ctx context.Context, db dbgen.DBTX, recs []audit.Record) ([]Result, error) {
	first := firstOfEachID(recs)
	rows, err := d.queries.PersistAuditRecords(ctx, db, persistManyParams(recs, first))
	if err != nil {
		return nil, err
	}

	results := make([]Result, len(recs))
	for _, row := range rows {
		i := first[row.AuditID.Bytes]
		results[i].Receipt = audit.Receipt{AuditID: row.AuditID.Bytes, Outcome: audit.Persisted, Seq: row.Seq, CreatedAt: row.CreatedAt.UTC()}
	}
	if len(rows) == len(recs) {
		return results, nil
	}
	return results, d.resolveTaken(ctx, db, recs, results)
}

// firstOfEachID maps each id to the index of its first record.
func firstOfEachID(recs []audit.Record) map[uuid.UUID]int {
	first := make(map[uuid.UUID]int, len(recs))
	for i := range recs {
		if _, ok := first[recs[i].AuditID]; !ok {
			first[recs[i].AuditID] = i
		}
	}
	return first
}

// resolveTaken fills the results of the records that were not inserted.
func (d *Driver) resolveTaken(ctx context.Context, db dbgen.DBTX, recs []audit.Record, results []Result) error {
	var taken []pgtype.UUID
	for i := range recs {
		if results[i].Receipt.Outcome == "" {
			taken = append(taken, toPG(recs[i].AuditID))
		}
	}
	rows, err := d.queries.GetAuditRecords(ctx, db, dbgen.GetAuditRecordsParams{AuditIDs: taken, AllTenants: true})
	if err != nil {
		return err
	}
	stored := make(map[uuid.UUID]audit.Record, len(rows))
	for i := range rows {
		stored[rows[i].AuditID.Bytes] = fromRow(&rows[i])
	}

	for i := range recs {
		if results[i].Receipt.Outcome != "" {
			continue
		}
		row, ok := stored[recs[i].AuditID]
		if !ok {
			results[i].Err = &StatementError{Kind: audit.ErrRefused, Blame: BlameRecord, cause: errHiddenRow}
			continue
		}
		results[i].Receipt, results[i].Err = compare(&recs[i], row)
	}
	return nil
}

// sent spreads the error of looking up taken ids over the records that it leaves
// open: the others are inserted, and stay so unless their transaction is gone.
func sent(results []Result, err error) ([]Result, error) {
	gone := errors.Is(err, audit.ErrTxLost) || errors.Is(err, audit.ErrTxUnusable)
	if err == nil || results == nil || gone {
		return results, err
	}
	for i := range results {
		if results[i].Receipt.Outcome == "" && results[i].Err == nil {
			results[i].Err = err
		}
	}
	return results, nil
}
