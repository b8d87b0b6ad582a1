package coordinator

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/hoc-analytics/coordaudit/audit"
)

// CreateTables creates the coordinator's own tables if they do not exist. They belong
// to the example service, not to the audit trail, whose schema package auditmigrate
// creates. Call it from the deploy, because two calls at once may collide.
//
// The column applied_by has the audit id of the APPLIED record, so that later records can
// name it as their cause. It is no foreign key: a replay stores no records.
//
// An empty text stands for no tenant, because a primary key cannot hold NULL. The two
// keys of coordinator_active_envelopes are the last line of defense of the rules: one
// holder per parameter, and one parameter per envelope.
func CreateTables(ctx context.Context, pool *pgxpool.Pool) error {
	const sql = `
		CREATE TABLE IF NOT EXISTS coordinator_tenants (
		    tenant_id varchar(100) PRIMARY KEY,
		    killed_at timestamptz
		);
		CREATE TABLE IF NOT EXISTS coordinator_active_envelopes (
		    tenant_id   varchar(100) NOT NULL REFERENCES coordinator_tenants,
		    envelope_id varchar(100) NOT NULL,
		    class       varchar(20)  NOT NULL,
		    subsystem   text         NOT NULL,
		    parameter   text         NOT NULL,
		    applied_at  timestamptz  NOT NULL,
		    applied_by  uuid         NOT NULL,
		    PRIMARY KEY (tenant_id, subsystem, parameter),
		    UNIQUE (tenant_id, envelope_id)
		)`
	if _, err := pool.Exec(ctx, sql); err != nil {
		return fmt.Errorf("creating the coordinator's tables: %w", err)
	}
	return nil
}

// lockTenant holds the tenant's row until the transaction ends, so that the decisions
// of a tenant, and its records, have one order. Tenants do not wait for each other. It
// is always the first lock, so two transactions cannot deadlock.
func lockTenant(ctx context.Context, tx pgx.Tx, tenantID string) (killedAt *time.Time, err error) {
	// The update only locks the row, whether the row is new or not.
	const sql = `
		INSERT INTO coordinator_tenants (tenant_id)
		VALUES ($1)
		ON CONFLICT (tenant_id) DO UPDATE SET tenant_id = excluded.tenant_id
		RETURNING killed_at`
	if err := tx.QueryRow(ctx, sql, tenantID).Scan(&killedAt); err != nil {
		return nil, fmt.Errorf("locking tenant %q: %w", tenantID, err)
	}
	return killedAt, nil
}

func readSituation(ctx context.Context, tx pgx.Tx, tenantID string) (situation, error) {
	killedAt, err := lockTenant(ctx, tx, tenantID)
	if err != nil {
		return situation{}, err
	}
	const sql = `
		SELECT
		    envelope_id,
		    class,
		    subsystem,
		    parameter,
		    applied_by
		FROM coordinator_active_envelopes
		WHERE tenant_id = $1`
	rows, err := tx.Query(ctx, sql, tenantID)
	if err != nil {
		return situation{}, fmt.Errorf("reading the active envelopes: %w", err)
	}
	acting, err := pgx.CollectRows(rows, pgx.RowToStructByPos[active])
	if err != nil {
		return situation{}, fmt.Errorf("reading the active envelopes: %w", err)
	}
	return situation{killedAt: killedAt, active: acting}, nil
}

// hold gives the envelope its parameter, in place of its holder.
func hold(ctx context.Context, tx pgx.Tx, env Envelope, applied audit.Record) error {
	const sql = `
		INSERT INTO coordinator_active_envelopes (tenant_id, envelope_id, class, subsystem, parameter, applied_at, applied_by)
		VALUES ($1, $2, $3, $4, $5, $6, $7)
		ON CONFLICT (tenant_id, subsystem, parameter) DO UPDATE SET
		    envelope_id = excluded.envelope_id,
		    class = excluded.class,
		    applied_at = excluded.applied_at,
		    applied_by = excluded.applied_by`
	if _, err := tx.Exec(ctx, sql, env.TenantID, env.ID, env.Class, env.Subsystem, env.Parameter,
		applied.DecisionTimestamp, applied.AuditID); err != nil {
		return fmt.Errorf("holding %s: %w", env.target(), err)
	}
	return nil
}

func release(ctx context.Context, tx pgx.Tx, tenantID, envelopeID string) error {
	const sql = `DELETE FROM coordinator_active_envelopes WHERE tenant_id = $1 AND envelope_id = $2`
	deleted, err := tx.Exec(ctx, sql, tenantID, envelopeID)
	if err != nil {
		return fmt.Errorf("releasing its parameter: %w", err)
	}
	if deleted.RowsAffected() == 0 {
		return ErrNotActive
	}
	return nil
}

func kill(ctx context.Context, tx pgx.Tx, tenantID string, at time.Time) (ended []string, err error) {
	const sql = `UPDATE coordinator_tenants SET killed_at = coalesce(killed_at, $2) WHERE tenant_id = $1`
	if _, err := tx.Exec(ctx, sql, tenantID, at); err != nil {
		return nil, fmt.Errorf("setting the kill switch: %w", err)
	}
	rows, err := tx.Query(ctx, `DELETE FROM coordinator_active_envelopes WHERE tenant_id = $1 RETURNING envelope_id`, tenantID)
	if err != nil {
		return nil, fmt.Errorf("ending the active envelopes: %w", err)
	}
	ended, err = pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("ending the active envelopes: %w", err)
	}
	slices.Sort(ended)
	return ended, nil
}

func reset(ctx context.Context, tx pgx.Tx, tenantID string) error {
	if _, err := tx.Exec(ctx, `UPDATE coordinator_tenants SET killed_at = NULL WHERE tenant_id = $1`, tenantID); err != nil {
		return fmt.Errorf("resetting the kill switch: %w", err)
	}
	return nil
}
