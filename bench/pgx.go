package main

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/test/baseline"
)

func openPool(ctx context.Context, d dsn) (*pgxpool.Pool, error) {
	config, err := pgxpool.ParseConfig(d.url)
	if err != nil {
		return nil, fmt.Errorf("reading the pool's configuration: %w", err)
	}
	config.MaxConns = int32(d.connections)
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("opening a pool: %w", err)
	}
	return pool, nil
}

// closing closes a pool when the contender is closed.
func closing(pool *pgxpool.Pool) func(context.Context) error {
	return func(context.Context) error { pool.Close(); return nil }
}

func openPgx(ctx context.Context, d dsn) (*contender, error) {
	pool, err := openPool(ctx, d)
	if err != nil {
		return nil, err
	}
	read := reading(func(ctx context.Context, sql string, args ...any) (answer, error) {
		return readPgx(ctx, pool, sql, args...)
	})
	return &contender{
		name:     bare,
		settings: "pgxpool, with prepared and cached statements (its default). Batches are one INSERT … SELECT unnest(…), a transaction has no savepoint, and signals are five plain counts in one batch",
		insert: func(ctx context.Context, rec audit.Record) error {
			return baseline.InsertOne(ctx, pool, &rec)
		},
		insertTx: func(ctx context.Context, rec audit.Record) error {
			return pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error { return baseline.InsertOne(ctx, tx, &rec) })
		},
		insertMany: func(ctx context.Context, recs []audit.Record) error { return baseline.InsertAll(ctx, pool, recs) },
		get: func(ctx context.Context, id uuid.UUID) (answer, error) {
			r, err := scanRow(pool.QueryRow(ctx, getSQL, id))
			return answer{rows: 1, last: r.AuditID}, err
		},
		page:     read.page,
		timeline: read.timeline,
		signals: func(ctx context.Context, since, until time.Time) (answer, error) {
			return signalsPgx(ctx, pool, since, until)
		},
		close: closing(pool),
	}, nil
}

// openPgxOffset pages by counting the records before the page, as a first version often does.
func openPgxOffset(ctx context.Context, d dsn) (*contender, error) {
	pool, err := openPool(ctx, d)
	if err != nil {
		return nil, err
	}
	return &contender{
		name:     bare + ", OFFSET",
		settings: "as " + bare + ", but pages use LIMIT and OFFSET instead of a keyset. Nothing else is measured",
		page: func(ctx context.Context, q pageQuery) (answer, error) {
			if q.skip == 0 {
				return readPgx(ctx, pool, firstPageSQL, tenant, q.limit)
			}
			return readPgx(ctx, pool, pageOffsetSQL, tenant, q.limit, q.skip)
		},
		close: closing(pool),
	}, nil
}

func readPgx(ctx context.Context, pool *pgxpool.Pool, sql string, args ...any) (answer, error) {
	rows, err := pool.Query(ctx, sql, args...)
	if err != nil {
		return answer{}, err
	}
	found, err := pgx.CollectRows(rows, func(from pgx.CollectableRow) (row, error) { return scanRow(from) })
	return answerOf(found), err
}

func signalsPgx(ctx context.Context, pool *pgxpool.Pool, since, until time.Time) (found answer, err error) {
	var batch pgx.Batch
	for _, sql := range signalsSQL("$1", "$2", "$3") {
		batch.Queue(sql, tenant, since, until).Query(func(rows pgx.Rows) error {
			counts, err := pgx.CollectRows(rows, pgx.RowToStructByPos[count])
			found.rows += len(counts)
			return err
		})
	}
	err = pool.SendBatch(ctx, &batch).Close()
	return found, err
}
