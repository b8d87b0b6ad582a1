package coordaudit

import (
	"strings"
	"testing"

	"github.com/hoc-analytics/coordaudit/internal/cli"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

func TestReportCompleteness(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	source := sourceWith(t, db, "nightly <batch>", 9, true)
	report := func() string {
		t.Helper()
		got := run(t, db.URL, "", "report", "--tenant=acme", "--out=-", "--since=2026-01-01", "--until=2026-02-01")
		got.mustExit(t, cli.ExitDone)
		return got.stdout
	}
	mustContain(t, report(), "<dt>Completeness</dt><dd>complete</dd>", "All of these sources are complete and closed.")
	remove(t, db, source, "2, 3, 9")
	mustContain(t, report(), "<dt>Completeness</dt><dd>not complete: 3 unexplained records, 0 findings</dd>",
		"nightly &lt;batch&gt;", "unexplained 2 to 3<", "unexplained 9<")
	got := run(t, db.URL, "", "report", "--tenant=acme", "--out=-")
	got.mustExit(t, cli.ExitDone)
	mustContain(t, got.stdout, "<dt>Completeness</dt><dd>not complete: ") // of the sources at work this week
}

// A role that may read either the gaps or the statements gets the other parts.
func TestReportOfAPlainRole(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	sourceWith(t, db, "batch", 3, true)
	execSQL(t, db, "CREATE ROLE "+role(db)+"; GRANT SELECT ON coordination_audit_records TO "+role(db))
	t.Cleanup(func() { _, _ = db.Pool.Exec(t.Context(), "DROP OWNED BY "+role(db)+"; DROP ROLE "+role(db)) })
	const gapsUnknown, accountUnknown = "Not known: this role may not read <code>coordination_audit_gaps</code>", "<dt>Completeness</dt><dd>not known</dd>"
	for _, test := range []struct {
		sql           string
		gaps, account bool
	}{
		{"", false, false},
		{"GRANT SELECT ON coordination_audit_statements TO " + role(db), false, true},
		{"GRANT SELECT ON coordination_audit_gaps TO " + role(db), true, true},
		{"REVOKE SELECT ON coordination_audit_statements FROM " + role(db), true, false},
		{"GRANT SELECT ON coordination_audit_statements TO " + role(db) + "; ALTER TABLE coordination_audit_statements ENABLE ROW LEVEL SECURITY", true, false},
	} {
		execSQL(t, db, test.sql)
		got := run(t, db.URL+"&role="+role(db), "", "report", "--tenant=acme", "--out=-", "--since=2026-01-01")
		got.mustExit(t, cli.ExitDone)
		if gaps, account := !strings.Contains(got.stdout, gapsUnknown), !strings.Contains(got.stdout, accountUnknown); gaps != test.gaps || account != test.account {
			t.Errorf("%s: gaps are known: %v, want %v; the account is known: %v, want %v", test.sql, gaps, test.gaps, account, test.account)
		}
		if !test.account {
			mustContain(t, got.stdout, `<p class="none">Not known: refused by the database: `)
		}
		mustContain(t, got.stdout, "The latest 3 of 3")
	}
}
