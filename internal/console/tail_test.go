package console_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"net"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/hoc-analytics/coordaudit/internal/console"
	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

// message is what the console sends to a watcher.
type message struct {
	Rows    string `json:"rows"`
	Count   int    `json:"count"`
	Left    int    `json:"left"`
	Lost    bool   `json:"lost"`
	Skipped bool   `json:"skipped"`
	Trouble string `json:"trouble"`

	id string
}

// stream is one watcher.
type stream struct {
	header   http.Header
	messages chan message
	leave    func()
}

// watch opens the page and follows it as its script does.
func (s *site) watch(t *testing.T, page string, headers ...string) *stream {
	t.Helper()
	body := s.get(t, page, headers...).must(t, http.StatusOK).body
	match := regexp.MustCompile(`data-events="([^"]*)"`).FindStringSubmatch(body)
	if match == nil {
		t.Fatalf("%s has no live tail: %s", page, body)
	}
	return s.stream(t, html.UnescapeString(match[1]), headers...)
}

func (s *site) stream(t *testing.T, path string, headers ...string) *stream {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.server.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Add(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(req) //nolint:bodyclose // the reader below closes it
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != http.StatusOK || !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/event-stream") {
		t.Fatalf("%s: %d %s", path, resp.StatusCode, resp.Header.Get("Content-Type"))
	}
	watcher := &stream{header: resp.Header, messages: make(chan message, 1000), leave: cancel}
	go func() {
		defer close(watcher.messages)
		defer resp.Body.Close() //nolint:errcheck // it has ended
		id := ""
		lines := bufio.NewScanner(resp.Body)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			if text, ok := strings.CutPrefix(lines.Text(), "id: "); ok {
				id = text
			}
			if text, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
				m := message{id: id}
				if json.Unmarshal([]byte(text), &m) == nil {
					watcher.messages <- m
				}
			}
		}
	}()
	return watcher
}

// until gathers rows until each text was in one.
func (w *stream) until(t *testing.T, texts ...string) (rows, id string) {
	t.Helper()
	timeout := time.After(30 * time.Second)
	for {
		all := true
		for _, text := range texts {
			all = all && strings.Contains(rows, text)
		}
		if all {
			return rows, id
		}
		select {
		case m, ok := <-w.messages:
			if !ok {
				t.Fatalf("the tail ended before %q came", texts)
			}
			rows, id = rows+m.Rows, m.id
		case <-timeout:
			t.Fatalf("%q did not come: %s", texts, rows)
		}
	}
}

func TestTailShowsWhatIsStored(t *testing.T) {
	t.Parallel()
	s := open(t, nil)
	s.persist(t, decision("acme", "before"))
	watcher := s.watch(t, "/live")
	mustBeGuarded(t, "the tail", watcher.header)
	s.persist(t, decision("acme", "first"))
	s.persist(t, decision("acme", "second"))
	rows, _ := watcher.until(t, "first", "second")
	if strings.Contains(rows, "before") {
		t.Error("a record of the page came again")
	}
}

// Nothing falls between the page and its messages.
func TestTailMissesNothing(t *testing.T) {
	t.Parallel()
	s := open(t, nil)
	stop, stored := make(chan struct{}), make(chan []string, 1)
	go func() {
		var names []string
		for i := 0; ; i++ {
			select {
			case <-stop:
				stored <- names
				return
			default:
			}
			name := fmt.Sprintf("envelope-%04d-", i)
			s.persist(t, decision("acme", name))
			names = append(names, name)
		}
	}()
	body := s.get(t, "/live").must(t, http.StatusOK).body
	match := regexp.MustCompile(`data-events="([^"]*)"`).FindStringSubmatch(body)
	watcher := s.stream(t, html.UnescapeString(match[1]))
	time.Sleep(300 * time.Millisecond)
	close(stop)
	names := <-stored
	rows, last := "", names[len(names)-1]
	for !strings.Contains(rows, last) {
		m, ok := <-watcher.messages
		if !ok || m.Lost {
			t.Fatalf("the tail ended or lost its place: %+v", m)
		}
		if m.Left > 0 {
			t.Skip("more came at once than a message shows")
		}
		rows += m.Rows
	}
	first := strings.Index(rows, "envelope-")
	if first < 0 {
		t.Fatal("no row came")
	}
	for _, name := range names {
		if !strings.Contains(body, name) && !strings.Contains(rows, name) && !strings.Contains(body, last) && name >= oldestOf(body) {
			t.Errorf("%s is neither on the page nor in the messages", name)
		}
	}
}

// oldestOf is the first name on the page, which shows the latest records alone.
func oldestOf(body string) string {
	oldest := ""
	for _, name := range regexp.MustCompile(`envelope-\d{4}-`).FindAllString(body, -1) {
		if oldest == "" || name < oldest {
			oldest = name
		}
	}
	return oldest
}

// One follower reads for all tenants. Each watcher gets its own part.
func TestTailStaysInTheScope(t *testing.T) {
	t.Parallel()
	s := open(t, byHeader)
	acme, rival := s.watch(t, "/live", "X-Tenant", "acme"), s.watch(t, "/live", "X-Tenant", "rival")
	for i := range 20 {
		s.persist(t, decision("rival", fmt.Sprintf("rival-%d", i)), decision("acme", fmt.Sprintf("acme-%d", i)), decision("", "nobody"))
	}
	for name, watcher := range map[string]*stream{"acme": acme, "rival": rival} {
		rows, _ := watcher.until(t, name+"-19")
		other := map[string]string{"acme": "rival", "rival": "acme"}[name]
		if strings.Contains(rows, other) || strings.Contains(rows, "nobody") {
			t.Errorf("%s sees records of others: %s", name, rows)
		}
	}
	for _, path := range []string{"/live?tenant=rival", "/live/events?after=-0&tenant=rival", "/live?no-tenant=1", "/live/events?after=-0&no-tenant=1"} {
		s.get(t, path, "X-Tenant", "acme").must(t, http.StatusNotFound)
	}
	// A place in the tail is no right to see: it is the same for all.
	stolen := regexp.MustCompile(`data-events="([^"]*)"`).FindStringSubmatch(s.get(t, "/live", "X-Tenant", "rival").body)[1]
	thief := s.stream(t, html.UnescapeString(stolen), "X-Tenant", "acme")
	s.persist(t, decision("rival", "rival-last"), decision("acme", "acme-last"))
	if rows, _ := thief.until(t, "acme-last"); strings.Contains(rows, "rival") {
		t.Error("the place of another tenant shows its records")
	}
}

// A tenant's tail says nothing of what others store: neither its place, nor a place that a watcher
// makes up, nor what is no longer kept.
func TestTailDoesNotCountOthers(t *testing.T) {
	t.Parallel()
	s := open(t, byHeader)
	place := regexp.MustCompile(`data-events="/live/events\?after=([^"]*)"`)
	watcher := s.watch(t, "/live", "X-Tenant", "acme")
	for range 7 {
		s.persist(t, decision("rival", "rival"))
	}
	s.persist(t, decision("acme", "last"))
	_, id := watcher.until(t, "last")
	for _, text := range []string{id, place.FindStringSubmatch(s.get(t, "/live", "X-Tenant", "acme").body)[1]} {
		run, number, _ := strings.Cut(text, "-")
		if _, err := strconv.Atoi(number); err == nil {
			t.Fatalf("the place %s has a count of all tenants' records", text)
		}
		for n := range 10 {
			if m := <-s.stream(t, fmt.Sprintf("/live/events?after=%s-%d", run, n), "X-Tenant", "acme").messages; !m.Lost {
				t.Errorf("the place %s-%d, which no one was given, is known", run, n)
			}
			if got := s.ask(t, http.MethodHead, fmt.Sprintf("/live/events?after=-%d", n+1), "X-Tenant", "acme"); got.status != http.StatusBadRequest {
				t.Errorf("the place -%d: %d", n+1, got.status)
			}
		}
	}
}

func TestTailFilters(t *testing.T) {
	t.Parallel()
	s := open(t, nil)
	watcher := s.watch(t, "/live?envelope=wanted&class=RELIABILITY")
	s.persist(t, decision("acme", "unwanted"), decision("acme", "wanted"))
	if rows, _ := watcher.until(t, ">wanted<"); strings.Contains(rows, "unwanted") {
		t.Error("the filter let another envelope through")
	}
}

// A browser that comes back gets what it has missed, and learns if that is no longer kept.
func TestTailGoesOnAfterABreak(t *testing.T) {
	t.Parallel()
	s := open(t, nil)
	watcher, other := s.watch(t, "/live"), s.watch(t, "/live")
	s.persist(t, decision("acme", "first"))
	_, id := watcher.until(t, "first")
	watcher.leave()
	s.persist(t, decision("acme", "missed"))
	other.until(t, "missed")
	again := s.stream(t, "/live/events?after=-0", "Last-Event-ID", id)
	if rows, _ := again.until(t, "missed"); strings.Contains(rows, "first") {
		t.Error("what was seen came again")
	}
	lost := s.stream(t, "/live/events?after=0123456789abcdef-7")
	if m := <-lost.messages; !m.Lost {
		t.Errorf("a place that is not known is no loss: %+v", m)
	}
}

// The watchers share one follower: with as many as there may be, no more connections are used
// than by one, and each of them gets each record.
func TestWatchersShareOneFollower(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	narrow := fixture.OpenPool(t, db.URL, func(config *pgxpool.Config) { config.MaxConns = 2 })
	s := openOn(t, narrow, func(config *console.Config) { config.MaxWatchers = 50 })
	var watchers []*stream
	for range 50 {
		watchers = append(watchers, s.watch(t, "/live"))
	}
	s.get(t, "/live/events?after=-0").must(t, http.StatusServiceUnavailable, "Too many watch")
	s.persist(t, decision("acme", "for-all"))
	var all sync.WaitGroup
	for _, watcher := range watchers {
		all.Go(func() { watcher.until(t, "for-all") })
	}
	all.Wait()
	watchers[0].leave()
	fixture.Eventually(t, func() bool { // its slot is free again
		return s.ask(t, http.MethodHead, "/live/events?after=-0").status == http.StatusOK
	})
}

// A burst that no one could read is skipped, which the watchers learn, and the tail goes on.
func TestTailSkipsABurst(t *testing.T) {
	t.Parallel()
	s := open(t, func(config *console.Config) { config.Poll = 300 * time.Millisecond })
	watcher := s.watch(t, "/live")
	burst := fixture.NewRecords(5000)
	s.persist(t, burst...)
	for m := range watcher.messages {
		if m.Skipped {
			break
		}
	}
	s.persist(t, decision("acme", "after-the-burst"))
	watcher.until(t, "after-the-burst")
}

// Without a watcher, nothing is asked.
func TestTailRestsWithoutWatchers(t *testing.T) {
	t.Parallel()
	s := open(t, nil)
	before := s.pool.Stat().AcquireCount()
	time.Sleep(200 * time.Millisecond) // ten times the poll interval
	if n := s.pool.Stat().AcquireCount() - before; n != 0 {
		t.Errorf("%d connections were used without a watcher", n)
	}
}

func TestTailSaysThatTheDatabaseIsAway(t *testing.T) {
	t.Parallel()
	s := open(t, nil)
	watcher := s.watch(t, "/live")
	fixture.MustExec(t, s.pool, "ALTER TABLE coordination_audit_records RENAME TO elsewhere")
	for m := range watcher.messages {
		if m.Trouble != "" {
			break
		}
	}
	fixture.MustExec(t, s.pool, "ALTER TABLE elsewhere RENAME TO coordination_audit_records")
	s.persist(t, decision("acme", "after"))
	watcher.until(t, "after")
}

// An end waits for pages, not for tails, which never end by themselves.
func TestShutdownEndsTails(t *testing.T) {
	t.Parallel()
	s := open(t, nil)
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.console.Serve(ctx, listener) }()
	s.server.URL = "http://" + listener.Addr().String()
	watcher := s.watch(t, "/live")
	mustReadOnly(t, listener.Addr().String())
	stop()
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(8 * time.Second): // less than the time that pages get
		t.Fatal("the server waits for a tail")
	}
	for m := range watcher.messages {
		t.Logf("the last message is %+v", m)
	}
	if _, err := http.Get(s.server.URL + "/healthz"); err == nil || errors.Is(err, context.Canceled) { //nolint:noctx,bodyclose // there is no answer
		t.Error("the server still answers")
	}
}

// mustReadOnly asks the server itself, which would answer OPTIONS * without the console.
func mustReadOnly(t *testing.T, address string) {
	t.Helper()
	conn, err := net.Dial("tcp", address) //nolint:noctx // it is near
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close() //nolint:errcheck // it was read
	fmt.Fprintf(conn, "OPTIONS * HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
	status, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil || !strings.Contains(status, "405") {
		t.Errorf("OPTIONS * is answered with %q, %v", status, err)
	}
}

// An end waits for pages, but not for those that take too long: their queries end with it.
func TestShutdownEndsSlowPages(t *testing.T) {
	t.Parallel()
	s := open(t, nil)
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.console.Serve(ctx, listener) }()
	s.server.URL = "http://" + listener.Addr().String()
	s.lockRecords(t)
	s.startAsking(t, "/records")
	s.mustRun(t, 1)
	stop()
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("the server waits for a page")
	}
	s.mustRun(t, 0)
	if !strings.Contains(s.log.String(), "coordination_console_cut_off") {
		t.Errorf("the log does not say that a page was cut off: %s", s.log)
	}
}
