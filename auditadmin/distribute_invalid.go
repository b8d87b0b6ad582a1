package auditadmin

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// withoutInvalid distributes a table while its CHECKs that are NOT VALID are away. A shard would
// refuse the rows that break them, which an adopted trail keeps. They come back as they were, on
// every shard, in the same transaction. So readers wait for the whole of it, too.
func withoutInvalid(ctx context.Context, tx pgx.Tx, name string, distribute func() error) error {
	rows, err := tx.Query(ctx, `
		SELECT pg_catalog.quote_ident(c.conname), pg_catalog.pg_get_constraintdef(c.oid)
		FROM pg_catalog.pg_constraint AS c
		WHERE c.conrelid = $1::text::regclass AND c.contype = 'c' AND NOT c.convalidated
		ORDER BY c.conname`, pgx.QueryExecModeExec, name)
	if err != nil {
		return err
	}
	type check struct{ Name, Definition string }
	checks, err := pgx.CollectRows(rows, pgx.RowToStructByPos[check])
	if err != nil {
		return err
	}
	alter := func(format string, args ...any) error {
		_, err := tx.Exec(ctx, "ALTER TABLE "+name+" "+fmt.Sprintf(format, args...))
		return err
	}
	for _, c := range checks {
		if err := alter("DROP CONSTRAINT %s", c.Name); err != nil {
			return fmt.Errorf("dropping CHECK %s, which comes back: %w", c.Name, err)
		}
	}
	if err := distribute(); err != nil {
		return err
	}
	for _, c := range checks { // its definition ends with NOT VALID
		if err := alter("ADD CONSTRAINT %s %s", c.Name, c.Definition); err != nil {
			return fmt.Errorf("adding CHECK %s again: %w", c.Name, err)
		}
	}
	return nil
}
