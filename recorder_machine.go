package coordaudit

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/auditdriver"
	"github.com/hoc-analytics/coordaudit/internal/deadletter"
)

// gated is the driver under the store's Close: what is under way is waited for,
// and nothing begins after it.
type gated struct{ *core }

func (g gated) Persist(ctx context.Context, rec *audit.Record) (receipt audit.Receipt, err error) {
	err = g.call(func() error {
		receipt, err = g.driver.Persist(ctx, rec)
		return err
	})
	return receipt, err
}

func (g gated) PersistMany(ctx context.Context, recs []audit.Record) (results []auditdriver.Result, err error) {
	err = g.call(func() error {
		results, err = g.driver.PersistMany(ctx, recs)
		return err
	})
	return results, err
}

func (g gated) PersistGap(ctx context.Context, gap *audit.Gap) error {
	return g.call(func() error { return g.driver.PersistGap(ctx, gap) })
}

func (g gated) call(work func() error) error {
	if err := g.calls.begin(); err != nil {
		return err
	}
	defer g.calls.end()
	return work()
}

// teller tells of a Recorder's records what a store tells of its own.
type teller struct{ *Store }

// Settled implements recorder.Teller.
func (t teller) Settled(ctx context.Context, rec *audit.Record, receipt audit.Receipt, err error, waited time.Duration) {
	end := settled{err: err, attempts: 1, duration: waited}
	if errors.Is(err, audit.ErrDropped) {
		end.attempts = 0
		t.observe(ctx, rec, receipt, end, persistError(rec, end)) // logged once, with its gap
		return
	}
	_ = t.tell(ctx, rec, receipt, end)
}

// Flushed implements recorder.Teller.
func (t teller) Flushed(ctx context.Context, flush audit.Flush) {
	if observer, ok := t.config.Observer.(audit.RecorderObserver); ok {
		observer.ObserveFlush(ctx, flush)
	}
}

// logFound tells what an earlier recorder has left behind.
func (s *Store) logFound(found deadletter.Found) {
	ctx, log := context.Background(), s.config.Logger
	var records int64
	for _, n := range found.Records {
		records += n
	}
	if records > 0 || len(found.Gaps) > 0 {
		log.LogAttrs(ctx, slog.LevelInfo, "audit_dead_letters_found", slog.Int64("records", records), slog.Int("gaps", len(found.Gaps)))
	}
	for _, torn := range found.Torn {
		log.LogAttrs(ctx, slog.LevelWarn, "audit_dead_letter_torn", slog.String("kept_as", torn.Path), slog.Int64("bytes", torn.Bytes))
	}
	for _, err := range found.Unreadable {
		log.LogAttrs(ctx, slog.LevelError, "audit_dead_letters_unreadable", slog.String("error", err.Error()))
	}
}
