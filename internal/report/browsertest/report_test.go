package browsertest_test

import (
	_ "embed"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/report"
)

//go:embed look.js
var look string

const (
	shownRows   = `Array.from(document.querySelectorAll("#records tbody tr")).filter(row => row.getClientRects().length > 0).length`
	shownFields = `Array.from(document.querySelectorAll("input, select, button")).filter(e => e.getClientRects().length > 0).length`
)

func TestLayout(t *testing.T) {
	t.Parallel()
	files := map[string]string{
		"Sample":    reportFile(t, sample(), ""),
		"Hostile":   reportFile(t, hostile(), ""),
		"Hourly":    reportFile(t, hourly(), ""),
		"Years":     reportFile(t, years(), ""),
		"Centuries": reportFile(t, centuries(), ""),
		"Empty":     reportFile(t, report.Data{Query: audit.SignalQuery{Scope: audit.NoTenant()}, Made: sampleStart()}, ""),
	}
	for name, path := range files {
		for _, scheme := range []string{"light", "dark"} {
			for _, v := range []view{{1280, 900, scheme, true}, {400, 800, scheme, true}} {
				t.Run(fmt.Sprintf("%s/%s/%d", name, scheme, v.width), func(t *testing.T) {
					t.Parallel()
					opened := open(t, path, v)
					faults := ask[[]string](t, opened, look)
					faults = append(faults, ask[[]string](t, opened, `document.querySelectorAll("details").forEach(e => e.open = true);`+look)...)
					for _, fault := range faults {
						t.Error(fault)
					}
					if dark := ask[bool](t, opened, `getComputedStyle(document.body).backgroundColor === "rgb(16, 20, 27)"`); dark != (scheme == "dark") {
						t.Errorf("the page is dark: %v", dark)
					}
					mustBeQuiet(t, opened)
				})
			}
		}
	}
}

// TestLayoutFaultsAreFound spoils a page in each way that look.js looks for.
func TestLayoutFaultsAreFound(t *testing.T) {
	t.Parallel()
	opened := open(t, reportFile(t, sample(), ""), view{400, 800, "light", true})
	for spoiling, want := range map[string]string{
		`document.querySelector("#rates").style.marginTop = "-60px"`:                                 "lies on",
		`document.querySelector(".legend li").style.marginRight = "-60px"`:                           "lies on",
		`document.querySelectorAll(".bars text")[2].setAttribute("x", "4%")`:                         "labels: ",
		`document.querySelector(".tiles").style.width = "600px"`:                                     "the page scrolls sideways",
		`document.querySelector("h1").style.color = "#ddd"`:                                          "can hardly be read",
		`document.querySelectorAll("section").forEach((e, i) => { e.style.marginTop = -40*i+"px" })`: "sections: ",
	} {
		undo := `document.querySelectorAll("[style]").forEach(e => e.removeAttribute("style"))`
		opened.do(t, chromedp.Evaluate[chromedp.Void](spoiling))
		if faults := ask[[]string](t, opened, look); !strings.Contains(strings.Join(faults, "\n"), want) {
			t.Errorf("after %s: %q, want one that says %q", spoiling, faults, want)
		}
		opened.do(t, chromedp.Evaluate[chromedp.Void](undo))
	}
}

// mustBeQuiet checks that there was no error, no violation of the policy, and no request
// but for the file.
func mustBeQuiet(t *testing.T, opened *tab) {
	t.Helper()
	violations := ask[[]string](t, opened, `window.violations`)
	problems, requests := opened.heard()
	if len(violations)+len(problems) > 0 {
		t.Errorf("violations %q, problems %q", violations, problems)
	}
	if !slices.Equal(requests, []string{opened.url}) {
		t.Errorf("requests %q, want the file alone", requests)
	}
}

func TestScriptInARecord(t *testing.T) {
	t.Parallel()
	opened := open(t, reportFile(t, hostile(), ""), view{1280, 900, "light", true})
	if reason := ask[string](t, opened, `document.querySelector("#records .reason").innerText`); !strings.HasPrefix(reason, "<script>window.hacked = true</script>") {
		t.Errorf("the reason shows as %q", reason)
	}
	if ask[bool](t, opened, `"hacked" in window`) {
		t.Error("a record's text ran")
	}
	mustBeQuiet(t, opened)
}

// TestInjectedScript also shows that the other tests would notice
// a violation.
func TestInjectedScript(t *testing.T) {
	t.Parallel()
	const injected = `<script>window.hacked = true</script><img src="https://example.invalid/x.png" onerror="window.hacked = true"><p style="color: red">`
	opened := open(t, reportFile(t, sample(), injected), view{1280, 900, "light", true})
	if ask[bool](t, opened, `"hacked" in window`) {
		t.Error("an injected script ran")
	}
	violations := ask[[]string](t, opened, `window.violations`)
	for _, directive := range []string{"script-src-elem inline", "style-src-attr inline", "img-src https://example.invalid/x.png"} {
		if !slices.Contains(violations, directive) {
			t.Errorf("%q is not among the violations %q", directive, violations)
		}
	}
	if problems, _ := opened.heard(); len(problems) == 0 {
		t.Error("the console says nothing of it")
	}
}

func TestFilter(t *testing.T) {
	t.Parallel()
	opened := open(t, reportFile(t, sample(), ""), view{1280, 900, "light", true})
	data := sample()
	count := func(fits func(audit.Record) bool) (n int) {
		for _, rec := range data.Latest {
			if fits(rec) {
				n++
			}
		}
		return n
	}
	mustShow := func(step string, want int) {
		t.Helper()
		// The page filters after the event, which may take a while on a busy machine.
		for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
			got := ask[int](t, opened, shownRows)
			says := ask[string](t, opened, `document.getElementById("filter-count").textContent`)
			if got == want && strings.HasPrefix(says, fmt.Sprintf("%d ", want)) {
				return
			}
			if time.Now().After(deadline) {
				t.Errorf("%s: %d rows, and it says %q; want %d", step, got, says, want)
				return
			}
		}
	}
	mustShow("at first", 200)

	opened.do(t, slash(), chromedp.KeyEvent("SPOT-saver first"))
	spot := func(rec audit.Record) bool {
		return rec.EnvelopeID == "spot-saver" && strings.Contains(rec.Reason, "first") || strings.HasPrefix(rec.Reason, "spot-saver goes first")
	}
	mustShow("with two words", count(spot))
	opened.do(t, chromedp.KeyEvent(kb.Escape))
	mustShow("after Escape", 200)

	choose := func(id, value string) chromedp.Action[chromedp.Void] {
		return chromedp.Evaluate[chromedp.Void](fmt.Sprintf(`{ const e = document.getElementById(%q); e.value = %q; e.dispatchEvent(new Event("input", {bubbles: true})) }`, id, value))
	}
	opened.do(t, choose("filter-class", "COST"))
	mustShow("with a class", count(func(rec audit.Record) bool { return rec.EnvelopeClass == audit.Cost }))
	opened.do(t, choose("filter-decision", "REJECTED"))
	mustShow("with a class and a decision", count(func(rec audit.Record) bool {
		return rec.EnvelopeClass == audit.Cost && rec.Decision == audit.Rejected
	}))
	opened.do(t, chromedp.Click(chromedp.ID("filter-clear")))
	mustShow("after Clear", 200)
	opened.do(t, chromedp.SendKeys(chromedp.ID("filter-text"), "no such words"))
	mustShow("with what is not there", 0)
	mustBeQuiet(t, opened)
}

func TestKeyboard(t *testing.T) {
	t.Parallel()
	opened := open(t, reportFile(t, sample(), ""), view{1280, 900, "light", true})
	opened.do(t, slash())
	const focused = `document.activeElement.id || document.activeElement.className`
	var path []string
	for range 5 {
		path = append(path, ask[string](t, opened, focused))
		if outline := ask[string](t, opened, `getComputedStyle(document.activeElement).outlineStyle`); outline != "solid" {
			t.Errorf("%s has the focus, and an outline that is %s", path[len(path)-1], outline)
		}
		opened.do(t, chromedp.KeyEvent(kb.Tab))
	}
	want := []string{"filter-text", "filter-class", "filter-decision", "filter-clear", "scroll tall"}
	if !slices.Equal(path, want) {
		t.Errorf("the focus went %q, want %q", path, want)
	}
	unlabelled := ask[int](t, opened, `Array.from(document.querySelectorAll("input, select")).filter(e => !e.labels.length).length`)
	if unlabelled != 0 {
		t.Errorf("%d fields have no label", unlabelled)
	}
	unnamed := ask[[]string](t, opened, `Array.from(document.querySelectorAll("[aria-labelledby], [aria-controls]")).flatMap(e => [e.getAttribute("aria-labelledby"), e.getAttribute("aria-controls")]).filter(id => id && !document.getElementById(id))`)
	if len(unnamed) > 0 {
		t.Errorf("there is no %q", unnamed)
	}
}

func TestWithoutScripts(t *testing.T) {
	t.Parallel()
	opened := open(t, reportFile(t, sample(), ""), view{1280, 900, "light", false})
	if rows := ask[int](t, opened, shownRows); rows != 200 {
		t.Errorf("%d rows, want 200", rows)
	}
	if fields := ask[int](t, opened, shownFields); fields != 0 {
		t.Errorf("%d fields that do nothing are shown", fields)
	}
}

// slash is the key as a keyboard sends it. KeyEvent sends the character separately, so it
// would be typed although the page handles the key.
func slash() chromedp.Action[chromedp.Void] {
	return command(input.DispatchKeyEvent, input.DispatchKeyEventParams{
		Type: input.DispatchKeyEventTypeKeyDown, Key: "/", Code: "Slash", Text: "/", WindowsVirtualKeyCode: 191,
	})
}

// paper is what a sheet of A4 leaves between the margins of report.css, in CSS pixels.
const paper = 688

// TestPrint looks at the pages as they are printed, also by a browser that shows a dark page.
func TestPrint(t *testing.T) {
	t.Parallel()
	for name, data := range map[string]report.Data{"Sample": sample(), "Hostile": hostile(), "Years": years()} {
		path := reportFile(t, data, "")
		for _, scheme := range []string{"light", "dark"} {
			t.Run(name+"/"+scheme, func(t *testing.T) {
				t.Parallel()
				opened := open(t, path, view{paper, 900, scheme, true})
				opened.do(t, command(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
					Media: "print", Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
				}))
				faults := ask[[]string](t, opened, look)
				faults = append(faults, ask[[]string](t, opened, lookPrinted)...)
				for _, fault := range faults {
					t.Error(fault)
				}
				pages, err := chromedp.Run(opened.ctx, chromedp.PrintToPDF())
				if err != nil || len(pages) < 10_000 {
					t.Errorf("%d bytes of PDF: %v", len(pages), err)
				}
			})
		}
	}
}

// lookPrinted finds what paper cannot show: what scrolls or leaves the sheet, what waits for
// a click, and ink that is not dark. A row or a drawing must not be torn between two sheets.
const lookPrinted = `(function () {
	const faults = [];
	const name = (e) => e.tagName.toLowerCase() + "." + e.className + " " + JSON.stringify(e.textContent.trim().slice(0, 40));
	for (const e of document.querySelectorAll(".scroll, .tall")) {
		if (e.scrollHeight > e.clientHeight + 1 || e.scrollWidth > e.clientWidth + 1) {
			faults.push("a box scrolls: " + name(e) + " " + e.scrollWidth + " > " + e.clientWidth + ", " + e.scrollHeight + " > " + e.clientHeight);
		}
	}
	for (const e of document.querySelectorAll("table, td, th, svg, dl")) {
		if (e.getClientRects().length > 0 && e.getBoundingClientRect().right > innerWidth + 1) {
			faults.push("it leaves the sheet: " + name(e) + " " + e.getBoundingClientRect().right);
			break;
		}
	}
	for (const e of document.querySelectorAll("input, select, button, summary")) {
		if (e.getClientRects().length > 0) {
			faults.push("it waits for a click: " + name(e));
			break;
		}
	}
	if (getComputedStyle(document.body).backgroundColor !== "rgb(255, 255, 255)") {
		faults.push("the sheet is not white");
	}
	for (const selector of ["tr", ".rings > li", ".lanes li", ".rates li", ".state", ".tile", ".plot"]) {
		const e = document.querySelector(selector);
		if (e && getComputedStyle(e).breakInside !== "avoid") {
			faults.push("it may be torn: " + selector);
		}
	}
	if (getComputedStyle(document.querySelector("h2")).breakAfter !== "avoid") {
		faults.push("a heading may be left alone at the foot of a sheet");
	}
	return faults;
})()`
