package coordaudit

import (
	"strings"
	"testing"
	"time"

	"github.com/hoc-analytics/coordaudit/internal/cli"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

func TestEmptyWindowHint(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	persist(t, db, applied(noon(), "acme", "e"))
	for _, args := range []string{"list", "timeline e", "stats", "signals", "report --out=-", "export"} {
		before := append(strings.Fields(args), "--tenant=acme", "--since=24h")
		if args == "signals" || strings.HasPrefix(args, "report") {
			before = before[:len(before)-1] // their default is a week
		}
		got := run(t, db.URL, "", before...)
		got.mustExit(t, cli.ExitDone)
		mustContain(t, got.stderr, "the newest record for tenant acme is of 2026-01-05T12:00:00.000000Z, before this window (", "for example with --since 2026-01-05; this machine's clock says 2")
		got = run(t, db.URL, "", append(strings.Fields(args), "--tenant=acme", "--since=2020-01-01", "--until=2021-01-01")...)
		mustContain(t, got.stderr, "the oldest record for tenant acme is of 2026-01-05T12:00:00.000000Z, after this window (from 2020-01-01")
		got = run(t, db.URL, "", append(strings.Fields(args), "--tenant=none", "--since=24h")...)
		mustContain(t, got.stderr, "the trail holds no record for tenant none")
		got = run(t, db.URL, "", append(strings.Fields(args), "--tenant=acme", "--since=2026-01-01")...)
		if strings.Contains(got.stderr, "newest") {
			t.Errorf("%s: %s", args, got.stderr)
		}
	}
}

func TestFutureRecordsHint(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	persist(t, db, applied(time.Now().AddDate(0, 0, 2), "acme", "e"))
	got := run(t, db.URL, "", "stats", "--tenant=acme", "--since=24h", "--until=0s")
	mustContain(t, got.stderr, "it lies in the future, this machine's clock says 2")
}
