package report_test

import (
	"strings"
	"testing"

	"github.com/hoc-analytics/coordaudit/internal/report"
)

// sealingOf has a log, and a comparison that found something.
func sealingOf(text string) *report.Sealing {
	return &report.Sealing{
		Size: 12345, Origin: text, Epoch: 2, Root: text, MadeAt: at("2026-01-08T09:00:00Z"), Unsealed: 1234, MoreUnsealed: true,
		Compared: &report.SealComparison{Origin: text, Size: 12000, Root: text, Differences: []string{text, "because " + text}},
	}
}

func TestSealing(t *testing.T) {
	t.Parallel()
	data := filled("harmless")
	mustContain(t, written(t, data),
		"<dt>Sealing</dt><dd>the log differs from the exported checkpoint</dd>",
		"<div><dt>epoch</dt><dd>2</dd></div>",
		"<div><dt>rows in the log</dt><dd>12,345 <small>records, gaps, statements and events</small></dd></div>",
		"<div><dt>last checkpoint</dt><dd>2026-01-08 09:00:00 <small>UTC</small></dd></div>",
		"<div><dt>records not sealed yet</dt><dd>at least 1,234</dd></div>",
		`<div><dt>origin</dt><dd class="id">harmless</dd></div>`, `<div><dt>root</dt><dd class="id"><code>harmless</code></dd></div>`,
		"The log differs from the exported checkpoint of 12,000 rows", "<li>because harmless</li>")

	data.Sealing.Compared.Differences, data.Sealing.MoreUnsealed = nil, false
	page := written(t, data)
	mustContain(t, page, "<dt>Sealing</dt><dd>the log has the root of the exported checkpoint, and its rows were not verified</dd>",
		"<div><dt>records not sealed yet</dt><dd>1,234</dd></div>", "The exported checkpoint of 12,000 rows", "only <code>coordaudit verify</code> finds out")
	if strings.Contains(page, "differs from") {
		t.Error("nothing differs")
	}
}

// What the database claims is never shown as a verification.
func TestSealingIsAClaim(t *testing.T) {
	t.Parallel()
	data := filled("harmless")
	data.Sealing.Compared = nil
	page := written(t, data)
	mustContain(t, page, "<dt>Sealing</dt><dd>sealed, as the database says, and not verified</dd>", "This is a claim and no verification", "coordaudit verify --checkpoint DIR --key FILE")
	if strings.Contains(page, "exported checkpoint of") {
		t.Error("no checkpoint was given")
	}
	data.Sealing.Origin = ""
	mustContain(t, written(t, data), `<dd class="id">cannot be read</dd>`)
}

func TestNotSealed(t *testing.T) {
	t.Parallel()
	data := empty()
	data.Sealing = &report.Sealing{}
	page := written(t, data)
	mustContain(t, page, "<dt>Sealing</dt><dd>not sealed</dd>", `<p class="none">Not sealed: no checkpoint is stored.</p>`)
	if strings.Contains(page, "<dt>root</dt>") {
		t.Error("there is a root of nothing")
	}
	data.Sealing.Compared = &report.SealComparison{Origin: "o", Size: 5, Root: "r", Differences: []string{"the log has 0"}}
	mustContain(t, written(t, data), "<dt>Sealing</dt><dd>the log differs from the exported checkpoint</dd>", "Not sealed: no checkpoint is stored.", "<li>the log has 0</li>")
}

func TestSealingUnread(t *testing.T) {
	t.Parallel()
	data := empty()
	mustContain(t, written(t, data), "<dt>Sealing</dt><dd>not known</dd>", "Not known: it was not read.")
	data.SealingUnread = "permission denied for <table>"
	mustContain(t, written(t, data), "<dt>Sealing</dt><dd>not known</dd>", "Not known: permission denied for &lt;table&gt;")
}
