package recorder

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/auditdriver"
)

// sender sends batches for one goroutine, and fits their size to what the
// database takes within an attempt's time.
type sender struct {
	*Recorder
	fromDeadLetters bool
	limit           int // of the next batch

	// refusedAt is health.storedBatches at the last batch that was refused without a
	// proof of whose fault it was, or none.
	refusedAt int64
}

const none = -1

func (r *Recorder) newSender(fromDeadLetters bool) *sender {
	return &sender{Recorder: r, fromDeadLetters: fromDeadLetters, limit: r.config.MaxBatch, refusedAt: none}
}

// verdict is what the database said of one record; the zero value: nothing yet.
type verdict struct {
	receipt audit.Receipt
	refused error
}

func (v *verdict) open() bool { return v.receipt.Outcome == "" && v.refused == nil }

// send stores what the database takes of a batch. Next to an error some verdicts
// are open: those records may be sent again.
func (s *sender) send(ctx context.Context, recs []audit.Record) ([]verdict, error) {
	b := bisection{sender: s, verdicts: make([]verdict, len(recs)), storedBefore: s.health.storedBatches()}
	err := b.send(ctx, recs, 0)
	if err == nil {
		err = b.judge()
	}
	switch {
	case err == nil:
		s.limit = min(s.config.MaxBatch, 2*s.limit)
		s.refusedAt = none
		return b.verdicts, nil
	case ctx.Err() != nil: // the recorder is being closed: that says nothing of the database
		return b.verdicts, err
	case errors.Is(err, audit.ErrRefused):
		s.refusedAt = s.health.storedBatches()
	case errors.Is(err, context.DeadlineExceeded):
		s.limit = max(1, len(recs)/2)
	}
	s.retries.Add(1)
	s.noteFailure(ctx, err)
	return b.verdicts, err
}

// noteFailure tells once that the database counts as away.
func (r *Recorder) noteFailure(ctx context.Context, err error) {
	if r.health.failed() {
		r.log.LogAttrs(ctx, slog.LevelWarn, "audit_database_away", slog.String("error", err.Error()))
	}
}

// attempt sends a batch once. Its results are those of records that the database
// judged one by one.
func (s *sender) attempt(ctx context.Context, recs []audit.Record) ([]auditdriver.Result, error) {
	attemptCtx, cancel := context.WithTimeout(ctx, s.config.AttemptTimeout)
	defer cancel()
	start := time.Now()
	results, err := s.persist(attemptCtx, recs)
	took := time.Since(start)
	if err == nil {
		if s.health.succeeded() {
			s.log.LogAttrs(ctx, slog.LevelInfo, "audit_database_back")
		}
		s.batchedRecords.Add(int64(len(recs)))
		s.flushNanos.Add(int64(took))
	}
	s.hooks.flushed(ctx, audit.Flush{Records: len(recs), FromDeadLetters: s.fromDeadLetters, Duration: took, Err: err})
	return results, err
}

// persist sends a lone record by the statement for one, which is the faster one.
func (s *sender) persist(ctx context.Context, recs []audit.Record) ([]auditdriver.Result, error) {
	if len(recs) > 1 {
		return s.database.PersistMany(ctx, recs)
	}
	receipt, err := s.database.Persist(ctx, &recs[0])
	if errors.Is(err, audit.ErrConflict) {
		return []auditdriver.Result{{Err: err}}, nil
	}
	return []auditdriver.Result{{Receipt: receipt}}, err
}
