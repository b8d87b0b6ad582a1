package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
)

// The contenders of coordaudit. Persist, PersistTx, PersistMany and the reading calls are
// one, Record is another.
const (
	ours       = "coordaudit"
	oursRecord = "coordaudit Record"
)

// config logs nothing. Its long timeout keeps a stall of the machine from ending the
// run, and does not change how long a call takes.
func config() coordaudit.Config {
	return coordaudit.Config{Logger: slog.New(slog.DiscardHandler), Timeout: time.Minute}
}

func openStore(ctx context.Context, d dsn) (*contender, error) {
	pool, err := openPool(ctx, d)
	if err != nil {
		return nil, err
	}
	store := coordaudit.New(pool, config())
	return &contender{
		name:     ours,
		settings: "Persist, PersistTx (with its savepoint), PersistMany, Get, List, Timeline and Signals, with the defaults, except for a Timeout of one minute and a logger that discards",
		insert: func(ctx context.Context, rec audit.Record) error {
			_, err := store.Persist(ctx, rec)
			return err
		},
		insertTx: func(ctx context.Context, rec audit.Record) error {
			return pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
				_, err := store.PersistTx(ctx, tx, rec)
				return err
			})
		},
		insertMany: func(ctx context.Context, recs []audit.Record) error {
			_, err := store.PersistMany(ctx, recs)
			return err
		},
		get: func(ctx context.Context, id uuid.UUID) (answer, error) {
			rec, err := store.Get(ctx, audit.AllTenants(), id)
			return answer{rows: 1, last: rec.AuditID}, err
		},
		page: func(ctx context.Context, q pageQuery) (answer, error) {
			page, err := store.List(ctx, audit.Query{Scope: audit.Tenant(tenant), Limit: q.limit, After: q.cursor})
			if err != nil || len(page.Records) == 0 {
				return answer{}, err
			}
			return answer{rows: len(page.Records), last: page.Records[len(page.Records)-1].AuditID}, nil
		},
		timeline: func(ctx context.Context, envelopeID string, limit int) (answer, error) {
			timeline, err := store.Timeline(ctx, audit.TimelineQuery{Scope: audit.Tenant(tenant), EnvelopeID: envelopeID, Limit: limit})
			if err != nil || len(timeline.Entries) == 0 {
				return answer{}, err
			}
			return answer{rows: len(timeline.Entries), last: timeline.Entries[len(timeline.Entries)-1].AuditID}, nil
		},
		signals: func(ctx context.Context, since, until time.Time) (answer, error) {
			signals, err := store.Signals(ctx, audit.SignalQuery{Scope: audit.Tenant(tenant), Window: audit.Window{Since: since, Until: until}})
			return answer{rows: len(signals.RejectionRates) + len(signals.Oscillations) + len(signals.Friction) +
				len(signals.RepeatedRejections) + len(signals.RepeatedParameterRejections)}, err
		},
		close: func(context.Context) error { store.Close(); pool.Close(); return nil },
	}, nil
}

func openRecorder(ctx context.Context, d dsn) (*contender, error) {
	pool, err := openPool(ctx, d)
	if err != nil {
		return nil, err
	}
	store := coordaudit.New(pool, config())
	end := func() { store.Close(); pool.Close() }
	dir, err := os.MkdirTemp("", "coordaudit-bench-")
	if err != nil {
		end()
		return nil, fmt.Errorf("making a spool: %w", err)
	}
	recorder, err := store.NewRecorder(coordaudit.RecorderConfig{SpoolDir: dir}) //nolint:contextcheck // it takes no context, since it outlives the call
	if err != nil {
		end()
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return &contender{
		name:     oursRecord,
		settings: "Record, which waits for the commit of its batch, with the defaults: one flusher, so one connection, and batches of up to 1,000",
		insert: func(ctx context.Context, rec audit.Record) error {
			_, err := recorder.Record(ctx, rec)
			return err
		},
		close: func(ctx context.Context) error {
			err := recorder.Close(ctx)
			end()
			return errors.Join(err, os.RemoveAll(dir))
		},
	}, nil
}
