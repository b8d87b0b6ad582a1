package console

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io"
	"net/http"
	"path"
	"slices"
	"time"
)

// writeTime is how long a client may take to read an answer.
const writeTime = 30 * time.Second

// writeSoon ends an answer that its client does not read.
func writeSoon(w http.ResponseWriter) {
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(writeTime)) // a recorder of tests has none
}

// visit is one request for a page.
type visit struct {
	visitor
	*parameters

	id  string // of the path; empty if it has none
	now time.Time

	// mayAccount says that it is the turn of this request to account for all sources.
	mayAccount bool
}

// maker makes a page. Its context ends when the client leaves, or after the time of a query.
type maker func(ctx context.Context, v *visit) (view, error)

// routes are the pages. Everything but the health check is behind the guard.
func (c *Console) routes() http.Handler {
	pages := http.NewServeMux()
	pages.HandleFunc("/{$}", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/records", http.StatusSeeOther) })
	pages.HandleFunc("/find", c.find)
	pages.HandleFunc("/static/", c.serveAsset)
	pages.Handle("/records", c.page("records", listParameters(), c.config.QueryTimeout, c.records))
	pages.Handle("/records/{id}", c.page("record", nil, c.config.QueryTimeout, c.record))
	pages.HandleFunc("/records/{id}/proof", c.proof)
	pages.Handle("/timeline", c.page("timeline", timelineParameters(), c.config.QueryTimeout, c.timeline))
	pages.Handle("/signals", c.page("signals", signalParameters(), c.config.QueryTimeout, c.signals))
	pages.Handle("/completeness", c.page("completeness", completenessParameters(), c.config.AccountTimeout, c.completeness, c.accountTurn))
	pages.Handle("/seal", c.page("seal", nil, c.config.QueryTimeout, c.seal))
	pages.Handle("/live", c.page("live", liveParameters(), c.config.QueryTimeout, c.live))
	pages.HandleFunc("/live/events", c.events)
	pages.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { c.fail(w, r, noPage()) })

	guarded := c.guard(pages) // also what the mux answers by itself, such as a path that is not clean
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/healthz" && isReading(r) {
			health(w)
			return
		}
		guarded.ServeHTTP(w, r)
	})
}

func health(w http.ResponseWriter) {
	setHeaders(w.Header())
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = io.WriteString(w, "ok\n") // a client that leaves needs no answer
}

// taker takes what the queries of a page need, and returns how to give it back.
type taker func(ctx context.Context, v *visit) (release func(), wrong *fault)

// page answers with a page. It takes one of the slots for queries, so that many clients cannot
// ask the database for more than it should do at once. What it needs before comes first, and
// who waits for that has no slot.
func (c *Console) page(name string, known []string, timeout time.Duration, make maker, before ...taker) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v, wrong := c.visit(r, known)
		if wrong != nil {
			c.fail(w, r, wrong)
			return
		}
		if target, differs := v.canonical(r.URL); differs {
			http.Redirect(w, r, target, http.StatusSeeOther) //nolint:gosec // its path is that of the request
			return
		}
		made, wrong := c.query(r.Context(), v, timeout, make, before...)
		switch {
		case r.Context().Err() != nil: // the client has left
		case wrong != nil:
			c.fail(w, r, wrong)
		default:
			c.render(w, r, http.StatusOK, name, made)
		}
	})
}

func (c *Console) visit(r *http.Request, known []string) (*visit, *fault) {
	given, wrong := readParameters(r, known)
	if wrong != nil {
		return nil, wrong
	}
	return &visit{visitor: visitorOf(r.Context()), parameters: given, id: r.PathValue("id"), now: time.Now()}, nil
}

// slotTime is how long a request waits for its turn.
const slotTime = 3 * time.Second

// query runs the queries of a page in a slot.
func (c *Console) query(ctx context.Context, v *visit, timeout time.Duration, make maker, before ...taker) (view, *fault) {
	for _, take := range slices.Concat(before, []taker{c.slot}) {
		release, wrong := take(ctx, v)
		if wrong != nil {
			return view{}, wrong
		}
		defer release()
	}
	bounded, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	made, err := make(bounded, v)
	if err != nil {
		return view{}, faultOf(bounded, err, timeout)
	}
	return made, nil
}

func (c *Console) slot(ctx context.Context, _ *visit) (release func(), wrong *fault) {
	timer := time.NewTimer(slotTime)
	defer timer.Stop()
	select {
	case c.queries <- struct{}{}:
		return func() { <-c.queries }, nil
	case <-ctx.Done():
	case <-timer.C:
	}
	return nil, &fault{
		status: http.StatusServiceUnavailable, title: "The console is busy",
		text: "As many queries run as this console allows.", next: "Load the page again in a moment.",
	}
}

//go:embed static
var staticFiles embed.FS

// assets are the console's own files, by the path under which they are served. The path holds
// a digest of the content, so a browser may keep them.
type assets struct {
	Style, Script, Icon string
	byPath              map[string]asset
}

type asset struct {
	kind    string
	content []byte
}

func loadAssets() (assets, error) {
	found := assets{byPath: make(map[string]asset)}
	for _, file := range []struct {
		name, kind string
		path       *string
	}{
		{"console.css", "text/css; charset=utf-8", &found.Style},
		{"console.js", "text/javascript; charset=utf-8", &found.Script},
		{"icon.svg", "image/svg+xml", &found.Icon},
	} {
		content, err := staticFiles.ReadFile("static/" + file.name)
		if err != nil {
			return assets{}, err
		}
		sum := sha256.Sum256(content)
		*file.path = path.Join("/static", hex.EncodeToString(sum[:8]), file.name)
		found.byPath[*file.path] = asset{file.kind, content}
	}
	return found, nil
}

func (c *Console) serveAsset(w http.ResponseWriter, r *http.Request) {
	file, ok := c.files.byPath[r.URL.Path]
	if !ok {
		c.fail(w, r, noPage())
		return
	}
	w.Header().Set("Content-Type", file.kind)
	w.Header().Set("Cache-Control", "private, max-age=31536000, immutable")
	writeSoon(w)
	_, _ = w.Write(file.content) // a client that leaves needs no answer
}

func noPage() *fault {
	return &fault{
		status: http.StatusNotFound, title: "No such page", text: "The console has no page at this address.",
		next: "Begin with the records.", links: []link{{"Records", "/records"}},
	}
}
