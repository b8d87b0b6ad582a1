package auditdriver

import (
	"errors"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/hoc-analytics/coordaudit/audit"
)

// A mode whose cache is switched off is replaced by one that works without it.
func TestModeFitsItsCaches(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		mode                     pgx.QueryExecMode
		statements, descriptions int
		want                     pgx.QueryExecMode
	}{
		{pgx.QueryExecModeCacheStatement, 1, 1, pgx.QueryExecModeCacheStatement},
		{pgx.QueryExecModeCacheStatement, 1, 0, pgx.QueryExecModeCacheStatement},
		{pgx.QueryExecModeCacheStatement, 0, 1, pgx.QueryExecModeCacheDescribe},
		{pgx.QueryExecModeCacheStatement, 0, 0, pgx.QueryExecModeExec},
		{pgx.QueryExecModeCacheDescribe, 1, 1, pgx.QueryExecModeCacheDescribe},
		{pgx.QueryExecModeCacheDescribe, 1, 0, pgx.QueryExecModeExec},
		{pgx.QueryExecModeDescribeExec, 0, 0, pgx.QueryExecModeDescribeExec},
		{pgx.QueryExecModeExec, 0, 0, pgx.QueryExecModeExec},
		{pgx.QueryExecModeSimpleProtocol, 0, 0, pgx.QueryExecModeSimpleProtocol},
	} {
		config := &pgx.ConnConfig{StatementCacheCapacity: test.statements, DescriptionCacheCapacity: test.descriptions}
		if got := possibleMode(config, test.mode); got != test.want {
			t.Errorf("%v with caches of %d and %d: %v, want %v", test.mode, test.statements, test.descriptions, got, test.want)
		}
	}
}

// A caller's connection finds the pool's trail only if nothing that decides about it differs.
func TestConnectionsThatBeginAlike(t *testing.T) {
	t.Parallel()
	parse := func(url string) *pgx.ConnConfig {
		config, err := pgx.ParseConfig(url)
		if err != nil {
			t.Fatal(err)
		}
		return config
	}
	const url = "postgres://user:one@host:5432/db?sslmode=disable"
	for other, want := range map[string]bool{
		url: true, "postgres://user:another@host:5432/db?sslmode=disable&application_name=x": true,
		"postgres://user:one@other:5432/db?sslmode=disable": false, "postgres://user:one@host:5433/db?sslmode=disable": false,
		"postgres://user:one@host:5432/other?sslmode=disable": false, "postgres://other:one@host:5432/db?sslmode=disable": false,
		url + "&search_path=audit": false, url + "&options=-csearch_path%3Daudit": false,
	} {
		if got := beginAlike(parse(url), parse(other)); got != want {
			t.Errorf("%s: %t, want %t", other, got, want)
		}
	}
}

// Only the server's own warning says that a commit does not wait for its standby any more.
func TestEndOfStandbyWaitIsHeard(t *testing.T) {
	t.Parallel()
	for notice, want := range map[pgconn.Notice]bool{
		{Routine: "SyncRepWaitForLSN", Code: "01000"}: true,
		{Routine: "SyncRepWaitForLSN", Code: "57P01"}: true,
		{Routine: "SyncRepWaitForLSN", Code: "00000"}: false,
		{Routine: "exec_stmt_raise", Code: "01000"}:   false,
	} {
		if got := EndsStandbyWait(&notice); got != want {
			t.Errorf("%s of %s: %t, want %t", notice.Code, notice.Routine, got, want)
		}
	}
}

// The pool's own setting of synchronous_commit is respected, however it is made.
func TestPoolsOwnSettingIsSeen(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		params map[string]string
		want   bool
	}{
		{map[string]string{"synchronous_commit": "off"}, true},
		{map[string]string{"options": "-c synchronous_commit=off"}, true},
		{map[string]string{"options": "-c work_mem=1MB"}, false},
		{nil, false},
	} {
		if got := sets(test.params, "synchronous_commit"); got != test.want {
			t.Errorf("%v: %t, want %t", test.params, got, test.want)
		}
	}
}

// Settings go into a statement as they are, regardless of their characters.
func TestAssignmentsAreQuoted(t *testing.T) {
	t.Parallel()
	settings := []setting{{"DateStyle", "ISO", "SQL, DMY"}, {"client_encoding", "UTF8", "o'clock"}}
	if got, want := assignments("SET ", settings, theirs), "SET DateStyle TO 'SQL, DMY'; SET client_encoding TO 'o''clock'; "; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got, want := assignments("SET LOCAL ", settings[:1], ours), "SET LOCAL DateStyle TO 'ISO'; "; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// Every name of a table gets the trail's schema, in literals as well, and nothing else changes.
func TestStatementsNameTheirSchema(t *testing.T) {
	t.Parallel()
	const text = `SELECT to_regclass('coordination_audit_records'), reason FROM coordination_audit_records JOIN coordination_audit_gaps`
	for schema, want := range map[string]string{
		"audit": `SELECT to_regclass('"audit".coordination_audit_records'), reason FROM "audit".coordination_audit_records JOIN "audit".coordination_audit_gaps`,
		`o'"x`:  `SELECT to_regclass('"o''""x".coordination_audit_records'), reason FROM "o'""x".coordination_audit_records JOIN "o'""x".coordination_audit_gaps`,
	} {
		place := newTrail(schema)
		for range 2 { // made, and kept
			if got := place.sql(text); got != want {
				t.Errorf("%s, want %s", got, want)
			}
		}
	}
}

// The session's path decides, unless it leads to another trail than a new session's would.
func TestTrailIsChosen(t *testing.T) {
	t.Parallel()
	answers := func(session, usual string) []*pgconn.Result {
		rows := func(schema string) *pgconn.Result {
			if schema == "" {
				return &pgconn.Result{}
			}
			return &pgconn.Result{Rows: [][][]byte{{[]byte(schema)}}}
		}
		return []*pgconn.Result{rows(session), {}, rows(usual)}
	}
	for _, test := range []struct{ session, usual, want string }{
		{"a", "a", `"a"`}, {"", "a", `"a"`}, {"a", "", `"a"`},
	} {
		if found, err := chosenTrail(answers(test.session, test.usual), nil); err != nil || found.schema != test.want {
			t.Errorf("%q and %q: %+v, %v", test.session, test.usual, found, err)
		}
	}
	_, none := chosenTrail(answers("", ""), nil)
	_, two := chosenTrail(answers("a", "b"), nil)
	for _, err := range []error{none, two} {
		if !errors.Is(err, audit.ErrRefused) || !RefusesAll(err) {
			t.Errorf("%v, want a refusal that blames no record", err)
		}
	}
	if !strings.Contains(none.Error(), "migrate up") || !strings.Contains(two.Error(), `schema "a", its default to schema "b": set Config.Schema`) {
		t.Errorf("%v; %v", none, two)
	}
	lost := errors.New("lost")
	if _, err := chosenTrail(nil, lost); !errors.Is(err, lost) {
		t.Errorf("%v, want the connection's error", err)
	}
}
