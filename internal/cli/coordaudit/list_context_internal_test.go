package coordaudit

import (
	"strings"
	"testing"
	"time"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/cli"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

func TestListFiltersByContext(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	other := applied(noon().Add(time.Hour), "acme", "other")
	other.ReasonCode, other.PolicyVersion, other.Actor = "PARAMETER_FREE", "2026-02", "ops@example.com"
	other.Links = audit.Links{CausedBy: number(7), Corrects: number(8), CorrelationID: "round 8"}
	other.Origin.TraceID = audit.TraceID{15: 1}
	persist(t, db, withContext(), other, applied(noon(), "acme", "bare"))
	for _, test := range []struct{ flag, want string }{
		{"--reason-code=SAME_PARAMETER", "turbo"},
		{"--reason-code=same_parameter", ""},
		{"--policy-version=2026-02", "other"},
		{"--actor=coordinator-1", "turbo"},
		{"--caused-by=" + strings.ToUpper(number(2).String()), "turbo"},
		{"--caused-by=" + number(8).String(), ""},
		{"--corrects=" + number(8).String(), "other"},
		{"--correlation-id=round 8", "other"},
		{"--trace-id=4bf90000000000000000000000000036", "turbo"},
	} {
		page := result[listed](t, run(t, db.URL, "", "list", "--tenant=acme", "--json", test.flag))
		if got := strings.Join(page.envelopes(t), " "); got != test.want {
			t.Errorf("list %s has %q, want %q", test.flag, got, test.want)
		}
	}
}

func TestListRefusesBadContext(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	for flag, says := range map[string]string{
		"--reason-code=":    "--reason-code is empty; leave it out to see all records",
		"--policy-version=": "--policy-version is empty",
		"--actor=":          "--actor is empty",
		"--caused-by=":      "--caused-by is empty",
		"--corrects=":       "--corrects is empty",
		"--correlation-id=": "--correlation-id is empty",
		"--trace-id=":       "--trace-id is empty",
		"--caused-by=7":     "--caused-by must be a UUID in its 36-character form",
		"--corrects=" + (audit.Record{}).AuditID.String(): "--corrects must not be the nil UUID",
		"--trace-id=" + strings.Repeat("0", 32):           "--trace-id must not be all zeros",
		"--trace-id=ABC":                                  "--trace-id must be 32 lower-case hexadecimal digits",
		"--actor=" + strings.Repeat("x", 101):             "--actor is 101 characters long, at most 100 are allowed",
		"--reason-code=" + strings.Repeat("x", 101):       "--reason-code is 101 characters long",
	} {
		got := run(t, db.URL, "", "list", "--tenant=acme", flag)
		got.mustExit(t, cli.ExitUsage)
		mustContain(t, got.stderr, says)
	}
}
