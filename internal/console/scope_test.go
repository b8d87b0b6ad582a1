package console_test

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/console"
	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
)

// rival is a tenant's records that another tenant must not see, with a word in every field
// that a page shows.
func rival() []audit.Record {
	const word = "topsecret"
	recs := make([]audit.Record, 0, 12)
	for i := range 12 {
		rec := decision("rival", "shared-envelope")
		rec.DecisionTimestamp = rec.DecisionTimestamp.Add(time.Duration(i) * time.Millisecond)
		rec.Reason, rec.TargetSubsystem, rec.TargetParameter, rec.ReasonCode, rec.Actor = word, word, word, word, word
		rec.Decision, rec.ConflictingEnvelopeID, rec.CounterpartClass = audit.Rejected, word, audit.Safety
		if i%3 == 1 {
			rec.Decision, rec.ConflictingEnvelopeID, rec.PreemptingEnvelopeID = audit.Preempted, "", word
		}
		recs = append(recs, rec)
	}
	return recs
}

// Each way to a page of another tenant: the plain address, and every parameter that could widen
// the scope.
func TestNoPageLeavesTheScope(t *testing.T) {
	t.Parallel()
	fixed := func(config *console.Config) { config.Scope = audit.Tenant("acme") }
	noTenant := func(config *console.Config) { config.Scope = audit.NoTenant() }
	for name, set := range map[string]func(*console.Config){"Fixed": fixed, "NoTenant": noTenant, "ByHeader": byHeader} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t, set)
			theirs := rival()
			own := decision("acme", "shared-envelope")
			own.Links.CausedBy, own.Links.Corrects = theirs[0].AuditID, theirs[1].AuditID
			s.persist(t, append(theirs, own)...)
			headers := []string{"X-Tenant", "acme"}
			for _, page := range pagesOf(theirs[0].AuditID, "shared-envelope") {
				for _, more := range []string{"", "tenant=rival", "tenant=%72ival", "no-tenant=1", "tenant=acme&tenant=rival", "scope=all", "all-tenants=1", "X-Tenant=rival"} {
					path := page
					if more != "" {
						path += map[bool]string{true: "&", false: "?"}[strings.Contains(page, "?")] + more
					}
					got := s.get(t, path, headers...)
					if strings.Contains(got.body, "topsecret") || strings.Contains(got.body, "rival") && !strings.Contains(path, "ival") {
						t.Errorf("%s shows a record of another tenant: %s", path, got.body)
					}
					if strings.HasPrefix(page, "/records/") && got.status == http.StatusOK {
						t.Errorf("%s is found", path)
					}
				}
			}
		})
	}
}

// What is there in another scope is answered as what is not there, to the byte.
func TestRecordOfAnotherScopeIsNotFound(t *testing.T) {
	t.Parallel()
	s := open(t, func(config *console.Config) { config.Scope = audit.Tenant("acme") })
	theirs := decision("rival", "envelope")
	s.persist(t, theirs)
	for _, suffix := range []string{"", "/proof"} {
		there := s.get(t, "/records/"+theirs.AuditID.String()+suffix).must(t, http.StatusNotFound, "Not found")
		absent := s.get(t, "/records/"+uuid.NewString()+suffix).must(t, http.StatusNotFound)
		if there.body != absent.body {
			t.Errorf("the answers differ:\n%s\n%s", there.body, absent.body)
		}
	}
	// A tenant without records and a tenant of another scope look the same as well.
	there, absent := s.get(t, "/records?tenant=rival"), s.get(t, "/records?tenant=nobody")
	if there.status != http.StatusNotFound || there.body != absent.body {
		t.Errorf("%d and %d, or the answers differ", there.status, absent.status)
	}
}

func TestLinkOfTheOwnTenantWorks(t *testing.T) {
	t.Parallel()
	s := open(t, func(config *console.Config) { config.Scope = audit.Tenant("acme") })
	s.persist(t, decision("acme", "mine"))
	s.get(t, "/records?tenant=acme").must(t, http.StatusOK, "mine")
	s.get(t, "/timeline?tenant=acme&envelope=mine").must(t, http.StatusOK, "mine")
}

func TestHeaderOfTheProxyNamesTheTenant(t *testing.T) {
	t.Parallel()
	s := open(t, byHeader)
	s.persist(t, decision("acme", "acme-envelope"), decision("rival", "rival-envelope"))
	if got := s.get(t, "/records", "X-Tenant", "acme").must(t, http.StatusOK, "acme-envelope"); strings.Contains(got.body, "rival-envelope") {
		t.Error("the page shows both tenants")
	}
	for name, headers := range map[string][]string{
		"Missing": nil,
		"Empty":   {"X-Tenant", ""},
		"Twice":   {"X-Tenant", "acme", "X-Tenant", "rival"},
		"Unfit":   {"X-Tenant", strings.Repeat("x", 101)},
		"NotText": {"X-Tenant", "a\xff"},
	} {
		for _, page := range append(pagesOf(uuid.New(), "e"), "/live/events?after=-0", "/find?q=e", "/") {
			if got := s.get(t, page, headers...).must(t, http.StatusForbidden); strings.Contains(got.body, "-envelope") {
				t.Errorf("%s: %s shows a record", name, page)
			}
		}
	}
}

func TestHeaderFromElsewhereIsRefused(t *testing.T) {
	t.Parallel()
	s := open(t, func(config *console.Config) {
		byHeader(config)
		config.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	})
	s.persist(t, decision("acme", "acme-envelope"))
	for _, headers := range [][]string{{"X-Tenant", "acme"}, nil, {"X-Tenant", "acme", "X-Forwarded-For", "10.0.0.1"}} {
		if got := s.get(t, "/records", headers...).must(t, http.StatusForbidden, "did not come from there"); strings.Contains(got.body, "acme-envelope") {
			t.Error("the refusal shows a record")
		}
	}
}

// Without --tenant-header the header means nothing.
func TestHeaderIsOffByDefault(t *testing.T) {
	t.Parallel()
	s := open(t, func(config *console.Config) { config.Scope = audit.Tenant("acme") })
	s.persist(t, decision("acme", "acme-envelope"), decision("rival", "rival-envelope"))
	if got := s.get(t, "/records", "X-Tenant", "rival").must(t, http.StatusOK, "acme-envelope"); strings.Contains(got.body, "rival-envelope") {
		t.Error("the header widened the scope")
	}
}

func TestScopeIsRequired(t *testing.T) {
	t.Parallel()
	store := fixture.OpenStore(t, "postgres://nobody@127.0.0.1:1/none", fixture.Quiet())
	pool := fixture.OpenPool(t, "postgres://nobody@127.0.0.1:1/none", nil)
	for name, config := range map[string]console.Config{
		"None":          {},
		"HeaderOfNone":  {TenantHeader: "X-Tenant"},
		"ProxyOfNoHead": {Scope: audit.AllTenants(), TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}},
		"Both":          {Scope: audit.AllTenants(), TenantHeader: "X-Tenant", TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}},
	} {
		config.Store, config.Pool = store, pool
		if opened, err := console.New(t.Context(), config); err == nil {
			opened.Close()
			t.Errorf("%s: the console opened", name)
		}
	}
}

// A console of one tenant shows how many records are missing, and no label or cause of a
// source, which may name others.
func TestMissingOfAllTenantsIsCountedOnly(t *testing.T) {
	t.Parallel()
	s := open(t, func(config *console.Config) { config.Scope = audit.Tenant("acme") })
	if _, err := s.store.NewSource(t.Context(), "label-of-the-source"); err != nil {
		t.Fatal(err)
	}
	fixture.MustExec(t, s.pool, `INSERT INTO coordination_audit_gaps (gap_id, dropped_safety, dropped_reliability, dropped_cost, dropped_performance, dropped_unknown,
			first_audit_id, last_audit_id, lost_from, lost_until, cause)
		VALUES (gen_random_uuid(), 0, 0, 3, 0, 0, gen_random_uuid(), gen_random_uuid(), now(), now(), 'cause-of-the-gap')`)
	got := s.get(t, "/completeness?account=now").must(t, http.StatusOK, "3 records missing", "sources")
	for _, word := range []string{"label-of-the-source", "cause-of-the-gap"} {
		if strings.Contains(got.body, word) {
			t.Errorf("the page shows %s", word)
		}
	}
	whole := openOn(t, s.pool, nil)
	whole.get(t, "/completeness?account=now").must(t, http.StatusOK, "label-of-the-source", "cause-of-the-gap")
}
