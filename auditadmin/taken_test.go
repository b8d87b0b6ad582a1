package auditadmin_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hoc-analytics/coordaudit/auditadmin"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

// foreignNames lists all relations, constraints and functions of the schema that have a
// name of ours and are not the trail's.
func foreignNames(t *testing.T, db *testdb.DB) []string {
	t.Helper()
	return rows(t, db, `(
		SELECT c.oid, c.relname::text, c.relkind::text, i.indrelid FROM pg_class AS c LEFT JOIN pg_index AS i ON i.indexrelid = c.oid
		WHERE c.relnamespace = 'public'::regnamespace AND (i.indrelid IS NULL OR i.indrelid <> ALL ('{`+strings.Join(trailTables(), ",")+`}'::regclass[])) AND c.relkind <> 'S'
		UNION ALL SELECT oid, conname::text, contype::text, conrelid FROM pg_constraint WHERE contype IN ('u', 'x')
		UNION ALL SELECT oid, prosrc, prokind::text, proowner FROM pg_proc WHERE pronamespace = 'public'::regnamespace)`)
}

// repairedByHand runs what the differences say, then the repair, until nothing differs.
func repairedByHand(t *testing.T, db *testdb.DB, owner string) {
	t.Helper()
	conn := connect(t, db, owner)
	before := foreignNames(t, db)
	left, actions := repair(t, conn)
	if diff := cmp.Diff(before, foreignNames(t, db)); diff != "" {
		t.Fatalf("the repair touched what is not ours (-want +got):\n%s%+v", diff, actions)
	}
	for _, a := range actions {
		if a.Err != nil {
			t.Errorf("not done: %s: %v", a.Object, a.Err)
		}
	}
	errs := auditadmin.Errors(left)
	if len(errs) == 0 || slices.ContainsFunc(errs, func(d auditadmin.Difference) bool { return d.Automatic }) {
		t.Fatalf("want differences that a person must repair: %v", errs)
	}
	for _, d := range errs {
		command, _, _ := strings.Cut(d.Repair, ";")
		if !strings.Contains(d.Repair, "; then migrate repair") {
			t.Fatalf("no next step: %v", d)
		}
		execute(t, db, command)
	}
	if left, actions := repair(t, conn); len(auditadmin.Errors(left)) > 0 {
		t.Errorf("left: %v after %+v", left, actions)
	}
}

func TestRepairKeepsOldTrail(t *testing.T) {
	t.Parallel()
	db, owner := owned(t)
	execute(t, db, `
		ALTER TABLE coordination_audit_records RENAME TO old_trail;
		CREATE TABLE coordination_audit_records (LIKE old_trail INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING IDENTITY)`)
	giveTo(t, db, owner)
	repairedByHand(t, db, owner)
}

func TestRepairKeepsTakenNames(t *testing.T) {
	t.Parallel()
	const index, check, function = "coordination_audit_time_idx", "coordination_audit_reason_valid", "coordination_audit_refuse_change()"
	drop := "DROP INDEX " + index + "; "
	for name, sql := range map[string]string{
		"IndexElsewhere":   drop + "CREATE TABLE mine (n int); CREATE INDEX " + index + " ON mine (n)",
		"IndexIsUnique":    drop + "ALTER TABLE coordination_audit_records ADD CONSTRAINT " + index + " UNIQUE (seq)",
		"IndexIsTable":     drop + "CREATE TABLE " + index + " (n int)",
		"IndexIsSequence":  drop + "CREATE SEQUENCE " + index,
		"IndexIsView":      drop + "CREATE VIEW " + index + " AS SELECT 1 AS n",
		"CheckIsUnique":    "ALTER TABLE coordination_audit_records DROP CONSTRAINT " + check + "; ALTER TABLE coordination_audit_records ADD CONSTRAINT " + check + " UNIQUE (seq)",
		"KeyElsewhere":     "ALTER TABLE coordination_audit_records DROP CONSTRAINT coordination_audit_records_pkey; CREATE TABLE mine (n int CONSTRAINT coordination_audit_records_pkey PRIMARY KEY)",
		"KeyIsCheck":       "ALTER TABLE coordination_audit_records DROP CONSTRAINT coordination_audit_records_pkey; ALTER TABLE coordination_audit_records ADD CONSTRAINT coordination_audit_records_pkey CHECK (seq > 0)",
		"FunctionOther":    "DROP FUNCTION " + function + " CASCADE; CREATE FUNCTION " + function + " RETURNS void LANGUAGE sql AS ''",
		"FunctionOfOthers": "CREATE OR REPLACE FUNCTION " + function + " RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN OLD; END'; CREATE ROLE $owner_2; ALTER FUNCTION " + function + " OWNER TO $owner_2",
		"Procedure":        "DROP FUNCTION " + function + " CASCADE; CREATE PROCEDURE " + function + " LANGUAGE sql AS ''",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db, owner := owned(t)
			if strings.Contains(sql, "$owner_2") {
				dropWithTest(t, db, owner+"_2")
			}
			execute(t, db, strings.ReplaceAll(sql, "$owner", owner))
			if strings.HasPrefix(name, "Function") || name == "Procedure" {
				testTakenFunction(t, db, owner)
				return
			}
			repairedByHand(t, db, owner)
		})
	}
}

// Without the function, its triggers cannot be made either, so those are listed as well.
func testTakenFunction(t *testing.T, db *testdb.DB, owner string) {
	t.Helper()
	conn := connect(t, db, owner)
	before := foreignNames(t, db)
	left, actions := repair(t, conn)
	if diff := cmp.Diff(before, foreignNames(t, db)); diff != "" {
		t.Fatalf("the repair touched what is not ours (-want +got):\n%s%+v", diff, actions)
	}
	d := find(left, "function public.coordination_audit_refuse_change()", auditadmin.Error)
	if d == nil || d.Automatic || !strings.Contains(d.Repair, "ALTER ROUTINE") {
		t.Fatalf("want what a person must do: %v", left)
	}
	command, _, _ := strings.Cut(d.Repair, ";")
	execute(t, db, command)
	if left, actions := repair(t, conn); len(auditadmin.Errors(left)) > 0 {
		t.Errorf("left: %v after %+v", left, actions)
	}
}
