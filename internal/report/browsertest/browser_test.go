package browsertest_test

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/hoc-analytics/coordaudit/internal/report"
)

// lifetime bounds the browser, and patience a request to one of its tabs.
const (
	lifetime = 10 * time.Minute
	patience = 2 * time.Minute
)

// findBrowser returns the path of an installed browser. Without one the test is
// skipped, unless COORDAUDIT_REQUIRE_BROWSER is set.
func findBrowser(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	const advice = "no browser is installed: the report is not looked at; get one with `apt-get install chromium`, or put google-chrome on the PATH"
	if os.Getenv("COORDAUDIT_REQUIRE_BROWSER") != "" {
		t.Fatal(advice)
	}
	t.Skip(advice)
	return ""
}

// browser is shared by all tests, each in its own tabs. It takes longer to start than all
// tests take together.
type browser struct {
	once sync.Once
	ctx  context.Context //nolint:containedctx // chromedp's contexts are its browsers and tabs
	stop func()
	err  error
}

var shared browser

func TestMain(m *testing.M) {
	m.Run()
	if shared.stop != nil {
		shared.stop()
	}
	if served.stop != nil {
		served.stop()
	}
}

// startBrowser starts the browser if no test has done so.
func startBrowser(t *testing.T) *browser {
	t.Helper()
	path := findBrowser(t)
	shared.once.Do(func() { shared.start(path) })
	if shared.err != nil {
		t.Fatalf("starting %s: %v", path, shared.err)
	}
	return &shared
}

func (b *browser) start(path string) {
	options := append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]), chromedp.ExecPath(path))
	if os.Getuid() == 0 {
		options = append(options, chromedp.NoSandbox) // its sandbox refuses to work for root
	}
	bounded, cancelTimeout := context.WithTimeout(context.Background(), lifetime)
	allocator, cancelAllocator := chromedp.NewExecAllocator(bounded, options...)
	ctx, cancelBrowser := chromedp.NewContext(allocator)
	b.ctx, b.err = ctx, chromedp.Do(ctx)
	b.stop = func() {
		_ = chromedp.Cancel(ctx) // waits for its end
		cancelBrowser()
		cancelAllocator()
		cancelTimeout()
	}
}

// view is the size and the colour scheme of a page.
type view struct {
	width, height int64
	scheme        string // light or dark
	scripts       bool
}

// tab is one page of the browser, with the errors and requests that it reported.
type tab struct {
	ctx context.Context //nolint:containedctx // as above
	url string

	mu       sync.Mutex
	problems []string
	requests []string
}

// open opens a file from the disk.
func open(t *testing.T, path string, v view) *tab {
	t.Helper()
	return openURL(t, (&url.URL{Scheme: "file", Path: filepath.ToSlash(path)}).String(), v)
}

// openURL opens an address.
func openURL(t *testing.T, address string, v view) *tab {
	t.Helper()
	unbounded, closeTab := chromedp.NewContext(startBrowser(t).ctx)
	ctx, cancel := context.WithTimeout(unbounded, patience)
	t.Cleanup(func() { cancel(); closeTab() })
	opened := &tab{ctx: ctx, url: address}
	if err := chromedp.Listen(ctx, opened.hear); err != nil {
		t.Fatal(err)
	}
	const violations = `window.violations = []; document.addEventListener("securitypolicyviolation", e => window.violations.push(e.violatedDirective + " " + e.blockedURI))`
	opened.do(t,
		command(network.Enable, network.EnableParams{}),
		command(log.Enable, cdp.Empty{}),
		command(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: v.scheme}},
		}),
		command(emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: !v.scripts}),
		command(emulation.SetFocusEmulationEnabled, emulation.SetFocusEmulationEnabledParams{Enabled: true}), // there are many tabs and only one focus
		chromedp.EmulateViewport(v.width, v.height),
		command(page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: violations}),
		chromedp.Navigate(opened.url),
	)
	return opened
}

// command is a command of the browser's protocol whose answer is not needed.
func command[P, R any](of cdp.Command[P, R], params P) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		_, err := cdp.Call(ctx, target, of, params)
		return err
	})
}

func (p *tab) hear(event any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch event := event.(type) {
	case *runtime.EventConsoleAPICalled:
		p.problems = append(p.problems, fmt.Sprintf("console.%s", event.Type))
	case *runtime.EventExceptionThrown:
		p.problems = append(p.problems, "exception: "+event.ExceptionDetails.Text)
	case *log.EventEntryAdded:
		p.problems = append(p.problems, fmt.Sprintf("%s: %s", event.Entry.Source, event.Entry.Text))
	case *network.EventRequestWillBeSent:
		p.requests = append(p.requests, event.Request.URL)
	}
}

// heard returns the errors and the requests so far.
func (p *tab) heard() (problems, requests []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.problems), slices.Clone(p.requests)
}

func (p *tab) do(t *testing.T, actions ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	if err := chromedp.Do(p.ctx, actions...); err != nil {
		t.Fatal(err)
	}
}

// ask evaluates an expression in the page.
func ask[T any](t *testing.T, p *tab, expression string) T {
	t.Helper()
	answer, err := chromedp.Run(p.ctx, chromedp.Evaluate[T](expression))
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

// reportFile writes a report to disk, with an addition before its end.
func reportFile(t *testing.T, data report.Data, more string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "trail #1.html")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := report.Write(file, data); err != nil {
		t.Fatal(err)
	}
	if _, err := file.WriteString(more); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}
