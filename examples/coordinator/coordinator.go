package coordinator

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
)

var (
	// ErrInvalidEnvelope means that the request itself is incomplete, so nothing was
	// decided.
	ErrInvalidEnvelope = errors.New("invalid envelope")

	// ErrNotActive means that the envelope to revert is not active.
	ErrNotActive = errors.New("envelope is not active")
)

// Envelope is a request to change one parameter of one subsystem, for one tenant.
type Envelope struct {
	ID        string
	TenantID  string // empty: no tenant
	Class     audit.EnvelopeClass
	Subsystem string
	Parameter string
}

func (e Envelope) target() string { return e.Subsystem + "." + e.Parameter }

// validate checks what no record holds. The store checks the rest.
func (e Envelope) validate() error {
	switch {
	case e.Subsystem == "":
		return fmt.Errorf("%w: its subsystem is empty", ErrInvalidEnvelope)
	case e.Parameter == "":
		return fmt.Errorf("%w: its parameter is empty", ErrInvalidEnvelope)
	}
	return nil
}

// Coordinator decides which envelopes may act. It keeps nothing in memory, so any
// number of coordinators, in any number of processes, can share a database. It is safe
// for concurrent use.
type Coordinator struct {
	pool   *pgxpool.Pool
	store  *coordaudit.Store
	config Config
}

// Config describes one coordinator. The zero value is ready for use.
type Config struct {
	// Instance names this coordinator as the actor of its records. Defaults to the name of
	// the host.
	Instance string

	// Clock tells the time of a decision. Defaults to time.Now.
	Clock func() time.Time
}

func (c Config) withDefaults() Config {
	if c.Instance == "" {
		host, _ := os.Hostname()
		c.Instance = cmp.Or(host, "coordinator")
	}
	if c.Clock == nil {
		c.Clock = time.Now
	}
	return c
}

// New returns a coordinator on the database of [CreateTables]. The store's records go
// into the same database, and it needs no pool of its own here. To re-run old
// decisions, pass store.Replaying() and a database with a copy of the state. The state
// changes as usual, and only the records are skipped.
func New(pool *pgxpool.Pool, store *coordaudit.Store, config Config) *Coordinator {
	return &Coordinator{pool: pool, store: store, config: config.withDefaults()}
}

// Apply decides about an envelope and returns APPLIED or REJECTED. An APPLIED envelope
// may act from now on. The envelope that it displaced is PREEMPTED.
//
// On an error nothing was changed or recorded, except that the outcome of a commit may
// be unknown. In that case, ask again. A rejection is returned even with an error,
// which then means that it is not on record.
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
		round := newRound(c.config) // under the lock, so that a tenant's times follow its order
		records := decide(env, now, round)
		own := records[len(records)-1]
		decision = own.Decision
		if decision == audit.Applied {
			if err := hold(ctx, tx, env, own); err != nil {
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

// persist passes one record to PersistTx and several to PersistManyTx, which takes one
// round trip for all and numbers them in order.
func (c *Coordinator) persist(ctx context.Context, tx pgx.Tx, records []audit.Record) error {
	if len(records) == 1 {
		_, err := c.store.PersistTx(ctx, tx, records[0])
		return err
	}
	_, err := c.store.PersistManyTx(ctx, tx, records)
	return err
}

// Revert ends an envelope and releases its parameter. This leaves no record. See the
// package's documentation. If the envelope is not active, it returns [ErrNotActive].
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

// KillSwitch ends every envelope of a tenant ("" for those without one) and makes
// Apply reject all others until [Coordinator.Reset]. It returns the ids of the
// envelopes that it ended, which leave no record. Once it has returned, no envelope is
// applied any more. A second call keeps the time of the first one.
func (c *Coordinator) KillSwitch(ctx context.Context, tenantID string) (ended []string, err error) {
	err = c.inTx(ctx, func(tx pgx.Tx) error {
		if _, err := lockTenant(ctx, tx, tenantID); err != nil {
			return err
		}
		ended, err = kill(ctx, tx, tenantID, c.config.Clock())
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("switching off tenant %q: %w", tenantID, err)
	}
	return ended, nil
}

// Reset turns the kill switch off. The envelopes that it ended stay ended.
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

// inTx sets READ COMMITTED explicitly. The first statement that runs with the tenant's
// lock must see what its last holder committed, regardless of the server's default.
func (c *Coordinator) inTx(ctx context.Context, do func(pgx.Tx) error) error {
	return pgx.BeginTxFunc(ctx, c.pool, pgx.TxOptions{IsoLevel: pgx.ReadCommitted}, do)
}
