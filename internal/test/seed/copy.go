package seed

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/auditdriver"
)

// ErrNotEmpty says that a trail has records already. No one could remove the made-up records from it.
var ErrNotEmpty = errors.New("the trail holds records already: seed an empty one")

// Copy writes records into an empty, migrated trail and updates the planner's statistics and the
// visibility map.
func Copy(ctx context.Context, pool *pgxpool.Pool, recs iter.Seq[audit.Record]) (n int64, err error) {
	err = pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		var filled bool
		if err := tx.QueryRow(ctx, "SELECT EXISTS (SELECT FROM coordination_audit_records)").Scan(&filled); err != nil {
			return fmt.Errorf("looking for records, which needs a migrated trail (migrate up): %w", err)
		}
		if filled {
			return ErrNotEmpty
		}
		return withoutIndexes(ctx, tx, func() error {
			if n, err = auditdriver.CopyRecords(ctx, tx.Conn(), recs); err != nil {
				return fmt.Errorf("copying the records: %w", err)
			}
			return nil
		})
	})
	if err != nil {
		return n, err
	}
	if _, err := pool.Exec(ctx, "VACUUM (ANALYZE) coordination_audit_records"); err != nil {
		return n, fmt.Errorf("analyzing the records: %w", err)
	}
	return n, nil
}

// withoutIndexes runs work while the table has only its primary key. Building the other indexes at the
// end takes a third of the time that updating them takes.
func withoutIndexes(ctx context.Context, tx pgx.Tx, work func() error) error {
	rows, err := tx.Query(ctx, `
		SELECT
		    indexrelid::regclass::text AS name,
		    pg_catalog.pg_get_indexdef(indexrelid) AS definition
		FROM pg_catalog.pg_index
		WHERE indrelid = 'coordination_audit_records'::regclass
		    AND NOT indisprimary`)
	if err != nil {
		return fmt.Errorf("listing the indexes: %w", err)
	}
	indexes, err := pgx.CollectRows(rows, pgx.RowToStructByPos[struct{ Name, Definition string }])
	if err != nil {
		return fmt.Errorf("listing the indexes: %w", err)
	}
	for _, index := range indexes {
		if _, err := tx.Exec(ctx, "DROP INDEX "+index.Name); err != nil {
			return fmt.Errorf("dropping index %s: %w", index.Name, err)
		}
	}
	if err := work(); err != nil {
		return err
	}
	for _, index := range indexes {
		if _, err := tx.Exec(ctx, index.Definition); err != nil {
			return fmt.Errorf("building index %s: %w", index.Name, err)
		}
	}
	return nil
}
