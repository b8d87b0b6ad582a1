package main

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"

	"github.com/hoc-analytics/coordaudit/audit"
)

// decision is a record as the arguments of a job. River stores them as JSON.
type decision struct {
	Record audit.Record `json:"record"`
}

// Kind returns River's name for this type of job.
func (decision) Kind() string { return "decision" }

func openRiver(ctx context.Context, d dsn) (_ *contender, err error) {
	pool, err := openPool(ctx, d)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			pool.Close()
		}
	}()
	log := slog.New(slog.DiscardHandler)
	migrator, err := rivermigrate.New(riverpgxv5.New(pool), &rivermigrate.Config{Logger: log})
	if err != nil {
		return nil, fmt.Errorf("preparing River's migrations: %w", err)
	}
	if _, err := migrator.Migrate(ctx, rivermigrate.DirectionUp, nil); err != nil {
		return nil, fmt.Errorf("migrating River's tables: %w", err)
	}
	client, err := river.NewClient(riverpgxv5.New(pool), &river.Config{Logger: log})
	if err != nil {
		return nil, fmt.Errorf("opening River: %w", err)
	}
	return &contender{
		name:     "River",
		settings: "Insert, InsertTx and InsertManyFast of an insert-only client on riverpgxv5. The record is the JSON of a job, in a table with other columns and indexes, which starts empty at every size of the other table. It is a baseline, not an alternative",
		insert: func(ctx context.Context, rec audit.Record) error {
			_, err := client.Insert(ctx, decision{rec}, nil)
			return err
		},
		insertTx: func(ctx context.Context, rec audit.Record) error {
			return pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
				_, err := client.InsertTx(ctx, tx, decision{rec}, nil)
				return err
			})
		},
		insertMany: func(ctx context.Context, recs []audit.Record) error {
			params := make([]river.InsertManyParams, len(recs))
			for i := range recs {
				params[i].Args = decision{recs[i]}
			}
			_, err := client.InsertManyFast(ctx, params)
			return err
		},
		close: closing(pool),
	}, nil
}
