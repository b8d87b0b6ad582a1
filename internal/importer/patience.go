package importer

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/format"
	"github.com/hoc-analytics/coordaudit/internal/wait"
)

func away(err error) bool {
	return errors.Is(err, audit.ErrUnavailable) || errors.Is(err, audit.ErrOutcomeUnknown)
}

// reach waits for the first answer of the database, but not longer than the patience,
// even if the database says nothing at all.
func (f *fileImport) reach(ctx context.Context, line int64) error {
	if f.all.reached {
		return nil
	}
	giveUp := time.Now().Add(max(f.all.config.Patience, shortestPatience))
	err := f.probe(ctx, giveUp)
	if ctx.Err() != nil {
		return nil //nolint:nilerr // what was read before the signal is still stored
	}
	if err != nil {
		f.sayAway(line, err)
		err = f.await(ctx, giveUp, err)
	}
	f.all.reached = err == nil
	return err
}

// patiently tries until the database answers or the patience is over. The patience begins
// with the first try that fails.
func (f *fileImport) patiently(ctx context.Context, line int64, try func() error) error {
	var giveUp time.Time
	for {
		err := try()
		if err == nil || !away(err) {
			return err
		}
		if giveUp.IsZero() {
			giveUp = time.Now().Add(f.all.config.Patience)
			f.sayAway(line, err)
		} else if !time.Now().Before(giveUp) {
			return err
		}
		if err := f.await(ctx, giveUp, err); err != nil {
			return err
		}
	}
}

// await asks until the database answers. err is its last error. The last attempt comes
// when the patience ends.
func (f *fileImport) await(ctx context.Context, giveUp time.Time, err error) error {
	for delay := 100 * time.Millisecond; ; delay = min(2*delay, 5*time.Second) {
		rest := time.Until(giveUp)
		if rest <= 0 || !wait.For(ctx, min(delay, rest)) {
			return err
		}
		if err = f.probe(ctx, giveUp); err == nil {
			return nil
		}
	}
}

// probe asks the database for a record that does not exist. A refusal is an answer.
func (f *fileImport) probe(ctx context.Context, giveUp time.Time) error {
	if soonest := time.Now().Add(lastProbe); giveUp.Before(soonest) {
		giveUp = soonest
	}
	ctx, cancel := context.WithDeadline(ctx, giveUp)
	defer cancel()
	_, err := f.all.config.Store.Get(ctx, audit.AllTenants(), uuid.Max)
	if !errors.Is(err, audit.ErrUnavailable) {
		return nil
	}
	return format.Cause(err)
}
