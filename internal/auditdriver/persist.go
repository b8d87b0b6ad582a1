package auditdriver

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/dbgen"
)

// persist sends one statement in the usual case. A taken id takes two more: one reads the
// stored row, one makes it as durable as a fresh commit. Where the table may store another
// row than the one that was sent, it is read back.
func (d *Driver) persist(ctx context.Context, db located, rec *audit.Record) (Item, error) {
	db, err := d.storingIn(ctx, db) // before the statement: if this fails, nothing is in doubt
	if err != nil {
		return Item{}, err
	}
	row, err := d.queries.PersistAuditRecord(ctx, storing{db}, persistParams(rec))
	inserted := err == nil
	switch {
	case inserted:
		if err := d.committedUnder(ctx, db, row.Session); err != nil {
			return Item{}, err
		}
		if !db.table.rewrites {
			return Item{Result: audit.Result{AuditID: rec.AuditID, Outcome: audit.Persisted, Seq: row.Seq, CreatedAt: fromPGTime(row.CreatedAt)}}, nil
		}
	case !errors.Is(err, pgx.ErrNoRows):
		return Item{}, err
	}

	stored, found, err := d.storedUnder(ctx, db, toPG(rec.AuditID))
	if err == nil && !found {
		err = d.notStored(ctx, db)
	}
	if err != nil {
		_, named := errors.AsType[*StatementError](err)
		if inserted && db.own != nil && !named {
			err = &unconfirmedError{err} // stored, but with which content?
		}
		return Item{}, err
	}
	item := stored.compare(rec)
	if item.Err != nil {
		return Item{}, item.Err
	}
	if inserted { // by this call, and the content is as it was sent
		item.Result.Outcome = audit.Persisted
		return item, nil
	}
	if err := d.confirm(ctx, db); err != nil {
		return Item{}, err
	}
	return item, nil
}

// storedUnder reads the row with an id. A row that cannot be read counts as found.
func (d *Driver) storedUnder(ctx context.Context, db located, id pgtype.UUID) (stored storedRow, found bool, err error) {
	row, err := d.queries.GetAuditRecord(ctx, db, dbgen.GetAuditRecordParams{AuditID: id, AllTenants: true})
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return storedRow{}, false, nil
	case unreadable(err):
		return storedRow{err: refusedRow(fmt.Errorf("%w: %w", errUnreadableRow, err))}, true, nil
	case err != nil:
		return storedRow{}, false, err
	}
	return storedRow{rec: fromRow(&row)}, true, nil
}

// storedRow is what is stored under an id: a record, or a row that cannot be read.
type storedRow struct {
	rec audit.Record
	err error
}

// compare returns the outcome of a second record under a stored one's id.
func (s storedRow) compare(rec *audit.Record) Item {
	if s.err != nil {
		return Item{Err: s.err}
	}
	if fields := withoutErased(rec, &s.rec, rec.DiffersIn(s.rec)); len(fields) > 0 {
		return Item{Err: &audit.ConflictError{AuditID: rec.AuditID, Fields: fields}}
	}
	sent, stored := rec.Origin, s.rec.Origin
	return Item{
		Result:    audit.Result{AuditID: rec.AuditID, Outcome: audit.AlreadyPersisted, Seq: s.rec.Seq, CreatedAt: s.rec.CreatedAt},
		Elsewhere: sent.SourceID != stored.SourceID || sent.SourceSeq != stored.SourceSeq,
	}
}

const (
	errHiddenRow plainError = "the id is taken by a row that this role cannot see (row-level security)"
	errDiscarded plainError = "the database accepted the statement and stored no row under this id: " +
		"look for a trigger or rule on the table that discards or changes rows, and drop it"
	errUnreadableRow plainError = "the id is taken by a row that cannot be read"
)

// notStored returns the error of a record that was neither inserted nor found.
func (d *Driver) notStored(ctx context.Context, db located) error {
	hides, err := d.queries.HidesAuditRecords(ctx, db)
	if err != nil {
		return err
	}
	if hides {
		return refusedRow(errHiddenRow)
	}
	return &StatementError{Kind: audit.ErrRefused, cause: errDiscarded}
}

// DryRun inserts records one by one in a transaction that it rolls back, and returns the
// outcome of each. It stops at the first record unless that one was inserted. The table that
// accepts the first record also judges the others: the transaction keeps its lock, so no
// constraint or trigger can be added in between. Nothing is stored, and values of seq are
// used up. On a cluster a shard is a table of its own: see [Driver.blamed].
//
// An error says that the session failed. It says nothing about the records.
func (d *Driver) DryRun(ctx context.Context, recs []audit.Record) ([]Item, error) {
	if d.pool == nil {
		return nil, audit.ErrNoPool
	}
	conn, err := d.pool.Acquire(ctx)
	if err != nil {
		return nil, notSent(err)
	}
	defer conn.Release()
	if err := idle(conn.Conn()); err != nil {
		return nil, err
	}
	tx, err := conn.Begin(ctx)
	if err != nil {
		return nil, notSent(err)
	}
	defer rollBack(ctx, tx)
	// A deferred constraint is otherwise checked at the commit, which never comes.
	if _, err := tx.Exec(ctx, "SET CONSTRAINTS ALL IMMEDIATE"); err != nil {
		return nil, txFailure(ctx, tx.Conn(), err)
	}
	items := make([]Item, 0, len(recs))
	for i := range recs {
		result, refusal := d.PersistTx(ctx, tx, &recs[i])
		if refusal != nil && !errors.Is(refusal, audit.ErrRefused) && !errors.Is(refusal, audit.ErrConflict) {
			return nil, refusal
		}
		if i > 0 && errors.Is(refusal, audit.ErrRefused) {
			if refusal, err = d.blamed(ctx, tx, &recs[0], &recs[i], refusal); err != nil {
				return nil, err
			}
		}
		items = append(items, Item{Result: result, Err: refusal})
		if items[0].Result.Outcome != audit.Persisted {
			break
		}
	}
	return items, nil
}

func rollBack(ctx context.Context, tx pgx.Tx) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	_ = tx.Rollback(ctx) // a connection that does not answer is closed, which also rolls back
}
