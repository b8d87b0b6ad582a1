package console_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/console"
	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

// site is a console on a database of its own, behind a real listener.
type site struct {
	pool    *pgxpool.Pool
	store   *coordaudit.Store
	console *console.Console
	server  *httptest.Server
	log     *fixture.Log
}

// open opens a console of all tenants, which set may change.
func open(tb testing.TB, set func(*console.Config)) *site {
	tb.Helper()
	return openOn(tb, testdb.New(tb).Pool, set)
}

func openOn(tb testing.TB, pool *pgxpool.Pool, set func(*console.Config)) *site {
	tb.Helper()
	s := &site{pool: pool, store: coordaudit.New(pool, fixture.Quiet()), log: &fixture.Log{}}
	config := console.Config{
		Store: s.store, Pool: pool, Scope: audit.AllTenants(), Logger: s.log.Logger(), Loopback: true,
		RequestRate: 10_000, RequestBurst: 10_000, Poll: 20 * time.Millisecond, QueryTimeout: time.Minute,
	}
	if set != nil {
		set(&config)
	}
	opened, err := console.New(context.WithoutCancel(tb.Context()), config)
	if err != nil {
		tb.Fatal(err)
	}
	s.console, s.server = opened, httptest.NewServer(opened.Handler())
	tb.Cleanup(func() {
		opened.EndTails()
		s.server.Close()
		opened.Close()
	})
	return s
}

// byHeader makes the tenant one that the proxy names. The tests' requests come from the proxy.
func byHeader(config *console.Config) {
	config.Scope = audit.Scope{}
	config.TenantHeader = "X-Tenant"
	config.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}
}

// answer is what a request got.
type answer struct {
	status int
	header http.Header
	body   string
}

// ask sends a request. Each header is a name and a value.
func (s *site) ask(tb testing.TB, method, path string, headers ...string) answer {
	tb.Helper()
	req, err := http.NewRequestWithContext(tb.Context(), method, s.server.URL+path, nil)
	if err != nil {
		tb.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		if headers[i] == "Host" {
			req.Host = headers[i+1]
		} else {
			req.Header.Add(headers[i], headers[i+1])
		}
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	if err != nil {
		tb.Fatal(err)
	}
	defer resp.Body.Close() //nolint:errcheck // it was read
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		tb.Fatal(err)
	}
	return answer{resp.StatusCode, resp.Header, string(body)}
}

func (s *site) get(tb testing.TB, path string, headers ...string) answer {
	tb.Helper()
	return s.ask(tb, http.MethodGet, path, headers...)
}

func (a answer) must(tb testing.TB, status int, texts ...string) answer {
	tb.Helper()
	if a.status != status {
		tb.Fatalf("the status is %d, want %d: %s", a.status, status, main(a.body))
	}
	for _, text := range texts {
		if !strings.Contains(a.body, text) {
			tb.Errorf("%q is not in the answer: %s", text, main(a.body))
		}
	}
	return a
}

// decision is a record of now.
func decision(tenant, envelope string) audit.Record {
	rec := fixture.NewRecord()
	rec.TenantID, rec.EnvelopeID, rec.DecisionTimestamp = tenant, envelope, time.Now().Add(-time.Minute)
	return rec
}

func (s *site) persist(tb testing.TB, recs ...audit.Record) {
	tb.Helper()
	if _, err := s.store.PersistMany(tb.Context(), recs); err != nil {
		tb.Fatal(err)
	}
}

// pagesOf are the addresses of every page that shows records or numbers of them.
func pagesOf(id uuid.UUID, envelope string) []string {
	return []string{
		"/records", "/records?since=all", "/records/" + id.String(), "/records/" + id.String() + "/proof",
		"/timeline?envelope=" + envelope, "/signals", "/completeness", "/completeness?account=now", "/seal", "/live",
	}
}
