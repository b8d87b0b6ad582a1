package console_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/console"
)

// everyPath is an address of each route.
func everyPath() []string {
	return append(pagesOf(uuid.New(), "envelope"), "/", "/find?q=x", "//find", "/static/../records", "/timeline", "/live/events?after=-0", "/static/none", "/nothing", "/healthz")
}

func TestConsoleOnlyReads(t *testing.T) {
	t.Parallel()
	s := open(t, nil)
	for _, path := range everyPath() {
		for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions, "PROPFIND"} {
			got := s.ask(t, method, path)
			if got.status != http.StatusMethodNotAllowed || !strings.Contains(got.header.Get("Allow"), "GET") {
				t.Errorf("%s %s: %d, Allow %q", method, path, got.status, got.header.Get("Allow"))
			}
		}
		if got := s.ask(t, http.MethodHead, path); got.body != "" || got.status == http.StatusMethodNotAllowed {
			t.Errorf("HEAD %s: %d with %d bytes", path, got.status, len(got.body))
		}
	}
}

// Each answer, a fault as well, forbids scripts of others, frames, caches and cookies.
func TestEveryAnswerIsGuarded(t *testing.T) {
	t.Parallel()
	s := open(t, nil)
	rec := decision("acme", "envelope")
	s.persist(t, rec)
	for _, path := range append(everyPath(), "/records/"+rec.AuditID.String(), "/records?nonsense=1") {
		if strings.HasPrefix(path, "/live/events") {
			continue // it does not end; TestTailIsGuarded
		}
		mustBeGuarded(t, path, s.get(t, path).header)
	}
	for _, path := range []string{"/records", "/nothing"} {
		mustBeGuarded(t, path, s.ask(t, http.MethodPost, path).header)
	}
}

func mustBeGuarded(t *testing.T, path string, header http.Header) {
	t.Helper()
	policy := header.Get("Content-Security-Policy")
	for _, part := range []string{"default-src 'none'", "script-src 'self'", "style-src 'self'", "base-uri 'none'", "frame-ancestors 'none'", "form-action 'self'"} {
		if !strings.Contains(policy, part) {
			t.Errorf("%s: the policy has no %s: %s", path, part, policy)
		}
	}
	if strings.Contains(policy, "unsafe") || strings.Contains(policy, "http") {
		t.Errorf("%s: the policy is wide: %s", path, policy)
	}
	for name, want := range map[string]string{"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cache-Control": "no-store", "Set-Cookie": ""} {
		if got := header.Get(name); got != want {
			t.Errorf("%s: %s is %q, want %q", path, name, got, want)
		}
	}
}

// The policy allows files of the console alone, so a page must have no script, style or handler
// of its own, and load nothing from elsewhere.
func TestPagesLoadOwnFilesOnly(t *testing.T) {
	t.Parallel()
	s := open(t, nil)
	rec := decision("acme", "envelope")
	s.persist(t, rec)
	for _, path := range pagesOf(rec.AuditID, "envelope") {
		body := s.get(t, path).body
		for _, part := range []string{"<style", " style=", "http://", "https://", "javascript:", " onclick", " onload"} {
			if strings.Contains(body, part) {
				t.Errorf("%s has %q", path, part)
			}
		}
		for _, attribute := range []string{`<link rel="stylesheet" href="`, `<script src="`} {
			_, rest, found := strings.Cut(body, attribute)
			if path == "/records/"+rec.AuditID.String()+"/proof" {
				continue // this record is not sealed
			}
			address, _, _ := strings.Cut(rest, `"`)
			if !found {
				t.Errorf("%s has no %s", path, attribute)
				continue
			}
			if got := s.get(t, address).must(t, http.StatusOK); !strings.Contains(got.header.Get("Cache-Control"), "immutable") {
				t.Errorf("%s is not kept by browsers", address)
			}
		}
	}
}

func TestTokenIsRequired(t *testing.T) {
	t.Parallel()
	const token = "a-token-of-the-test-4711"
	s := open(t, func(config *console.Config) { config.Token = token })
	s.persist(t, decision("acme", "acme-envelope"))
	basic := func(password string) []string {
		req, _ := http.NewRequest(http.MethodGet, "/", nil) //nolint:noctx // it is not sent
		req.SetBasicAuth("anyone", password)
		return []string{"Authorization", req.Header.Get("Authorization")}
	}
	for name, headers := range map[string][]string{
		"None": nil, "Wrong": {"Authorization", "Bearer wrong"}, "Longer": {"Authorization", "Bearer " + token + "x"}, "Prefix": {"Authorization", "Bearer " + token[:8]},
		"Empty": {"Authorization", "Bearer "}, "BasicWrong": basic("wrong"), "BasicEmpty": basic(""), "Scheme": {"Authorization", token},
	} {
		for _, path := range everyPath() {
			if path == "/healthz" {
				continue
			}
			got := s.get(t, path, headers...)
			if got.status != http.StatusUnauthorized || !strings.HasPrefix(got.header.Get("WWW-Authenticate"), "Basic ") || strings.Contains(got.body, "acme-envelope") {
				t.Errorf("%s %s: %d", name, path, got.status)
			}
		}
	}
	s.get(t, "/records", "Authorization", "Bearer "+token).must(t, http.StatusOK, "acme-envelope")
	s.get(t, "/records", "Authorization", "bearer "+token).must(t, http.StatusOK, "acme-envelope") // the name of a scheme has no case
	s.get(t, "/records", basic(token)...).must(t, http.StatusOK, "acme-envelope")
	if got := s.get(t, "/healthz").must(t, http.StatusOK); got.body != "ok\n" {
		t.Errorf("the health check says %q", got.body)
	}
	if strings.Contains(s.log.String(), token) {
		t.Error("the log has the token")
	}
}

// A page of another site whose name leads to this machine must not read the console.
func TestStrangeHostIsRefused(t *testing.T) {
	t.Parallel()
	s := open(t, func(config *console.Config) { config.Hosts = []string{"audit.example.com"} })
	s.persist(t, decision("acme", "acme-envelope"))
	for _, host := range []string{"evil.example", "evil.example:8080", "127.0.0.1.evil.example", "localhost.evil.example", "10.0.0.1", "[2001:db8::1]:80", "audit.example.com.evil.example"} {
		if got := s.get(t, "/records", "Host", host).must(t, http.StatusMisdirectedRequest); strings.Contains(got.body, "acme-envelope") {
			t.Errorf("%s sees a record", host)
		}
	}
	for _, host := range []string{"localhost", "LOCALHOST:1", "127.0.0.1:99", "127.1.2.3", "[::1]:8080", "[::1]", "localhost.", "audit.example.com", "Audit.example.com:443"} {
		s.get(t, "/records", "Host", host).must(t, http.StatusOK)
	}
}

// A page of another site can make a browser ask the console, although it cannot read the
// answers: an account each minute, every slot of the live tail, the whole rate of this machine. Only
// a link that is followed may come from there.
func TestRequestsOfOtherSitesAreRefused(t *testing.T) {
	t.Parallel()
	s := open(t, func(config *console.Config) { config.RequestRate, config.RequestBurst, config.MaxWatchers = 1, 40, 1 })
	from := func(site, mode, dest string) []string {
		return []string{"Sec-Fetch-Site", site, "Sec-Fetch-Mode", mode, "Sec-Fetch-Dest", dest}
	}
	for _, site := range []string{"cross-site", "same-site", "none of these"} { // localhost:3000 and localhost:8080 are the same site
		for _, path := range []string{"/completeness?account=now", "/live/events?after=-0", "/records", "//records"} {
			for _, headers := range [][]string{from(site, "no-cors", "image"), from(site, "cors", "empty"), from(site, "no-cors", "script"), from(site, "navigate", "iframe"), {"Sec-Fetch-Site", site}} {
				s.get(t, path, headers...).must(t, http.StatusForbidden, "Asked by another site")
			}
		}
		s.get(t, "/records", from(site, "navigate", "document")...).must(t, http.StatusOK)
	}
	for _, headers := range [][]string{nil, from("none", "navigate", "document"), from("same-origin", "cors", "empty"), from("same-origin", "no-cors", "style")} {
		s.get(t, "/records", headers...).must(t, http.StatusOK)
	}
}

func TestTooManyRequestsAreRefused(t *testing.T) {
	t.Parallel()
	s := open(t, func(config *console.Config) {
		byHeader(config)
		config.RequestRate, config.RequestBurst = 1, 3
	})
	from := func(client string) []string {
		return []string{"X-Tenant", "acme", "X-Forwarded-For", "198.51.100.7, " + client}
	}
	refused := 0
	for range 20 {
		if got := s.get(t, "/seal", from("203.0.113.1")...); got.status == http.StatusTooManyRequests {
			refused++
			if got.header.Get("Retry-After") == "" {
				t.Error("the refusal does not say when to come again")
			}
		}
	}
	if refused < 10 {
		t.Errorf("%d of 20 requests were refused", refused)
	}
	s.get(t, "/seal", from("203.0.113.2")...).must(t, http.StatusOK)
	// A client cannot escape by an address that it writes in front of the proxy's.
	forged := []string{"X-Tenant", "acme", "X-Forwarded-For", "192.0.2.55, 203.0.113.1"}
	s.get(t, "/seal", forged...).must(t, http.StatusTooManyRequests)
}

// The database is asked no more than MaxQueries things at once.
func TestBusyConsoleSaysSo(t *testing.T) {
	t.Parallel()
	s := open(t, func(config *console.Config) { config.MaxQueries, config.Scope = 1, audit.AllTenants() })
	held := s.lockRecords(t)
	s.startAsking(t, "/records")
	s.mustRun(t, 1)
	got := s.get(t, "/records").must(t, http.StatusServiceUnavailable, "busy")
	if got.header.Get("Retry-After") == "" {
		t.Error("the refusal does not say when to come again")
	}
	s.mustRun(t, 1)
	held()
}

// Who waits for an account of another request asks the database nothing, and keeps no one from
// asking.
func TestWaitingForAnAccountTakesNoSlot(t *testing.T) {
	t.Parallel()
	s := open(t, func(config *console.Config) { config.MaxQueries = 2 })
	held := s.lockRecords(t)
	for range 5 {
		s.startAsking(t, "/completeness?account=now")
	}
	s.mustRun(t, 1)
	time.Sleep(200 * time.Millisecond) // for the others to wait
	s.get(t, "/seal").must(t, http.StatusOK)
	s.get(t, "/completeness").must(t, http.StatusOK)
	s.mustRun(t, 1)
	held()
}

// A request waits no longer for the account of another one than for its own.
func TestWaitingForAnAccountEnds(t *testing.T) {
	t.Parallel()
	s := open(t, func(config *console.Config) { config.AccountTimeout = 2 * time.Second })
	s.lockRecords(t)
	for range 3 {
		s.startAsking(t, "/completeness?account=now")
	}
	s.mustRun(t, 1)
	s.get(t, "/completeness?account=now").must(t, http.StatusGatewayTimeout, "coordaudit completeness")
}
