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
	"github.com/hoc-analytics/coordaudit/internal/test/baseline"
)

// openDB opens a database/sql pool of the common size that keeps its connections. By
// default it would keep two and open the others again.
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
	read := reading(func(ctx context.Context, sql string, args ...any) (answer, error) {
		return readDB(ctx, db, sql, args...)
	})
	return &contender{
		name:     "database/sql",
		settings: "pgx's stdlib, which prepares and caches statements (its default), with MaxIdleConns = MaxOpenConns. The statements are those of bare pgx, and the five counts run one after the other",
		insert: func(ctx context.Context, rec audit.Record) error {
			return insertDB(ctx, db, &rec)
		},
		insertTx: func(ctx context.Context, rec audit.Record) error {
			tx, err := db.BeginTx(ctx, nil)
			if err != nil {
				return err
			}
			defer func() { _ = tx.Rollback() }() // it does nothing after a commit
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
		page:     read.page,
		timeline: read.timeline,
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
	return db.QueryRowContext(ctx, baseline.Insert, baseline.InsertArgs(rec)...).Scan(&seq, &createdAt)
}

// eachDB calls scan for every row of a query.
func eachDB(ctx context.Context, db *sql.DB, scan func(scanner) error, query string, args ...any) error {
	rows, err := db.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }() // rows.Err reports the failure
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
	return eachDB(ctx, db, func(from scanner) error { return from.Scan(&id, &seq, &createdAt) }, baseline.InsertMany, baseline.InsertManyArgs(recs)...)
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
