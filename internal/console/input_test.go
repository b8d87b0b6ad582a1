package console_test

import (
	"fmt"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/console"
	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
)

// The answer to a bad link says what is wrong, and what to do next.
func TestBadLinksAreExplained(t *testing.T) {
	t.Parallel()
	s := open(t, nil)
	rec := decision("acme", "envelope")
	s.persist(t, rec)
	id := rec.AuditID.String()
	for path, want := range map[string]struct {
		status int
		says   string
	}{
		"/records/nonsense":                               {http.StatusBadRequest, "36-character form"},
		"/records/" + id[:35]:                             {http.StatusBadRequest, "36-character form"},
		"/records/00000000-0000-0000-0000-000000000000":   {http.StatusBadRequest, "36-character form"},
		"/records/" + id + "/proof?x=1":                   {http.StatusBadRequest, "not one of this page"},
		"/records/" + uuid.NewString():                    {http.StatusNotFound, "Not found"},
		"/records/" + id + "/proof":                       {http.StatusNotFound, "No proof"},
		"/records/" + id + "/more":                        {http.StatusNotFound, "No such page"},
		"/records?envelop=x":                              {http.StatusBadRequest, "envelop is not one of this page"},
		"/records?cursor=nonsense":                        {http.StatusBadRequest, "damaged"},
		"/records?class=GREEN":                            {http.StatusBadRequest, "class must be one of"},
		"/records?decision=MAYBE":                         {http.StatusBadRequest, "decision must be one of"},
		"/records?since=tomorrow":                         {http.StatusBadRequest, "since must be an RFC 3339 time"},
		"/records?since=1h&until=2h":                      {http.StatusBadRequest, "lies after until"},
		"/records?order=sideways":                         {http.StatusBadRequest, "order must be"},
		"/records?limit=1000000":                          {http.StatusBadRequest, "limit must be 1 to 200"},
		"/records?limit=-1":                               {http.StatusBadRequest, "limit must be"},
		"/records?reason=%ff":                             {http.StatusBadRequest, "not valid UTF-8"},
		"/records?envelope=%00":                           {http.StatusBadRequest, "NUL"},
		"/records?reason=%zz":                             {http.StatusBadRequest, "cannot be decoded"},
		"/records?since=1h&since=2h":                      {http.StatusBadRequest, "too often"},
		"/records?caused-by=nonsense":                     {http.StatusBadRequest, "caused-by must be"},
		"/records?trace-id=nonsense":                      {http.StatusBadRequest, "trace-id must be"},
		"/records?reason=x&since=3650d":                   {http.StatusBadRequest, "31 days"},
		"/records?actor=x&since=all":                      {http.StatusBadRequest, "31 days"},
		"/records?tenant=a&no-tenant=1":                   {http.StatusBadRequest, "exclude each other"},
		"/records?tenant=" + strings.Repeat("t", 101):     {http.StatusBadRequest, "101 characters"},
		"/records?reason=" + strings.Repeat("x", 9000):    {http.StatusBadRequest, "longer than"},
		"/records?" + strings.Repeat("envelope=x&", 60):   {http.StatusBadRequest, "too often"},
		"/records?since=3650d":                            {http.StatusOK, "envelope"},
		"/records?reason=applied&since=3650d&envelope=no": {http.StatusOK, "No record matches"},
		"/signals?since=3650d":                            {http.StatusBadRequest, "31 days"},
		"/signals?since=all":                              {http.StatusBadRequest, "31 days"},
		"/timeline?envelope=envelope&since=3650d":         {http.StatusOK, "Lanes"},
		"/timeline?envelope=" + strings.Repeat("e", 101):  {http.StatusBadRequest, "101 characters"},
		"/timeline?envelope=a&envelope=b":                 {http.StatusBadRequest, "one"},
		"/timeline?envelope=envelope&cursor=nonsense":     {http.StatusBadRequest, "First page"},
		"/timeline?envelope=nobody":                       {http.StatusOK, "Nothing names this envelope"},
		"/live/events?after=nonsense":                     {http.StatusBadRequest, "not a place"},
		"/live/events":                                    {http.StatusBadRequest, "not a place"},
		"/live?since=1h":                                  {http.StatusBadRequest, "not one of this page"},
		"/static/0/console.css":                           {http.StatusNotFound, "No such page"},
		"/../etc/passwd":                                  {http.StatusNotFound, "No such page"},
	} {
		got := s.get(t, path)
		if got.status == http.StatusTemporaryRedirect || got.status == http.StatusMovedPermanently {
			got = s.get(t, got.header.Get("Location")) // a path that was cleaned
		}
		if got.status != want.status || !strings.Contains(got.body, want.says) {
			t.Errorf("%s: %d, want %d and %q: %s", path, got.status, want.status, want.says, main(got.body))
		}
		if strings.Contains(got.body, "goroutine") || strings.Contains(got.body, "SQLSTATE") || strings.Contains(got.body, ".go:") {
			t.Errorf("%s shows how the program works: %s", path, got.body)
		}
	}
}

// main is the content of a page.
func main(body string) string {
	_, body, _ = strings.Cut(body, "<main")
	body, _, _ = strings.Cut(body, "</main>")
	return body
}

// Empty fields of a form do not stay in the link.
func TestLinkIsWorthSharing(t *testing.T) {
	t.Parallel()
	s := open(t, nil)
	got := s.get(t, "/records?envelope=&class=COST&decision=&reason=&since=24h&tenant=")
	if got.status != http.StatusSeeOther || got.header.Get("Location") != "/records?class=COST&since=24h" {
		t.Errorf("%d to %s", got.status, got.header.Get("Location"))
	}
	for text, want := range map[string]string{
		"84E98D79-c534-4b5b-a839-ad622479f87f": "/records/84e98d79-c534-4b5b-a839-ad622479f87f",
		"envelope 7":                           "/timeline?envelope=envelope+7",
		"//evil.example":                       "/timeline?envelope=%2F%2Fevil.example",
		"":                                     "/records",
	} {
		if got := s.get(t, "/find?q="+url.QueryEscape(text)); got.header.Get("Location") != want {
			t.Errorf("%q leads to %s, want %s", text, got.header.Get("Location"), want)
		}
	}
}

// The links of the pages lead through every record once, while others are stored and the
// window of the first page moves on.
func TestPagesMissNothing(t *testing.T) {
	t.Parallel()
	s := open(t, nil)
	want := make(map[string]bool)
	for i := range 95 {
		rec := decision("acme", fmt.Sprintf("envelope-%d", i))
		rec.DecisionTimestamp = rec.DecisionTimestamp.Add(-time.Duration(i%7) * time.Second)
		s.persist(t, rec)
		want[rec.AuditID.String()] = true
	}
	path, pages := "/records?since=1h&limit=10", 0
	for path != "" {
		body := s.get(t, path).must(t, http.StatusOK).body
		for _, match := range regexp.MustCompile(`id="r-([^"]*)"`).FindAllStringSubmatch(body, -1) {
			if !want[match[1]] {
				t.Errorf("%s came twice, or was not stored at first", match[1])
			}
			delete(want, match[1])
		}
		next := regexp.MustCompile(`rel="next" href="([^"]*)"`).FindStringSubmatch(body)
		if path = ""; next != nil {
			path = html.UnescapeString(next[1])
		}
		late := decision("acme", "late")
		late.DecisionTimestamp = time.Now()
		s.persist(t, late)
		pages++
	}
	if len(want) > 0 || pages != 10 {
		t.Errorf("%d records are missing after %d pages", len(want), pages)
	}
}

// A cursor belongs to its search. In another one it is refused, and leads to the first page.
func TestCursorOfAnotherSearchIsRefused(t *testing.T) {
	t.Parallel()
	s := open(t, nil)
	for range 5 {
		s.persist(t, decision("acme", "envelope"))
	}
	body := s.get(t, "/records?limit=2&since=all").must(t, http.StatusOK).body
	next := html.UnescapeString(regexp.MustCompile(`rel="next" href="([^"]*)"`).FindStringSubmatch(body)[1])
	s.get(t, next).must(t, http.StatusOK)
	s.get(t, next+"&class=COST").must(t, http.StatusBadRequest, "damaged", "First page")
	s.get(t, next+"&tenant=acme").must(t, http.StatusBadRequest, "damaged")
}

// An empty window says where the records are, within the scope.
func TestEmptyWindowSaysWhereRecordsAre(t *testing.T) {
	t.Parallel()
	s := open(t, func(config *console.Config) { config.Scope = audit.Tenant("acme") })
	old := decision("acme", "envelope")
	old.DecisionTimestamp = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	s.persist(t, old, decision("rival", "envelope"))
	for _, page := range []string{"/records", "/signals"} {
		body := s.get(t, page).must(t, http.StatusOK, "2026-01-02 03:04:05.000").body
		link := regexp.MustCompile(`class="button" href="([^"]*until[^"]*)"`).FindStringSubmatch(body)
		if link == nil {
			t.Fatalf("%s leads nowhere: %s", page, main(body))
		}
		s.get(t, html.UnescapeString(link[1])).must(t, http.StatusOK)
	}
}

func TestDatabaseAwayIsSaid(t *testing.T) {
	t.Parallel()
	pool := fixture.OpenPool(t, "postgres://someone:sesame-open@127.0.0.1:1/secret-name?connect_timeout=1", nil)
	s := openOn(t, pool, nil)
	for _, path := range []string{"/records", "/signals", "/timeline?envelope=e", "/completeness", "/records/" + uuid.NewString()} {
		got := s.get(t, path).must(t, http.StatusServiceUnavailable, "The database is away")
		if strings.Contains(got.body, "secret-name") || got.header.Get("Retry-After") == "" {
			t.Errorf("%s: %s", path, got.body)
		}
	}
	if got := s.get(t, "/seal").must(t, http.StatusOK, "Not known", "The console cannot reach the database"); strings.Contains(got.body, "role of this console") {
		t.Errorf("the role is blamed: %s", main(got.body))
	}
	s.get(t, "/healthz").must(t, http.StatusOK)
	if strings.Contains(s.log.String(), "sesame") {
		t.Error("the log has the password")
	}
}

// What the page offers for a file is the command for the same records.
func TestCommandWritesTheSameRecords(t *testing.T) {
	t.Parallel()
	s := open(t, func(config *console.Config) { config.Scope = audit.Tenant("acme") })
	rec := decision("acme", "it's")
	s.persist(t, rec)
	body := s.get(t, "/records?class=reliability&since=2026-01-01&envelope=it%27s").must(t, http.StatusOK).body
	const want = `coordaudit export --format csv --out records.csv --tenant acme --envelope &#39;it&#39;\&#39;&#39;s&#39; --class RELIABILITY --since 2026-01-01T00:00:00.000000Z`
	if !strings.Contains(body, want) {
		t.Errorf("the command is not there: %s", main(body))
	}
}

// A blank is a name like any other. A link to it must not show what other tenants have.
func TestBlankNamesAreNames(t *testing.T) {
	t.Parallel()
	s := open(t, nil)
	for _, blank := range []string{" ", "  ", "\t", "\n", "\u00a0"} {
		s.persist(t, decision("acme", blank), decision(blank, "envelope"), decision("acme", "envelope"))
		for path, want := range map[string]int{
			"/records?envelope=" + url.QueryEscape(blank):                          1,
			"/records?tenant=" + url.QueryEscape(blank):                            1,
			"/timeline?envelope=" + url.QueryEscape(blank) + "&tenant=acme":        1,
			"/timeline?envelope=envelope&tenant=" + url.QueryEscape(blank):         1,
			"/timeline?envelope=envelope&tenant=" + url.QueryEscape(blank+"x"):     0,
			"/live?actor=" + url.QueryEscape(blank) + "&envelope=envelope":         0,
			"/records?reason-code=" + url.QueryEscape(blank) + "&tenant=" + "acme": 0,
		} {
			if got := strings.Count(s.get(t, path).must(t, http.StatusOK).body, ` id="r-`); got != want {
				t.Errorf("%q: %d records, want %d", path, got, want)
			}
		}
	}
}

// A name that begins like a flag stays a value, and a tenant is quoted like any other text.
func TestCommandKeepsOddNames(t *testing.T) {
	t.Parallel()
	s := open(t, nil)
	s.persist(t, decision("acme ", "-x"), decision("acme ", "--all-tenants"), decision("-t", "e"), decision("$(id)", "e"), decision("a\x1bb", "e"))
	for query, want := range map[string]string{
		"tenant=acme+&envelope=-x":              "--tenant 'acme ' --envelope=-x --since",
		"tenant=acme+&envelope=--all-tenants":   "--tenant 'acme ' --envelope=--all-tenants --since",
		"tenant=-t":                             "--tenant=-t --since",
		"tenant=" + url.QueryEscape("$(id)"):    "--tenant '$(id)' --since",
		"tenant=" + url.QueryEscape("a\x1bb"):   "--tenant TEXT --since",
		"no-tenant=1&order=oldest&since=2h":     "",
		"envelope=" + url.QueryEscape("-'$(x)"): "",
	} {
		body := html.UnescapeString(s.get(t, "/records?"+query).must(t, http.StatusOK).body)
		if want != "" && !strings.Contains(body, want) {
			t.Errorf("%s: %q is not there: %s", query, want, main(body))
		}
		if strings.Contains(body, "TEXT") != strings.Contains(body, "Put in the text that stands for TEXT") {
			t.Errorf("%s: the page does not say what TEXT is", query)
		}
	}
}
