package console

import (
	"log/slog"
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
	if b := h.since(from); len(b.events) != 2 || b.lost {
		t.Errorf("%d events, lost %t", len(b.events), b.lost)
	}
	h.events[0].at = time.Now().Add(-keptTime)
	if b := h.since(from); len(b.events) != 1 || !b.lost {
		t.Errorf("%d events of which one is old, lost %t", len(b.events), b.lost)
	}
	if len(h.events) != 1 {
		t.Errorf("%d events are kept", len(h.events))
	}
	h.events[0].at = time.Now().Add(-keptTime)
	h.deliver([]audit.Followed{{Record: fixture.NewRecord()}}, false)
	if b := h.since(position{h.session, 2}); len(h.events) != 1 || len(b.events) != 1 || b.lost {
		t.Errorf("%d events, lost %t", len(b.events), b.lost)
	}
}
