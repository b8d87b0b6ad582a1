package main

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit/audit"
)

// bare is the contender that the others are held against.
const bare = "bare pgx"

// contender is a way to write and to read records. What it does not offer, or
// what would say nothing, is nil.
type contender struct {
	name     string
	settings string // what a reader has to know to repeat it

	insert     func(ctx context.Context, rec audit.Record) error    // committed on return
	insertTx   func(ctx context.Context, rec audit.Record) error    // begin, insert, commit
	insertMany func(ctx context.Context, recs []audit.Record) error // idempotent, where the contender can be; committed on return
	get        func(ctx context.Context, id uuid.UUID) (answer, error)
	page       func(ctx context.Context, q pageQuery) (answer, error)
	timeline   func(ctx context.Context, envelopeID string, limit int) (answer, error)
	signals    func(ctx context.Context, since, until time.Time) (answer, error)

	close func(ctx context.Context) error
}

// answer is what was read: enough to see that all contenders read the same.
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

// tenant is whose records are read: a third of all that are seeded.
const tenant = "tenant-acme"

// pageQuery is a page of the tenant's records, newest first.
type pageQuery struct {
	limit int
	skip  int // how many records come before it

	// Where it begins, for those who do not count: beyond the last record before it.
	after  position
	cursor audit.Cursor
}

type position struct {
	decisionTimestamp time.Time
	seq               int64
}

// count is a line of a plain count.
type count struct {
	Name, Other string
	N           int64
}

// dsn is what a contender opens: its own pool, as large as everybody's.
type dsn struct {
	url         string
	connections int
}

// opening sets a contender up on a migrated database.
type opening func(ctx context.Context, d dsn) (*contender, error)

// contenders are all there are, the bare one first.
func contenders() []opening {
	return []opening{
		openPgx, openPgxOffset, openSQL, openGORM, openTunedGORM, openStore, openRecorder, openRiver,
	}
}
