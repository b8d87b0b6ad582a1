package coordaudit

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hoc-analytics/coordaudit/internal/cli"
	"github.com/hoc-analytics/coordaudit/internal/cli/coordaudit/transfer"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

// oddRows are ten rows that a table from before the library may have: times that a
// time.Time cannot hold, unknown words, empty texts, one seq for all. There is also a gap of
// the same kind.
func oddRows(t *testing.T) *testdb.DB {
	t.Helper()
	db := testdb.New(t)
	execEach(t, db, []string{
		`DO $$ DECLARE statement text; BEGIN
			FOR statement IN SELECT format('ALTER TABLE %s DROP CONSTRAINT %I', conrelid::regclass, conname) FROM pg_constraint
				WHERE conrelid IN ('coordination_audit_records'::regclass, 'coordination_audit_gaps'::regclass) AND contype = 'c'
			LOOP EXECUTE statement; END LOOP;
		END $$`,
		`INSERT INTO coordination_audit_records (audit_id, envelope_id, envelope_class, decision, reason, decision_timestamp, created_at,
				active_envelopes_count, target_subsystem, target_parameter, seq)
			OVERRIDING SYSTEM VALUE
			SELECT gen_random_uuid(), 'odd', class, decision, '', at::timestamptz, at::timestamptz, -1, '', 'p', 1
			FROM (VALUES
				('infinity', 'COST', 'APPLIED'), ('-infinity', 'COST', 'PREEMPTED'), ('4714-11-24 00:00:00+00 BC', 'LATENCY', 'APPLIED'),
				('0044-03-15 00:00:00+00 BC', '', ''), ('10000-01-01 00:00:00+00', 'SAFETY', 'EXPIRED'),
				('294276-12-31 23:59:59.999999+00', 'SAFETY', 'REJECTED'), ('infinity', 'COST', 'REJECTED'), ('2026-01-05 12:00:00+00', 'COST', 'REJECTED'),
				('2026-01-05 12:00:00+00', 'LATENCY', 'REJECTED'), ('2026-01-05 12:00:00+00', 'COST', 'APPLIED')
			) AS odd (at, class, decision)`,
		`INSERT INTO coordination_audit_gaps (gap_id, dropped_safety, dropped_reliability, dropped_cost, dropped_performance, dropped_unknown,
				first_audit_id, last_audit_id, lost_from, lost_until, cause, recorded_at)
			VALUES (gen_random_uuid(), -5, 0, 7, 0, 0, gen_random_uuid(), gen_random_uuid(), '-infinity', 'infinity', '', 'infinity')`,
	})
	return db
}

func execEach(t *testing.T, db *testdb.DB, statements []string) {
	t.Helper()
	for _, sql := range statements {
		if _, err := db.Pool.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
}

const dropChecksOfStatements = `DO $$ DECLARE statement text; BEGIN
	FOR statement IN SELECT format('ALTER TABLE %s DROP CONSTRAINT %I', conrelid::regclass, conname) FROM pg_constraint
		WHERE conrelid = 'coordination_audit_statements'::regclass AND contype = 'c'
	LOOP EXECUTE statement; END LOOP;
END $$`

const insertOddStatements = `INSERT INTO coordination_audit_statements (source_id, statement_no, kind, accepted_through, reserved_through,
	dropped, rejected, already_persisted, waiting, waiting_continues, label, made_at)
	VALUES `

// Statements contradict each other and the rows, and are of any time. All of it is shown.
func TestOddStatementsAreShown(t *testing.T) {
	t.Parallel()
	db := oddRows(t)
	execEach(t, db, []string{
		dropChecksOfStatements,
		insertOddStatements + `
			('11111111-1111-4111-8111-000000000001', -3, '', -7, -9, '{[1,3)}', '{[2,5)}', '{}', '{}', true, E'a\n<b>', 'infinity'),
			('11111111-1111-4111-8111-000000000001', 0, 'begun', 12, 3, '{}', '{}', '{}', '{[100,200)}', false, '', '-infinity'),
			('11111111-1111-4111-8111-000000000002', 9, 'closed', 0, 0, '{}', '{}', '{}', '{}', false, '', '0044-03-15 00:00:00+00 BC')`,
		`INSERT INTO coordination_audit_records (audit_id, envelope_id, envelope_class, decision, reason, decision_timestamp, created_at, source_id, source_seq)
			SELECT gen_random_uuid(), 'odd', 'COST', 'APPLIED', 'r', now(), at::timestamptz, source::uuid, n
			FROM (VALUES ('infinity', '11111111-1111-4111-8111-000000000003', 0), ('-infinity', '11111111-1111-4111-8111-000000000003', -64)) AS odd (at, source, n)`,
	})
	got := run(t, db.URL, "", "completeness", "--all")
	got.mustExit(t, cli.ExitFailed)
	mustContain(t, got.stdout, "not complete: 8 unexplained records, 2 findings; 3 sources", "a <b>", "opened infinity, last statement -infinity, not closed",
		"unexplained 5 to 12, accepted from infinity to -infinity", "-0043-03-15", "2 records present", "it has made no statement")
	got = run(t, db.URL, "", "completeness", "--json")
	got.mustExit(t, cli.ExitFailed)
	mustContain(t, got.stdout, `"opened_at":"infinity"`, `"label":"a\n<b>"`, `"unexplained_total":8`)
	got = run(t, db.URL, "", "report", "--all-tenants", "--since=", "--out=-")
	got.mustExit(t, cli.ExitDone)
	mustContain(t, got.stdout, "a\n&lt;b&gt;")
}

// What a statement without bounds says is not known. The rest of a report is.
func TestUnboundedStatementIsNamed(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	persist(t, db, story("acme")...)
	execEach(t, db, []string{
		dropChecksOfStatements,
		insertOddStatements + `('11111111-1111-4111-8111-000000000001', 7, 'opened', 0, 9, '{(,3)}', '{}', '{}', '{}', false, 'a', now())`,
	})
	const says = "statement 7 of source 11111111-1111-4111-8111-000000000001 cannot be read: a range of it has no bound: run migrate validate"
	got := run(t, db.URL, "", "completeness")
	got.mustExit(t, cli.ExitFailed)
	mustContain(t, got.stderr, says)
	if strings.Contains(got.stderr, "unavailable") {
		t.Errorf("the row is taken for an outage: %s", got.stderr)
	}
	got = run(t, db.URL, "", "report", "--tenant=acme", "--since=", "--out=-")
	got.mustExit(t, cli.ExitDone)
	mustContain(t, got.stdout, says)
}

// No command fails because of the content of a row, or leaves the row out.
func TestOddRowsAreShown(t *testing.T) {
	t.Parallel()
	db := oddRows(t)
	for _, test := range []struct {
		args  string
		shows []string
	}{
		{"list --all-tenants --limit 4", []string{"infinity", "294276-12-31", "10000-01-01"}},
		{"list --all-tenants --oldest-first", []string{"-infinity", "-4713-11-24", "-0043-03-15", "EXPIRED", "LATENCY"}},
		{"list --all-tenants --json", []string{`"decision_timestamp":"infinity"`, `"created_at":"-infinity"`, `"decision_timestamp":"-0043-03-15T00:00:00.000000Z"`}},
		{"timeline odd --all-tenants", []string{"infinity", "undecided EXPIRED", "undecided:"}},
		{"timeline odd --all-tenants --json", []string{`"created_at":"-infinity"`}},
		{"stats --all-tenants", []string{"10 records", "first seen -infinity, last seen infinity", "LATENCY", "OTHER", "another class"}},
		{"signals --all-tenants --since=2020-01-01T00:00:00Z --trend=2 --until=2027-01-01T00:00:00Z", []string{"Rejection rates"}},
		{"signals --all-tenants --json", nil},
		{"gaps", []string{"-infinity", "infinity", "SAFETY -5, COST 7"}},
		{"gaps --json --limit 1", []string{`"from":"-infinity","until":"infinity"`, `"total":2`}},
	} {
		got := run(t, db.URL, "", strings.Fields(test.args)...)
		if got.code != cli.ExitDone {
			t.Errorf("%s: exit %d: %s", test.args, got.code, got.stderr)
		}
		for _, want := range test.shows {
			if !strings.Contains(got.stdout, want) {
				t.Errorf("%s does not show %q:\n%s", test.args, want, got.stdout)
			}
		}
	}
}

// Every kind of count adds up to all records, and pages have each record once.
func TestOddRowsAreCounted(t *testing.T) {
	t.Parallel()
	db := oddRows(t)
	var stats struct { // with keys that are not of our types
		Total           int64                       `json:"total"`
		ByClassDecision map[string]map[string]int64 `json:"by_class_decision"`
		ByDay           map[string]int64            `json:"by_day"`
		ByParameter     []map[string]any            `json:"by_parameter"`
	}
	if err := json.Unmarshal([]byte(run(t, db.URL, "", "stats", "--all-tenants", "--json").stdout), &stats); err != nil {
		t.Fatal(err)
	}
	var byClass, byDay int64
	var byParameter float64
	for _, counts := range stats.ByClassDecision {
		for _, n := range counts {
			byClass += n
		}
	}
	for _, n := range stats.ByDay {
		byDay += n
	}
	for _, count := range stats.ByParameter {
		for _, decision := range []string{"APPLIED", "REJECTED", "PREEMPTED", "other"} {
			n, _ := count[decision].(float64)
			byParameter += n
		}
	}
	if stats.Total != 10 || byClass != 10 || byDay != 10 || byParameter != 10 || stats.ByDay["infinity"] != 2 {
		t.Errorf("total %d, by class %d, by day %d (%v), by parameter %v; want 10", stats.Total, byClass, byDay, stats.ByDay, byParameter)
	}

	seen := make(map[string]int)
	for cursor := ""; ; {
		var page struct {
			Records []struct {
				AuditID string `json:"audit_id"`
			} `json:"records"`
			Next string `json:"next"`
		}
		if err := json.Unmarshal([]byte(run(t, db.URL, "", "list", "--all-tenants", "--json", "--limit=1", "--cursor="+cursor).stdout), &page); err != nil {
			t.Fatal(err)
		}
		for _, rec := range page.Records {
			seen[rec.AuditID]++
		}
		if cursor = page.Next; cursor == "" || len(seen) > 10 {
			break
		}
	}
	if len(seen) != 10 {
		t.Errorf("pages of one show %d records, want 10: %v", len(seen), seen)
	}
}

// An export has records that import refuses and reports by line. It is no backup.
func TestOddRowsExportAndImport(t *testing.T) {
	t.Parallel()
	db := oddRows(t)
	directory := t.TempDir()
	out, manifest := filepath.Join(directory, "trail.jsonl"), filepath.Join(directory, "trail.json")
	run(t, db.URL, "", "export", "--all-tenants", "--out", out, "--manifest", manifest).mustExit(t, cli.ExitDone)
	var said transfer.ExportManifest
	if err := json.Unmarshal([]byte(readFile(t, manifest)), &said); err != nil {
		t.Fatal(err)
	}
	if lines := strings.Count(readFile(t, out), "\n"); said.Count != 10 || lines != 10 {
		t.Errorf("%d lines, and the manifest says %d; want 10", lines, said.Count)
	}
	got := run(t, testdb.New(t).URL, "", "import", out)
	if got.code == cli.ExitDone {
		t.Error("all of it was imported")
	}
	mustContain(t, got.stderr, "line 1: ", "decision_timestamp must lie in the years 1 to 9999 (UTC)", "line 10: ")
}

// The window ends when the report is made. Later records are counted.
func TestReportInfiniteTimes(t *testing.T) {
	t.Parallel()
	db := oddRows(t)
	path := filepath.Join(t.TempDir(), "trail.html")
	run(t, db.URL, "", "report", "--all-tenants", "--since=1900-01-01T00:00:00Z", "--out", path).mustExit(t, cli.ExitDone)
	mustContain(t, readFile(t, path), "The latest 3 of 3", "4 records of a later time are not in it.")
}
