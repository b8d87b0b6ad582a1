package frame

import (
	"regexp"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
)

// Stopped is the error of a call that commits by itself and whose statement was stopped before
// it stored anything. On a cluster the worker may have committed, so no one can tell.
func (db Database) Stopped() error {
	if db.Distributed {
		return audit.ErrOutcomeUnknown
	}
	return audit.ErrUnavailable
}

// Answered is the error of a call that commits by itself and ends in an SQLSTATE of those that
// go away. A coordinator passes on what its worker says, and says of a worker that it lost, or
// that was stopped, the same as a server says of itself.
func (db Database) Answered(sqlState string) error {
	if strings.HasPrefix(sqlState, "08") || strings.HasPrefix(sqlState, "57") {
		return db.Stopped()
	}
	return audit.ErrUnavailable
}

// Constraint is the name of the constraint that refused a row. Of a row on a worker only the
// message names it.
func (db Database) Constraint(refusal *pgconn.PgError) string {
	if !db.Distributed || refusal.ConstraintName != "" {
		return refusal.ConstraintName
	}
	named := regexp.MustCompile(`constraint "(.*?)(_\d+)?"$`).FindStringSubmatch(refusal.Message)
	if named == nil {
		return ""
	}
	return named[1]
}

// WithoutShards takes the numbers of shards off the names of tables and constraints in a text of
// the server.
func (db Database) WithoutShards(text string) string {
	if !db.Distributed {
		return text
	}
	return regexp.MustCompile(`_10\d{4}\b`).ReplaceAllString(text, "")
}

// OnWorkers runs a statement on each worker of a cluster as well, for what Citus keeps on the
// coordinator and a trigger needs where the rows are.
func OnWorkers(t *testing.T, db Database, sql string) {
	t.Helper()
	if db.Distributed {
		fixture.MustExec(t, db.Pool, "SELECT run_command_on_workers($1)", sql)
	}
}

// Patience is a time for one statement that is short and passes where nothing holds it up. A
// batch on a cluster is a commit on each shard.
func (db Database) Patience(milliseconds int) int {
	if db.Distributed {
		return 10 * milliseconds
	}
	return milliseconds
}
