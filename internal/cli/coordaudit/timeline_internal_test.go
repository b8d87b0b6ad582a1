package coordaudit

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/cli"
	"github.com/hoc-analytics/coordaudit/internal/cli/term"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

// timelined is the result of timeline --json.
type timelined struct {
	EnvelopeID string            `json:"envelope_id"`
	Records    []json.RawMessage `json:"records"`
	Next       string            `json:"next"`
}

func TestTimelineJSON(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	persist(t, db,
		applied(noon(), "acme", "e"),
		rejected(noon().Add(1), "acme", "other", "e"),
		preempted(noon().Add(time.Second), "acme", "another", "e"),
		applied(noon(), "acme", "stranger"))
	got := run(t, db.URL, "", "timeline", "e", "--tenant=acme", "--json", "--limit=3")
	page := result[timelined](t, got)
	mustHaveKeys(t, "timeline", []byte(got.stdout), "envelope_id", "records", "next")
	var roles []string
	for _, object := range page.Records {
		mustHaveKeys(t, "a record", object, "audit_id", "envelope_id", "envelope_class", "decision", "reason", "decision_timestamp",
			"conflicting_envelope_id", "preempting_envelope_id", "active_envelopes_count", "tenant_id", "seq", "created_at", "role")
		var rec struct {
			Role string `json:"role"`
		}
		if err := json.Unmarshal(object, &rec); err != nil {
			t.Fatal(err)
		}
		roles = append(roles, rec.Role)
	}
	if diff := cmp.Diff([]string{"subject", "conflicting", "preempting"}, roles); diff != "" || page.EnvelopeID != "e" || page.Next != "" {
		t.Errorf("%+v (-want +got):\n%s", page, diff)
	}
	first := result[timelined](t, run(t, db.URL, "", "timeline", "e", "--tenant=acme", "--json", "--limit=2"))
	second := result[timelined](t, run(t, db.URL, "", "timeline", "e", "--tenant=acme", "--json", "--limit=2", "--cursor", first.Next))
	if len(second.Records) != 1 || string(second.Records[0]) != string(page.Records[2]) {
		t.Errorf("the second page is %s", second.Records)
	}
	if none := run(t, db.URL, "", "timeline", "x", "--all-tenants", "--json"); none.stdout != `{"envelope_id":"x","records":[],"next":""}`+"\n" {
		t.Errorf("nothing is %s", none.stdout)
	}
}

func TestTimelineText(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	at := func(n int) time.Time { return noon().Add(time.Duration(n) * time.Minute) }
	killed := rejected(at(8), "acme", "retry", "")
	killed.Reason = "kill switch\nis on"
	persist(t, db,
		rejected(at(0), "acme", "retry", "saver"), // saver is active, and still is at 1
		preempted(at(1), "acme", "saver", "retry"),
		applied(at(1), "acme", "retry"),
		rejected(at(2), "acme", "turbo", "retry"),
		preempted(at(3), "acme", "retry", "guard"),
		rejected(at(5), "acme", "retry", "guard"),
		preempted(at(6), "acme", "guard", "retry"),
		applied(at(6), "acme", "retry"),
		rejected(at(7), "acme", "retry", "retry"),
		killed,
		applied(at(9), "globex", "retry"))
	got := run(t, db.URL, "", "timeline", "retry", "--tenant=acme")
	got.mustExit(t, cli.ExitDone)
	want := `LANE  RECORDS  ENVELOPE
   1       10  retry
   2        2  saver
   3        1  turbo
   4        3  guard

A applied, P preempted, R rejected; an arrow points at the envelope that lost; | while it is active

TIME (UTC)           1   2   3   4
2026-01-05 12:00:00  R<--+   .   .  rejected, saver stood in the way
2026-01-05 12:01:00  +-->P   .   .  preempted by retry
2026-01-05 12:01:00  A   .   .   .  applied
2026-01-05 12:02:00  +------>R   .  rejected, retry stood in the way
2026-01-05 12:03:00  P<----------+  preempted by guard
2026-01-05 12:05:00  R<----------+  rejected, guard stood in the way
2026-01-05 12:06:00  +---------->P  preempted by retry
2026-01-05 12:06:00  A   .   .   .  applied
2026-01-05 12:07:00  R   .   .   .  rejected, stood in its own way
2026-01-05 12:08:00  R   .   .   .  rejected: kill switch is on
`
	if diff := cmp.Diff(want, got.stdout); diff != "" || got.stderr != "" {
		t.Errorf("%s(-want +got):\n%s", got.stderr, diff)
	}
}

func TestTimelineSharedLane(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	recs := []audit.Record{applied(noon(), "acme", "asked")}
	for n := range 12 {
		for times := range 1 + n%2 {
			recs = append(recs, rejected(noon().Add(time.Duration(2*n+times+1)*time.Second), "acme", fmt.Sprintf("e%02d", n), "asked"))
		}
	}
	recs = append(recs, applied(noon(), "globex", "asked")) // its lane is another one than acme's
	persist(t, db, recs...)
	got := run(t, db.URL, "", "timeline", "asked", "--all-tenants")
	got.mustExit(t, cli.ExitDone)
	mustContain(t, got.stdout,
		"   1  acme         19  asked\n   2  globex        1  asked\n   3  acme          2  e01\n",
		"   8  7 other envelopes\n",
		"2026-01-05 12:00:00  A   .   .   .   .   .   .   .  applied\n",
		"2026-01-05 12:00:00  |   A   .   .   .   .   .   .  applied\n",
		"2026-01-05 12:00:01  +-------------------------->R  e00 rejected, asked stood in the way\n",
		"2026-01-05 12:00:03  +------>R   .   .   .   .   .  rejected, asked stood in the way\n")
	mustFit(t, runOnTerminal(t, db.URL, term.DefaultColumns, "timeline", "asked", "--all-tenants").stdout)
}
