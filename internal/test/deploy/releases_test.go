package deploy_test

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
)

// timeout of a write. How long one takes on a busy machine is not tested here.
const timeout = 30 * time.Second

// currentNeeds is the oldest schema on which the services of the current release store records.
// Statements need 8.
const currentNeeds = 6

// release has the calls with which the services of a release write, alone or in the caller's
// transaction. A nil error acknowledges every record.
type release interface {
	persist(ctx context.Context, rec audit.Record) error
	persistTx(ctx context.Context, tx pgx.Tx, rec audit.Record) error
	persistMany(ctx context.Context, recs []audit.Record) error
	persistManyTx(ctx context.Context, tx pgx.Tx, recs []audit.Record) error
}

// releaseFor returns the release whose services run on a schema before it is migrated.
func releaseFor(version int64, pool *pgxpool.Pool) release {
	if version < currentNeeds {
		return previous{pool}
	}
	return newCurrent(pool)
}

// current returns the release that is deployed.
type current struct{ store *coordaudit.Store }

func newCurrent(pool *pgxpool.Pool) current {
	return current{coordaudit.New(pool, coordaudit.Config{Logger: slog.New(slog.DiscardHandler), Timeout: timeout})}
}

func (c current) persist(ctx context.Context, rec audit.Record) error {
	_, err := c.store.Persist(ctx, rec)
	return err
}

func (c current) persistTx(ctx context.Context, tx pgx.Tx, rec audit.Record) error {
	_, err := c.store.PersistTx(ctx, tx, rec)
	return err
}

func (c current) persistMany(ctx context.Context, recs []audit.Record) error {
	_, err := c.store.PersistMany(ctx, recs)
	return err
}

func (c current) persistManyTx(ctx context.Context, tx pgx.Tx, recs []audit.Record) error {
	_, err := c.store.PersistManyTx(ctx, tx, recs)
	return err
}

// previous returns the release before. Its statements are written out, so that they stay what that
// release sends. It does not retry, because a migration must not fail its statements.
type previous struct{ pool *pgxpool.Pool }

const (
	previousInsert = `
		INSERT INTO coordination_audit_records (
			audit_id, envelope_id, envelope_class, decision, reason, decision_timestamp,
			conflicting_envelope_id, preempting_envelope_id, active_envelopes_count, tenant_id
		)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
		ON CONFLICT (audit_id) DO NOTHING
		RETURNING seq, created_at`

	previousInsertMany = `
		INSERT INTO coordination_audit_records (
			audit_id, envelope_id, envelope_class, decision, reason, decision_timestamp,
			conflicting_envelope_id, preempting_envelope_id, active_envelopes_count, tenant_id
		)
		SELECT
			unnest($1::uuid[]), unnest($2::text[]), unnest($3::text[]), unnest($4::text[]), unnest($5::text[]), unnest($6::timestamptz[]),
			nullif(unnest($7::text[]), ''), nullif(unnest($8::text[]), ''), unnest($9::integer[]), nullif(unnest($10::text[]), '')
		ON CONFLICT (audit_id) DO NOTHING
		RETURNING audit_id, seq, created_at`
)

// querier is a pool or a transaction.
type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

func (p previous) persist(ctx context.Context, rec audit.Record) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	return insert(ctx, p.pool, rec)
}

func (p previous) persistTx(ctx context.Context, tx pgx.Tx, rec audit.Record) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	return pgx.BeginFunc(ctx, tx, func(savepoint pgx.Tx) error { return insert(ctx, savepoint, rec) })
}

func (p previous) persistMany(ctx context.Context, recs []audit.Record) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	return insertMany(ctx, p.pool, recs)
}

func (p previous) persistManyTx(ctx context.Context, tx pgx.Tx, recs []audit.Record) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	return pgx.BeginFunc(ctx, tx, func(savepoint pgx.Tx) error { return insertMany(ctx, savepoint, recs) })
}

// insert also fails if no row is returned.
func insert(ctx context.Context, db querier, rec audit.Record) error {
	var seq int64
	var createdAt time.Time
	null := func(text string) *string {
		if text == "" {
			return nil
		}
		return &text
	}
	return db.QueryRow(ctx, previousInsert, rec.AuditID, rec.EnvelopeID, rec.EnvelopeClass, rec.Decision, rec.Reason, rec.DecisionTimestamp,
		null(rec.ConflictingEnvelopeID), null(rec.PreemptingEnvelopeID), rec.ActiveEnvelopesCount, null(rec.TenantID)).Scan(&seq, &createdAt)
}

// columns returns the columns of a batch in the order of the statement's parameters.
type columns struct {
	auditIDs                                      []uuid.UUID
	envelopeIDs, classes, decisions, reasons      []string
	timestamps                                    []time.Time
	conflictingEnvelopeIDs, preemptingEnvelopeIDs []string
	counts                                        []int32
	tenantIDs                                     []string
}

func insertMany(ctx context.Context, db querier, recs []audit.Record) error {
	var c columns
	for _, rec := range recs {
		c.auditIDs = append(c.auditIDs, rec.AuditID)
		c.envelopeIDs = append(c.envelopeIDs, rec.EnvelopeID)
		c.classes = append(c.classes, string(rec.EnvelopeClass))
		c.decisions = append(c.decisions, string(rec.Decision))
		c.reasons = append(c.reasons, rec.Reason)
		c.timestamps = append(c.timestamps, rec.DecisionTimestamp)
		c.conflictingEnvelopeIDs = append(c.conflictingEnvelopeIDs, rec.ConflictingEnvelopeID)
		c.preemptingEnvelopeIDs = append(c.preemptingEnvelopeIDs, rec.PreemptingEnvelopeID)
		c.counts = append(c.counts, rec.ActiveEnvelopesCount)
		c.tenantIDs = append(c.tenantIDs, rec.TenantID)
	}
	rows, err := db.Query(ctx, previousInsertMany, c.auditIDs, c.envelopeIDs, c.classes, c.decisions, c.reasons, c.timestamps,
		c.conflictingEnvelopeIDs, c.preemptingEnvelopeIDs, c.counts, c.tenantIDs)
	if err != nil {
		return err
	}
	var id uuid.UUID
	var seq int64
	var createdAt time.Time
	stored, err := pgx.ForEachRow(rows, []any{&id, &seq, &createdAt}, func() error { return nil })
	if err == nil && stored.RowsAffected() != int64(len(recs)) {
		err = fmt.Errorf("%d of %d records stored", stored.RowsAffected(), len(recs))
	}
	return err
}
