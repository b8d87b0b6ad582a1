package auditdriver

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/completeness"
	"github.com/hoc-analytics/coordaudit/internal/dbgen"
)

// ErrStatementTaken means that the source has another statement on record under the same
// number. Two processes act as one source, or a database was restored to an earlier time.
var ErrStatementTaken error = plainError("the source has another statement on record under this number: " +
	"two processes act as one source, or the trail was restored to an earlier time")

// PersistStatement puts a statement on record in its own transaction, and sets its Seq and
// MadeAt. A nil error means that it is committed, by a commit that was not cancelled. If the
// same statement is on record, that is a success. If another one is, the error matches
// [ErrStatementTaken]. ctx bounds the call: see [Driver.bounded].
func (d *Driver) PersistStatement(ctx context.Context, statement *completeness.Statement) error {
	return d.onPool(ctx, func(ctx context.Context, db located) error {
		return d.persistStatement(ctx, db, statement)
	})
}

func (d *Driver) persistStatement(ctx context.Context, db located, statement *completeness.Statement) error {
	db, err := d.storingIn(ctx, db)
	if err != nil {
		return err
	}
	row, err := d.queries.PersistAuditStatement(ctx, db, statementParams(statement))
	inserted := err == nil
	switch {
	case inserted && !row.Intact:
		return refusedAll(errDiscarded)
	case inserted:
		if err := d.committedUnder(ctx, db, row.Session); err != nil {
			return err
		}
		if !db.onShards() && !db.table.rewritesStatements { // a shard does not compare
			statement.Seq, statement.MadeAt = row.Seq, fromPGTime(row.MadeAt)
			return nil
		}
	case !errors.Is(err, pgx.ErrNoRows):
		return err
	}
	stored, err := d.queries.CompareAuditStatement(ctx, db, dbgen.CompareAuditStatementParams(statementParams(statement)))
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return refusedAll(errDiscarded)
	case err != nil && inserted: // stored, but with which content?
		return &unconfirmedError{err}
	case err != nil:
		return err
	case !stored.Same && inserted: // by this call, so a trigger changed it
		return refusedAll(errDiscarded)
	case !stored.Same:
		return refusedAll(ErrStatementTaken)
	}
	if err := d.confirm(ctx, db); err != nil {
		return err
	}
	statement.Seq, statement.MadeAt = stored.Seq, fromPGTime(stored.MadeAt)
	return nil
}

// LatestStatement reads the statement of a source that has the highest number. found is
// false if the source has none on record.
func (d *Driver) LatestStatement(ctx context.Context, sourceID uuid.UUID) (statement completeness.Statement, found bool, err error) {
	err = d.read(ctx, func(db dbgen.DBTX) error {
		row, err := d.queries.LatestAuditStatement(ctx, db, dbgen.LatestAuditStatementParams{SourceID: toPG(sourceID)})
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		found = true
		statement, err = fromStatementRow(dbgen.ListAuditStatementsRow(row))
		return err
	})
	return statement, found, err
}

func statementParams(statement *completeness.Statement) dbgen.PersistAuditStatementParams {
	return dbgen.PersistAuditStatementParams{
		SourceID:         toPG(statement.SourceID),
		StatementNo:      statement.Number,
		Kind:             string(statement.Kind),
		AcceptedThrough:  statement.AcceptedThrough,
		ReservedThrough:  statement.ReservedThrough,
		Dropped:          statement.Dropped.String(),
		Rejected:         statement.Rejected.String(),
		AlreadyPersisted: statement.AlreadyPersisted.String(),
		Waiting:          statement.Waiting.String(),
		WaitingContinues: statement.WaitingContinues,
		Label:            statement.Label,
	}
}

func fromStatementRow(row dbgen.ListAuditStatementsRow) (completeness.Statement, error) {
	statement := completeness.Statement{
		SourceID:         row.SourceID.Bytes,
		Number:           row.StatementNo,
		Kind:             completeness.Kind(row.Kind),
		AcceptedThrough:  row.AcceptedThrough,
		ReservedThrough:  row.ReservedThrough,
		WaitingContinues: row.WaitingContinues,
		Label:            row.Label,
		Seq:              row.Seq,
		MadeAt:           fromPGTime(row.MadeAt),
	}
	var errs [4]error
	statement.Dropped, errs[0] = completeness.ParseSet(row.Dropped)
	statement.Rejected, errs[1] = completeness.ParseSet(row.Rejected)
	statement.AlreadyPersisted, errs[2] = completeness.ParseSet(row.AlreadyPersisted)
	statement.Waiting, errs[3] = completeness.ParseSet(row.Waiting)
	if errors.Join(errs[:]...) != nil {
		return statement, unreadableStatement(&statement)
	}
	return statement, nil
}

// unreadableStatement is the refusal of a statement whose ranges have no bounds. Only a table
// without our CHECKs holds one.
func unreadableStatement(statement *completeness.Statement) error {
	return unreadableRow(plainError(fmt.Sprintf("statement %d of source %s cannot be read: a range of it has no bound", statement.Number, statement.SourceID)))
}

// unreadableOrdinals is the refusal of a set of ordinals that is none. What says whose it is.
func unreadableOrdinals(what string) error {
	return unreadableRow(plainError(what + ", and they cannot be read: they are no set of ranges with bounds"))
}

func unreadableRow(cause error) error {
	return &StatementError{Kind: audit.ErrRefused, cause: cause, step: "run migrate validate, which names what differs"}
}
