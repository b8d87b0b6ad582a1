package coordinator

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
)

var (
	// ErrInvalidEnvelope says that the request itself is incomplete, so nothing was decided.
	ErrInvalidEnvelope = errors.New("invalid envelope")

	// ErrNotActive says that the envelope to revert does not act.
	ErrNotActive = errors.New("envelope is not active")
)

// Envelope asks to steer one parameter of one subsystem, for one tenant.
type Envelope struct {
	ID        string
	TenantID  string // empty: no tenant
	Class     audit.EnvelopeClass
	Subsystem string
	Parameter string
}

func (e Envelope) target() string { return e.Subsystem + "." + e.Parameter }

// validate checks what no record holds; the rest is the store's to refuse.
func (e Envelope) validate() error {
	switch {
	case e.Subsystem == "":
		return fmt.Errorf("%w: its subsystem is empty", ErrInvalidEnvelope)
	case e.Parameter == "":
		return fmt.Errorf("%w: its parameter is empty", ErrInvalidEnvelope)
	}
	return nil
}

// Coordinator decides which envelopes may act. It keeps nothing in memory, so
// any number of them, in any number of processes, may share a database. It is
// safe for concurrent use.
type Coordinator struct {
	pool  *pgxpool.Pool
	store *coordaudit.Store
	clock func() time.Time
}

// New returns a coordinator on the database of [CreateTables]. The store's
// records go into the same database; it needs no pool of its own here. To re-run
// old decisions, pass store.Replaying() and a database with a copy of the state:
// the state changes as ever, only the records are skipped. A nil clock is time.Now.
func New(pool *pgxpool.Pool, store *coordaudit.Store, clock func() time.Time) *Coordinator {
	if clock == nil {
		clock = time.Now
	}
	return &Coordinator{pool: pool, store: store, clock: clock}
}

// Apply decides about an envelope and returns APPLIED or REJECTED. An APPLIED
// envelope may act from now on; the one that it displaced is PREEMPTED.
//
// On an error nothing was changed or recorded, except that the outcome of a
// commit may be unknown: then ask again. A rejection is returned even next to an
// error, which then says that it is not on record.
func (c *Coordinator) Apply(ctx context.Context, env Envelope) (audit.Decision, error) {
	decision, err := c.apply(ctx, env)
	if err != nil {
		return decision, fmt.Errorf("applying envelope %s: %w", env.ID, err)
	}
	return decision, nil
}

func (c *Coordinator) apply(ctx context.Context, env Envelope) (audit.Decision, error) {
	if err := env.validate(); err != nil {
		return "", err
	}
	var decision audit.Decision
	err := c.inTx(ctx, func(tx pgx.Tx) error {
		now, err := readSituation(ctx, tx, env.TenantID)
		if err != nil {
			return err
		}
		at := c.clock() // under the lock, so that a tenant's times follow its order
		records := decide(env, now, at)
		decision = records[len(records)-1].Decision
		if decision == audit.Applied {
			if err := hold(ctx, tx, env, at); err != nil {
				return err
			}
		}
		return c.persist(ctx, tx, records)
	})
	if err != nil && decision != audit.Rejected {
		return "", err
	}
	return decision, err
}

// persist hands one record to PersistTx and several to PersistManyTx, which
// takes one round trip for all and numbers them in their order.
func (c *Coordinator) persist(ctx context.Context, tx pgx.Tx, records []audit.Record) error {
	if len(records) == 1 {
		_, err := c.store.PersistTx(ctx, tx, records[0])
		return err
	}
	_, err := c.store.PersistManyTx(ctx, tx, records)
	return err
}

// Revert ends an envelope and frees its parameter. It is not on record; see the
// package's documentation. An envelope that does not act is [ErrNotActive].
func (c *Coordinator) Revert(ctx context.Context, tenantID, envelopeID string) error {
	err := c.inTx(ctx, func(tx pgx.Tx) error {
		if _, err := lockTenant(ctx, tx, tenantID); err != nil {
			return err
		}
		return release(ctx, tx, tenantID, envelopeID)
	})
	if err != nil {
		return fmt.Errorf("reverting envelope %s: %w", envelopeID, err)
	}
	return nil
}

// KillSwitch ends every envelope of a tenant ("" for those with none) and makes
// Apply reject all others until [Coordinator.Reset]. It returns the ids of the
// envelopes that it ended; they are not on record. Once it has returned, none is
// applied any more. A second kill keeps the first one's time.
func (c *Coordinator) KillSwitch(ctx context.Context, tenantID string) (ended []string, err error) {
	err = c.inTx(ctx, func(tx pgx.Tx) error {
		if _, err := lockTenant(ctx, tx, tenantID); err != nil {
			return err
		}
		ended, err = kill(ctx, tx, tenantID, c.clock())
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("switching off tenant %q: %w", tenantID, err)
	}
	return ended, nil
}

// Reset takes the kill switch back. The envelopes that it ended stay ended.
func (c *Coordinator) Reset(ctx context.Context, tenantID string) error {
	err := c.inTx(ctx, func(tx pgx.Tx) error {
		if _, err := lockTenant(ctx, tx, tenantID); err != nil {
			return err
		}
		return reset(ctx, tx, tenantID)
	})
	if err != nil {
		return fmt.Errorf("switching on tenant %q: %w", tenantID, err)
	}
	return nil
}

// inTx says READ COMMITTED aloud: once the tenant's lock is had, the next
// statement must see what its last holder committed, whatever the server's default.
func (c *Coordinator) inTx(ctx context.Context, do func(pgx.Tx) error) error {
	return pgx.BeginTxFunc(ctx, c.pool, pgx.TxOptions{IsoLevel: pgx.ReadCommitted}, do)
}
