package main

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit/audit"
)

// bare is the contender that the others are compared with.
const bare = "bare pgx"

// contender is one way to write and to read records. A function is nil where the
// contender does not offer it, or where the figure would mean nothing.
type contender struct {
	name     string
	settings string // what a reader needs to repeat the measurement

	insert     func(ctx context.Context, rec audit.Record) error    // committed on return
	insertTx   func(ctx context.Context, rec audit.Record) error    // begin, insert, commit
	insertMany func(ctx context.Context, recs []audit.Record) error // idempotent where the contender supports it; committed on return
	get        func(ctx context.Context, id uuid.UUID) (answer, error)
	page       func(ctx context.Context, q pageQuery) (answer, error)
	timeline   func(ctx context.Context, envelopeID string, limit int) (answer, error)
	signals    func(ctx context.Context, since, until time.Time) (answer, error)

	close func(ctx context.Context) error
}

// answer summarizes what was read, so that a test can see that all contenders read the same.
type answer struct {
	rows int
	last uuid.UUID
}

func answerOf(rows []row) answer {
	if len(rows) == 0 {
		return answer{}
	}
	return answer{rows: len(rows), last: rows[len(rows)-1].AuditID}
}

// tenant owns the records that are read: a third of all seeded records.
const tenant = "tenant-acme"

// pageQuery is a page of the tenant's records, newest first.
type pageQuery struct {
	limit int
	skip  int // the number of records before the page

	// The start of the page for keyset paging: the last record before it.
	after  position
	cursor audit.Cursor
}

type position struct {
	decisionTimestamp time.Time
	seq               int64
}

// count is one row of a plain count.
type count struct {
	Name, Other string
	N           int64
}

// dsn is what a contender opens. Every contender has a pool of its own, all of one size.
type dsn struct {
	url         string
	connections int
}

// opening sets up a contender on a migrated database.
type opening func(ctx context.Context, d dsn) (*contender, error)

// contenders lists all contenders, the bare one first.
func contenders() []opening {
	return []opening{
		openPgx, openPgxOffset, openSQL, openGORM, openTunedGORM, openStore, openRecorder, openRiver,
	}
}
