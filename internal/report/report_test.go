package report_test

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"html"
	"io"
	"math"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/report"
)

// tags are the elements of a page, with the names of their attributes.
func tags(page string) []string {
	var names []string
	for _, tag := range regexp.MustCompile(`<[a-zA-Z!/][^>]*>`).FindAllString(page, -1) {
		tag = regexp.MustCompile(`"[^"]*"`).ReplaceAllString(tag, `""`)
		names = append(names, tag)
	}
	return names
}

func TestTextsAreEscaped(t *testing.T) {
	t.Parallel()
	want := tags(written(t, filled("harmless")))
	for _, hostile := range []string{
		"<script>alert(1)</script>",
		`"><img src=x onerror=alert(1)>`,
		"</script><script>alert(1)</script>",
		"</title></style><svg onload=alert(1)>",
		"' onmouseover='alert(1)",
		"` onclick=alert(1) `",
		"{{.Policy}}",
		"<!-- ",
		"]]>",
		"javascript:alert(1)",
	} {
		t.Run(hostile, func(t *testing.T) {
			t.Parallel()
			page := written(t, filled(hostile))
			if diff := cmp.Diff(want, tags(page)); diff != "" {
				t.Errorf("the text changes the page's elements (-harmless +hostile):\n%s", diff)
			}
			if strings.Contains(page, "ZgotmplZ") {
				t.Error("html/template refused a text for its place")
			}
			if !strings.Contains(html.UnescapeString(page), "because "+hostile) {
				t.Error("the reason does not show as it is")
			}
		})
	}
}

func TestHiddenCharacters(t *testing.T) {
	t.Parallel()
	page := written(t, filled("a\u202Eb\u200Bc\u0007d"))
	for _, hidden := range []string{"\u202E", "\u200B", "\u0007"} {
		if strings.Contains(page, hidden) {
			t.Errorf("the page holds %q", hidden)
		}
	}
	if !strings.Contains(page, "a\uFFFDb\uFFFDc\uFFFDd") {
		t.Error("there is no sign of what was hidden")
	}
}

func TestPageLoadsNothing(t *testing.T) {
	t.Parallel()
	for name, data := range map[string]report.Data{"empty": empty(), "filled": filled("harmless")} {
		page := written(t, data)
		for _, asking := range []string{"http:", "https:", "//", "src=", "href=", "url(", "@import", "<link", "<img", "<iframe", " style=", "<base", " on"} {
			for _, tag := range append(tags(page), inlined(t, page, "style"), inlined(t, page, "script")) {
				if asking == "//" || asking == " on" { // a comment, and a word of one
					if strings.HasPrefix(tag, "<") && strings.Contains(tag, asking) {
						t.Errorf("%s: %q is in %q", name, asking, tag)
					}
				} else if strings.Contains(tag, asking) {
					t.Errorf("%s: %q is in %.200q", name, asking, tag)
				}
			}
		}
	}
}

func inlined(t *testing.T, page, element string) string {
	t.Helper()
	found := regexp.MustCompile(`(?s)<`+element+`>(.*?)</`+element+`>`).FindAllStringSubmatch(page, -1)
	if len(found) != 1 {
		t.Fatalf("there are %d <%s>, want 1", len(found), element)
	}
	return found[0][1]
}

func TestPolicy(t *testing.T) {
	t.Parallel()
	page := written(t, filled("</script>"))
	found := regexp.MustCompile(`<meta http-equiv="Content-Security-Policy" content="([^"]*)">`).FindStringSubmatch(page)
	if found == nil {
		t.Fatal("there is no policy")
	}
	hash := func(element string) string {
		sum := sha256.Sum256([]byte(inlined(t, page, element)))
		return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
	}
	want := "default-src 'none'; style-src " + hash("style") + "; script-src " + hash("script") + "; base-uri 'none'; form-action 'none'"
	if diff := cmp.Diff(want, html.UnescapeString(found[1])); diff != "" {
		t.Errorf("policy (-want +got):\n%s", diff)
	}
	if strings.Index(page, "Content-Security-Policy") > strings.Index(page, "<style>") {
		t.Error("the policy comes after what it is to bind")
	}
}

func TestSameDataSameFile(t *testing.T) {
	t.Parallel()
	first := written(t, filled("harmless"))
	for range 20 {
		if diff := cmp.Diff(first, written(t, filled("harmless"))); diff != "" {
			t.Fatalf("(-first +again):\n%s", diff)
		}
	}
}

func TestEmptyTrail(t *testing.T) {
	t.Parallel()
	page := written(t, empty())
	mustContain(t, page, "No decisions in this window", "2026-01-01 00:00:00 UTC until now", "all tenants")
	if strings.Contains(page, `id="records"`) || strings.Contains(page, "NaN") {
		t.Error("there is a table or a chart of nothing")
	}
}

func TestOneRecord(t *testing.T) {
	t.Parallel()
	data := filled("harmless")
	at := data.Latest[3].DecisionTimestamp
	data.Query.Window = audit.Window{}
	data.Latest, data.Lanes, data.Signals = data.Latest[3:4], nil, audit.Signals{}
	data.Breakdown = audit.Breakdown{
		Total: 1, FirstSeen: at, LastSeen: at,
		ByClassDecision: map[audit.EnvelopeClass]map[audit.Decision]int64{audit.Cost: {audit.Rejected: 1}},
		ByTenant:        map[string]int64{"": 1},
		ByDay:           []audit.DayCount{{Day: at.Truncate(24 * time.Hour), ByClass: map[audit.EnvelopeClass]int64{audit.Cost: 1}}},
	}
	page := written(t, data)
	mustContain(t, page, "all of the trail", "2026-01-04: 1 decision\nCOST 1", "None in this window.", "100.0 %")
	if strings.Contains(page, "NaN") || strings.Contains(page, "Inf") {
		t.Error("something was divided by nothing")
	}
}

func TestHugeNumbers(t *testing.T) {
	t.Parallel()
	data := filled("harmless")
	const huge = math.MaxInt64 / 8
	first, last := time.Date(1, 1, 1, 0, 0, 0, 1000, time.UTC), time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)
	data.Query.Window = audit.Window{}
	data.Breakdown.FirstSeen, data.Breakdown.LastSeen, data.Breakdown.Total = first, last, 4*huge
	data.Breakdown.ByDay = []audit.DayCount{
		{Day: first.Truncate(24 * time.Hour), ByClass: map[audit.EnvelopeClass]int64{audit.Cost: huge, audit.Safety: huge}},
		{Day: last.Truncate(24 * time.Hour), ByClass: map[audit.EnvelopeClass]int64{audit.Cost: huge, audit.Unknown: huge}},
	}
	data.Signals.Friction[0].Conflicts = math.MaxInt64
	page := written(t, data)
	mustContain(t, page, "Per 36,500 days", "4,611,686,018,427,387,900", "9,223,372,036,854,775,807")
	if bars := strings.Count(page, `<g class="bar">`); bars != 2 {
		t.Errorf("%d bars, want 2", bars)
	}
	for _, wrong := range []string{"NaN", "Inf", `="-`, "e+"} {
		if strings.Contains(strings.Join(regexp.MustCompile(`(x|y|width|height)="[^"]*"`).FindAllString(page, -1), " "), wrong) {
			t.Errorf("a measure holds %q", wrong)
		}
	}
}

func TestLongReasons(t *testing.T) {
	t.Parallel()
	data := filled("harmless")
	data.Latest[0].Reason = strings.Repeat("ü", report.MaxReasonLength) + strings.Repeat("x", 64<<10)
	page := written(t, data)
	mustContain(t, page, "ü … (65,536 more characters)")
	if len(page) > 100_000 {
		t.Errorf("the page has %d bytes", len(page))
	}
}

func TestWriteFails(t *testing.T) {
	t.Parallel()
	full := errors.New("the disk is full")
	reader, writer := io.Pipe()
	_ = reader.CloseWithError(full)
	if err := report.Write(writer, filled("harmless")); !errors.Is(err, full) {
		t.Errorf("got %v, want %v", err, full)
	}
}

func mustContain(t *testing.T, page string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(page, part) {
			t.Errorf("%q is not in the page", part)
		}
	}
}

// An open window may have times that do not fit a chart. Every count includes them, and
// the chart says how many it leaves out.
func TestUndrawnRecords(t *testing.T) {
	t.Parallel()
	byClass := func(n int64) map[audit.EnvelopeClass]int64 { return map[audit.EnvelopeClass]int64{audit.Cost: n} }
	data := empty()
	data.Query.Window = audit.Window{}
	data.Breakdown = audit.Breakdown{
		Total: 12, FirstSeen: audit.InfinitePast(), LastSeen: audit.InfiniteFuture(),
		ByDay: []audit.DayCount{
			{Day: audit.InfinitePast(), ByClass: byClass(1)},
			{Day: time.Date(-43, 3, 15, 0, 0, 0, 0, time.UTC), ByClass: byClass(2)},
			{Day: at("2026-01-02T00:00:00Z"), ByClass: byClass(3)},
			{Day: at("2026-01-04T00:00:00Z"), ByClass: byClass(1)},
			{Day: time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC), ByClass: byClass(2)},
			{Day: audit.InfiniteFuture(), ByClass: byClass(3)},
		},
	}
	page := written(t, data)
	for _, want := range []string{"Per day", "or not in the years 1 to 9999, are not drawn: 8.", "2026-01-02: 3 decisions", "-infinity"} {
		if !strings.Contains(page, want) {
			t.Errorf("%q is not in the page", want)
		}
	}
}

// What turns a text, or shows as nothing, has a sign in its place.
func TestHiddenCharactersAreSeen(t *testing.T) {
	t.Parallel()
	page := written(t, filled("a\u202e\u200b\u3164\ufe00\u034fb ⚠\ufe0f"))
	if i := strings.IndexAny(page, "\u202e\u200b\u3164\ufe00\u034f"); i >= 0 {
		t.Errorf("a character is hidden: %+q", page[max(0, i-40):i+20])
	}
	if !strings.Contains(page, "a\ufffd\ufffd\ufffd\ufffd\ufffdb ⚠\ufe0f") {
		t.Error("the signs are missing, or the emoji")
	}
}
