package audittest

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/multitracer"
	"github.com/jackc/pgx/v5/pgxpool"
)

// AuditInsert is a [Fault.Statement] that every persisting call meets: Persist and
// PersistMany, and their Tx forms.
const AuditInsert = "INSERT INTO coordination_audit_records"

// ErrNotSent is what a statement fails with under [NotSent].
var ErrNotSent = errors.New("audittest: not sent")

// Kind is what happens to a statement.
type Kind int

// The kinds of faults. Each is what pgx and the server really do then, not an error
// made up in their place.
const (
	// NotSent: the statement fails with [ErrNotSent] before any of it is sent. The
	// connection and its transaction live on. Retrying is safe
	// (pgconn.SafeToRetry).
	NotSent Kind = iota + 1

	// ConnectionLost: the connection is closed before the statement is sent, and with
	// it goes its transaction. The server notices a moment later; until then it keeps
	// the transaction's locks.
	ConnectionLost

	// Refused: the server answers with [Fault.SQLState], as it would to the statement
	// itself: a transaction is aborted, unless there is a savepoint. It gets a
	// raising DO block in the statement's place. Its severity is ERROR whatever the
	// code, so that the session lives on even under 57P01.
	Refused
)

// Fault makes some statements fail.
type Fault struct {
	// Statement chooses them: the name of an sqlc query, such as
	// "PersistAuditRecord", or a part of the SQL, such as [AuditInsert],
	// "UPDATE orders" or "commit". Upper and lower case differ. Required.
	Statement string

	// Kind is what happens to them. Required.
	Kind Kind

	// SQLState is the answer's code, such as "40001". Required with [Refused], and
	// with it only.
	SQLState string

	// After is how many of them are let through first. Defaults to none.
	After int

	// Times is how many of them fail, after which all pass. Defaults to all.
	Times int
}

// Faulty returns a real pool on the same database on which the chosen statements
// fail, for a service to be tested on the ways in which it can fail: give it to
// coordaudit.New, or to the service, or to both. It is closed when the test ends.
//
// Statements fail however they are sent (Exec, Query, in a batch) except by COPY, so
// of coordaudit's Store.Load only what it sends after a refused COPY.
// Where several faults choose a statement, the first that is due strikes. A batch
// fails as a whole with NotSent and ConnectionLost. Under the simple protocol a batch
// is one message and so one transaction.
//
// A fault that never struck fails the test: it showed nothing.
func Faulty(tb testing.TB, pool *pgxpool.Pool, faults ...Fault) *pgxpool.Pool {
	tb.Helper()
	injector := &injector{}
	for i, fault := range faults {
		if err := fault.check(); err != nil {
			tb.Fatalf("making a faulty pool: fault %d: %v", i, err)
		}
		injector.faults = append(injector.faults, &armedFault{Fault: fault})
	}
	config := pool.Config()
	config.ConnConfig.Tracer = injector
	if own := pool.Config().ConnConfig.Tracer; own != nil {
		config.ConnConfig.Tracer = multitracer.New(own, injector)
	}
	faulty, err := pgxpool.NewWithConfig(context.WithoutCancel(tb.Context()), config)
	if err != nil {
		tb.Fatalf("making a faulty pool: %v", err)
	}
	tb.Cleanup(func() {
		faulty.Close()
		for _, fault := range injector.neverStruck() {
			tb.Errorf("the fault on %q never struck: %d such statements came, %d were to be let through", fault.Statement, fault.met, fault.After)
		}
	})
	return faulty
}

var sqlState = regexp.MustCompile(`^[0-9A-Z]{5}$`)

func (f Fault) check() error {
	switch {
	case f.Statement == "":
		return errors.New("an empty Statement")
	case f.Kind < NotSent || f.Kind > Refused:
		return fmt.Errorf("no such Kind as %d", f.Kind)
	case f.Kind != Refused && f.SQLState != "":
		return errors.New("an SQLState, which is for Refused only")
	case f.Kind == Refused && (!sqlState.MatchString(f.SQLState) || f.SQLState[:2] <= "02"):
		return fmt.Errorf("the SQLState %q is not the code of an error, such as 40001", f.SQLState)
	case f.After < 0 || f.Times < 0:
		return errors.New("a negative After or Times")
	}
	return nil
}

var (
	_ pgx.QueryTracer = (*injector)(nil)
	_ pgx.BatchTracer = (*injector)(nil)
)
