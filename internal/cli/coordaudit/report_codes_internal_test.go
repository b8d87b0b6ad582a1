package coordaudit

import (
	"testing"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/cli"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

func TestReportHasReasonCodes(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	other := withContext()
	other.Links = audit.Links{}
	other.AuditID, other.TenantID, other.ReasonCode = number(2), "globex", "OF_ANOTHER_TENANT"
	persist(t, db, withContext(), other, applied(noon(), "acme", "a"))
	got := run(t, db.URL, "", "report", "--tenant=acme", "--since=", "--out=-")
	got.mustExit(t, cli.ExitDone)
	mustContain(t, got.stdout, "Reasons by code", "Only records that state a reason code: 1.", `SAME_PARAMETER</th><td>REJECTED ×1</td>`,
		"decided by: coordinator-1", "caused by: "+number(2).String())
}
