package coordaudit

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/auditdriver"
	"github.com/hoc-analytics/coordaudit/internal/wait"
)

// Persist stores one record in a transaction of its own. When it returns nil, the record
// is committed. It survives a crash of this process, a crash of the server, and a
// failover to the standbys that the server waits for, as far as the server's settings
// (fsync, synchronous_commit) allow. A setting that promises less is logged as
// audit_durability_reduced. A commit that was cancelled while it waited, by the timeout
// or by anyone else, is [audit.ErrOutcomeUnknown].
//
// Persist does not stop when ctx is cancelled: a request that its client has given up
// must not lose its audit record. It uses only the values of ctx. It returns within
// [Config.Timeout] and 250 ms.
//
// A zero AuditID is replaced by a new one. The result holds it, also next to an error.
// An error is an *[audit.PersistError], which wraps [audit.ErrInvalidRecord],
// [audit.ErrConflict], [audit.ErrUnavailable], [audit.ErrRefused],
// [audit.ErrOutcomeUnknown], [audit.ErrNoPool] or [audit.ErrClosed].
func (s *Store) Persist(ctx context.Context, rec audit.Record) (audit.Result, error) {
	return s.persist(ctx, rec, func(rec *audit.Record) (result audit.Result, attempts int, err error) {
		attempts, err = s.own(ctx, func(ctx context.Context) error {
			result, err = s.driver.Persist(ctx, rec)
			return err
		})
		return result, attempts, err
	})
}

// PersistTx stores one record inside the caller's transaction. The record becomes
// durable when the caller commits, and is gone when the caller rolls back.
//
// It works in a savepoint. A record that fails neither aborts nor commits the
// transaction, which goes on as if PersistTx had not been called. The call takes one
// round trip, three if the id is taken, and a few more on the first use of a connection.
// It retries nothing.
//
// It returns when ctx ends or [Config.Timeout] has passed, whichever is first, and at
// most 250 ms later. Errors are those of [Store.Persist] without ErrOutcomeUnknown and
// ErrNoPool, and also [audit.ErrTxUnusable] and [audit.ErrTxLost].
func (s *Store) PersistTx(ctx context.Context, tx pgx.Tx, rec audit.Record) (audit.Result, error) {
	return s.persist(ctx, rec, func(rec *audit.Record) (result audit.Result, attempts int, err error) {
		ctx, cancel := context.WithTimeout(ctx, s.config.Timeout)
		defer cancel()
		result, err = s.driver.PersistTx(ctx, tx, rec)
		return result, 1, err
	})
}

// persist prepares one record, sends it unless this is a replay, and finishes it.
func (s *Store) persist(ctx context.Context, rec audit.Record, send func(*audit.Record) (audit.Result, int, error)) (audit.Result, error) {
	start := time.Now()
	var result audit.Result
	attempts := 0
	err := prepare(&rec)
	switch {
	case err != nil:
	case s.replaying:
		result.Outcome = audit.Skipped
	default:
		err = s.calls.during(func() (err error) {
			result, attempts, err = send(&rec)
			return err
		})
	}
	result.AuditID = rec.AuditID
	return result, s.finish(ctx, &rec, result, finished{err: err, attempts: attempts, duration: time.Since(start)})
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

// own is for a call in a transaction of its own. It outlives ctx, up to [Config.Timeout],
// and retries attempt.
func (s *Store) own(ctx context.Context, attempt func(context.Context) error) (attempts int, err error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.config.Timeout)
	defer cancel()
	return s.retry(ctx, func() error { return attempt(ctx) })
}

// retry calls attempt until it succeeds or fails for good, or until the retries or the
// time run out. It returns the number of attempts.
//
// Doubt stays. If the commit of one attempt may have happened, a later attempt that
// could not reach the database does not undo it.
//
// Batches that hold the same ids in different orders end each other by deadlocks, and
// could do so for long. So of the calls that met a deadlock, one tries again at a time.
func (s *Store) retry(ctx context.Context, attempt func() error) (attempts int, err error) {
	inDoubt, alone := false, false
	for {
		attempts++
		err = attempt()
		if err == nil || errors.Is(err, audit.ErrConflict) {
			return attempts, err
		}
		inDoubt = inDoubt || errors.Is(err, audit.ErrOutcomeUnknown)
		if !retryable(err) || attempts > s.config.Retries || !sleep(ctx, s.config.RetryDelay) {
			break
		}
		if !alone && deadlocked(err) {
			if !s.deadlocked.take(ctx) {
				break
			}
			defer s.deadlocked.leave()
			alone = true
		}
	}
	if inDoubt && !errors.Is(err, audit.ErrOutcomeUnknown) {
		err = fmt.Errorf("%w: the commit of an earlier attempt is in doubt, and the last attempt failed: %w", audit.ErrOutcomeUnknown, err)
	}
	return attempts, err
}

func retryable(err error) bool {
	failure, ok := errors.AsType[*auditdriver.StatementError](err)
	return ok && failure.Retryable
}

func deadlocked(err error) bool {
	failure, ok := errors.AsType[*auditdriver.StatementError](err)
	return ok && failure.Deadlock()
}

// turn is held by one call at a time. A channel, unlike a mutex, can be given up.
type turn chan struct{}

// take waits for the turn, and reports whether it came before ctx ended.
func (t turn) take(ctx context.Context) bool {
	select {
	case t <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

func (t turn) leave() { <-t }

// sleep reports whether it slept for all of d. It does not start if ctx ends before that.
func sleep(ctx context.Context, d time.Duration) bool {
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) < d {
		return false
	}
	return wait.For(ctx, d)
}
