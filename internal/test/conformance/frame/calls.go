package frame

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
)

// Call is one way to persist a record, so that a guarantee can be checked for each.
type Call struct {
	Name    string
	Persist func(ctx context.Context, rec audit.Record) (audit.Result, error)
}

// OwnCalls are the calls that commit by themselves.
func OwnCalls(store *coordaudit.Store) []Call {
	return []Call{
		{"Persist", store.Persist},
		{"PersistMany", func(ctx context.Context, rec audit.Record) (audit.Result, error) {
			return only(store.PersistMany(ctx, []audit.Record{rec}))
		}},
	}
}

// TxCalls are the calls that persist in a caller's transaction.
func TxCalls(store *coordaudit.Store, tx pgx.Tx) []Call {
	return []Call{
		{"PersistTx", func(ctx context.Context, rec audit.Record) (audit.Result, error) {
			return store.PersistTx(ctx, tx, rec)
		}},
		{"PersistManyTx", func(ctx context.Context, rec audit.Record) (audit.Result, error) {
			return only(store.PersistManyTx(ctx, tx, []audit.Record{rec}))
		}},
	}
}

// only returns the result of a batch of one.
func only(results []audit.Result, err error) (audit.Result, error) {
	if len(results) != 1 {
		return audit.Result{}, fmt.Errorf("%d results for one record, with the error %w", len(results), err)
	}
	return results[0], err
}

// WantOutcome persists a record and fails unless the outcome is want.
func (c Call) WantOutcome(t *testing.T, rec audit.Record, want audit.Outcome) {
	t.Helper()
	result, err := c.Persist(t.Context(), rec)
	if err != nil || result.Outcome != want || result.AuditID != rec.AuditID {
		t.Errorf("%s() = %+v, %v; want %s", c.Name, result, err, want)
	}
}

// WantFailure persists a record and fails unless the error matches each of want and the
// result holds the id alone, with which the caller can try again.
func (c Call) WantFailure(ctx context.Context, t *testing.T, rec audit.Record, want ...error) *audit.PersistError {
	t.Helper()
	result, err := c.Persist(ctx, rec)
	for _, target := range want {
		if !errors.Is(err, target) {
			t.Errorf("%s() = %v, want %v", c.Name, err, target)
		}
	}
	if result != (audit.Result{AuditID: rec.AuditID}) {
		t.Errorf("%s(): result %+v, want the id alone", c.Name, result)
	}
	failed, ok := errors.AsType[*audit.PersistError](err)
	if !ok {
		t.Fatalf("%s() = %v, want a PersistError", c.Name, err)
	}
	if failed.AuditID != rec.AuditID {
		t.Errorf("%s(): the error is about %s, want %s", c.Name, failed.AuditID, rec.AuditID)
	}
	return failed
}

// EveryCall is each way to persist, including COPY.
func EveryCall(store *coordaudit.Store, tx pgx.Tx) []Call {
	fast := Call{"PersistManyFast", func(ctx context.Context, rec audit.Record) (audit.Result, error) {
		_, err := store.PersistManyFast(ctx, []audit.Record{rec})
		if failed, ok := errors.AsType[*audit.BatchError](err); ok {
			err = failed.Failures[0].Err
		}
		return audit.Result{AuditID: rec.AuditID}, err
	}}
	return append(append(OwnCalls(store), fast), TxCalls(store, tx)...)
}

// IsClosed reports whether an error is [audit.ErrClosed] and names what is closed.
func IsClosed(err error, what string) bool {
	return errors.Is(err, audit.ErrClosed) && strings.Contains(err.Error(), what+" is closed")
}
