package report_test

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/report"
)

func TestLane(t *testing.T) {
	t.Parallel()
	page := written(t, filled("harmless"))
	_, lanes, _ := strings.Cut(page, `<ol class="lanes">`)
	segments := regexp.MustCompile(`<rect class="cost( open)?" [^>]*><title>([^<]*)</title>`).FindAllStringSubmatch(lanes, -1)
	var got []string
	for _, segment := range segments {
		got = append(got, segment[2]+segment[1])
	}
	want := []string{
		"active 2026-01-01 00:00:00 to 2026-01-02 01:00:00 UTC",
		"active 2026-01-03 02:00:00 to 2026-01-05 04:00:00 UTC", // REJECTED in between
		"active since 2026-01-06 05:00:00 UTC, no record of its end open",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("segments (-want +got):\n%s", diff)
	}
	mustContain(t, lanes,
		"preempted 2026-01-02 01:00:00 UTC by harmless",
		"rejected 2026-01-04 03:00:00 UTC, in conflict with harmless",
		"preempted by <bdi>harmless ×1, harmless2 ×1</bdi>")
}

func TestLaneOpenAtItsStart(t *testing.T) {
	t.Parallel()
	data := filled("harmless")
	data.Lanes[0].Records = data.Lanes[0].Records[1:]
	data.Lanes[0].More = true
	mustContain(t, written(t, data),
		"active until 2026-01-02 01:00:00 UTC, applied earlier than what is drawn",
		"only the latest 5 records are drawn",
		"earlier records are not drawn")
}

func TestHeatmap(t *testing.T) {
	t.Parallel()
	_, table, _ := strings.Cut(written(t, filled("harmless")), `<table class="heat">`)
	table, _, _ = strings.Cut(table, "</table>")
	mustContain(t, table,
		`<th scope="col">UNKNOWN</th><th scope="col">UNRESOLVED</th></tr>`,
		`title="COST lost to SAFETY: 3 rejected + 2 preempted">5</td>`,
		`title="SAFETY lost to UNRESOLVED: 2 rejected + 0 preempted">2</td>`)
	if rows := strings.Count(table, `<th scope="row">`); rows != 4 {
		t.Errorf("%d rows, want 4", rows)
	}
	if cells := strings.Count(table, `class="heat-0"`); cells != 4*6-3 {
		t.Errorf("%d empty cells, want %d", cells, 4*6-3)
	}
}

func TestHours(t *testing.T) {
	t.Parallel()
	data := filled("harmless")
	since := data.Query.Window.Since
	data.Query.Window.Until = since.Add(48 * time.Hour)
	data.Hours = []report.HourCount{
		{Hour: since, ByClass: map[audit.EnvelopeClass]int64{audit.Cost: 2}},
		{Hour: since.Add(47 * time.Hour), ByClass: map[audit.EnvelopeClass]int64{audit.Safety: 1}},
	}
	mustContain(t, written(t, data), "Per hour",
		"2026-01-01 00:00 to 01:00: 2 decisions\nCOST 2", "2026-01-02 23:00 to 00:00: 1 decision\nSAFETY 1")
}

func TestMostlyEmptyWindow(t *testing.T) {
	t.Parallel()
	data := filled("harmless")
	const note = "Most of the window is empty"
	if strings.Contains(written(t, data), note) {
		t.Error("a week is drawn as if it were long")
	}
	data.Query.Window = audit.Window{Since: at("2025-01-01T00:00:00Z")}
	mustContain(t, written(t, data), note, "Per day")
	data.Breakdown.FirstSeen = at("2025-02-01T00:00:00Z")
	page := written(t, data)
	mustContain(t, page, "Per 7 days")
	if strings.Contains(page, note) {
		t.Error("a window that is mostly filled is not drawn whole")
	}
}

func TestMoreThanIsShown(t *testing.T) {
	t.Parallel()
	data := filled("harmless")
	for range 29 {
		data.Signals.RepeatedRejections = append(data.Signals.RepeatedRejections, data.Signals.RepeatedRejections[0])
		data.Signals.Oscillations = append(data.Signals.Oscillations, data.Signals.Oscillations[0])
		data.Lanes = append(data.Lanes, data.Lanes[0])
	}
	data.Breakdown.Total = 7000
	page := written(t, data)
	mustContain(t, page, "The 20 most frequent, of 30.", "The 12 with the most cycles, of 30.", "The latest 6 of 7,000")
	if lanes := strings.Count(page, `<div class="who">`); lanes != report.MaxLanes {
		t.Errorf("%d lanes, want %d", lanes, report.MaxLanes)
	}
}

// A cycle is a ring with an arrow for each step, and a list of the envelopes in the same order.
func TestCycles(t *testing.T) {
	t.Parallel()
	_, section, _ := strings.Cut(written(t, filled("harmless")), `<h2 id="cycles">`)
	section, _, _ = strings.Cut(section, "</section>")
	mustContain(t, section,
		"The 1 that turned most, of at least 5.", "<strong>2 turns</strong>",
		"<title>harmless was preempted by harmless2: 2 times</title>",
		"<title>harmless3 was preempted by harmless: 3 times</title>",
		"preempted by the next 9 times, last 2026-01-06 05:00:00",
		"00000000-0000-0000-0000-000000000007")
	if nodes, arrows := strings.Count(section, "<circle"), strings.Count(section, `class="head"`); nodes != 3 || arrows != 3 {
		t.Errorf("%d envelopes and %d arrows, want 3 of each", nodes, arrows)
	}
	data := filled("harmless")
	data.Signals.PreemptionCycles = audit.PreemptionCycles{}
	_, section, _ = strings.Cut(written(t, data), `<h2 id="cycles">`)
	section, _, _ = strings.Cut(section, "</section>")
	mustContain(t, section, "None in this window.")
}

// The head says what is missing, and the words of the page are explained in it.
func TestGapsOnTopAndGlossary(t *testing.T) {
	t.Parallel()
	head := func(data report.Data) string {
		head, _, _ := strings.Cut(written(t, data), "</header>")
		return head
	}
	data := filled("harmless")
	mustContain(t, head(data), "<dt>Gaps</dt><dd>none in this window")
	data.GapsUnread = true
	mustContain(t, head(data), "<dt>Gaps</dt><dd>not known</dd>")
	data.GapsUnread = false
	data.Gaps = []audit.Gap{{Dropped: map[audit.EnvelopeClass]int64{audit.Cost: 3}}, {Dropped: map[audit.EnvelopeClass]int64{audit.Cost: 4}}}
	mustContain(t, head(data), "<dt>Gaps</dt><dd>2 gaps in this window, 7 records missing</dd>")
	mustContain(t, written(t, data), `<h2 id="glossary">Words</h2>`, "<dt>preemption cycle</dt>")
}
