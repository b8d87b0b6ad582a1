package term

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hoc-analytics/coordaudit/audit"
)

func TestTimelineSaysReasonCode(t *testing.T) {
	t.Parallel()
	var entries []audit.TimelineEntry
	for _, rec := range []audit.Record{
		{Decision: audit.Applied, ReasonCode: "NOTHING_HELD"},
		{Decision: audit.Preempted, PreemptingEnvelopeID: "guard", ReasonCode: "OUTRANKED"},
		{Decision: audit.Rejected, ConflictingEnvelopeID: "guard", ReasonCode: "SAME_PARAMETER"},
		{Decision: audit.Rejected, Reason: "off\nsince noon", ReasonCode: "KILL\x1bSWITCH"},
		{Decision: audit.Rejected, Reason: "off since noon"},
		{Decision: "EXPIRED", Reason: "late", ReasonCode: "TTL"},
	} {
		rec.EnvelopeID = "swing"
		entries = append(entries, audit.TimelineEntry{Record: rec})
	}
	l := lanesOf("swing", entries, maxLanes)
	var said []string
	for _, entry := range entries {
		said = append(said, l.says(entry.Record))
	}
	want := []string{
		"applied (NOTHING_HELD)",
		"preempted by guard (OUTRANKED)",
		"rejected, guard stood in the way (SAME_PARAMETER)",
		`rejected (KILL\u001bSWITCH): off since noon`,
		"rejected: off since noon",
		"undecided EXPIRED (TTL): late",
	}
	if diff := cmp.Diff(want, said); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
