package coordaudit

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/cli"
	"github.com/hoc-analytics/coordaudit/internal/cli/coordaudit/reading"
	"github.com/hoc-analytics/coordaudit/internal/cli/coordaudit/reporting"
	"github.com/hoc-analytics/coordaudit/internal/cli/coordaudit/shared"
	"github.com/hoc-analytics/coordaudit/internal/report"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

// reportedStory has two envelopes. One preempts the other three times.
func reportedStory() string {
	var text strings.Builder
	n := 0
	add := func(decision string, set ...string) {
		n++
		at := fmt.Sprintf(`"2026-01-31T12:%02d:00+00:00"`, n)
		text.WriteString(line(n, append([]string{
			"envelope_id", `"cost-saver"`, "envelope_class", `"cost"`,
			"decision", fmt.Sprintf("%q", decision), "decision_timestamp", at,
		}, set...)...) + "\n")
	}
	for range 3 {
		add("applied")
		add("preempted", "preempting_envelope_id", `"guard"`, "reason", `"<script>alert(1)</script>"`)
	}
	add("applied")
	add("applied", "envelope_id", `"guard"`, "envelope_class", `"safety"`, "tenant_id", `"other"`)
	return text.String()
}

func TestReportFile(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	run(t, db.URL, "", "import", file(t, reportedStory())).mustExit(t, cli.ExitDone)
	path := filepath.Join(t.TempDir(), "trail.html")

	got := run(t, db.URL, "", "report", "--tenant=acme", "--since=2026-01-31T00:00:00Z", "--until=2026-02-01T00:00:00Z", "--out", path)
	got.mustExit(t, cli.ExitDone)
	mustContain(t, got.stderr, "reported on 7 records for tenant acme, from 2026-01-31T", path)
	page, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	mustContain(t, string(page),
		"tenant acme", "Per hour", "2026-01-31 12:00 to 13:00: 7 decisions",
		"preempted by <bdi>guard ×3</bdi>", "&lt;script&gt;alert(1)&lt;/script&gt;", "The latest 7 of 7")
	if rows := strings.Count(string(page), "<tr data-class="); rows != 7 {
		t.Errorf("%d rows, want 7", rows)
	}
	if strings.Contains(string(page), "<td>other") || strings.Contains(string(page), "<small>other") {
		t.Error("another tenant's records are shown")
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	mustBeAlone(t, path)
}

func TestReportLatest(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	run(t, db.URL, "", "import", file(t, reportedStory())).mustExit(t, cli.ExitDone)
	got := run(t, db.URL, "", "report", "--all-tenants", "--since=2026-01-31T00:00:00Z", "--latest=3", "--out=-")
	got.mustExit(t, cli.ExitDone)
	mustContain(t, got.stdout, "The latest 3 of 8", "</html>\n")
	mustContain(t, got.stderr, "to the standard output")
	if rows := strings.Count(got.stdout, "<tr data-class="); rows != 3 {
		t.Errorf("%d rows, want 3", rows)
	}
}

func TestReportOfNothing(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	got := run(t, db.URL, "", "report", "--no-tenant", "--out=-")
	got.mustExit(t, cli.ExitDone)
	mustContain(t, got.stdout, "No decisions in this window")
	mustContain(t, got.stderr, "reported on 0 records for no tenant, from ") // the default is a week
}

func TestFailedReportLeavesNoFile(t *testing.T) {
	t.Parallel()
	directory := t.TempDir()
	path := filepath.Join(directory, "trail.html")
	if err := os.WriteFile(path, []byte("an earlier one"), 0o600); err != nil {
		t.Fatal(err)
	}
	const nowhere = "postgres://someone:secret@127.0.0.1:1/nowhere"
	got := run(t, nowhere, "", "report", "--all-tenants", "--out", path)
	got.mustExit(t, cli.ExitFailed)
	mustContain(t, got.stderr, "coordaudit: reporting on the audit records for all tenants: ", "check that the database runs")
	if text, err := os.ReadFile(path); err != nil || string(text) != "an earlier one" {
		t.Errorf("the earlier file: %q, %v", text, err)
	}
	mustBeAlone(t, path)

	got = run(t, nowhere, "", "report", "--all-tenants", "--out", filepath.Join(directory, "missing", "trail.html"))
	got.mustExit(t, cli.ExitFailed)
	mustContain(t, got.stderr, "coordaudit: writing the report to ", "name another file")
	got = run(t, nowhere, "", "report", "--all-tenants", "--out", directory)
	got.mustExit(t, cli.ExitFailed)
	mustContain(t, got.stderr, "it is a directory")
}

func mustBeAlone(t *testing.T, path string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(entries) != 1 {
		t.Errorf("next to the file: %v, %v", entries, err)
	}
}

func TestReportUsage(t *testing.T) {
	t.Parallel()
	const url = "postgres://someone:secret@127.0.0.1:1/nowhere"
	for name, test := range map[string]struct {
		args []string
		says string
	}{
		"NoOut":          {[]string{"--all-tenants"}, "--out"},
		"EmptyOut":       {[]string{"--all-tenants", "--out="}, "--out is empty"},
		"NoScope":        {[]string{"--out=-"}, "--tenant=ID or --no-tenant or --all-tenants"},
		"LatestZero":     {[]string{"--all-tenants", "--out=-", "--latest=0"}, "--latest must be 1 to 1000"},
		"LatestTooLarge": {[]string{"--all-tenants", "--out=-", "--latest=1001"}, "--latest must be 1 to 1000"},
		"NaiveTime":      {[]string{"--all-tenants", "--out=-", "--since=2026-01-31T00:00:00"}, "--since must be an RFC 3339 time"},
		"Backwards":      {[]string{"--all-tenants", "--out=-", "--since=1d", "--until=2d"}, "--since lies after --until"},
		"LongTenant":     {[]string{"--tenant=" + strings.Repeat("t", 101), "--out=-"}, "is 101 characters long"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := run(t, url, "", append([]string{"report"}, test.args...)...)
			got.mustExit(t, cli.ExitUsage)
			mustContain(t, got.stderr, test.says)
			if got.stdout != "" {
				t.Errorf("stdout: %s", got.stdout)
			}
		})
	}
}

func TestReportLanesByTenant(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	var both strings.Builder
	for i, tenant := range []string{`"acme"`, "null"} {
		for one := range strings.Lines(reportedStory()) {
			one = strings.ReplaceAll(one, `"acme"`, tenant)
			both.WriteString(strings.ReplaceAll(one, "11111111-1111", fmt.Sprintf("1111111%d-1111", i)))
		}
	}
	run(t, db.URL, both.String(), "import", "-", "--rejects", filepath.Join(t.TempDir(), "rejects")).mustExit(t, cli.ExitDone)
	store, err := (&shared.Database{URL: db.URL}).Open(t.Context(), "testing", reading.GetTimeout)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	data, err := reporting.CollectReport(t.Context(), store, audit.SignalQuery{Scope: audit.AllTenants()}, time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC), 10, func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	if len(data.Lanes) != 2 {
		t.Fatalf("%d lanes, want 2", len(data.Lanes))
	}
	for _, lane := range data.Lanes {
		mustBeOfOneTenant(t, lane)
	}
}

func mustBeOfOneTenant(t *testing.T, lane report.Lane) {
	t.Helper()
	if len(lane.Records) != 7 || lane.More {
		t.Errorf("%d records, %v, want 7", len(lane.Records), lane.More)
	}
	for i, rec := range lane.Records {
		if rec.TenantID != lane.Oscillation.TenantID || rec.EnvelopeID != "cost-saver" {
			t.Errorf("tenant %q's lane has a record of %q's %s", lane.Oscillation.TenantID, rec.TenantID, rec.EnvelopeID)
		}
		if i > 0 && rec.DecisionTimestamp.Before(lane.Records[i-1].DecisionTimestamp) {
			t.Error("the records are not the oldest first")
		}
	}
}
