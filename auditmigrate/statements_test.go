package auditmigrate_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/hoc-analytics/coordaudit/auditmigrate"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

const insertStatement = `
	INSERT INTO coordination_audit_statements (source_id, statement_no, kind, accepted_through, reserved_through,
		dropped, rejected, already_persisted, waiting, waiting_continues, label)
	VALUES (gen_random_uuid(), 1, 'periodic', 20, 1000, '{[1,4)}', '{}', '{[5,6)}', '{[10,21)}', false, 'coordinator-1')`

const wholeStatements = "SELECT s::text FROM coordination_audit_statements AS s ORDER BY seq"

func TestStatementsAreChecked(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	const prefix = "coordination_audit_statements_"
	manyRanges := func(n string) string {
		return "(SELECT range_agg(int8range(1000000 + 2 * i, 1000001 + 2 * i)) FROM generate_series(1, " + n + ") AS i)"
	}
	tests := map[string]struct{ column, value, refusedBy string }{
		"Opened":             {"kind", "'opened'", ""},
		"Closed":             {"kind", "'closed'", ""},
		"Imported":           {"kind", "'imported'", ""},
		"OtherKind":          {"kind", "'begun'", "kind_valid"},
		"NoKind":             {"kind", "''", "kind_valid"},
		"ZeroNumber":         {"statement_no", "0", "numbers_valid"},
		"NothingAccepted":    {"accepted_through", "0", ""},
		"NegativeOrdinal":    {"accepted_through", "-1", "numbers_valid"},
		"AcceptedAll":        {"accepted_through", "1000", ""},
		"AcceptedUnreserved": {"accepted_through", "1001", "numbers_valid"},
		"ZeroOrdinal":        {"dropped", "'{[0,1)}'", "ranges_valid"},
		"NegativeRange":      {"rejected", "'{[-5,-1),[7,8)}'", "ranges_valid"},
		"NoLowerBound":       {"already_persisted", "'{(,3)}'", "ranges_valid"},
		"NoUpperBound":       {"waiting", "'{[3,)}'", "ranges_valid"},
		"NoBound":            {"waiting", "'{(,)}'", "ranges_valid"},
		"LargestOrdinal":     {"waiting", "'{[9223372036854775806,9223372036854775806]}'", ""},
		"ManyRanges":         {"waiting", manyRanges("3500"), ""},
		"TooManyRanges":      {"waiting", manyRanges("4000"), "ranges_bounded"},
		"NoLabel":            {"label", "''", ""},
		"LongestLabel":       {"label", "repeat('é', 200)", ""},
		"TooLongLabel":       {"label", "repeat('é', 201)", "label_valid"},
		"InfiniteTime":       {"made_at", "'infinity'", "made_at_finite"},
	}
	for name, test := range tests {
		columns := map[string]string{
			"source_id": "gen_random_uuid()", "statement_no": "1", "kind": "'periodic'", "accepted_through": "20", "reserved_through": "1000",
			"dropped": "'{}'", "rejected": "'{}'", "already_persisted": "'{}'", "waiting": "'{}'", "waiting_continues": "false", "label": "'a'",
		}
		columns[test.column] = test.value
		var names, values []string
		for column, value := range columns {
			names, values = append(names, column), append(values, value)
		}
		_, err := db.Pool.Exec(t.Context(), "INSERT INTO coordination_audit_statements ("+strings.Join(names, ", ")+") VALUES ("+strings.Join(values, ", ")+")")
		if test.refusedBy == "" {
			if err != nil {
				t.Errorf("%s: %v, want it stored", name, err)
			}
			continue
		}
		if pgErr, _ := errors.AsType[*pgconn.PgError](err); pgErr == nil || pgErr.Code != "23514" || pgErr.ConstraintName != prefix+test.refusedBy {
			t.Errorf("%s: %v, want it refused by %s", name, err, prefix+test.refusedBy)
		}
	}
}

func TestStatementsAreImmutable(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	execute(t, db.Pool, insertStatement)
	before := texts(t, db.Pool, wholeStatements)
	for _, role := range []string{"origin", "replica"} {
		for _, sql := range []string{
			"UPDATE coordination_audit_statements SET label = label",
			"DELETE FROM coordination_audit_statements",
			"TRUNCATE coordination_audit_statements",
		} {
			_, err := db.Pool.Exec(t.Context(), "SET session_replication_role = "+role+"; "+sql)
			if pgErr, _ := errors.AsType[*pgconn.PgError](err); pgErr == nil || pgErr.Code != "23000" {
				t.Errorf("as %s: %s: %v, want it refused", role, sql, err)
			}
		}
	}
	if diff := cmp.Diff(before, texts(t, db.Pool, wholeStatements)); diff != "" {
		t.Errorf("statements (-before +after):\n%s", diff)
	}
}

func TestDownRefusesStatements(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	execute(t, db.Pool, insertStatement)
	before := catalog(t, db.Pool)
	changes, err := open(t, db.URL, quiet()).DownTo(t.Context(), 7)
	want := "migrating down: reverting " + statementsName + ": ERROR: coordination_audit_statements holds statements, dropping it would destroy them (SQLSTATE 23001)" +
		": to drop them all the same, pass --allow-data-loss (Config.AllowDataLoss)"
	if !errors.Is(err, auditmigrate.ErrDataLoss) || len(changes) > 0 || err.Error() != want {
		t.Errorf("changes %v, error is\n%q, want\n%q", changes, err, want)
	}
	if diff := cmp.Diff(before, catalog(t, db.Pool)); diff != "" {
		t.Errorf("a refused down has changed:\n%s", diff)
	}
	if _, err := open(t, db.URL, auditmigrate.Config{AllowDataLoss: true}).DownTo(t.Context(), 7); err != nil {
		t.Errorf("permitted to drop the statement: %v", err)
	}
}

// A deploy must not stop a service that writes records.
func TestStatementsTableNeedsNoLock(t *testing.T) {
	t.Parallel()
	db := testdb.NewEmpty(t)
	upTo(t, db, 7)
	inTransaction(t, db.Pool, "LOCK TABLE coordination_audit_records, coordination_audit_gaps IN ACCESS EXCLUSIVE MODE")
	changes, err := open(t, db.URL, quiet()).UpTo(t.Context(), 8)
	if diff := diffChanges(changesUp(8, 8), changes); diff != "" || err != nil {
		t.Errorf("%v, changes (-want +got):\n%s", err, diff)
	}
}

// A dump may hold the table of statements without the version table.
func TestUpAdoptsStatements(t *testing.T) {
	t.Parallel()
	requireAdopted(t, insertStatement, wholeStatements,
		"ALTER TABLE coordination_audit_statements DISABLE TRIGGER coordination_audit_statements_refuse_truncate",
		"ALTER TABLE coordination_audit_statements DROP CONSTRAINT coordination_audit_statements_ranges_valid")
}

func TestForeignStatementsRefused(t *testing.T) {
	t.Parallel()
	const ours = "CREATE TABLE coordination_audit_statements (LIKE ours INCLUDING ALL)"
	const alter = ours + "; ALTER TABLE coordination_audit_statements ALTER COLUMN "
	tests := map[string]struct{ table, fault string }{
		"View":      {"CREATE VIEW coordination_audit_statements AS SELECT * FROM ours", "has another shape: "},
		"OtherType": {"CREATE TABLE coordination_audit_statements (LIKE ours INCLUDING ALL EXCLUDING CONSTRAINTS); ALTER TABLE coordination_audit_statements ALTER COLUMN kind TYPE text", "has another shape: kind must be character varying(20) NOT NULL (SQLSTATE P0001)"},
		"TakesNULL": {alter + "label DROP NOT NULL", "has another shape: label must be text NOT NULL (SQLSTATE P0001)"},
		"OwnSeq":    {alter + "seq DROP IDENTITY", "has another shape: seq must be bigint NOT NULL GENERATED ALWAYS AS IDENTITY (SQLSTATE P0001)"},
		"OtherKey":  {"CREATE TABLE coordination_audit_statements (LIKE ours INCLUDING ALL EXCLUDING INDEXES, PRIMARY KEY (statement_no, source_id))", "its primary key is not (source_id, statement_no) (SQLSTATE P0001)"},
		"NoKey":     {"CREATE TABLE coordination_audit_statements (LIKE ours INCLUDING ALL EXCLUDING INDEXES)", "its primary key is not (source_id, statement_no) (SQLSTATE P0001)"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := testdb.New(t)
			execute(t, db.Pool, "ALTER TABLE coordination_audit_statements RENAME TO ours")
			execute(t, db.Pool, test.table)
			execute(t, db.Pool, "DELETE FROM "+auditmigrate.VersionTable+" WHERE version_id >= 8")
			before := catalog(t, db.Pool)

			changes, err := open(t, db.URL, quiet()).Up(t.Context())
			if err == nil || len(changes) > 0 {
				t.Fatalf("changes %v, error %v; want a refusal", changes, err)
			}
			text := err.Error()
			if !strings.HasPrefix(text, "migrating up: applying "+statementsName+": ERROR: coordination_audit_statements stands already and ") ||
				!strings.Contains(text, test.fault) || !strings.HasSuffix(text, ": rename that table, and migrate again") {
				t.Errorf("error is %q", text)
			}
			if diff := cmp.Diff(before, catalog(t, db.Pool)); diff != "" {
				t.Errorf("the table has changed:\n%s", diff)
			}
		})
	}
}
