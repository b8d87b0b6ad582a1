package report_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/report"
)

func TestReasonCodes(t *testing.T) {
	t.Parallel()
	data := filled("harmless")
	data.Breakdown.ByReasonCode = map[string]map[audit.Decision]int64{
		"NOTHING_HELD":   {audit.Applied: 1500},
		"SAME_PARAMETER": {audit.Preempted: 2, audit.Rejected: 3, "EXPIRED": 1},
	}
	page := written(t, data)
	mustContain(t, page, "Reasons by code", "Only records that state a reason code: 1,506.</p>",
		`NOTHING_HELD</th><td>APPLIED ×1,500</td><td class="n">1,500<`,
		`SAME_PARAMETER</th><td>REJECTED ×3, PREEMPTED ×2, EXPIRED ×1</td><td class="n">6<`,
		`<td class="n">0.4 %</td>`)
	if strings.Index(page, "NOTHING_HELD</th>") > strings.Index(page, "SAME_PARAMETER</th>") {
		t.Error("the more frequent code comes second")
	}
	data.Breakdown.ByReasonCode = nil
	if page := written(t, data); strings.Contains(page, "Reasons by code") {
		t.Error("there is a table of codes, and no code")
	}
}

func TestManyReasonCodes(t *testing.T) {
	t.Parallel()
	data := filled("harmless")
	data.Breakdown.ByReasonCode = map[string]map[audit.Decision]int64{}
	for n := range report.MaxReasonCodes + 5 {
		data.Breakdown.ByReasonCode[fmt.Sprintf("CODE_%02d", n)] = map[audit.Decision]int64{audit.Applied: 1}
	}
	page := written(t, data)
	mustContain(t, page, "Only records that state a reason code: 25. The 20 most frequent, of 25.</p>", "CODE_19</th>")
	if strings.Contains(page, "CODE_20</th>") {
		t.Error("more codes are shown than fit")
	}
}

func TestUncountedReasonCodes(t *testing.T) {
	t.Parallel()
	data := filled("harmless")
	data.Breakdown.ByReasonCode = map[string]map[audit.Decision]int64{"SAME_PARAMETER": {audit.Rejected: 3}}
	data.Breakdown.OtherReasonCodes = 1
	mustContain(t, written(t, data), "Only records that state a reason code: 4. The 1 most frequent, of more than 1.</p>", `<td class="n">75.0 %</td>`)
}

func TestFactsOfARecord(t *testing.T) {
	t.Parallel()
	data := filled("harmless")
	id := uuid.MustParse("11111111-1111-4111-8111-000000000002")
	rec := &data.Latest[0]
	rec.ReasonCode, rec.PolicyVersion, rec.Actor = "NOTHING_HELD", "2026-01", "coordinator-1"
	rec.Links = audit.Links{CausedBy: id, CorrelationID: "round-7"}
	rec.Details = audit.Details(`{"score":"<b>` + strings.Repeat("x", 16<<10) + `"}`)
	rec.Origin = audit.Origin{TraceID: audit.TraceID{0xab}}
	data.Latest = data.Latest[:1]
	page := written(t, data)
	mustContain(t, page,
		`<span class="code">NOTHING_HELD</span> because harmless<details><summary>more facts</summary><small>policy: 2026-01</small><small>decided by: coordinator-1</small>`,
		`<small>caused by: `+id.String()+`</small><small>correlation: round-7</small><small>trace: ab000000000000000000000000000000</small>`,
		`<small>details: {&#34;score&#34;:&#34;&lt;b&gt;xxx`, "… (15,999 more characters)</small></details></td>")
	for _, absent := range []string{"corrects:", "span:", "source:"} {
		if strings.Contains(page, absent) {
			t.Errorf("the record does not state %q", absent)
		}
	}
	rec.ReasonCode, rec.PolicyVersion, rec.Actor, rec.Details = "", "", "", ""
	rec.Links, rec.Origin = audit.Links{}, audit.Origin{}
	mustContain(t, written(t, data), `<td class="reason">because harmless</td>`)
}
