package report_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/report"
)

// accountOf has a source that is complete and closed, one of a file, and one with everything
// that there is to look at.
func accountOf(label string, opened, last time.Time) *audit.Completeness {
	return &audit.Completeness{At: last.Add(time.Hour), Unnumbered: 1234, Sources: []audit.SourceAccount{
		{SourceID: uuid.MustParse("22222222-2222-4222-8222-000000000001"), Label: label, OpenedAt: opened, LastStatementAt: last, Closed: true, AcceptedThrough: 5, ReservedThrough: 5, Present: 5},
		{SourceID: uuid.MustParse("22222222-2222-4222-8222-000000000002"), Label: label, OpenedAt: opened, LastStatementAt: last, Imported: true, Present: 1},
		{
			SourceID: uuid.Max, Label: label, OpenedAt: opened, LastStatementAt: last, AcceptedThrough: 1020, ReservedThrough: 9212, Present: 1000,
			Explained: audit.Explained{Dropped: 1, Rejected: 2, AlreadyPersisted: 3}, Waiting: 4, LastBlock: 8192,
			Unexplained: []audit.OrdinalRange{{First: 7, Last: 15, After: opened, Before: last}, {First: 1020, Last: 1020}},
			Findings:    []audit.Finding{{Kind: audit.UnexpectedRow, First: 3, Last: 4}},
		},
	}}
}

func TestCompleteness(t *testing.T) {
	t.Parallel()
	page := written(t, filled("harmless"))
	mustContain(t, page,
		"<dt>Completeness</dt><dd>not complete: 10 unexplained records, 1 finding</dd>",
		`<div><dt>sources</dt><dd>3 <small>2 complete and closed</small></dd></div>`,
		`<div><dt>records present</dt><dd>1,006</dd></div>`,
		`<div><dt>records without a number</dt><dd>1,234 <small>of all times</small></dd></div>`,
		`harmless<small class="uuid">`+uuid.Max.String()+`</small></th><td class="time">2026-01-01 00:00:00</td><td class="time">2026-01-06 05:00:00</td><td class="word">not closed</td>`+
			`<td class="n">1,020</td><td class="n">1,000</td><td class="n">6</td><td class="n">4</td><td class="n">8,192</td><td class="n">10</td></tr>`,
		`<td class="reason">unexplained 7 to 15</td><td class="n">9</td><td class="time">2026-01-01 00:00:00</td><td class="time">2026-01-06 05:00:00</td></tr>`,
		`<td class="reason">unexplained 1,020</td><td class="n">1</td><td class="time">–</td><td class="time">–</td></tr>`,
		`<td class="reason">rows carry the ordinals 3 to 4, and a statement says that they never come</td><td class="n"></td>`)
	if strings.Contains(page, "22222222-2222") {
		t.Error("a source that is complete and closed is listed")
	}
}

func TestCompleteSources(t *testing.T) {
	t.Parallel()
	data := filled("harmless")
	data.Completeness.Sources = data.Completeness.Sources[:2]
	page := written(t, data)
	mustContain(t, page, "<dt>Completeness</dt><dd>complete</dd>", "All of these sources are complete and closed.")
	if strings.Contains(page, "accepted before") {
		t.Error("there is a table of faults, and no fault")
	}
	data.Completeness.Sources = nil
	mustContain(t, written(t, data), "<dt>Completeness</dt><dd>complete</dd>", "No source was at work since the window began.")
}

func TestCompletenessUnread(t *testing.T) {
	t.Parallel()
	data := empty()
	mustContain(t, written(t, data), "<dt>Completeness</dt><dd>not known</dd>", "Not known: the account was not read.")
	data.CompletenessUnread = "permission denied for <table>"
	page := written(t, data)
	mustContain(t, page, "<dt>Completeness</dt><dd>not known</dd>", "Not known: permission denied for &lt;table&gt;")
	if strings.Contains(page, "complete and closed") {
		t.Error("there are counts of nothing")
	}
}

func TestManySources(t *testing.T) {
	t.Parallel()
	data := filled("harmless")
	faulty := data.Completeness.Sources[2]
	open := audit.SourceAccount{Label: "open", OpenedAt: data.Made, LastStatementAt: data.Made}
	data.Completeness.Sources = nil
	for range report.MaxSources - 1 {
		data.Completeness.Sources = append(data.Completeness.Sources, open)
	}
	for range 15 {
		data.Completeness.Sources = append(data.Completeness.Sources, faulty)
	}
	page := written(t, data)
	mustContain(t, page, "And 14 more: <code>", "And 5 more: <code>")
	if n := strings.Count(page, `<small class="uuid">`+uuid.Max.String()); n != 15 {
		t.Errorf("%d of 15 sources with faults are shown", n)
	}
}
