package console

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
)

// What the tail keeps grows old: a text that is erased or a record that expires must not come
// out of it later. A watcher that comes back so late learns that it has missed some.
func TestTailForgets(t *testing.T) {
	t.Parallel()
	h := newHub(nil, audit.AllTenants(), time.Second, slog.New(slog.DiscardHandler), 1)
	h.begin()
	from := position{h.session, 0}
	h.deliver([]audit.Followed{{Record: fixture.NewRecord()}, {Record: fixture.NewRecord()}}, false)
	if b := h.since(from, audit.AllTenants()); len(b.events) != 2 || b.lost {
		t.Errorf("%d events, lost %t", len(b.events), b.lost)
	}
	h.events[0].at = time.Now().Add(-keptTime)
	if b := h.since(from, audit.AllTenants()); len(b.events) != 1 || !b.lost {
		t.Errorf("%d events of which one is old, lost %t", len(b.events), b.lost)
	}
	if len(h.events) != 1 {
		t.Errorf("%d events are kept", len(h.events))
	}
	h.events[0].at = time.Now().Add(-keptTime)
	h.deliver([]audit.Followed{{Record: fixture.NewRecord()}}, false)
	if b := h.since(position{h.session, 2}, audit.AllTenants()); len(h.events) != 1 || len(b.events) != 1 || b.lost {
		t.Errorf("%d events, lost %t", len(b.events), b.lost)
	}
}

// However long the texts of the latest records are, the tail does not keep more than it may.
func TestTailKeepsLittle(t *testing.T) {
	t.Parallel()
	h := newHub(nil, audit.AllTenants(), time.Second, slog.New(slog.DiscardHandler), 1)
	h.begin()
	long := strings.Repeat("x", audit.MaxReasonBytes)
	for range 4 {
		batch := make([]audit.Followed, 300)
		for i := range batch {
			batch[i].Record = fixture.NewRecord()
			batch[i].Reason = long
		}
		h.deliver(batch, false)
	}
	if n := len(h.events) * len(long); n > keptBytes || n < keptBytes/2 {
		t.Errorf("%d bytes are kept, want about %d", n, keptBytes)
	}
	if b := h.since(position{h.session, 0}, audit.AllTenants()); !b.lost || len(b.events) != len(h.events) {
		t.Errorf("%d events, lost %t", len(b.events), b.lost)
	}
	short := make([]audit.Followed, keptEvents+7)
	h.deliver(short, false)
	if len(h.events) != keptEvents {
		t.Errorf("%d events are kept, want %d", len(h.events), keptEvents)
	}
}

// What is no longer kept of one tenant is no loss of another one, which must not learn that there was
// anything.
func TestTailLosesNothingOfOthers(t *testing.T) {
	t.Parallel()
	h := newHub(nil, audit.AllTenants(), time.Second, slog.New(slog.DiscardHandler), 1)
	h.begin()
	of := func(tenant string) audit.Followed {
		rec := fixture.NewRecord()
		rec.TenantID = tenant
		return audit.Followed{Record: rec}
	}
	h.deliver([]audit.Followed{of("acme"), of("rival"), of("rival"), of("acme")}, false)
	for _, one := range h.events[:3] {
		one.at = time.Now().Add(-keptTime)
	}
	for _, test := range []struct {
		from  int64
		scope audit.Scope
		lost  bool
	}{
		{0, audit.Tenant("acme"), true},
		{1, audit.Tenant("acme"), false},
		{1, audit.Tenant("rival"), true},
		{2, audit.Tenant("rival"), true},
		{3, audit.Tenant("rival"), false},
		{0, audit.Tenant("nobody"), false},
		{0, audit.NoTenant(), false},
		{2, audit.AllTenants(), true},
		{3, audit.AllTenants(), false},
	} {
		if b := h.since(position{h.session, test.from}, test.scope); b.lost != test.lost || len(b.events) != 1 {
			t.Errorf("%s from %d: lost %t, %d events", test.scope, test.from, b.lost, len(b.events))
		}
	}
	// It is known of many tenants, and beyond that of all together.
	for i := range keptTenants + 10 {
		h.deliver([]audit.Followed{of(fmt.Sprint("tenant-", i))}, false)
		h.events[0].at = time.Time{}
	}
	h.forget(time.Now())
	if len(h.left) > keptTenants {
		t.Errorf("%d tenants are known", len(h.left))
	}
	if b := h.since(position{h.session, 0}, audit.Tenant("acme")); !b.lost {
		t.Error("what is lost is not said")
	}
}

// A place in the tail tells its watcher nothing: not how many records came, and not whether any did.
func TestPlaceIsSealed(t *testing.T) {
	t.Parallel()
	own, err := newPlaces()
	if err != nil {
		t.Fatal(err)
	}
	other, err := newPlaces()
	if err != nil {
		t.Fatal(err)
	}
	at := position{"0123456789abcdef", 7}
	text := own.text(at)
	if again := own.text(at); again == text || len(again) != len(own.text(position{at.run, 1 << 40})) {
		t.Errorf("%s and %s tell that nothing came", text, again)
	}
	if got, ok := own.parse(text); !ok || got != at {
		t.Errorf("%s is %+v", text, got)
	}
	if got, ok := own.parse(own.text(position{"", 9})); !ok || got != (position{}) {
		t.Errorf("the start is %+v", got)
	}
	_, sealed, _ := strings.Cut(text, "-")
	for _, forged := range []string{"0123456789abcdef-7", "0123456789abcdef-", "-7", "fedcba9876543210-" + sealed, other.text(at)} {
		if got, ok := own.parse(forged); ok && got.run != unknownRun {
			t.Errorf("%s is %+v", forged, got)
		}
	}
}
