package auditdriver

import (
	"context"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// Events are called when a driver learns something about the servers. They run on the
// goroutine of a call. A nil function is not called.
type Events struct {
	// DurabilityReduced is called once for each setting.
	DurabilityReduced func(context.Context, Weakness)

	// FailedOver is called when the writes go to a server that was not met before.
	FailedOver func(context.Context, Failover)

	// ServerUnknown is called once if a server's identity cannot be read. A failover to or
	// from such a server goes unnoticed.
	ServerUnknown func(context.Context, error)
}

// Weakness is a setting that makes an acknowledgement promise less.
type Weakness struct {
	Setting, Value string

	// Meaning says what can be lost, and when.
	Meaning string
}

// Failover is a change of the server that takes the writes.
type Failover struct {
	// From and To are system identifier and timeline, such as "7713082487090337691/1".
	From, To string

	// LastAcknowledged is when the last commit before the failover was acknowledged. It is
	// zero if there was none. Noticed is when the new server was met.
	LastAcknowledged, Noticed time.Time
}

// identity names a server that takes writes. A promotion starts a new timeline.
type identity struct {
	system   int64
	timeline string // hexadecimal; empty on a standby
}

// String gives the timeline as PostgreSQL's functions do.
func (i identity) String() string {
	text := strconv.FormatInt(i.system, 10) + "/"
	timeline, err := strconv.ParseUint(i.timeline, 16, 32)
	if err != nil {
		return text + i.timeline
	}
	return text + strconv.FormatUint(timeline, 10)
}

// watch is what a driver has learned about servers.
type watch struct {
	events           Events
	lastAcknowledged atomic.Int64 // Unix time in microseconds, 0: never
	failovers        atomic.Int64

	mu       sync.Mutex
	reported map[string]bool // settings; "" stands for the unknown server
	servers  map[identity]bool
	current  identity
}

// Watch sets the events. Call it before the driver is used.
func (d *Driver) Watch(events Events) { d.events = events }

// Failovers returns how often the writes went to a server that was not met before.
func (d *Driver) Failovers() int64 { return d.failovers.Load() }

// observe calls the events that follow from a look at a session.
func (d *Driver) observe(ctx context.Context, s *session) {
	for _, weakness := range weaknesses(s) {
		if d.events.DurabilityReduced != nil && d.first(weakness.Setting) {
			d.events.DurabilityReduced(ctx, weakness)
		}
	}
	switch {
	case s.identified != nil:
		if d.events.ServerUnknown != nil && d.first("") {
			d.events.ServerUnknown(ctx, s.identified)
		}
	case s.identity.timeline != "":
		failover, met := d.meet(s.identity)
		if met && d.events.FailedOver != nil {
			d.events.FailedOver(ctx, failover)
		}
	}
}

// first reports whether this is its first call for a key.
func (w *watch) first(key string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.reported[key] {
		return false
	}
	if w.reported == nil {
		w.reported = map[string]bool{}
	}
	w.reported[key] = true
	return true
}

// meet notes a server and reports whether it replaced another one. A server that was met
// before is no failover: there may be a load balancer in front of several.
func (w *watch) meet(server identity) (failover Failover, failedOver bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	before := w.current
	if w.servers[server] {
		return Failover{}, false
	}
	if w.servers == nil {
		w.servers = map[identity]bool{}
	}
	w.servers[server] = true
	w.current = server
	if before == (identity{}) {
		return Failover{}, false
	}
	w.failovers.Add(1)
	failover = Failover{From: before.String(), To: server.String(), Noticed: time.Now().UTC()}
	if last := w.lastAcknowledged.Load(); last != 0 {
		failover.LastAcknowledged = time.UnixMicro(last).UTC()
	}
	return failover, true
}

// weaknesses returns the settings of a session that make an acknowledgement promise less.
func weaknesses(of *session) (found []Weakness) {
	s := of.settings
	add := func(setting, value, meaning string) {
		found = append(found, Weakness{Setting: setting, Value: value, Meaning: meaning})
	}
	switch s.synchronousCommit {
	case "off":
		add("synchronous_commit", s.synchronousCommit, "a crash of the server loses what it acknowledged in its last moments")
	case "local":
		add("synchronous_commit", s.synchronousCommit, "a commit does not wait for any standby, so a failover may lose acknowledged records")
	case "remote_write":
		add("synchronous_commit", s.synchronousCommit, "a standby may lose acknowledged records when its operating system crashes, and a failover to it then loses them")
	}
	if s.fsync == "off" {
		add("fsync", s.fsync, "a crash of the operating system may lose acknowledged records or damage the database")
	}
	if s.fullPageWrites == "off" {
		add("full_page_writes", s.fullPageWrites, "a crash of the operating system may damage the database, unless the file system writes pages as a whole")
	}
	if s.hideWarnings() && !of.listens { // otherwise each commit is confirmed
		add("client_min_messages", s.clientMinMessages, "the server's warning that a commit is not replicated is hidden: if an administrator cancels a commit's wait for its standby, the record counts as persisted")
	}
	return found
}
