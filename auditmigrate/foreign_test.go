package auditmigrate_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hoc-analytics/coordaudit/auditmigrate"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

// Each of these keeps a record from being stored, or found, as it was written.
func TestUpRefusesUnsafeTable(t *testing.T) {
	t.Parallel()
	const function = "CREATE FUNCTION drop_it() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'; "
	tests := map[string]struct{ change, want string }{
		"UpdateRule":       {"CREATE RULE no_update AS ON UPDATE TO %t DO INSTEAD NOTHING", "rule no_update, which rewrites statements"},
		"InsertRule":       {"CREATE RULE no_insert AS ON INSERT TO %t DO INSTEAD NOTHING", "rule no_insert, which rewrites statements"},
		"DeleteRule":       {"CREATE RULE also AS ON DELETE TO %t DO ALSO SELECT 1", "rule also, which rewrites statements"},
		"InsertTrigger":    {function + "CREATE TRIGGER aaa BEFORE INSERT ON %t FOR EACH ROW EXECUTE FUNCTION drop_it()", "trigger aaa, which can change or drop a row"},
		"UpdateTrigger":    {function + "CREATE TRIGGER \"A B\" BEFORE UPDATE ON %t FOR EACH ROW EXECUTE FUNCTION drop_it()", `trigger "A B", which can change or drop a row`},
		"Nondeterministic": {"CREATE COLLATION lax (provider = icu, locale = 'und-u-ks-level2', deterministic = false); ALTER TABLE %t ALTER COLUMN %c TYPE %y COLLATE lax", "column %c, whose collation lax takes different texts for equal"},
		"Unique":           {"CREATE UNIQUE INDEX once ON %t (%c)", "unique index once, which refuses records"},
		"Exclusion":        {"ALTER TABLE %t ADD CONSTRAINT once EXCLUDE (%c WITH =)", "exclusion constraint once, which refuses records"},
		"ForeignKey":       {"CREATE TABLE others (id uuid PRIMARY KEY); ALTER TABLE %t ADD CONSTRAINT refers FOREIGN KEY (%f) REFERENCES others NOT VALID", "foreign key refers, which refuses records"},
		"Child":            {"CREATE TABLE child () INHERITS (%t)", "child table child, whose rows nothing guards"},
		"RowSecurity":      {"ALTER TABLE %t ENABLE ROW LEVEL SECURITY", "row-level security, which hides records"},
		"ForcedSecurity":   {"ALTER TABLE %t FORCE ROW LEVEL SECURITY", "row-level security, which hides records"},
		"Deferrable":       {"ALTER TABLE %t DROP CONSTRAINT %p; ALTER TABLE %t ADD CONSTRAINT %p PRIMARY KEY (%k) DEFERRABLE", "a deferrable primary key, which ON CONFLICT does not take"},
		"Domain":           {"CREATE DOMAIN words AS %y; ALTER TABLE %t ALTER COLUMN %c TYPE words", "has another shape: %c must be "},
		"RequiredColumn":   {"ALTER TABLE %t ADD COLUMN region text NOT NULL DEFAULT ''; ALTER TABLE %t ALTER COLUMN region DROP DEFAULT", "columns that the trail cannot live with: region"},
		"Partitioned":      {"ALTER TABLE %t RENAME TO gone; CREATE TABLE %t (LIKE gone) PARTITION BY HASH (%k)", "is a partitioned table"},
		"MaterializedView": {"CREATE MATERIALIZED VIEW m AS SELECT * FROM %t; ALTER TABLE %t RENAME TO gone; ALTER MATERIALIZED VIEW m RENAME TO %t", "is a materialized view"},
	}
	tables := map[string]struct {
		version      string
		replacements *strings.Replacer
	}{
		"Records":    {"1", strings.NewReplacer("%t", "coordination_audit_records", "%c", "tenant_id", "%y", "varchar(100)", "%k", "audit_id", "%f", "audit_id", "%p", "coordination_audit_records_pkey")},
		"Statements": {"8", strings.NewReplacer("%t", "coordination_audit_statements", "%c", "label", "%y", "text", "%k", "source_id, statement_no", "%f", "source_id", "%p", "coordination_audit_statements_pkey", "records", "statements")},
		"Gaps":       {"5", strings.NewReplacer("%t", "coordination_audit_gaps", "%c", "cause", "%y", "text", "%k", "gap_id", "%f", "gap_id", "%p", "coordination_audit_gaps_pkey")},
	}
	for tableName, table := range tables {
		for name, test := range tests {
			t.Run(tableName+"/"+name, func(t *testing.T) {
				t.Parallel()
				db := testdb.New(t)
				execute(t, db.Pool, "DELETE FROM coordaudit_schema_version WHERE version_id >= "+table.version)
				execute(t, db.Pool, table.replacements.Replace(test.change))
				before := catalog(t, db.Pool)
				changes, err := open(t, db.URL, quiet()).Up(t.Context())
				want := table.replacements.Replace(test.want)
				if err == nil || len(changes) > 0 || !strings.Contains(err.Error(), table.replacements.Replace("%t stands already and ")) ||
					!strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), ", and migrate again") {
					t.Fatalf("changes %v, error %v; want it refused for: %s", changes, err, want)
				}
				if diff := cmp.Diff(before, catalog(t, db.Pool)); diff != "" {
					t.Errorf("a refusal has changed:\n%s", diff)
				}
			})
		}
	}
}

func TestUpRepairsTable(t *testing.T) {
	t.Parallel()
	whole := catalog(t, testdb.New(t).Pool)
	tests := map[string]struct{ change, warning string }{
		"UnloggedRecords":    {"ALTER TABLE coordination_audit_records SET UNLOGGED", "coordination_audit_records was UNLOGGED"},
		"UnloggedGaps":       {"ALTER TABLE coordination_audit_gaps SET UNLOGGED", "coordination_audit_gaps was UNLOGGED"},
		"UnloggedStatements": {"ALTER TABLE coordination_audit_statements SET UNLOGGED", "coordination_audit_statements was UNLOGGED"},
		"SeqByDefault":       {"ALTER TABLE coordination_audit_records ALTER COLUMN seq SET GENERATED BY DEFAULT", ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := testdb.New(t)
			execute(t, db.Pool, insertRecord)
			execute(t, db.Pool, insertGap)
			execute(t, db.Pool, "DROP TABLE coordaudit_schema_version")
			execute(t, db.Pool, test.change)
			var book logBook
			if _, err := open(t, db.URL, auditmigrate.Config{Logger: book.logger()}).Up(t.Context()); err != nil {
				t.Fatal(err)
			}
			if test.warning != "" && !strings.Contains(book.String(), test.warning) {
				t.Errorf("log is\n%s\nwant %q", book.String(), test.warning)
			}
			if diff := cmp.Diff(whole, catalog(t, db.Pool)); diff != "" {
				t.Errorf("catalog (-made +repaired):\n%s", diff)
			}
			got := texts(t, db.Pool, "SELECT DISTINCT relpersistence::text FROM pg_class WHERE relname LIKE 'coordination\\_audit%' AND relnamespace = 'public'::regnamespace")
			if diff := cmp.Diff([]string{"p"}, got); diff != "" {
				t.Errorf("persistence (-want +got):\n%s", diff)
			}
		})
	}
}

// A role that may set these times could make them infinite. Old rows are kept.
func TestInfiniteTimesRefused(t *testing.T) {
	t.Parallel()
	db := testdb.NewEmpty(t)
	upTo(t, db, 1)
	execute(t, db.Pool, "ALTER TABLE coordination_audit_records DROP CONSTRAINT coordination_audit_created_at_finite")
	execute(t, db.Pool, strings.Replace(strings.Replace(insertRecord, "decision_timestamp)", "decision_timestamp, created_at)", 1), "now())", "now(), 'infinity')", 1))
	execute(t, db.Pool, "DROP TABLE coordaudit_schema_version")
	var book logBook
	if _, err := open(t, db.URL, auditmigrate.Config{Logger: book.logger()}).Up(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(book.String(), "constraint coordination_audit_created_at_finite stays NOT VALID") {
		t.Errorf("log is\n%s", book.String())
	}
	gap := strings.Replace(insertGap, "cause)", "cause, recorded_at)", 1)
	record := strings.Replace(insertRecord, "decision_timestamp)", "decision_timestamp, created_at)", 1)
	for sql, constraint := range map[string]string{
		strings.Replace(record, "now())", "now(), 'infinity')", 1):          "coordination_audit_created_at_finite",
		strings.Replace(record, "now())", "now(), '-infinity')", 1):         "coordination_audit_created_at_finite",
		strings.Replace(insertRecord, "now())", "'infinity')", 1):           "coordination_audit_decision_timestamp_valid",
		strings.Replace(gap, "is full')", "is full', 'infinity')", 1):       "coordination_audit_gaps_recorded_at_finite",
		strings.Replace(gap, "is full')", "is full', '-infinity')", 1):      "coordination_audit_gaps_recorded_at_finite",
		strings.Replace(insertGap, "now(), now()", "now(), 'infinity'", 1):  "coordination_audit_gaps_lost_valid",
		strings.Replace(insertGap, "now(), now()", "'-infinity', now()", 1): "coordination_audit_gaps_lost_valid",
	} {
		_, err := db.Pool.Exec(t.Context(), sql)
		if err == nil || !strings.Contains(err.Error(), constraint) {
			t.Errorf("%s: %v, want it refused by %s", sql, err, constraint)
		}
	}
	if n := texts(t, db.Pool, "SELECT count(*)::text FROM coordination_audit_records WHERE created_at = 'infinity'"); n[0] != "1" {
		t.Errorf("%s rows from before, want 1", n[0])
	}
}

// The CHECK of another program is kept, with a warning that records can violate it.
func TestUpNamesForeignChecks(t *testing.T) {
	t.Parallel()
	db := predecessor(t)
	execute(t, db.Pool, "ALTER TABLE coordination_audit_records ADD CONSTRAINT short CHECK (length(reason) < 1000)")
	var book logBook
	if _, err := open(t, db.URL, auditmigrate.Config{Logger: book.logger()}).Up(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(strings.Split(book.String(), "\n"), func(line string) bool {
		return strings.Contains(line, "not the trail's") && strings.Contains(line, ": short")
	}) {
		t.Errorf("log is\n%s", book.String())
	}
}
