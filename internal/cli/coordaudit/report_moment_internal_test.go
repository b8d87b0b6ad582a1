package coordaudit

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/cli"
	"github.com/hoc-analytics/coordaudit/internal/cli/coordaudit/reporting"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

func TestReportGaps(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	persist(t, db, applied(time.Now().Add(-time.Hour), "acme", "e"))
	now := time.Now().UTC()
	execSQL(t, db, fmt.Sprintf(`INSERT INTO coordination_audit_gaps (gap_id, dropped_safety, dropped_reliability, dropped_cost, dropped_performance, dropped_unknown,
		first_audit_id, last_audit_id, lost_from, lost_until, cause)
		VALUES ('%s', 3, 0, 1234, 0, 0, '%[1]s', '%[1]s', '%[2]s', '%[2]s', 'the <disk> is full')`, uuid.New(), now.Add(-time.Hour).Format(time.RFC3339)))
	got := run(t, db.URL, "", "report", "--tenant=acme", "--out=-")
	got.mustExit(t, cli.ExitDone)
	mustContain(t, got.stdout, `<h2 id="gaps">Gaps</h2>`, "SAFETY 3, COST 1,234", "the &lt;disk&gt; is full", "1,237")
	got = run(t, db.URL, "", "report", "--tenant=acme", "--out=-", "--since=2020-01-01", "--until=2021-01-01")
	mustContain(t, got.stdout, "None in this window, as far as is on record.")

	execSQL(t, db, "CREATE ROLE "+role(db)+"; GRANT SELECT ON coordination_audit_records TO "+role(db))
	t.Cleanup(func() { _, _ = db.Pool.Exec(t.Context(), "DROP OWNED BY "+role(db)+"; DROP ROLE "+role(db)) })
	got = run(t, db.URL+"&role="+role(db), "", "report", "--tenant=acme", "--out=-")
	got.mustExit(t, cli.ExitDone)
	mustContain(t, got.stdout, "Not known: this role may not read <code>coordination_audit_gaps</code>")
}

// role is a name that no other test uses.
func role(db *testdb.DB) string { return db.Pool.Config().ConnConfig.Database + "_reader" }

// "Until now" is a time. Later decisions are not in the report.
func TestReportEndsNow(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	persist(t, db, applied(time.Now().Add(-time.Hour), "acme", "past"), applied(time.Now().Add(24*time.Hour), "acme", "of-the-future"))
	got := run(t, db.URL, "", "report", "--tenant=acme", "--out=-")
	got.mustExit(t, cli.ExitDone)
	if strings.Contains(got.stdout, "of-the-future") || strings.Contains(got.stdout, "until now") {
		t.Error("a decision of the future is in it")
	}
	mustContain(t, got.stdout, "1 record of a later time is not in it")
	mustContain(t, got.stderr, "reported on 1 record ")
}

// All parts of a report add up, even if records are stored meanwhile.
func TestReportOneMoment(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	persist(t, db, story("acme")...)
	store := coordaudit.New(db.Pool, coordaudit.Config{})
	query := audit.SignalQuery{Scope: audit.AllTenants(), Window: audit.Window{Until: noon().AddDate(0, 0, 1)}, MinRecords: 1, MinConflicts: 1, MaxEvidence: 1}
	err := store.AtOneMoment(t.Context(), func(moment *coordaudit.Store) error {
		if _, err := moment.Count(t.Context(), audit.Query{Scope: query.Scope}); err != nil {
			return err
		}
		persist(t, db, story("globex")...)
		data, err := reporting.CollectReport(t.Context(), moment, query, noon(), 200)
		if want := len(story("acme")); int(data.Breakdown.Total) != want || len(data.Latest) != want {
			t.Errorf("%d counted, %d listed, want %d", data.Breakdown.Total, len(data.Latest), want)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
