package coordaudit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/auditdriver"
	"github.com/hoc-analytics/coordaudit/internal/completeness"
	"github.com/hoc-analytics/coordaudit/internal/hooks"
	"github.com/hoc-analytics/coordaudit/internal/recorder"
	"github.com/hoc-analytics/coordaudit/internal/recorder/spool"
)

// keeper stores the records, or keeps them in the spool. The machine behind it does the work.
type keeper struct {
	machine     *recorder.Recorder
	waitTimeout time.Duration
	failovers   func() int64
}

func (s *Store) startKeeper(config RecorderConfig) (*keeper, error) {
	if !s.driver.HasPool() {
		return nil, fmt.Errorf("starting a recorder: %w", audit.ErrNoPool)
	}
	dir, found, err := spool.Open(spool.Config{
		Path:         config.SpoolDir,
		SegmentBytes: config.SegmentBytes,
		MaxBytes:     config.MaxSpoolBytes,
	})
	if err != nil {
		return nil, fmt.Errorf("starting a recorder: %w", err)
	}
	s.logFound(found)
	source, err := uuid.NewV7()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("starting a recorder: making a source's id: %w", err), dir.Close())
	}
	machine := recorder.Start(recorder.Config{
		MaxRecords:     config.MaxQueuedRecords,
		MaxBytes:       config.MaxQueuedBytes,
		MaxBatch:       config.MaxBatch,
		AttemptTimeout: s.config.Timeout,
		RetryBudget:    config.RetryBudget,
		FirstDelay:     s.config.RetryDelay,
		MaxDelay:       config.MaxRetryDelay,
		Source:         source,
		Label:          sourceLabel(),
		Now:            config.now,
		Logger:         s.config.Logger,
		Hooks:          &s.hooks,
	}, tracked{driver: s.core.driver, calls: &s.calls}, dir, found, reporter{s})
	return &keeper{machine: machine, waitTimeout: config.WaitTimeout, failovers: s.Failovers}, nil
}

func (k *keeper) record(ctx context.Context, rec *audit.Record) (audit.Result, error) {
	ctx, cancel := context.WithTimeout(ctx, k.waitTimeout)
	defer cancel()
	return k.machine.Record(ctx, rec)
}

func (k *keeper) enqueue(ctx context.Context, rec *audit.Record) error {
	return k.machine.Enqueue(ctx, rec)
}

func (k *keeper) flush(ctx context.Context) error { return k.machine.Flush(ctx) }
func (k *keeper) close(ctx context.Context) error { return k.machine.Close(ctx) }

func (k *keeper) stats() audit.RecorderStats {
	stats := k.machine.Stats()
	stats.Failovers = k.failovers()
	return stats
}

// tracked is the driver for calls that the store's Close waits for. None begins after it.
type tracked struct {
	driver *auditdriver.Driver
	calls  *calls
}

func (t tracked) PersistItem(ctx context.Context, rec *audit.Record) (item auditdriver.Item, err error) {
	err = t.calls.during(func() error {
		item, err = t.driver.PersistItem(ctx, rec)
		return err
	})
	return item, err
}

func (t tracked) PersistMany(ctx context.Context, recs []audit.Record) (items []auditdriver.Item, err error) {
	err = t.calls.during(func() error {
		items, err = t.driver.PersistMany(ctx, recs)
		return err
	})
	return items, err
}

func (t tracked) DryRun(ctx context.Context, recs []audit.Record) (items []auditdriver.Item, err error) {
	err = t.calls.during(func() error {
		items, err = t.driver.DryRun(ctx, recs)
		return err
	})
	return items, err
}

func (t tracked) PersistStatement(ctx context.Context, s *completeness.Statement) error {
	return t.calls.during(func() error { return t.driver.PersistStatement(ctx, s) })
}

func (t tracked) LatestStatement(ctx context.Context, source uuid.UUID) (s completeness.Statement, found bool, err error) {
	err = t.calls.during(func() error {
		s, found, err = t.driver.LatestStatement(ctx, source)
		return err
	})
	return s, found, err
}

func (t tracked) PersistGap(ctx context.Context, gap *audit.Gap) error {
	return t.calls.during(func() error { return t.driver.PersistGap(ctx, gap) })
}

// reporter logs and observes a Recorder's records as the store does its own.
type reporter struct{ store *Store }

// Finished implements recorder.Reporter.
func (r reporter) Finished(ctx context.Context, rec *audit.Record, result audit.Result, err error, waited time.Duration) {
	end := finished{err: err, attempts: 1, duration: waited}
	if errors.Is(err, audit.ErrDropped) {
		end.attempts = 0
		r.store.observe(ctx, rec, result, end, persistError(rec, end)) // logged once, with its gap
		return
	}
	r.store.report(ctx, rec, result, end)
}

// Flushed implements recorder.Reporter.
func (r reporter) Flushed(ctx context.Context, flush audit.Flush) {
	if observer, ok := r.store.config.Observer.(audit.RecorderObserver); ok {
		observer.ObserveFlush(ctx, flush)
	}
}

// logFound logs what an earlier recorder has left behind.
func (s *Store) logFound(found spool.Found) {
	ctx, log := context.Background(), hooks.NewLogger(s.config.Logger, &s.hooks)
	var records int64
	for _, n := range found.Records {
		records += n
	}
	if records > 0 || len(found.Gaps) > 0 {
		log.LogAttrs(ctx, slog.LevelInfo, "audit_spool_found", slog.Int64("records", records), slog.Int("gaps", len(found.Gaps)))
	}
	for _, torn := range found.Torn {
		log.LogAttrs(ctx, slog.LevelWarn, "audit_spool_torn", slog.String("kept_as", torn.Path), slog.Int64("bytes", torn.Bytes))
	}
	if len(found.Foreign) > 0 {
		log.LogAttrs(ctx, slog.LevelWarn, "audit_spool_foreign", slog.Int("files", len(found.Foreign)), slog.String("first", found.Foreign[0]))
	}
	for _, err := range found.Unreadable {
		log.LogAttrs(ctx, slog.LevelError, "audit_spool_unreadable", slog.String("error", err.Error()))
	}
}
