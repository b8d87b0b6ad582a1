package coordaudit

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/auditdriver"
)

// settled is how a call ended for one record.
type settled struct {
	err      error
	attempts int
	duration time.Duration
}

// settle ends a record's way: it is counted and told of, once, and its error gets
// its final form.
func (s *Store) settle(ctx context.Context, rec *audit.Record, receipt audit.Receipt, end settled) error {
	s.counts.add(rec.EnvelopeClass, receipt.Outcome)
	return s.tell(ctx, rec, receipt, end)
}

// tell logs and observes a record's end.
func (s *Store) tell(ctx context.Context, rec *audit.Record, receipt audit.Receipt, end settled) error {
	if end.err == nil {
		s.logOutcome(ctx, rec, receipt)
		s.observe(ctx, rec, receipt, end, nil)
		return nil
	}
	err := persistError(rec, end)
	s.logFailure(ctx, rec, err)
	s.observe(ctx, rec, receipt, end, err)
	return err
}

func (s *Store) observe(ctx context.Context, rec *audit.Record, receipt audit.Receipt, end settled, err error) {
	if s.config.Observer == nil {
		return
	}
	s.config.Observer.ObservePersist(ctx, audit.Observation{
		AuditID:       rec.AuditID,
		EnvelopeClass: rec.EnvelopeClass,
		Outcome:       receipt.Outcome,
		Err:           err,
		Attempts:      end.attempts,
		Duration:      end.duration,
	})
}

func persistError(rec *audit.Record, end settled) *audit.PersistError {
	failed := &audit.PersistError{AuditID: rec.AuditID, Attempts: end.attempts, Err: end.err}
	if failure, ok := errors.AsType[*auditdriver.StatementError](end.err); ok {
		failed.SQLState = failure.SQLState
	}
	return failed
}

func (s *Store) logOutcome(ctx context.Context, rec *audit.Record, receipt audit.Receipt) {
	if !s.config.Logger.Enabled(ctx, slog.LevelDebug) {
		return
	}
	if receipt.Outcome == audit.Skipped {
		s.config.Logger.LogAttrs(ctx, slog.LevelDebug, "audit_skipped_replay", identity(rec)...)
		return
	}
	attrs := append(identity(rec), slog.String("outcome", string(receipt.Outcome)))
	if receipt.Seq != 0 { // COPY tells none
		attrs = append(attrs, slog.Int64("seq", receipt.Seq))
	}
	s.config.Logger.LogAttrs(ctx, slog.LevelDebug, "audit_persisted", attrs...)
}

func (s *Store) logFailure(ctx context.Context, rec *audit.Record, err *audit.PersistError) {
	s.config.Logger.LogAttrs(ctx, slog.LevelError, "audit_persistence_failed", append(identity(rec),
		slog.String("sqlstate", err.SQLState),
		slog.Int("attempt", err.Attempts),
		slog.String("error", err.Err.Error()))...)
}

// identity is all of a record that goes into a log.
func identity(rec *audit.Record) []slog.Attr {
	return []slog.Attr{
		slog.String("audit_id", rec.AuditID.String()),
		slog.String("envelope_id", clip(rec.EnvelopeID)),
		slog.String("decision", clip(string(rec.Decision))),
		slog.String("tenant_id", clip(rec.TenantID)),
	}
}

// clip keeps a refused record's megabytes out of the log.
func clip(text string) string {
	const most = 4 * audit.MaxIDCharacters
	if len(text) <= most {
		return text
	}
	return text[:most] + "…"
}
