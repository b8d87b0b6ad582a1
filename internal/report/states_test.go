package report_test

import (
	"strings"
	"testing"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/report"
)

// The head says first whether the trail can be relied on, and what is only a claim is not good.
func TestStates(t *testing.T) {
	t.Parallel()
	complete, compared := &audit.Completeness{}, &report.SealComparison{Size: 1}
	broken := &audit.Completeness{Sources: []audit.SourceAccount{{Unexplained: []audit.OrdinalRange{{First: 1, Last: 2}}}}}
	for name, test := range map[string]struct {
		change func(*report.Data)
		want   string
	}{
		"Unread": {func(d *report.Data) { d.GapsUnread = true }, "unsure unsure unsure unsure"},
		"Good": {func(d *report.Data) {
			d.Completeness, d.Sealing, d.Guards.Checked = complete, &report.Sealing{Size: 1, Compared: compared}, true
		}, "good good good good"},
		"Claims": {func(d *report.Data) {
			d.Completeness, d.Sealing, d.Guards = complete, &report.Sealing{Size: 1}, report.Guards{Checked: true, Unchecked: []string{"a trigger"}}
		}, "good good unsure unsure"},
		"NotSealed": {func(d *report.Data) { d.Sealing = &report.Sealing{} }, "unsure good unsure unsure"},
		"Bad": {func(d *report.Data) {
			d.Completeness, d.Gaps = broken, []audit.Gap{{Dropped: map[audit.EnvelopeClass]int64{audit.Cost: 1}}}
			d.Sealing = &report.Sealing{Size: 1, Compared: &report.SealComparison{Differences: []string{"cut off"}}}
			d.Guards = report.Guards{Checked: true, Differences: []string{"a trigger"}}
		}, "bad bad bad bad"},
	} {
		data := report.Data{Query: audit.SignalQuery{Scope: audit.AllTenants()}}
		test.change(&data)
		page := written(t, data)
		var levels, names []string
		for part := range strings.SplitSeq(page, `<div class="state `) {
			if level, rest, found := strings.Cut(part, `"><dt>`); found && len(level) < 10 {
				name, _, _ := strings.Cut(rest, "<")
				levels, names = append(levels, level), append(names, name)
			}
		}
		if got := strings.Join(levels, " "); got != test.want || strings.Join(names, " ") != "Completeness Gaps Sealing Guards" {
			t.Errorf("%s: %s: %s, want %s", name, names, got, test.want)
		}
		for _, section := range []string{"completeness", "gaps", "sealing"} {
			mustContain(t, page, `<h2 id="`+section+`">`)
		}
		if head, tiles := strings.Index(page, `class="states"`), strings.Index(page, `class="tiles"`); head < 0 || head > tiles {
			t.Errorf("%s: the states are not on top", name)
		}
	}
}
