package auditdriver

import (
	"errors"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
)

// A state of the session refuses every record, and blames none. One of a row does not say that.
func TestStatesThatRefuseAll(t *testing.T) {
	t.Parallel()
	for state, want := range map[string]bool{
		"26000": true, "28000": true, "28P01": true, "3D000": true, "42P05": true,
		"23514": false, "42501": false, "42P01": false, "22001": false, "2600": false, "28": false, "2": false, "": false,
	} {
		if got := refusesAll(state); got != want {
			t.Errorf("%q: %t, want %t", state, got, want)
		}
	}
}

// The server could not do it now, or it was wrong. Some of what passes is worth another try at once.
func TestStatesThatPass(t *testing.T) {
	t.Parallel()
	for state, want := range map[string]struct{ transient, retryable bool }{
		"0A000": {true, true}, "40001": {true, true}, "40P01": {true, true}, "55P03": {true, true}, "53300": {true, true},
		"57P01": {true, true}, "57P02": {true, true}, "57P03": {true, true}, "08000": {true, true}, "08003": {true, true}, "08006": {true, true},
		"25006": {true, false}, "57014": {true, false}, "53100": {true, false}, "58030": {true, false}, "40003": {true, false}, "08P01": {true, false},
		"23514": {}, "42501": {}, "XX000": {}, "": {}, "57": {}, "0800": {}, "080000": {},
	} {
		if transient(state) != want.transient || retryable(state) != want.retryable {
			t.Errorf("%q: transient %t, retryable %t, want %+v", state, transient(state), retryable(state), want)
		}
	}
}

// A commit may have been done before the answer that says something else.
func TestStatesThatLeaveDoubt(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		err  pgconn.PgError
		want bool
	}{
		{pgconn.PgError{Code: "57P01", SeverityUnlocalized: "FATAL"}, true},
		{pgconn.PgError{Code: "57P02", SeverityUnlocalized: "PANIC"}, true},
		{pgconn.PgError{Code: "57P01", SeverityUnlocalized: "ERROR"}, false},
		{pgconn.PgError{Code: "40003", SeverityUnlocalized: "ERROR"}, true},
		{pgconn.PgError{Code: "08007", SeverityUnlocalized: "ERROR"}, true},
		{pgconn.PgError{Code: "XX000", SeverityUnlocalized: "ERROR"}, true},
		{pgconn.PgError{Code: "40001", SeverityUnlocalized: "ERROR"}, false},
	} {
		if got := inDoubt(&test.err); got != test.want {
			t.Errorf("%s %s: %t, want %t", test.err.SeverityUnlocalized, test.err.Code, got, test.want)
		}
	}
}

// What was prepared is prepared again if the server has forgotten it, or the types have changed.
func TestOutdatedStatements(t *testing.T) {
	t.Parallel()
	for state, want := range map[string]bool{"26000": true, "0A000": true, "42804": true, "42883": true, "42P01": false, "40001": false} {
		if got := outdated(fmt.Errorf("wrapped: %w", &pgconn.PgError{Code: state})); got != want {
			t.Errorf("%s: %t, want %t", state, got, want)
		}
	}
	if !outdated(errors.New("failed to encode args[3]: unable")) || outdated(errors.New("other")) || outdated(nil) {
		t.Error("an argument that fits no longer is not outdated, or everything is")
	}
}
