package browsertest_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// TestConsoleScreenshots makes the pictures in docs/ if COORDAUDIT_CONSOLE_SCREENSHOTS names the
// directory.
func TestConsoleScreenshots(t *testing.T) {
	t.Parallel()
	directory := os.Getenv("COORDAUDIT_CONSOLE_SCREENSHOTS")
	if directory == "" {
		t.Skip("COORDAUDIT_CONSOLE_SCREENSHOTS names no directory")
	}
	s := startConsole(t)
	envelope := "tenant=acme&envelope=spot-saver"
	for name, shot := range map[string]struct {
		page string
		view view
	}{
		"console-search":   {"/records?" + envelope, view{1120, 420, "light", true}},
		"console-record":   {s.pages()["Record"], view{1120, 980, "light", true}},
		"console-timeline": {s.busiest(t), view{1120, 800, "light", true}},
		"console-signals":  {"/signals?since=7d&tenant=tenant-acme", view{1120, 900, "light", true}},
		"console-file":     {"/records?decision=REJECTED&since=7d&tenant=tenant-acme&limit=4", view{1120, 680, "light", true}},
		"console-phone":    {s.pages()["Record"], view{400, 860, "dark", true}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			opened := openURL(t, s.url+shot.page, shot.view)
			opened.do(t, chromedp.Evaluate[chromedp.Void](`document.querySelectorAll("details.file").forEach(e => e.open = true)`))
			time.Sleep(300 * time.Millisecond) // what it draws is drawn
			picture, err := chromedp.Run(opened.ctx, chromedp.CaptureScreenshot())
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(directory, name+".png"), smaller(t, picture), 0o644); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// busiest is the timeline of the envelope that was preempted most.
func (s *site) busiest(t *testing.T) string {
	t.Helper()
	opened := openURL(t, s.url+"/signals?since=7d", view{1120, 800, "light", true})
	return ask[string](t, opened, `document.querySelector("section[aria-labelledby=oscillation] tbody a").getAttribute("href")`) + "&since=24h"
}
