package coordaudit

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/hoc-analytics/coordaudit/internal/cli"
	"github.com/hoc-analytics/coordaudit/internal/cli/coordaudit/shared"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

func (s sealedTrail) report(t *testing.T, flags ...string) ran {
	t.Helper()
	return run(t, s.db.URL, "", append([]string{"report", "--all-tenants", "--out=-"}, flags...)...)
}

const (
	notSealed = "<dt>Sealing</dt><dd>not sealed</dd>"
	claimed   = "<dt>Sealing</dt><dd>sealed, as the database says, and not verified</dd>"
	compared  = "<dt>Sealing</dt><dd>the log has the root of the exported checkpoint, and its rows were not verified</dd>"
	differing = "<dt>Sealing</dt><dd>the log differs from the exported checkpoint</dd>"
)

// A report shows what the database says, and compares it only with a checkpoint from elsewhere.
func TestReportSealing(t *testing.T) {
	t.Parallel()
	s := newSealing(t, 300)
	mustContain(t, s.report(t).stdout, notSealed, "Not sealed: no checkpoint is stored.")
	s.once(t).mustExit(t, cli.ExitDone)
	sourceWith(t, s.db, "later", 5, true)
	got := s.report(t)
	got.mustExit(t, cli.ExitDone)
	mustContain(t, got.stdout, claimed, `<dt>origin</dt><dd class="id">audit.example/plant-7</dd>`, "<dt>rows in the log</dt><dd>302 ", "<dt>records not sealed yet</dt><dd>5</dd>")
	signed, err := shared.ReadCheckpoint(t.Context(), s.exported)
	if err != nil {
		t.Fatal(err)
	}
	root := strings.Split(string(signed), "\n")[2]
	mustContain(t, strings.ReplaceAll(got.stdout, "&#43;", "+"), "<code>"+root+"</code>")

	got = s.report(t, "--checkpoint", s.exported, "--key", s.public)
	got.mustExit(t, cli.ExitDone)
	mustContain(t, got.stdout, compared, "The exported checkpoint of 302 rows")
	execSQL(t, s.db, "ALTER TABLE coordination_audit_records DISABLE TRIGGER USER; UPDATE coordination_audit_records SET reason = 'another' WHERE seq = 290")
	got = s.report(t, "--checkpoint", s.exported, "--key", s.public)
	got.mustExit(t, cli.ExitFailed)
	mustContain(t, got.stdout, differing, "does not have the root that was signed", "</html>\n")
	mustContain(t, got.stderr, "the log differs from the exported checkpoint of audit.example/plant-7: ", "reported on")
}

// A schema that is older than sealing is not sealed. If a checkpoint was exported all the same,
// the tables were dropped.
func TestReportWithoutSealTables(t *testing.T) {
	t.Parallel()
	s := newSealing(t, 3)
	s.once(t).mustExit(t, cli.ExitDone)
	execSQL(t, s.db, "DROP TABLE coordination_audit_seal_tiles, coordination_audit_seal_checkpoints, coordination_audit_seal_events")
	got := s.report(t)
	got.mustExit(t, cli.ExitDone)
	mustContain(t, got.stdout, notSealed)
	got = s.report(t, "--checkpoint", s.exported, "--key", s.public)
	got.mustExit(t, cli.ExitFailed)
	mustContain(t, got.stdout, differing, "the database has no tables of the seal")
}

// A role that may not read the checkpoints gets the other parts.
func TestReportSealingOfAPlainRole(t *testing.T) {
	t.Parallel()
	s := newSealing(t, 3)
	s.once(t).mustExit(t, cli.ExitDone)
	execSQL(t, s.db, "CREATE ROLE "+role(s.db)+"; GRANT SELECT ON coordination_audit_records TO "+role(s.db))
	t.Cleanup(func() { _, _ = s.db.Pool.Exec(t.Context(), "DROP OWNED BY "+role(s.db)+"; DROP ROLE "+role(s.db)) })
	plain := s.db.URL + "&role=" + role(s.db)
	got := run(t, plain, "", "report", "--all-tenants", "--out=-")
	got.mustExit(t, cli.ExitDone)
	mustContain(t, got.stdout, "<dt>Sealing</dt><dd>not known</dd>", "Not known: refused by the database: ", "grant this role SELECT on coordination_audit_seal_checkpoints (migrate grants --reader ROLE --apply, and in the same command what else it is to keep, such as --writer ROLE)</p>", "</html>")
	got = run(t, plain, "", "report", "--all-tenants", "--out=-", "--checkpoint", s.exported, "--key", s.public)
	got.mustExit(t, cli.ExitFailed)
	if got.stdout != "" {
		t.Error("a report is written although the checkpoint could not be compared")
	}
	execSQL(t, s.db, "GRANT SELECT ON coordination_audit_seal_checkpoints TO "+role(s.db))
	mustContain(t, run(t, plain, "", "report", "--all-tenants", "--out=-").stdout, claimed)
}

func TestReportSealingUsage(t *testing.T) {
	t.Parallel()
	s := sealedTrail{db: &testdb.DB{URL: "postgres://someone:secret@127.0.0.1:1/nowhere"}, public: filepath.Join(t.TempDir(), "none.pub")}
	for _, flags := range [][]string{{"--checkpoint", "x"}, {"--key", "x"}} {
		got := s.report(t, flags...)
		got.mustExit(t, cli.ExitUsage)
		mustContain(t, got.stderr, "--checkpoint and --key need each other")
	}
	got := s.report(t, "--checkpoint", "x", "--key", s.public)
	got.mustExit(t, cli.ExitUsage)
	mustContain(t, got.stderr, s.public)
}
