package conformance

import (
	"strings"
	"testing"
	"time"

	"github.com/hoc-analytics/coordaudit/audit"
)

func retries() []promise {
	return []promise{
		{"WhatGoesAwayByItselfIsRetriedOnceAndNeverInATransaction", whatGoesAwayByItselfIsRetriedOnceAndNeverInATransaction},
		{"WhatDoesNotGoAwayIsNotRetried", whatDoesNotGoAwayIsNotRetried},
		{"AnErrorThatGoesAwayCostsOnlyTime", anErrorThatGoesAwayCostsOnlyTime},
	}
}

func whatGoesAwayByItselfIsRetriedOnceAndNeverInATransaction(t *testing.T, db Database) {
	failBySQLState(t, db)
	store := newStore(db)
	for _, state := range []string{"40001", "40P01", "55P03", "57P01", "57P02", "57P03", "53300", "08000", "08003", "08006", "0A000"} {
		for _, c := range ownCalls(store) {
			start := time.Now()
			failed := c.wantFailure(t.Context(), t, failingWith(state), audit.ErrUnavailable)
			if failed.Attempts != 2 || failed.SQLState != state {
				t.Errorf("%s(): %d attempts and SQLSTATE %s, want 2 and %s", c.name, failed.Attempts, failed.SQLState, state)
			}
			if took := time.Since(start); took < 100*time.Millisecond {
				t.Errorf("%s() tried again after %v, want 100 ms", c.name, took)
			}
		}
		tx := callersTx(t, db.Pool)
		for _, c := range txCalls(store, tx) {
			failed := c.wantFailure(t.Context(), t, failingWith(state), audit.ErrUnavailable)
			if failed.Attempts != 1 || failed.SQLState != state {
				t.Errorf("%s(): %d attempts and SQLSTATE %s, want 1 and %s", c.name, failed.Attempts, failed.SQLState, state)
			}
		}
		commit(t, tx)
	}
	if n := countRecords(t, db.Pool); n != 0 {
		t.Errorf("%d rows, want none", n)
	}
}

// XX000 is what Citus says of a worker that failed, perhaps after its commit.
func whatDoesNotGoAwayIsNotRetried(t *testing.T, db Database) {
	failBySQLState(t, db)
	store := newStore(db)
	inTx := map[string]error{"57014": audit.ErrUnavailable, "23514": audit.ErrRefused, "42P01": audit.ErrRefused, "P0001": audit.ErrRefused, "XX000": audit.ErrRefused}
	for state, want := range inTx {
		tx := callersTx(t, db.Pool)
		for _, c := range append(ownCalls(store), txCalls(store, tx)...) {
			want := want
			if state == "XX000" && !strings.HasSuffix(c.name, "Tx") {
				want = audit.ErrOutcomeUnknown
			}
			failed := c.wantFailure(t.Context(), t, failingWith(state), want)
			if failed.Attempts != 1 || failed.SQLState != state {
				t.Errorf("%s(): %d attempts and SQLSTATE %s, want 1 and %s", c.name, failed.Attempts, failed.SQLState, state)
			}
		}
		commit(t, tx)
	}
}

func anErrorThatGoesAwayCostsOnlyTime(t *testing.T, db Database) {
	// A sequence remembers a first time that was rolled back.
	mustExec(t, db.Pool, "CREATE SEQUENCE times")
	mustExec(t, db.Pool, `CREATE FUNCTION fail_once() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
		IF nextval('times') % 2 = 1 THEN RAISE EXCEPTION USING ERRCODE = '40001'; END IF; RETURN NEW; END $$`)
	mustExec(t, db.Pool, "CREATE TRIGGER fail_once BEFORE INSERT ON coordination_audit_records FOR EACH ROW EXECUTE FUNCTION fail_once()")
	for _, c := range ownCalls(newStore(db)) {
		c.wantOutcome(t, newRecord(), audit.Persisted)
	}
	if n := countRecords(t, db.Pool); n != 2 {
		t.Errorf("%d rows, want 2", n)
	}
}
