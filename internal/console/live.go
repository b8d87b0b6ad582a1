package console

import (
	"bytes"
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/format"
)

func liveParameters() []string { return filterParameters() }

const (
	// shownLive is how many records the page of the live tail begins with.
	shownLive = 50

	// mostRows is how many rows one message to a watcher has. A person reads no more, and the
	// rest is counted.
	mostRows = 30

	// pace is the least time between two messages to a watcher, and heartbeat the longest.
	pace, heartbeat = 500 * time.Millisecond, 15 * time.Second
)

// liveView is the page of the live tail: the latest records, and where the script goes on.
type liveView struct {
	Form       searchForm
	Records    []audit.Record
	AllTenants bool
	Events     string // the address of the messages
	Reload     string
	Search     string
}

// Rows are the records as rows of a table.
func (v liveView) Rows() []rowView { return rowsOf(v.Records, v.AllTenants) }

// Shown says how many records there are at first.
func (v liveView) Shown() string { return format.Plural(int64(len(v.Records)), "record") }

func (c *Console) live(ctx context.Context, v *visit) (view, error) {
	q, err := v.liveQuery()
	if err != nil {
		return view{}, err
	}
	at := c.hub.here(ctx) // before the listing, so that nothing falls between the two
	q.Limit = shownLive
	q.Window.Since = v.now.Add(-24 * time.Hour)
	page, err := c.config.Store.List(ctx, q)
	if err != nil {
		return view{}, err
	}
	shown := liveView{
		Records: page.Records, AllTenants: q.Scope.IsAllTenants(),
		Events: v.with("/live/events", "after", c.places.text(at)), Reload: v.with("/live"), Search: v.with("/records"),
	}
	shown.Form.fill(v, q)
	shown.Form.Action, shown.Form.Live = "/live", true
	return view{Title: "Live", Data: shown}, nil
}

func (v *visit) liveQuery() (q audit.Query, err error) {
	if q.Scope, err = v.narrowed(); err != nil {
		return q, err
	}
	if err := v.filters(&q); err != nil {
		return q, err
	}
	return q, q.Validate()
}

// events sends what is new to one watcher, as server-sent events, until it leaves.
func (c *Console) events(w http.ResponseWriter, r *http.Request) {
	v, wrong := c.visit(r, append(liveParameters(), "after"))
	if wrong != nil {
		c.fail(w, r, wrong)
		return
	}
	q, err := v.liveQuery()
	if err != nil {
		c.fail(w, r, faultOf(r.Context(), err, 0))
		return
	}
	from := v.text("after")
	if last := r.Header.Get("Last-Event-ID"); last != "" {
		from = last // the browser has connected again
	}
	at, ok := c.places.parse(from)
	if !ok {
		c.fail(w, r, badParameter("after", "is not a place in the live tail"))
		return
	}
	skips, leave, ok := c.hub.watch()
	if !ok {
		c.fail(w, r, &fault{
			status: http.StatusServiceUnavailable, title: "Too many watch",
			text: "As many clients watch the live tail as this console allows.", next: "Load the page again later.",
		})
		return
	}
	defer leave()
	w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
	w.Header().Set("X-Accel-Buffering", "no") // for proxies that would keep the messages back
	if r.Method == http.MethodHead {
		return
	}
	stream := watcher{hub: c.hub, pages: c.pages, places: c.places, query: q, at: at, skips: skips, out: w, control: http.NewResponseController(w)}
	stream.run(r.Context())
}

// event is a record for the watchers. It becomes a row once, for all of them.
type event struct {
	audit.Followed

	at   time.Time      // when it came
	rows [2]renderedRow // without and with its tenant
}

type renderedRow struct {
	once sync.Once
	text string
	err  error
}

// row is the event as a row of the table.
func (e *event) row(from pages, allTenants bool) (string, error) {
	row := &e.rows[0]
	if allTenants {
		row = &e.rows[1]
	}
	row.once.Do(func() {
		var text bytes.Buffer
		row.err = from["live"].ExecuteTemplate(&text, "row", rowView{e.Record, allTenants, e.Late})
		row.text = text.String()
	})
	return row.text, row.err
}
