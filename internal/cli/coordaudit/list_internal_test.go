package coordaudit

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/cli/term"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

// listed is the result of list --json.
type listed struct {
	Records []json.RawMessage `json:"records"`
	Next    string            `json:"next"`
}

func (l listed) envelopes(t *testing.T) []string {
	t.Helper()
	var ids []string
	for _, object := range l.Records {
		var rec struct {
			EnvelopeID string `json:"envelope_id"`
		}
		if err := json.Unmarshal(object, &rec); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, rec.EnvelopeID)
	}
	return ids
}

func TestListJSON(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	persist(t, db, rejected(noon(), "", "cheap", "safe"))
	got := run(t, db.URL, "", "list", "--no-tenant", "--json")
	page := result[listed](t, got)
	mustHaveKeys(t, "list", []byte(got.stdout), "records", "next")
	mustHaveKeys(t, "a record", page.Records[0], "audit_id", "envelope_id", "envelope_class", "decision", "reason", "decision_timestamp",
		"conflicting_envelope_id", "preempting_envelope_id", "active_envelopes_count", "tenant_id", "seq", "created_at")
	if page.Next != "" {
		t.Errorf("next is %q at the end", page.Next)
	}
	empty := run(t, db.URL, "", "list", "--tenant=none-such", "--json")
	if empty.stdout != `{"records":[],"next":""}`+"\n" {
		t.Errorf("nothing is %s", empty.stdout)
	}
}

func TestListJSONMatchesGet(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	rec := story("acme")[3]
	rec.AuditID = number(1)
	persist(t, db, rec)
	page := result[listed](t, run(t, db.URL, "", "list", "--tenant=acme", "--json"))
	got := run(t, db.URL, "", "get", number(1).String(), "--tenant=acme", "--json")
	if diff := cmp.Diff(strings.TrimSuffix(got.stdout, "\n"), string(page.Records[0])); diff != "" {
		t.Errorf("(-get +list):\n%s", diff)
	}
}

func TestListFilters(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	at := func(n int) time.Time { return noon().Add(time.Duration(n) * time.Hour) }
	target := applied(at(3), "acme", "d,e")
	target.TargetSubsystem, target.TargetParameter, target.EnvelopeClass, target.Reason = "cache", "ttl", audit.Unknown, "100% sure_"
	persist(t, db, applied(at(0), "acme", "a"), rejected(at(1), "acme", "b", "x"), preempted(at(2), "acme", "c", "y"), target)
	for args, want := range map[string]string{
		"":                                    "d,e c b a",
		"--oldest-first":                      "a b c d,e",
		"--envelope=d,e --envelope=a":         "d,e a",
		"--class=unknown --class=Performance": "d,e b",
		"--class=unknown,performance":         "d,e b",
		"--decision=preempted":                "c",
		"--conflicting=x":                     "b",
		"--preempting=y":                      "c",
		"--subsystem=cache --parameter=ttl":   "d,e",
		"--reason=%":                          "d,e",
		"--since=2026-01-05T13:00:00Z":        "d,e c b",
		"--until=2026-01-05T15:00:00+01:00":   "b a",
		"--decision=APPLIED --oldest-first":   "a d,e",
	} {
		page := result[listed](t, run(t, db.URL, "", append([]string{"list", "--tenant=acme", "--json"}, strings.Fields(args)...)...))
		if got := strings.Join(page.envelopes(t), " "); got != want {
			t.Errorf("list %s has %s, want %s", args, got, want)
		}
	}
}

func TestListPages(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	var recs []audit.Record
	var want []string
	for n := range 23 {
		want = append(want, fmt.Sprintf("e%02d", n))
		recs = append(recs, applied(noon().Add(time.Duration(n/5)*time.Second), "acme", want[n])) // five at a time
	}
	persist(t, db, recs...)
	for _, order := range [][]string{nil, {"--oldest-first"}} {
		args := append([]string{"list", "--tenant=acme", "--limit=4", "--json"}, order...)
		var got []string
		for cursor, pages := "", 0; pages == 0 || cursor != ""; pages++ {
			page := result[listed](t, run(t, db.URL, "", append(args, "--cursor="+cursor)...))
			got = append(got, page.envelopes(t)...)
			cursor = page.Next
			if pages > 6 {
				t.Fatalf("no end after %d pages", pages)
			}
		}
		if order == nil {
			slices.Reverse(got)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%v (-want +got):\n%s", order, diff)
		}
	}
}

func TestListPagesOfAMovingWindow(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	var recs []audit.Record
	for n := range 10 {
		recs = append(recs, applied(time.Now().Add(-time.Duration(n+1)*time.Minute), "acme", "same"))
	}
	persist(t, db, recs...)
	for command, says := range map[string]string{
		"list --since=7d":             `^--since 2\S+Z --cursor \S+$`,
		"list --since=24h --until=1s": `^--since 2\S+Z --until 2\S+Z --cursor \S+$`,
		"list --until=1s --ids":       `^--until 2\S+Z --cursor \S+$`,
		"timeline same --since=7d":    `^--since 2\S+Z --cursor \S+$`,
	} {
		args := append(strings.Fields(command), "--tenant=acme", "--limit=3")
		rows := make(map[string]int) // each begins with its time
		for pages := 1; ; pages++ {
			got := run(t, db.URL, "", args...)
			for _, row := range regexp.MustCompile(`(?m)^\d{4}-\d\d-\d\d .*$`).FindAllString(got.stdout, -1) {
				rows[row]++
			}
			next := nextFlags(t, got)
			if next == nil && pages == 4 {
				break
			}
			if pages == 1 && !regexp.MustCompile(says).MatchString(strings.Join(next, " ")) || next == nil || pages > 4 {
				t.Fatalf("%s says on page %d to add %v", command, pages, next)
			}
			args = append(args, next...)
		}
		for row, times := range rows {
			if times != 1 || len(rows) != 10 {
				t.Errorf("%s showed %d rows, and this one %d times: %s", command, len(rows), times, row)
			}
		}
	}

	args := []string{"list", "--since=7d", "--tenant=acme", "--limit=3", "--json"}
	first := run(t, db.URL, "", args...)
	flags := nextFlags(t, first)
	if len(flags) != 4 || flags[3] != result[listed](t, first).Next {
		t.Fatalf("next to the object it says to add %v", flags)
	}
	if second := run(t, db.URL, "", append(args, flags...)...); len(result[listed](t, second).Records) != 3 || second.stderr != "" {
		t.Errorf("the next page is %s%s", second.stdout, second.stderr)
	}
}

func TestListPagesOfAFixedWindow(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	persist(t, db, story("acme")...)
	args := []string{"list", "--tenant=acme", "--since=2026-01-01T00:00:00Z", "--limit=2"}
	got := run(t, db.URL, "", args...)
	if flags := nextFlags(t, got); len(flags) != 2 || flags[0] != "--cursor" {
		t.Errorf("it says to add %v", flags)
	}
	got = run(t, db.URL, "", append(args, "--json")...)
	if got.stderr != "" {
		t.Errorf("next to the object it says %q", got.stderr)
	}
}

func TestListTable(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	gone := preempted(noon().Add(time.Minute), "globex", "envelope-with-a-long-name-indeed-001", "y")
	gone.Reason = "two\nlines and " + strings.Repeat("more ", 30)
	persist(t, db, applied(noon(), "", "a"), gone)
	got := runOnTerminal(t, db.URL, term.DefaultColumns, "list", "--all-tenants")
	want := `TIME (UTC)           TENANT  CLASS  DECISION   ENVELOPE                    REASON
2026-01-05 12:01:00  globex  COST   PREEMPTED  envelope-with…e-indeed-001  two lines and more more …
2026-01-05 12:00:00  (none)  COST   APPLIED    a                           applied
`
	if diff := cmp.Diff(want, got.stdout); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	got = run(t, db.URL, "", "list", "--no-tenant")
	want = `TIME (UTC)           CLASS  DECISION  ENVELOPE  REASON
2026-01-05 12:00:00  COST   APPLIED   a         applied
`
	if diff := cmp.Diff(want, got.stdout); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
