package coordaudit

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/auditdriver"
)

// retry runs attempt until it succeeds, fails for good, or the retries or the
// time are spent, and returns how often it ran.
//
// Doubt is kept: if one attempt's commit may have happened, a later attempt that
// merely could not reach the database does not make it undone.
func (s *Store) retry(ctx context.Context, attempt func() error) (attempts int, err error) {
	inDoubt := false
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
	}
	if inDoubt && !errors.Is(err, audit.ErrOutcomeUnknown) {
		err = fmt.Errorf("%w: an earlier attempt lost its connection, the last one says: %w", audit.ErrOutcomeUnknown, err)
	}
	return attempts, err
}

func retryable(err error) bool {
	failure, ok := errors.AsType[*auditdriver.StatementError](err)
	return ok && failure.Retryable
}

// sleep reports whether it slept to the end, and does not begin what ctx cannot
// let it end.
func sleep(ctx context.Context, d time.Duration) bool {
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) < d {
		return false
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
