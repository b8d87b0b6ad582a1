package auditdriver

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/dbgen"
)

// Each statement that stores rows returns nothing of the session, and is the same otherwise.
func TestNothingOfTheSessionIsReturnedFromShards(t *testing.T) {
	t.Parallel()
	trail := newTrail("audit")
	for name, text := range map[string]string{
		"record": dbgen.PersistAuditRecord, "records": dbgen.PersistAuditRecords, "gap": dbgen.PersistAuditGap, "statement": dbgen.PersistAuditStatement,
	} {
		plain, sharded := trail.sql(text), trail.shardSQL(text)
		before, returning, _ := strings.Cut(sharded, "RETURNING")
		if !strings.HasPrefix(plain, before+"RETURNING") {
			t.Errorf("%s: what is stored differs", name)
		}
		if strings.Contains(returning, "current_setting") || strings.Contains(returning, "multirange") || strings.Contains(returning, "SELECT") {
			t.Errorf("%s returns something of the session:%s", name, returning)
		}
		if !strings.Contains(returning, "''::pg_catalog.text AS session") {
			t.Errorf("%s lost the column:%s", name, returning)
		}
		if trail.shardSQL(text) != sharded || trail.sql(text) != plain {
			t.Errorf("%s: another text the second time", name)
		}
	}
	if text := "SELECT seq FROM coordination_audit_records"; trail.shardSQL(text) != trail.sql(text) {
		t.Error("a query is changed")
	}
}

// After these answers of a coordinator its worker may have committed. On one server they say that
// nothing is stored, and other answers say the same on both.
func TestAnswersOfAWorkerLeaveDoubt(t *testing.T) {
	t.Parallel()
	for state, want := range map[string]struct{ server, cluster error }{
		"57014": {audit.ErrUnavailable, audit.ErrOutcomeUnknown},
		"57P01": {audit.ErrUnavailable, audit.ErrOutcomeUnknown},
		"08006": {audit.ErrUnavailable, audit.ErrOutcomeUnknown},
		"08000": {audit.ErrUnavailable, audit.ErrOutcomeUnknown},
		"XX000": {audit.ErrOutcomeUnknown, audit.ErrOutcomeUnknown},
		"40001": {audit.ErrUnavailable, audit.ErrUnavailable},
		"40P01": {audit.ErrUnavailable, audit.ErrUnavailable},
		"53300": {audit.ErrUnavailable, audit.ErrUnavailable},
		"23505": {audit.ErrRefused, audit.ErrRefused},
		"42501": {audit.ErrRefused, audit.ErrRefused},
	} {
		answer := fmt.Errorf("sending: %w", &pgconn.PgError{Code: state, Message: "no"})
		for name, got := range map[string]struct{ got, want error }{
			"server":  {ownFailure(t.Context(), nil, answer), want.server},
			"cluster": {ownFailure(t.Context(), nil, onWorker(answer)), want.cluster},
		} {
			failure, ok := errors.AsType[*StatementError](got.got)
			if !ok || !errors.Is(failure.Kind, got.want) || failure.SQLState != state || failure.Retryable != retryable(state) {
				t.Errorf("%s from a %s: %+v, want %v", state, name, got.got, got.want)
			}
		}
	}
	if _, changed := errors.AsType[*workerError](onWorker(refusedAll(errHasRules))); changed {
		t.Error("a refusal of our own is changed")
	}
}

// Only an answer that does not say why leads to another attempt by INSERT.
func TestUnclearCopyIsTold(t *testing.T) {
	t.Parallel()
	answer := &pgconn.PgError{Code: "XX000", Message: "duplicate key value"}
	if err := ownFailure(t.Context(), nil, &unclearCopyError{answer}); !CopyUnclear(err) || !errors.Is(err, audit.ErrOutcomeUnknown) {
		t.Errorf("on a cluster: %v, want it told, and in doubt", err)
	}
	if err := ownFailure(t.Context(), nil, answer); CopyUnclear(err) || !errors.Is(err, audit.ErrOutcomeUnknown) {
		t.Errorf("on a server: %v, want it in doubt alone", err)
	}
}
