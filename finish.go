package coordaudit

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/auditdriver"
	"github.com/hoc-analytics/coordaudit/internal/hooks"
)

// finished is how a call ended for one record.
type finished struct {
	err      error
	attempts int
	duration time.Duration
}

// finish counts a record and reports it, once, and returns its error in its final form.
func (s *Store) finish(ctx context.Context, rec *audit.Record, result audit.Result, end finished) error {
	s.counts.add(rec.EnvelopeClass, result.Outcome)
	return s.reportOne(ctx, rec, result, end)
}

// reportOne logs and observes one record's outcome.
func (s *Store) reportOne(ctx context.Context, rec *audit.Record, result audit.Result, end finished) error {
	if end.err != nil || s.config.Observer != nil || !hooks.Drops(ctx, unwrapped(s.config.Logger.Handler()), slog.LevelDebug) {
		s.hooks.Do(func() { s.report(ctx, rec, result, end) })
	}
	return end.final(rec)
}

// final is the error that a caller gets.
func (e finished) final(rec *audit.Record) error {
	if e.err == nil {
		return nil
	}
	return persistError(rec, e)
}

// report calls the log handler and the observer. It runs under the store's guard.
func (s *Store) report(ctx context.Context, rec *audit.Record, result audit.Result, end finished) {
	hooks.Safely(ctx, s.config.Logger, "log", func() {
		if end.err == nil {
			s.logOutcome(ctx, rec, result)
		} else {
			s.logFailure(ctx, rec, persistError(rec, end))
		}
	})
	hooks.Safely(ctx, s.config.Logger, "observe", func() { s.observe(ctx, rec, result, end, end.final(rec)) })
}

func (s *Store) observe(ctx context.Context, rec *audit.Record, result audit.Result, end finished, err error) {
	if s.config.Observer == nil {
		return
	}
	s.config.Observer.ObservePersist(ctx, audit.Observation{
		AuditID:       rec.AuditID,
		EnvelopeClass: rec.EnvelopeClass,
		Outcome:       result.Outcome,
		Err:           err,
		Attempts:      end.attempts,
		Duration:      end.duration,
	})
}

func persistError(rec *audit.Record, end finished) *audit.PersistError {
	failed := &audit.PersistError{AuditID: rec.AuditID, Attempts: end.attempts, Err: end.err}
	if failure, ok := errors.AsType[*auditdriver.StatementError](end.err); ok {
		failed.SQLState = failure.SQLState
	}
	return failed
}
