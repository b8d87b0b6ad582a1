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
	"github.com/hoc-analytics/coordaudit/internal/cli/coordaudit/shared"
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
		data, err := reporting.CollectReport(t.Context(), moment, query, noon(), 200, func(string) {})
		if want := len(story("acme")); int(data.Breakdown.Total) != want || len(data.Latest) != want {
			t.Errorf("%d counted, %d listed, want %d", data.Breakdown.Total, len(data.Latest), want)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// The head of a report and all of its parts are of one moment, also those that other
// connections read, while others write between any two of them.
func TestReportIsOfOneMoment(t *testing.T) {
	t.Parallel()
	s := newSealing(t, 30)
	s.once(t).mustExit(t, cli.ExitDone)
	steps := 0
	writing := func(doing string) {
		if steps++; doing == "counting the records" { // the moment has begun
			s.once(t).mustExit(t, cli.ExitDone)
			execSQL(t, s.db, "ALTER TABLE coordination_audit_records ENABLE TRIGGER coordination_audit_refuse_truncate")
		}
		sourceWith(t, s.db, "meanwhile", 5, true)
		persist(t, s.db, story("globex")...)
		execSQL(t, s.db, fmt.Sprintf(`INSERT INTO coordination_audit_gaps (gap_id, dropped_safety, dropped_reliability, dropped_cost, dropped_performance, dropped_unknown,
			first_audit_id, last_audit_id, lost_from, lost_until, cause)
			VALUES ('%s', 3, 0, 0, 0, 0, '%[1]s', '%[1]s', now() - interval '1 h', now() - interval '1 h', 'gone')`, uuid.New()))
	}
	query := audit.SignalQuery{Scope: audit.AllTenants(), MinRecords: 1, MinConflicts: 1, MaxEvidence: 1}
	collector := &reporting.Collector{DB: &shared.Database{URL: s.db.URL}, Query: query, Made: time.Now(), Latest: 200, Tried: "reporting", Step: writing}
	data, _, err := collector.Collect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if data.Breakdown.Total != 30 || len(data.Latest) != 30 || len(data.Signals.RejectionRates) != 1 || len(data.Gaps) != 0 {
		t.Errorf("%d records, %d listed, %d rates, %d gaps", data.Breakdown.Total, len(data.Latest), len(data.Signals.RejectionRates), len(data.Gaps))
	}
	if sealed := data.Sealing; sealed == nil || sealed.Size != 32 || sealed.Unsealed != 0 {
		t.Errorf("the seal: %+v, %s", sealed, data.SealingUnread)
	}
	if !data.Guards.Checked || len(data.Guards.Differences) != 0 {
		t.Errorf("the guards: %s", data.Guards)
	}
	if account := data.Completeness; account == nil || len(account.Sources) != 1 || account.Unnumbered != 0 || account.Sources[0].Present != 30 {
		t.Errorf("the account: %+v, %s", account, data.CompletenessUnread)
	}
	collector.Step = func(string) {}
	later, _, err := collector.Collect(t.Context())
	if err != nil || steps < 6 || int(later.Breakdown.Total) != 30+steps*(5+len(story("globex"))) || len(later.Gaps) != steps || len(later.Guards.Differences) != 1 || len(later.Completeness.Sources) != 1+steps {
		t.Errorf("%d steps, later there are %d records, %d gaps, %s, %d sources, %v", steps, later.Breakdown.Total, len(later.Gaps), later.Guards, len(later.Completeness.Sources), err)
	}
}
