package sealer

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/sealdriver"
	"github.com/hoc-analytics/coordaudit/seal"
)

// mustBeOne refuses to choose between trails by what the database or the role is set to: it may lead
// whoever verifies to a copy.
func mustBeOne(ctx context.Context, conn *sealdriver.Conn) error {
	schemas, err := conn.TrailSchemas(ctx)
	if err != nil {
		return err
	}
	if len(schemas) > 1 {
		for i := range schemas {
			schemas[i] = pgx.Identifier{schemas[i]}.Sanitize()
		}
		return fmt.Errorf("%d schemas have a trail (%s), and a setting of the database must not choose: name the right one (VerifyConfig.Schema, or search_path in the URL)",
			len(schemas), audit.Printable(strings.Join(schemas, ", ")))
	}
	return nil
}

// mustBeTables refuses a view or a foreign table in the place of a table, and a column that is computed
// when it is read: a sealer or a verification may be shown something else than everyone else.
func mustBeTables(ctx context.Context, conn *sealdriver.Conn) error {
	names, err := conn.NoTables(ctx)
	if err != nil {
		return err
	}
	if len(names) > 0 {
		return errors.New(strings.Join(names, ", ") + " is no table, or computes a column when it is read, so nothing says what its rows are: find out who changed it, and put the table back")
	}
	return nil
}

// findUnreached finds rows that no look by seq finds, in all tables. It reads each of them once
// more. With an older checkpoint, most of the rows are not to be read at all.
func (v *verifier) findUnreached(ctx context.Context) error {
	if v.distributed || v.after.Size > 0 {
		return nil
	}
	for _, kind := range []seal.Kind{seal.Record, seal.Gap, seal.Statement, seal.Event} {
		var ends []int64
		if kind == seal.Record {
			ends = v.ends
		}
		reached, err := v.conn.Reached(ctx, kind, ends, MaxFindings)
		if err != nil {
			return fmt.Errorf("comparing each %s with the index on seq: %w", kind, err)
		}
		for _, id := range reached.NoSeq {
			v.find(Finding{Fault: Inserted, Kind: kind, ID: id, Text: fmt.Sprintf("%s %s has no seq, and so was never sealed", kind, id)})
		}
		if reached.Differ {
			v.find(Finding{Fault: Damaged, Text: fmt.Sprintf(
				"%s has %d rows, and its index on seq leads to %d, or to others: run REINDEX TABLE %[1]s, and verify again to see which rows were hidden",
				reached.Table, reached.Rows, reached.BySeq)})
		}
	}
	return nil
}
