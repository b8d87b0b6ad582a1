package auditadmin

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/hoc-analytics/coordaudit/auditmigrate"
)

func (r *repairer) run(ctx context.Context, s step) error {
	if s.concurrent {
		made := false
		for _, statement := range s.statements {
			if _, err := r.conn.Exec(ctx, statement); err != nil {
				if r.conn.IsClosed() || ctx.Err() != nil {
					return err
				}
				return errors.Join(err, r.dropHalfBuilt(ctx, s.index, made))
			}
			made = made || strings.HasPrefix(statement, "CREATE")
		}
		return nil
	}
	return pgx.BeginFunc(ctx, r.conn, func(tx pgx.Tx) error {
		for _, statement := range s.statements {
			if _, err := tx.Exec(ctx, statement); err != nil {
				return err
			}
		}
		return nil
	})
}

// dropHalfBuilt removes the index that a failed build leaves behind. Every write would
// maintain it, and a unique one would refuse the records that made the build fail.
// It looks whose index has the name: another session may have taken it. made means that
// the build succeeded and a later statement failed.
func (r *repairer) dropHalfBuilt(ctx context.Context, index halfBuilt, made bool) error {
	var left bool
	err := r.conn.QueryRow(ctx, `
		SELECT EXISTS (
			SELECT FROM pg_catalog.pg_index AS i
			WHERE i.indexrelid = pg_catalog.to_regclass($1) AND i.indrelid = pg_catalog.to_regclass($2) AND ($3 OR NOT i.indisvalid)
		)`, pgx.QueryExecModeExec, index.name, index.table, made).Scan(&left)
	if err != nil || !left {
		return err
	}
	_, err = r.conn.Exec(ctx, "DROP INDEX CONCURRENTLY IF EXISTS "+index.name)
	return err
}

// explain adds what the operator can do about a refusal.
func explain(s step, err error) error {
	pgErr, ok := errors.AsType[*pgconn.PgError](err)
	if !ok {
		return err
	}
	next := ""
	switch pgErr.Code {
	case "23502", "23505", "23514":
		next = s.rows
	case "42501":
		next = cmp.Or(s.rights, "run it as the owner of the tables and functions")
	case "55P03":
		next = "let the transactions on this table end, or wait longer by --lock-timeout (RepairConfig.LockTimeout), and run it again"
		err = fmt.Errorf("%w: %w", auditmigrate.ErrLocked, err)
	case "25006":
		next = "connect to the primary"
	}
	if next == "" {
		return err
	}
	return fmt.Errorf("%w: %s", err, next)
}
