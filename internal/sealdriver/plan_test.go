package sealdriver_test

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/hoc-analytics/coordaudit/internal/dbgen"
	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

// A late record, or one to be proved, is looked up by its seq. A plan that reads the whole
// index and looks for the range of each row would take seconds for a proof.
func TestRangesAreLookedUp(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	fixture.MustExec(t, db.Pool, `INSERT INTO coordination_audit_records (audit_id, envelope_id, envelope_class, decision, reason, decision_timestamp)
		SELECT gen_random_uuid(), 'envelope', 'COST', 'APPLIED', 'applied: nothing stood in its way', now() FROM generate_series(1, 20000)`)
	for _, analyzed := range []bool{false, true} {
		if analyzed {
			fixture.MustExec(t, db.Pool, "ANALYZE coordination_audit_records")
		}
		rows, err := db.Pool.Query(t.Context(), "EXPLAIN "+dbgen.ListRecordsInRanges, pgx.QueryExecModeExec, "{[5,6)}")
		if err != nil {
			t.Fatal(err)
		}
		lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			t.Fatal(err)
		}
		plan := strings.Join(lines, "\n")
		ranges, records := strings.Index(plan, "Function Scan on unnest"), strings.Index(plan, "coordination_audit_seq_idx")
		if ranges < 0 || ranges > records || !strings.Contains(plan, "Index Cond: ((seq >= lower(") {
			t.Errorf("analyzed: %t\n%s", analyzed, plan)
		}
	}
}
