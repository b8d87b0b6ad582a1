package auditdriver_test

import (
	"context"
	"testing"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/auditdriver"
)

// Each statement of an explanation reads a bounded number of rows through an index, on a table of a
// million records, of which an envelope has hundreds.
func TestExplainUsesIndexes(t *testing.T) {
	t.Parallel()
	bench := seeded(t)
	driver, _ := bench.driver(t)
	for _, decision := range audit.Decisions() {
		recs, err := driver.List(t.Context(), &audit.Query{
			Scope: audit.Tenant("tenant-acme"), Decisions: []audit.Decision{decision}, Window: audit.Window{Until: january(20)},
		}, nil, 3)
		if err != nil || len(recs) != 3 {
			t.Fatalf("%d records, %v", len(recs), err)
		}
		for _, scope := range []audit.Scope{audit.Tenant("tenant-acme"), audit.AllTenants()} {
			for _, rec := range recs {
				var found audit.Explanation
				sent := bench.statementsOf(t, func(ctx context.Context, d *auditdriver.Driver) (err error) {
					found, err = d.Explain(ctx, scope, rec.AuditID)
					return err
				})
				if decision == audit.Preempted && found.Counterpart.Record == nil {
					t.Errorf("%s: no preemptor's decision was found", rec.AuditID)
				}
				for _, statement := range sent {
					if plan := bench.explain(t, statement); plan.seqScans > 0 || plan.rowsRead > 2*audit.MaxExplained+2 {
						t.Errorf("%s: %d sequential scans, %d rows read\n%s\n%s", decision, plan.seqScans, plan.rowsRead, statement.sql, plan.text)
					}
				}
			}
		}
	}
}
