package browsertest_test

import (
	_ "embed"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit/audit"
)

//go:embed a11y.js
var a11y string

func (s *site) pages() map[string]string {
	envelope := func(rec audit.Record) string {
		return url.Values{"envelope": {rec.EnvelopeID}, "tenant": {rec.TenantID}}.Encode()
	}
	return map[string]string{
		"Records": "/records", "NoRecords": "/records?since=1h&reason=none-has-this", "MoreFilters": "/records?actor=coordinator-1&since=7d&limit=5",
		"Record": "/records/" + s.story.preempted.AuditID.String(), "HostileRecord": "/records/" + s.story.hostile.AuditID.String(),
		"HostileList": "/records?" + envelope(s.story.hostile), "Timeline": "/timeline?" + envelope(s.story.preempted), "HostileTimeline": "/timeline?" + envelope(s.story.hostile),
		"NoTimeline": "/timeline", "Signals": "/signals?since=7d", "Completeness": "/completeness?account=now", "Seal": "/seal", "Live": "/live", "Fault": "/records/nonsense",
	}
}

// Every page at both ends of the widths, light and dark: nothing lies on another, leaves the
// page or can hardly be read, and no serious rule of accessibility is broken.
func TestConsoleLayout(t *testing.T) {
	t.Parallel()
	s := startConsole(t)
	for name, page := range s.pages() {
		for _, scheme := range []string{"light", "dark"} {
			for _, width := range []int64{400, 820, 1280, 1920} {
				t.Run(fmt.Sprintf("%s/%s/%d", name, scheme, width), func(t *testing.T) {
					t.Parallel()
					opened := openURL(t, s.url+page, view{width, 900, scheme, true})
					faults := ask[[]string](t, opened, `document.querySelectorAll("details").forEach(e => e.open = true);`+look)
					for _, fault := range append(faults, ask[[]string](t, opened, a11y)...) {
						t.Error(fault)
					}
					s.mustBeQuiet(t, opened, name == "Fault")
				})
			}
		}
	}
}

// mustBeQuiet checks that there was no error, no violation of the policy, no cookie, and no
// request to anywhere else.
func (s *site) mustBeQuiet(t *testing.T, opened *tab, isFault bool) {
	t.Helper()
	problems, requests := opened.heard()
	if isFault { // the browser reports its status
		problems = slices.DeleteFunc(problems, func(text string) bool { return strings.Contains(text, "status of 4") })
	}
	if violations := ask[[]string](t, opened, `window.violations`); len(violations)+len(problems) > 0 {
		t.Errorf("violations %q, problems %q", violations, problems)
	}
	for _, request := range requests {
		if !strings.HasPrefix(request, s.url+"/") {
			t.Errorf("the page asks %s", request)
		}
	}
	if cookies := ask[string](t, opened, `document.cookie`); cookies != "" {
		t.Errorf("the page has cookies: %s", cookies)
	}
	if ask[bool](t, opened, `"hacked" in window`) {
		t.Error("a record's text ran")
	}
}

// TestAccessibilityFaultsAreFound breaks each rule of a11y.js.
func TestAccessibilityFaultsAreFound(t *testing.T) {
	t.Parallel()
	s := startConsole(t)
	for rule, spoiling := range map[string]string{
		"document-title":              `document.title = ""`,
		"html-lang":                   `document.documentElement.lang = ""`,
		"meta-viewport":               `document.querySelector("meta[name=viewport]").content = "user-scalable=no"`,
		"meta-refresh":                `document.head.insertAdjacentHTML("beforeend", "<meta http-equiv=refresh content=600>")`,
		"duplicate-id":                `document.querySelector("footer").id = "main"`,
		"idref aria-labelledby":       `document.querySelector("table").setAttribute("aria-labelledby", "nothing")`,
		"image-alt":                   `document.querySelector("main").append(new Image())`,
		"svg-img-alt":                 `document.querySelector("svg.lanes").removeAttribute("aria-label")`,
		"label":                       `document.querySelector("label[for=since]").remove()`,
		"button-name":                 `document.querySelector("button").textContent = ""`,
		"link-name":                   `document.querySelector("nav a").textContent = ""`,
		"landmark-one-main":           `document.body.append(document.createElement("main"))`,
		"landmark-unique":             `document.querySelectorAll("form").forEach(e => e.setAttribute("aria-label", "same"))`,
		"region":                      `document.body.insertAdjacentHTML("beforeend", "<div>lost</div>")`,
		"skip-link":                   `document.querySelector(".skip").remove()`,
		"page-has-heading-one":        `document.querySelector("h1").remove()`,
		"heading-order":               `document.querySelector("h2").outerHTML = "<h4>four</h4>"`,
		"th-scope":                    `document.querySelector("th").removeAttribute("scope")`,
		"empty-table-header":          `document.querySelector("th").textContent = ""`,
		"td-headers":                  `document.querySelector("td").remove()`,
		"required-role":               `document.querySelector("td").removeAttribute("role")`,
		"list":                        `document.querySelector("ul").append(document.createElement("p"))`,
		"tabindex":                    `document.querySelector("main").tabIndex = 3`,
		"aria-hidden-focus":           `document.querySelector("nav").setAttribute("aria-hidden", "true")`,
		"nested-interactive":          `document.querySelector("nav a").append(document.createElement("button"))`,
		"scrollable-region-focusable": `{ const e = document.querySelector(".legend"); e.style.cssText = "height: 8px; overflow: auto" }`,
		"aria-valid-attr-value":       `document.querySelector("[aria-current]").setAttribute("aria-current", "yes")`,
		"link-in-text-block":          `document.querySelector("footer p").insertAdjacentHTML("beforeend", "<a class=go href=/ >a</a>"); document.querySelector("footer p a").style.textDecoration = "none"`,
		"color-contrast":              `document.querySelector("footer p").style.color = "#bbb"`,
		"target-size":                 `document.querySelector("#filters button").style.cssText = "height: 8px; padding: 0"; document.querySelector("#filters").append(document.querySelector("#filters button"))`,
	} {
		t.Run(rule, func(t *testing.T) {
			t.Parallel()
			opened := openURL(t, s.url+s.pages()["Timeline"], view{1280, 900, "light", true})
			opened.do(t, chromedp.Evaluate[chromedp.Void](spoiling))
			if faults := ask[[]string](t, opened, a11y); !slices.ContainsFunc(faults, func(fault string) bool { return strings.HasPrefix(fault, rule+": ") }) {
				t.Errorf("%q has no fault of %s", faults, rule)
			}
		})
	}
}

// The keys lead from the search to a record and its timeline, and each place is outlined.
func TestConsoleKeyboard(t *testing.T) {
	t.Parallel()
	s := startConsole(t)
	opened := openURL(t, s.url+"/records?tenant=acme&envelope=spot-saver", view{1280, 900, "light", true})
	const focused = `(e => e.className || e.id || e.textContent)(document.activeElement)`
	outlined := func(step string) {
		t.Helper()
		if outline := ask[string](t, opened, `getComputedStyle(document.activeElement).outlineStyle`); outline != "solid" {
			t.Errorf("%s: %s has the focus, and an outline that is %s", step, ask[string](t, opened, focused), outline)
		}
	}
	opened.do(t, chromedp.KeyEvent(kb.Tab))
	outlined("first")
	if at := ask[string](t, opened, focused); at != "skip" {
		t.Errorf("the first stop is %q, want the skip link", at)
	}
	opened.do(t, chromedp.KeyEvent(kb.Enter))
	for range 40 { // through every field and link of the page
		opened.do(t, chromedp.KeyEvent(kb.Tab))
		if ask[bool](t, opened, `document.activeElement === document.body`) {
			break
		}
		outlined("on the way")
	}
	opened.do(t, slash())
	if at := ask[string](t, opened, focused); at != "find" {
		t.Errorf("/ leads to %q", at)
	}
	outlined("find")
	opened.do(t, chromedp.KeyEvent(kb.Escape), chromedp.KeyEvent("j"))
	outlined("a row")
	opened.do(t, chromedp.KeyEvent(kb.Enter))
	opened.mustArrive(t, "/records/"+s.story.preempted.AuditID.String())
}

// mustArrive waits until a page of that path is there.
func (p *tab) mustArrive(t *testing.T, path string) {
	t.Helper()
	p.until(t, fmt.Sprintf(`location.pathname + location.search === %q && document.readyState === "complete"`, path))
}

// until waits until an expression is true. It may be asked while a page goes, which fails.
func (p *tab) until(t *testing.T, expression string) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		holds, err := chromedp.Run(p.ctx, chromedp.Evaluate[bool](expression))
		if err == nil && holds {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("not so within 30 s: %s (%v)", expression, err)
		}
	}
}

func TestConsoleWithoutScripts(t *testing.T) {
	t.Parallel()
	s := startConsole(t)
	for _, page := range []string{"/records", "/live", s.pages()["Timeline"]} {
		opened := openURL(t, s.url+page, view{1280, 900, "light", false})
		if rows := ask[int](t, opened, `document.querySelectorAll("table.records tbody tr").length`); rows < 2 {
			t.Errorf("%s has %d rows", page, rows)
		}
		if buttons := ask[int](t, opened, `Array.from(document.querySelectorAll("button[type=button]")).filter(e => e.checkVisibility()).length`); buttons != 0 {
			t.Errorf("%s has %d buttons that do nothing", page, buttons)
		}
	}
}

// The tail adds what is stored, says so to a screen reader, and stands still while it is paused.
func TestConsoleTail(t *testing.T) {
	t.Parallel()
	s := startConsole(t)
	opened := openURL(t, s.url+"/live?tenant=tail", view{1280, 900, "light", true})
	opened.until(t, `document.getElementById("state").textContent.startsWith("Watching")`)
	persist := func(envelope string) {
		t.Helper()
		rec := s.story.applied
		rec.AuditID, rec.TenantID, rec.EnvelopeID, rec.DecisionTimestamp = uuid.New(), "tail", envelope, time.Now()
		if _, err := s.store.Persist(t.Context(), rec); err != nil {
			t.Fatal(err)
		}
	}
	has := func(envelope string) string {
		return fmt.Sprintf(`document.getElementById("rows").textContent.includes(%q)`, envelope)
	}
	persist("first-of-the-tail")
	opened.until(t, has("first-of-the-tail"))
	opened.until(t, `document.getElementById("state").textContent.includes("1 new record")`)
	opened.do(t, chromedp.Click(chromedp.ID("pause")))
	persist("second-of-the-tail")
	opened.until(t, `document.getElementById("state").textContent.includes("1 record waiting")`)
	if ask[bool](t, opened, has("second-of-the-tail")) {
		t.Error("a row came while the tail is paused")
	}
	opened.do(t, chromedp.Click(chromedp.ID("pause")))
	opened.until(t, has("second-of-the-tail"))
	persist(s.story.hostile.EnvelopeID) // a row of it stays text as well
	opened.until(t, has("<img src=x"))
	if ask[string](t, opened, `document.querySelector("#rows tr:last-child th").textContent.trim()`) != "first-of-the-tail" {
		t.Error("the oldest row is not the last")
	}
	for _, fault := range ask[[]string](t, opened, a11y) {
		t.Error(fault)
	}
	s.mustBeQuiet(t, opened, false)
}

func TestConsolePrint(t *testing.T) {
	t.Parallel()
	s := startConsole(t)
	opened := openURL(t, s.url+s.pages()["Record"], view{1280, 900, "light", true})
	opened.do(t, command(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Media: "print"}))
	if shown := ask[int](t, opened, `Array.from(document.querySelectorAll("nav, form, button, .steps")).filter(e => e.checkVisibility()).length`); shown != 0 {
		t.Errorf("%d things that are not for paper are printed", shown)
	}
	pages, err := chromedp.Run(opened.ctx, chromedp.PrintToPDF())
	if err != nil || len(pages) < 10_000 {
		t.Errorf("%d bytes of PDF: %v", len(pages), err)
	}
}
