package coordaudit

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/hoc-analytics/coordaudit/audit"
)

// Persist stores one record in a transaction of its own. When it returns nil,
// the record is committed and survives a crash of this process and of the
// server, as far as the server's own settings (fsync, synchronous_commit) let it.
//
// It does not end when ctx is cancelled, but within [Config.Timeout]: a request
// that its client has given up must not lose its audit record. Of ctx only the
// values are used.
//
// A zero AuditID is replaced by a new one, which the receipt holds, also next to
// an error. An error is an *[audit.PersistError], which wraps
// [audit.ErrInvalidRecord], [audit.ErrConflict], [audit.ErrUnavailable],
// [audit.ErrRefused], [audit.ErrOutcomeUnknown] or [audit.ErrClosed].
func (s *Store) Persist(ctx context.Context, rec audit.Record) (audit.Receipt, error) {
	return s.persist(ctx, rec, func(rec *audit.Record) (receipt audit.Receipt, attempts int, err error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.config.Timeout)
		defer cancel()
		attempts, err = s.retry(ctx, func() error {
			receipt, err = s.driver.Persist(ctx, rec)
			return err
		})
		return receipt, attempts, err
	})
}

// PersistTx stores one record inside the caller's transaction: it becomes durable
// when the caller commits, and is gone when the caller rolls back.
//
// It works in a savepoint, so a failed record neither aborts nor commits the
// transaction, which goes on as if PersistTx had not been called. It takes one
// round trip, a second one if the id is taken, and some more the first time that
// a connection is used. Nothing is retried.
//
// It returns when ctx ends or [Config.Timeout] has passed, whichever is first,
// and at most 250 ms later. Errors are those of [Store.Persist] except
// ErrOutcomeUnknown, and also [audit.ErrTxUnusable] and [audit.ErrTxLost].
func (s *Store) PersistTx(ctx context.Context, tx pgx.Tx, rec audit.Record) (audit.Receipt, error) {
	return s.persist(ctx, rec, func(rec *audit.Record) (receipt audit.Receipt, attempts int, err error) {
		ctx, cancel := context.WithTimeout(ctx, s.config.Timeout)
		defer cancel()
		receipt, err = s.driver.PersistTx(ctx, tx, rec)
		return receipt, 1, err
	})
}

// persist is the way of one record through the store: prepared, sent unless this
// is a replay, and settled.
func (s *Store) persist(ctx context.Context, rec audit.Record, send func(*audit.Record) (audit.Receipt, int, error)) (audit.Receipt, error) {
	start := time.Now()
	var receipt audit.Receipt
	attempts := 0
	err := prepare(&rec)
	switch {
	case err != nil:
	case s.replaying:
		receipt.Outcome = audit.Skipped
	default:
		if err = s.calls.begin(); err == nil {
			receipt, attempts, err = send(&rec)
			s.calls.end()
		}
	}
	receipt.AuditID = rec.AuditID
	return receipt, s.settle(ctx, &rec, receipt, settled{err: err, attempts: attempts, duration: time.Since(start)})
}

// prepare checks a record and brings it into the form in which it is stored.
func prepare(rec *audit.Record) error {
	if rec.AuditID == uuid.Nil {
		id, err := uuid.NewV7()
		if err != nil {
			return fmt.Errorf("making an audit id: %w", err)
		}
		rec.AuditID = id
	}
	if err := rec.Validate(); err != nil {
		return err
	}
	*rec = rec.Normalized()
	return nil
}
