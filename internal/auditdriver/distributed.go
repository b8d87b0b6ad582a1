package auditdriver

import (
	"context"
	"errors"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/hoc-analytics/coordaudit/audit"
)

// A table that is distributed over the workers of a Citus cluster takes the same statements as
// any other, but for what this file is about. docs/citus.md has the rest.

// distributed reports whether the rows of the trail are on workers. The usual call asks the
// server nothing.
func (d *Driver) distributed(ctx context.Context, db located) (bool, error) {
	found, err := d.tableLately(ctx, db)
	return err == nil && found.distributed, err
}

// distributed reports whether a statement of this session may have run on a worker, as far as
// the session knows.
func (s *session) distributed() bool {
	for _, t := range s.tables {
		if t.distributed {
			return true
		}
	}
	return false
}

// shardSQL returns a statement's text as a coordinator takes it. What is returned of a row that
// is stored on a worker must not depend on the session, which is the coordinator's. So nothing
// is returned of the settings, and a statement is compared with what is stored in a query of
// its own.
func (t *trail) shardSQL(text string) string {
	if known, ok := t.shardTexts.Load(text); ok {
		return known.(string) //nolint:forcetypeassert // nothing else is stored
	}
	changed := withoutSession(t.sql(text))
	t.shardTexts.Store(text, changed)
	return changed
}

// withoutSession replaces what RETURNING takes from the session, or computes with a function
// that the session may change, as reading a multirange is.
func withoutSession(text string) string {
	into, returning, found := strings.Cut(text, "RETURNING")
	if !found {
		return text
	}
	const settings, none = "current_setting('client_min_messages') || '/' || current_setting('synchronous_commit'))::", "''::"
	returning = strings.NewReplacer("(SELECT "+settings, none, "("+settings, none).Replace(returning)
	before, compared, found := strings.Cut(returning, "(\n        source_id = ")
	if _, after, intact := strings.Cut(compared, ")::boolean AS intact"); found && intact {
		returning = before + "true AS intact" + after
	}
	return into + "RETURNING" + returning
}

// workerError is an answer of a coordinator after which its worker may have committed. A single
// row is committed on the worker before the coordinator hears of it, so neither a cancel
// request nor a lost connection to the worker says that nothing is stored.
type workerError struct{ cause error }

// Error is the cause's.
func (e *workerError) Error() string { return e.cause.Error() }

// Unwrap returns the cause.
func (e *workerError) Unwrap() error { return e.cause }

// onWorker marks an answer of a cluster that leaves the commit in doubt. What a worker itself
// refuses, it has not stored.
func onWorker(err error) error {
	if _, named := errors.AsType[*StatementError](err); named || pgError(err) == nil {
		return err
	}
	state := sqlState(err)
	if strings.HasPrefix(state, classConnectionException) || strings.HasPrefix(state, classOperatorIntervention) {
		return &workerError{err}
	}
	return err
}

// unclearCopyError is a COPY on a cluster that failed and does not say why: a taken id, which refuses
// all of them, comes as the same SQLSTATE as a worker that is lost during the commit.
type unclearCopyError struct{ cause error }

// Error is the cause's.
func (e *unclearCopyError) Error() string { return e.cause.Error() }

// Unwrap returns the cause.
func (e *unclearCopyError) Unwrap() error { return e.cause }

// CopyUnclear reports whether a COPY's answer does not say why it failed. To send the records
// again by INSERT is safe, and its answer says which of them are stored.
func CopyUnclear(err error) bool {
	_, unclear := errors.AsType[*unclearCopyError](err)
	return unclear
}

// twinID makes an id whose row belongs into the same shard as that of another id. No number of
// shards makes it look at all of them in vain, but for one time in millions. sqlc does not know
// the functions of Citus.
const twinID = `SELECT new.id
FROM (SELECT pg_catalog.gen_random_uuid() AS id FROM pg_catalog.generate_series(1, 100000)) AS new
WHERE pg_catalog.get_shard_id_for_distribution_column('coordination_audit_records', new.id)
    = pg_catalog.get_shard_id_for_distribution_column('coordination_audit_records', $1::uuid)
LIMIT 1`

// blamed returns why a record was refused in a transaction that has inserted a good one. On a
// cluster the good one may be in another shard, which has rights, constraints and triggers of
// its own: those of a shard that was moved differ. So the shard is to accept the good record, too,
// under another id. Else the refusal is no fault of the record. An error says that the session failed.
func (d *Driver) blamed(ctx context.Context, tx pgx.Tx, good, rec *audit.Record, refusal error) (verdict, err error) {
	var found uuid.UUID
	distributed := false
	err = d.inTx(ctx, tx, func(ctx context.Context, db located) (err error) {
		if distributed, err = d.distributed(ctx, db); err != nil || !distributed {
			return err
		}
		return db.QueryRow(ctx, twinID, toPG(rec.AuditID)).Scan(&found)
	})
	if err != nil || !distributed {
		return refusal, err
	}
	twin := *good
	twin.AuditID, twin.Origin = found, audit.Origin{}
	_, err = d.PersistTx(ctx, tx, &twin)
	if errors.Is(err, audit.ErrRefused) {
		return ofShard(err), nil
	}
	return refusal, err
}

// ofShard marks a refusal that the record is not to blame for.
func ofShard(err error) error {
	failed, named := errors.AsType[*StatementError](err)
	if !named {
		return err
	}
	marked := *failed
	marked.RefusesAll = true
	return &marked
}
