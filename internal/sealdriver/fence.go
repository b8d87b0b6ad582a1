package sealdriver

import (
	"context"
	"time"

	"github.com/hoc-analytics/coordaudit/internal/auditdriver"
	"github.com/hoc-analytics/coordaudit/internal/dbgen"
)

// Positions are seqs of the four tables that are sealed.
type Positions struct{ Records, Gaps, Statements, Events int64 }

// Positions reads how far each sequence has come. When each transaction that
// [Conn.Inserting] lists afterwards has ended, a new snapshot sees every row up to there that
// will ever be committed.
func (c *Conn) Positions(ctx context.Context) (Positions, error) {
	row, err := c.queries.GetSequencePositions(ctx, c.db)
	return Positions{Records: row.Records, Gaps: row.Gaps, Statements: row.Statements, Events: row.Events},
		c.readFailure(ctx, err)
}

// LastRecord returns the highest seq of a record.
func (c *Conn) LastRecord(ctx context.Context) (int64, error) {
	seq, err := c.queries.GetLastRecordSeq(ctx, c.db)
	return seq, c.readFailure(ctx, err)
}

// UnsealedAge returns how long ago the oldest row after positions was stored, by the clock of
// the database, and whether there is one. Not committed rows do not count.
func (c *Conn) UnsealedAge(ctx context.Context, after Positions) (age time.Duration, found bool, err error) {
	row, err := c.queries.GetUnsealedAge(ctx, c.db, dbgen.GetUnsealedAgeParams{
		Records: after.Records, Gaps: after.Gaps, Statements: after.Statements, Events: after.Events,
	})
	return time.Duration(row.Microseconds) * time.Microsecond, row.Found, c.readFailure(ctx, err)
}

// Inserting lists the transactions that may have inserted a row which is not committed yet,
// by virtual id. The process id is 0 for a prepared transaction.
func (c *Conn) Inserting(ctx context.Context) (map[string]int32, error) {
	rows, err := c.queries.ListInserting(ctx, c.db)
	if err != nil {
		return nil, c.readFailure(ctx, err)
	}
	found := make(map[string]int32, len(rows))
	for _, row := range rows {
		found[row.Transaction] = row.Pid
	}
	return found, nil
}

// Prepared names the prepared transactions among them, by virtual id.
func (c *Conn) Prepared(ctx context.Context) (map[string]string, error) {
	rows, err := c.queries.ListPreparedInserting(ctx, c.db)
	if err != nil {
		return nil, c.readFailure(ctx, err)
	}
	return auditdriver.PreparedNames(rows), nil
}
