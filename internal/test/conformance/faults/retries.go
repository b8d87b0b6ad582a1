package faults

import (
	"strings"
	"testing"
	"time"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/test/conformance/frame"
	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
)

func passingErrorIsRetried(t *testing.T, db frame.Database) {
	frame.FailBySQLState(t, db)
	store := frame.NewStore(db)
	for _, state := range []string{"40001", "40P01", "55P03", "57P01", "57P02", "57P03", "53300", "08000", "08003", "08006", "0A000"} {
		for _, c := range frame.OwnCalls(store) {
			start := time.Now()
			failed := c.WantFailure(t.Context(), t, frame.FailingWith(state), db.Answered(state))
			if failed.Attempts != 2 || failed.SQLState != state {
				t.Errorf("%s(): %d attempts and SQLSTATE %s, want 2 and %s", c.Name, failed.Attempts, failed.SQLState, state)
			}
			if took := time.Since(start); took < 100*time.Millisecond {
				t.Errorf("%s() tried again after %v, want 100 ms", c.Name, took)
			}
		}
		tx := frame.CallersTx(t, db.Pool)
		for _, c := range frame.TxCalls(store, tx) {
			failed := c.WantFailure(t.Context(), t, frame.FailingWith(state), audit.ErrUnavailable)
			if failed.Attempts != 1 || failed.SQLState != state {
				t.Errorf("%s(): %d attempts and SQLSTATE %s, want 1 and %s", c.Name, failed.Attempts, failed.SQLState, state)
			}
		}
		frame.Commit(t, tx)
	}
	if n := fixture.CountRecords(t, db.Pool); n != 0 {
		t.Errorf("%d rows, want none", n)
	}
}

// Citus reports XX000 for a worker that failed, perhaps after its commit.
func lastingErrorIsFinal(t *testing.T, db frame.Database) {
	frame.FailBySQLState(t, db)
	store := frame.NewStore(db)
	inTx := map[string]error{"57014": audit.ErrUnavailable, "23514": audit.ErrRefused, "42P01": audit.ErrRefused, "P0001": audit.ErrRefused, "XX000": audit.ErrRefused}
	for state, want := range inTx {
		tx := frame.CallersTx(t, db.Pool)
		for _, c := range append(frame.OwnCalls(store), frame.TxCalls(store, tx)...) {
			want := want
			switch own := !strings.HasSuffix(c.Name, "Tx"); {
			case own && state == "XX000":
				want = audit.ErrOutcomeUnknown
			case own && state == "57014":
				want = db.Stopped()
			}
			failed := c.WantFailure(t.Context(), t, frame.FailingWith(state), want)
			if failed.Attempts != 1 || failed.SQLState != state {
				t.Errorf("%s(): %d attempts and SQLSTATE %s, want 1 and %s", c.Name, failed.Attempts, failed.SQLState, state)
			}
		}
		frame.Commit(t, tx)
	}
}

func retrySucceeds(t *testing.T, db frame.Database) {
	// A rollback does not reset a sequence, so it remembers the first attempt.
	fixture.MustExec(t, db.Pool, "CREATE SEQUENCE times")
	frame.OnWorkers(t, db, "CREATE SEQUENCE times")
	fixture.MustExec(t, db.Pool, `CREATE FUNCTION fail_once() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
		IF nextval('times') % 2 = 1 THEN RAISE EXCEPTION USING ERRCODE = '40001'; END IF; RETURN NEW; END $$`)
	fixture.MustExec(t, db.Pool, "CREATE TRIGGER fail_once BEFORE INSERT ON coordination_audit_records FOR EACH ROW EXECUTE FUNCTION fail_once()")
	for _, c := range frame.OwnCalls(frame.NewStore(db)) {
		c.WantOutcome(t, fixture.NewRecord(), audit.Persisted)
	}
	if n := fixture.CountRecords(t, db.Pool); n != 2 {
		t.Errorf("%d rows, want 2", n)
	}
}
