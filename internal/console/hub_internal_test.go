package console

import (
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
	if b := h.since(position{h.session, 0}); !b.lost || len(b.events) != len(h.events) {
		t.Errorf("%d events, lost %t", len(b.events), b.lost)
	}
	short := make([]audit.Followed, keptEvents+7)
	h.deliver(short, false)
	if len(h.events) != keptEvents {
		t.Errorf("%d events are kept, want %d", len(h.events), keptEvents)
	}
}
