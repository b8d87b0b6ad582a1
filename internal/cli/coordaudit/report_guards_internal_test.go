package coordaudit

import (
	"testing"

	"github.com/hoc-analytics/coordaudit/internal/cli"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

func TestReportGuards(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	for _, test := range []struct{ sql, want string }{
		{"", "<dt>Guards</dt><dd>all in place</dd>"},
		{
			"ALTER TABLE coordination_audit_records ENABLE TRIGGER coordination_audit_refuse_truncate",
			"<dt>Guards</dt><dd>1 difference: trigger coordination_audit_refuse_truncate on public.coordination_audit_records; see migrate validate</dd>",
		},
	} {
		if _, err := db.Pool.Exec(t.Context(), test.sql); err != nil {
			t.Fatal(err)
		}
		got := run(t, db.URL, "", "report", "--all-tenants", "--out", "-")
		got.mustExit(t, cli.ExitDone)
		mustContain(t, got.stdout, test.want)
	}
}
