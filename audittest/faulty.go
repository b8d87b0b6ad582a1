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

	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

// AuditInsert is a [Fault.Statement] for the statements of every persisting call:
// Persist, PersistMany, and their Tx forms.
const AuditInsert = "INSERT INTO coordination_audit_records"

// ErrNotSent is the error of a statement that fails with [NotSent].
var ErrNotSent = errors.New("audittest: not sent")

// Kind is what happens to a statement.
type Kind int

// The kinds of faults. Each is what pgx and the server really do in that case. No
// error is made up.
const (
	// NotSent makes the statement fail with [ErrNotSent] before any of it is sent. The
	// connection and its transaction live on. A retry is safe (pgconn.SafeToRetry).
	NotSent Kind = iota + 1

	// ConnectionLost closes the connection before the statement is sent. The
	// transaction is lost with it. The server notices a moment later, and keeps the
	// transaction's locks until then.
	ConnectionLost

	// Refused makes the server answer with [Fault.SQLState]. As with any error, the
	// transaction is aborted, unless there is a savepoint. The server gets a raising
	// DO block instead of the statement. The severity is ERROR for every code, so the
	// session lives on even with 57P01.
	Refused
)

// Fault makes some statements fail.
type Fault struct {
	// Statement selects the statements. It is the name of an sqlc query, such as
	// "PersistAuditRecord", or a part of the SQL, such as [AuditInsert], "UPDATE
	// orders" or "commit". It is case-sensitive. Required.
	Statement string

	// Kind is what happens to the statements. Required.
	Kind Kind

	// SQLState is the code of the answer, such as "40001". Required with [Refused],
	// and not allowed otherwise.
	SQLState string

	// After is how many of the statements pass first. Defaults to none.
	After int

	// Times is how many of the statements fail before all pass. Defaults to all.
	Times int
}

// Faulty returns a real pool on the same database on which the selected statements
// fail. It tests how a service handles failures. Pass it to coordaudit.New, to the
// service, or to both. It is closed when the test ends.
//
// Statements fail in every way of sending them (Exec, Query, in a batch) except COPY.
// Of coordaudit's Store.PersistManyFast, therefore, only the statements after a
// refused COPY fail. If several faults select a statement, the first one that is due
// applies. A batch fails as a whole with NotSent and ConnectionLost. Under the simple
// protocol a batch is one message and so one transaction.
//
// A fault that never occurred fails the test, because the test showed nothing.
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
		testdb.ClosePool(tb, faulty)
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
