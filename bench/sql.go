package main

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/yardstick"
)

// openDB is a pool of database/sql as large as everybody's, that keeps its
// connections: by default it would keep two, and open the others anew.
func openDB(d dsn) (*sql.DB, error) {
	config, err := pgx.ParseConfig(d.url)
	if err != nil {
		return nil, fmt.Errorf("reading the connection's configuration: %w", err)
	}
	db := stdlib.OpenDB(*config)
	db.SetMaxOpenConns(d.connections)
	db.SetMaxIdleConns(d.connections)
	return db, nil
}

func openSQL(_ context.Context, d dsn) (*contender, error) {
	db, err := openDB(d)
	if err != nil {
		return nil, err
	}
	return &contender{
		name:     "database/sql",
		settings: "pgx's stdlib, which prepares and caches statements by itself (its default); MaxIdleConns = MaxOpenConns; the statements of bare pgx, the five counts one after the other",
		insert: func(ctx context.Context, rec audit.Record) error {
			return insertDB(ctx, db, &rec)
		},
		insertTx: func(ctx context.Context, rec audit.Record) error {
			tx, err := db.BeginTx(ctx, nil)
			if err != nil {
				return err
			}
			defer func() { _ = tx.Rollback() }() // after a commit it does nothing
			if err := insertDB(ctx, tx, &rec); err != nil {
				return err
			}
			return tx.Commit()
		},
		insertMany: func(ctx context.Context, recs []audit.Record) error { return insertManyDB(ctx, db, recs) },
		get: func(ctx context.Context, id uuid.UUID) (answer, error) {
			r, err := scanRow(db.QueryRowContext(ctx, getSQL, id))
			return answer{rows: 1, last: r.AuditID}, err
		},
		page: func(ctx context.Context, q pageQuery) (answer, error) {
			if q.skip == 0 {
				return readDB(ctx, db, firstPageSQL, tenant, q.limit)
			}
			return readDB(ctx, db, pageAfterSQL, tenant, q.limit, q.after.decisionTimestamp, q.after.seq)
		},
		timeline: func(ctx context.Context, envelopeID string, limit int) (answer, error) {
			return readDB(ctx, db, timelineSQL, tenant, envelopeID, limit)
		},
		signals: func(ctx context.Context, since, until time.Time) (answer, error) {
			return signalsDB(ctx, db, since, until)
		},
		close: func(context.Context) error { return db.Close() },
	}, nil
}

// rowQuerier is a sql.DB or a sql.Tx.
type rowQuerier interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

func insertDB(ctx context.Context, db rowQuerier, rec *audit.Record) error {
	var seq int64
	var createdAt time.Time
	return db.QueryRowContext(ctx, yardstick.Insert, yardstick.InsertArgs(rec)...).Scan(&seq, &createdAt)
}

// eachDB gives every row of a query to scan.
func eachDB(ctx context.Context, db *sql.DB, scan func(scanner) error, query string, args ...any) error {
	rows, err := db.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }() // rows.Err says what went wrong
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

func insertManyDB(ctx context.Context, db *sql.DB, recs []audit.Record) error {
	var id uuid.UUID
	var seq int64
	var createdAt time.Time
	return eachDB(ctx, db, func(from scanner) error { return from.Scan(&id, &seq, &createdAt) }, yardstick.InsertMany, yardstick.InsertManyArgs(recs)...)
}

func readDB(ctx context.Context, db *sql.DB, query string, args ...any) (answer, error) {
	var found []row
	err := eachDB(ctx, db, func(from scanner) error {
		r, err := scanRow(from)
		found = append(found, r)
		return err
	}, query, args...)
	return answerOf(found), err
}

func signalsDB(ctx context.Context, db *sql.DB, since, until time.Time) (answer, error) {
	var found []count
	for _, query := range signalsSQL("$1", "$2", "$3") {
		err := eachDB(ctx, db, func(from scanner) error {
			var line count
			err := from.Scan(&line.Name, &line.Other, &line.N)
			found = append(found, line)
			return err
		}, query, tenant, since, until)
		if err != nil {
			return answer{}, err
		}
	}
	return answer{rows: len(found)}, nil
}
