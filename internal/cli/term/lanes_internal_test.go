package term

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hoc-analytics/coordaudit/audit"
)

func TestLaneActivity(t *testing.T) {
	t.Parallel()
	entries := make([]audit.TimelineEntry, 8)
	for i, rec := range []audit.Record{
		{EnvelopeID: "asked", Decision: audit.Preempted, PreemptingEnvelopeID: "guard"}, // guard acts from now on, as record 2 confirms
		{EnvelopeID: "asked", Decision: audit.Rejected, ConflictingEnvelopeID: "other"},
		{EnvelopeID: "asked", Decision: audit.Rejected, ConflictingEnvelopeID: "guard"},
		{EnvelopeID: "asked", Decision: audit.Applied},
		{EnvelopeID: "turbo", Decision: audit.Rejected, ConflictingEnvelopeID: "asked"}, // no record says more of turbo and guard
		{EnvelopeID: "turbo", Decision: audit.Rejected, ConflictingEnvelopeID: "asked"},
		{EnvelopeID: "asked", Decision: audit.Preempted, PreemptingEnvelopeID: "guard"},
		{EnvelopeID: "asked", Decision: audit.Rejected, ConflictingEnvelopeID: "other"},
	} {
		rec.DecisionTimestamp = time.Date(2026, 1, 5, 12, i, 0, 0, time.UTC)
		entries[i].Record = rec
	}
	l := lanesOf("asked", entries, maxLanes)
	var got []string
	for i, active := range l.activity(entries) {
		drawn, _, _ := l.draw(entries[i].Record, active)
		got = append(got, drawn)
	}
	want := []string{
		"P<--+   .   .",
		"R<------+   .",
		"R<--+   |   .",
		"A   |   |   .",
		"+---------->R",
		"+---------->R",
		"P<--+   |   .",
		"R<------+   .",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
