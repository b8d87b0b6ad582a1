package coordaudit

import (
	"testing"

	"github.com/hoc-analytics/coordaudit/internal/cli"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

// A query that a limit of the server ends does not mean that the server is away.
func TestTempFileLimit(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	execSQL(t, db, `INSERT INTO coordination_audit_records (audit_id, envelope_id, envelope_class, decision, reason, decision_timestamp)
		SELECT gen_random_uuid(), 'envelope-' || n, 'COST', 'APPLIED', repeat('because ', 20) || n, '2026-01-05T12:00:00Z'::timestamptz + n * interval '1 second'
		FROM generate_series(1, 30000) AS n`)
	for _, args := range [][]string{{"stats"}, {"signals", "--since="}, {"report", "--out=-", "--since="}} {
		got := run(t, db.URL+"&temp_file_limit=64kB&work_mem=64kB&enable_hashagg=off", "", append(args, "--all-tenants")...)
		got.mustExit(t, cli.ExitFailed)
		mustContain(t, got.stderr, "(SQLSTATE 53400)", ": raise temp_file_limit or work_mem for this role, or ask for less, such as a shorter window\n")
	}
}
