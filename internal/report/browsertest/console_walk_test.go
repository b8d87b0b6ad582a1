package browsertest_test

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/hoc-analytics/coordaudit/internal/cli"
	"github.com/hoc-analytics/coordaudit/internal/cli/coordaudit"
)

// The walks of docs/console.md: three people with a question each, who know the help and the
// console alone. Each step is one that they can see.

// program runs the program, and returns what it prints.
func (s *site) program(t *testing.T, args ...string) string {
	t.Helper()
	var stdout, stderr bytes.Buffer
	p := &cli.Program{
		Name: "coordaudit", Env: func(name string) string { return map[string]string{cli.URLVariable: s.databaseURL}[name] },
		Stdin: strings.NewReader(""), Stdout: &stdout, Stderr: &stderr,
	}
	if code := coordaudit.Run(t.Context(), p, args); code != cli.ExitDone {
		t.Fatalf("%q: exit %d: %s", args, code, stderr.String())
	}
	return stdout.String()
}

func TestWalkBeginsWithTheHelp(t *testing.T) {
	t.Parallel()
	s := startConsole(t)
	if help := s.program(t, "--help"); !strings.Contains(help, "serve") || !strings.Contains(help, "console") {
		t.Errorf("the help does not lead to the console: %s", help)
	}
	if help := s.program(t, "serve", "--help"); !strings.Contains(help, "127.0.0.1:8080") || !strings.Contains(help, "--all-tenants") {
		t.Errorf("the help of serve does not say how to begin: %s", help)
	}
}

// An operator asks: why was my envelope preempted?
func TestWalkOfTheOperator(t *testing.T) {
	t.Parallel()
	s := startConsole(t)
	opened := openURL(t, s.url+"/", view{1120, 700, "light", true})
	opened.mustArrive(t, "/records")
	opened.do(t, slash(), chromedp.KeyEvent("spot-saver"), chromedp.KeyEvent(kb.Enter))
	opened.mustArrive(t, "/timeline?envelope=spot-saver")
	opened.do(t, chromedp.Evaluate[chromedp.Void](`Array.from(document.querySelectorAll("tr")).find(e => e.textContent.includes("PREEMPTED")).querySelector("a.go").click()`))
	opened.mustArrive(t, "/records/"+s.story.preempted.AuditID.String())
	opened.mustSay(t, "retry-backoff-guard (SAFETY) took its place: retry-backoff-guard holds retry_backoff_ms of the gateway [OUTRANKED]")
	opened.mustClick(t, "Explain the other decision")
	opened.mustArrive(t, "/records/"+s.story.preemptor.AuditID.String())
	opened.mustSay(t, "error rate above 2 %")
}

// An auditor looks: what happened, is anything missing, is it sealed?
func TestWalkOfTheAuditor(t *testing.T) {
	t.Parallel()
	s := startConsole(t)
	opened := openURL(t, s.url+"/records", view{1120, 700, "light", true})
	opened.do(t, chromedp.SendKeys(chromedp.ID("decision"), "PREEMPTED"), chromedp.SendKeys(chromedp.ID("reason-code"), "OUTRANKED"), chromedp.KeyEvent(kb.Enter))
	opened.until(t, `location.search.includes("reason-code=OUTRANKED") && document.querySelectorAll("table.records tbody tr").length > 0`)
	opened.mustSay(t, "OUTRANKED")
	opened.mustClick(t, "Completeness")
	opened.mustArrive(t, "/completeness")
	opened.mustClick(t, "Account now")
	opened.mustSay(t, "Account of the sources")
	opened.until(t, `document.querySelector(".verdict") !== null`)
	opened.mustClick(t, "Seal")
	opened.mustArrive(t, "/seal")
	opened.mustSay(t, "coordaudit verify --checkpoint DIR --key FILE")
}

// A data team wants a file of what it sees.
func TestWalkOfTheDataTeam(t *testing.T) {
	t.Parallel()
	s := startConsole(t)
	opened := openURL(t, s.url+"/records?tenant=acme&envelope=spot-saver", view{1120, 700, "light", true})
	opened.mustClickOn(t, "summary", "These records as a file")
	opened.until(t, `document.querySelector(".file code").checkVisibility()`)
	command := ask[string](t, opened, `document.querySelector(".file code").textContent`)
	args := strings.Fields(command)
	file := filepath.Join(t.TempDir(), "records.csv")
	at := slices.Index(args, "records.csv")
	if args[0] != "coordaudit" || at < 0 {
		t.Fatalf("this is no command: %s", command)
	}
	args[at] = file
	s.program(t, args[1:]...)
	written, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	rows := ask[int](t, opened, `document.querySelectorAll("table.records tbody tr").length`)
	if lines := strings.Count(string(written), "\n"); lines != rows+1 || !strings.Contains(string(written), s.story.preempted.AuditID.String()) {
		t.Errorf("the page has %d records, and the file %d lines: %s", rows, lines, written)
	}
}

func (p *tab) mustSay(t *testing.T, text string) {
	t.Helper()
	p.until(t, `document.readyState === "complete" && document.querySelector("main").innerText.includes(`+quote(text)+`)`)
}

func (p *tab) mustClick(t *testing.T, text string) { t.Helper(); p.mustClickOn(t, "a", text) }

// mustClickOn clicks on what a person would: something that is there and has this text.
func (p *tab) mustClickOn(t *testing.T, element, text string) {
	t.Helper()
	clicked := `(e => { if (e) e.click(); return Boolean(e) })(Array.from(document.querySelectorAll(` + quote(element) + `)).find(e => e.textContent.trim() === ` + quote(text) + ` && e.checkVisibility()))`
	if !ask[bool](t, p, clicked) {
		t.Fatalf("nothing says %s", text)
	}
}

func quote(text string) string { return `"` + strings.ReplaceAll(text, `"`, `\"`) + `"` }
