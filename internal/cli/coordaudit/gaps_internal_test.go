package coordaudit

import (
	"math"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/auditdriver"
	"github.com/hoc-analytics/coordaudit/internal/cli"
	"github.com/hoc-analytics/coordaudit/internal/cli/coordaudit/reading"
	"github.com/hoc-analytics/coordaudit/internal/cli/term"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

// gapAt returns a gap of five minutes.
func gapAt(n int, from time.Time) audit.Gap {
	return audit.Gap{
		GapID:        number(n),
		Dropped:      map[audit.EnvelopeClass]int64{audit.Cost: 1230, audit.Safety: 4},
		FirstAuditID: number(n + 1000),
		LastAuditID:  number(n + 2000),
		From:         from,
		Until:        from.Add(5 * time.Minute),
		Cause:        "no space left on device",
	}
}

func persistGaps(t *testing.T, db *testdb.DB, gaps ...audit.Gap) {
	t.Helper()
	for _, gap := range gaps {
		if err := auditdriver.New(db.Pool).PersistGap(t.Context(), &gap); err != nil {
			t.Fatal(err)
		}
	}
}

func TestGapsJSON(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	empty := run(t, db.URL, "", "gaps", "--json")
	empty.mustExit(t, cli.ExitDone)
	if empty.stdout != `{"gaps":[]}`+"\n" || empty.stderr != "" {
		t.Errorf("nothing is %s%s", empty.stdout, empty.stderr)
	}

	persistGaps(t, db, gapAt(1, noon()))
	got := run(t, db.URL, "", "gaps", "--json")
	result[reading.GapsJSON](t, got)
	recorded := regexp.MustCompile(`"recorded_at":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z"`).ReplaceAllString(got.stdout, `"recorded_at":"now"`)
	want := `{"gaps":[{"gap_id":"11111111-1111-4111-8111-000000000001","dropped":{"COST":1230,"SAFETY":4},"total":1234,` +
		`"first_audit_id":"11111111-1111-4111-8111-000000001001","last_audit_id":"11111111-1111-4111-8111-000000002001",` +
		`"from":"2026-01-05T12:00:00.000000Z","until":"2026-01-05T12:05:00.000000Z","cause":"no space left on device","recorded_at":"now"}]}` + "\n"
	if diff := cmp.Diff(want, recorded); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestGapsTable(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	none := run(t, db.URL, "", "gaps")
	none.mustExit(t, cli.ExitDone)
	if none.stdout != "no gaps\n" || none.stderr != "" {
		t.Errorf("nothing is %q, %q", none.stdout, none.stderr)
	}

	later := gapAt(2, noon().Add(time.Hour))
	later.Dropped, later.Until, later.Cause = map[audit.EnvelopeClass]int64{audit.Unknown: 1}, later.From, "permission denied"
	persistGaps(t, db, gapAt(1, noon()), later)
	got := run(t, db.URL, "", "gaps")
	got.mustExit(t, cli.ExitDone)
	want := `FROM (UTC)           UNTIL (UTC)          DROPPED  BY CLASS              CAUSE
2026-01-05 13:00:00  2026-01-05 13:00:00        1  UNKNOWN 1             permission denied
2026-01-05 12:00:00  2026-01-05 12:05:00    1,234  SAFETY 4, COST 1,230  no space left on device
`
	if diff := cmp.Diff(want, got.stdout); diff != "" || got.stderr != "" {
		t.Errorf("%s(-want +got):\n%s", got.stderr, diff)
	}
}

func TestGapsFitTheScreen(t *testing.T) {
	t.Parallel()
	gap := gapAt(1, noon())
	for _, class := range audit.EnvelopeClasses() {
		gap.Dropped[class] = math.MaxInt64 / 5
	}
	gap.Cause = strings.Repeat("é\x1b[31m\n\t\u202eü", 60)
	mustFit(t, reading.GapsTable([]audit.Gap{gap, gapAt(2, noon())}, term.Screen{Columns: term.DefaultColumns}))
}

func TestGapsLimit(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	var want []string
	for n := range 5 {
		persistGaps(t, db, gapAt(n, noon().Add(time.Duration(n)*time.Minute)))
		want = append([]string{number(n).String()}, want...)
	}
	seen := make(map[string]bool)
	var found []string
	args := []string{"gaps", "--json", "--limit=2"}
	for range 10 {
		got := run(t, db.URL, "", args...)
		for _, gap := range result[reading.GapsJSON](t, got).Gaps {
			if id := gap.GapID.String(); !seen[id] {
				seen[id] = true
				found = append(found, id)
			}
		}
		more := regexp.MustCompile(`^there may be more: raise --limit, or add (--until) (\S+)\n$`).FindStringSubmatch(got.stderr)
		if more == nil {
			break
		}
		args = append(args[:3], more[1:]...)
	}
	if diff := cmp.Diff(want, found); diff != "" {
		t.Errorf("gaps in their order (-want +got):\n%s", diff)
	}
}

func TestGapsWindow(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	persistGaps(t, db, gapAt(1, noon()), gapAt(2, noon().Add(time.Hour)))
	for args, want := range map[string]string{
		"--since=2026-01-05T13:00:00+01:00":                               "2 1",
		"--since=2026-01-05T12:05:00Z":                                    "2 1",
		"--since=2026-01-05T12:05:01Z":                                    "2",
		"--until=2026-01-05T13:00:00Z":                                    "1",
		"--since=2026-01-05T12:01:00Z --until=2026-01-05T12:02:00Z":       "1",
		"--since=2026-01-05T12:06:00Z --until=2026-01-05T12:59:59.999Z":   "",
		"--since=2020-01-01T00:00:00Z --until=2026-01-05T11:59:59.99999Z": "",
	} {
		got := run(t, db.URL, "", append([]string{"gaps", "--json"}, strings.Fields(args)...)...)
		var ids []string
		for _, gap := range result[reading.GapsJSON](t, got).Gaps {
			ids = append(ids, gap.GapID.String()[35:])
		}
		if strings.Join(ids, " ") != want {
			t.Errorf("%s: %v, want %s", args, ids, want)
		}
	}
}

func TestGapsUnreadable(t *testing.T) {
	t.Parallel()
	db := testdb.NewEmpty(t)
	got := run(t, db.URL, "", "gaps")
	got.mustExit(t, cli.ExitFailed)
	mustContain(t, got.stderr, "coordaudit: listing audit gaps: refused by the database: ", "run the migrations (migrate up)")
	away := run(t, "postgres://someone:secret@127.0.0.1:1/nowhere", "", "gaps")
	away.mustExit(t, cli.ExitFailed)
	mustContain(t, away.stderr, "coordaudit: listing audit gaps: database unavailable: ", "check that the database runs")
	if got.stdout+away.stdout != "" || strings.Contains(away.stderr, "secret") {
		t.Errorf("stdout: %q, stderr: %q", got.stdout+away.stdout, away.stderr)
	}
	run(t, "", "", "gaps").mustExit(t, cli.ExitUsage)
}
