package seed

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/hoc-analytics/coordaudit/audit"
)

// ErrNotEmpty says that a trail holds records already: nobody could take the made-up records out of a trail again.
var ErrNotEmpty = errors.New("the trail holds records already: seed an empty one")

// Copy writes records into an empty, migrated trail, and brings the planner's
// statistics and the visibility map up to date.
func Copy(ctx context.Context, pool *pgxpool.Pool, recs iter.Seq[audit.Record]) (n int64, err error) {
	err = pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		var filled bool
		if err := tx.QueryRow(ctx, "SELECT EXISTS (SELECT FROM coordination_audit_records)").Scan(&filled); err != nil {
			return fmt.Errorf("looking for records: %w", err)
		}
		if filled {
			return ErrNotEmpty
		}
		return withoutIndexes(ctx, tx, func() error {
			n, err = copyRecords(ctx, tx, recs)
			return err
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

// withoutIndexes runs work while the table has its primary key alone: building the
// others at the end takes a third of the time of keeping them up to date.
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

func copyRecords(ctx context.Context, tx pgx.Tx, recs iter.Seq[audit.Record]) (int64, error) {
	next, stop := iter.Pull(recs)
	defer stop()
	columns := []string{
		"audit_id", "envelope_id", "envelope_class", "decision", "reason", "decision_timestamp", "conflicting_envelope_id",
		"preempting_envelope_id", "active_envelopes_count", "tenant_id", "target_subsystem", "target_parameter", "counterpart_class",
	}
	n, err := tx.CopyFrom(ctx, pgx.Identifier{"coordination_audit_records"}, columns, pgx.CopyFromFunc(func() ([]any, error) {
		rec, ok := next()
		if !ok {
			return nil, nil
		}
		return row(rec), nil
	}))
	if err != nil {
		return n, fmt.Errorf("copying the records: %w", err)
	}
	return n, nil
}

func row(rec audit.Record) []any {
	return []any{
		pgtype.UUID{Bytes: rec.AuditID, Valid: true},
		rec.EnvelopeID, string(rec.EnvelopeClass), string(rec.Decision), rec.Reason,
		rec.DecisionTimestamp, nullable(rec.ConflictingEnvelopeID), nullable(rec.PreemptingEnvelopeID), rec.ActiveEnvelopesCount,
		nullable(rec.TenantID), nullable(rec.TargetSubsystem), nullable(rec.TargetParameter), nullable(string(rec.CounterpartClass)),
	}
}

func nullable(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}
