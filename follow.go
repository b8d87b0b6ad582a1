package coordaudit

import (
	"cmp"
	"context"
	"errors"
	"iter"
	"log/slog"
	"strings"
	"time"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/follow"
	"github.com/hoc-analytics/coordaudit/internal/hooks"
	"github.com/hoc-analytics/coordaudit/internal/wait"
)

// Follow delivers the records that match a query, and goes on with those that are stored
// from then on. It delivers each record once it is committed, in the order of seq and audit
// id. A record whose transaction commits later than those after it is delivered then, marked
// [audit.Followed.Late]. No record is missed, however long its transaction was open, and no
// open transaction holds up the records of others for longer than [audit.FollowQuery.Patience].
//
// A record is delivered once in one iteration. A follower that begins with a stored cursor
// goes on after the record that the cursor came with, so what came between the storing and
// its end is delivered again. A consumer that stores the cursor in the transaction of its own
// effect does each once.
//
// The iteration ends without an error when ctx ends, and with one that does not go away by
// itself: [audit.ErrNoScope], [audit.ErrInvalidQuery], [audit.ErrCannotFollow],
// [audit.ErrCursorForked], [audit.ErrRefused], [audit.ErrNoPool] or [audit.ErrClosed]. It
// comes with a zero record. While the database is away, or restarts, the iteration waits and
// goes on, and logs coordination_audit_follow_failed once. A limit of the server that ends
// three looks in a row ends it with [audit.ErrLimit].
//
// On a Citus cluster it delivers what is sealed, in the order of sealing and without
// [audit.Followed.Late], and needs a sealer that runs: see docs/citus.md.
//
// Between two pages it holds no connection. While an open transaction makes it wait, it
// holds one.
func (s *Store) Follow(ctx context.Context, q audit.FollowQuery) iter.Seq2[audit.Followed, error] {
	q.Limit = cmp.Or(q.Limit, audit.MaxPageSize)
	return func(yield func(audit.Followed, error) bool) {
		run := following{store: s, query: q, poll: cmp.Or(q.PollInterval, audit.DefaultPollInterval)}
		err := run.all(ctx, yield)
		if err != nil && ctx.Err() == nil {
			wrap(&err, "following audit records for %s", q.Scope)
			yield(audit.Followed{}, err)
		}
	}
}

// FollowPage reads one page of what [Store.Follow] delivers, for callers that bring their own
// loop. All state is in the cursor: pass [audit.FollowPage.Next] as the next start. It waits
// up to [audit.FollowQuery.Patience] for open transactions, and not for new records.
//
// An error is one of those of [Store.Follow], or wraps [audit.ErrUnavailable]. ctx bounds the
// call; [Config.Timeout] does not.
func (s *Store) FollowPage(ctx context.Context, q audit.FollowQuery) (_ audit.FollowPage, err error) {
	defer wrap(&err, "following audit records for %s", q.Scope)
	q.Limit = cmp.Or(q.Limit, audit.DefaultPageSize)
	machine, from, err := s.follower(q)
	if err != nil {
		return audit.FollowPage{}, err
	}
	page, err := read(s, func() (*follow.Page, error) { return machine.Look(ctx, from) })
	if err != nil {
		return audit.FollowPage{}, err
	}
	found := audit.FollowPage{
		Records: make([]audit.Followed, page.Len()),
		Next:    page.After.Encode(machine.Fingerprint), Cursor: page.After.EncodeStored(machine.Fingerprint),
		More: page.More, Lag: page.Lag,
	}
	for i := range found.Records {
		found.Records[i] = page.Record(i)
	}
	return found, nil
}

// follower returns the machine for a query, and the state of its cursor.
func (s *Store) follower(q audit.FollowQuery) (*follow.Machine, *follow.State, error) {
	if err := q.Validate(); err != nil {
		return nil, nil, err
	}
	query := q.Query()
	query.Window = query.Window.Normalized()
	machine := &follow.Machine{
		Driver: s.driver, Query: query, Fingerprint: follow.Fingerprint(followFingerprint(&query)),
		Start: q.From, Patience: cmp.Or(q.Patience, audit.DefaultPatience), Limit: q.Limit,
	}
	cursor, ok := q.From.Cursor()
	if !ok {
		return machine, nil, nil
	}
	state, err := follow.Decode(cursor, machine.Fingerprint)
	if err != nil {
		return nil, nil, &audit.InvalidQueryError{Faults: []audit.Fault{{Field: "from", Reason: "the cursor " + err.Error()}}}
	}
	return machine, &state, nil
}

// following is one iteration of Follow.
type following struct {
	store *Store
	query audit.FollowQuery
	poll  time.Duration

	failed   time.Duration // how long the last wait after a failure was; 0 if there was none
	limits   int           // looks in a row that a limit has ended
	observed time.Time
	blocked  bool // the log says so
}

const (
	firstRetry = 50 * time.Millisecond
	lastRetry  = 5 * time.Second
)

func (f *following) all(ctx context.Context, yield func(audit.Followed, error) bool) error {
	machine, state, err := f.store.follower(f.query)
	if err != nil {
		return err
	}
	for ctx.Err() == nil {
		begun := time.Now()
		page, err := read(f.store, func() (*follow.Page, error) { return machine.Look(ctx, state) })
		if err != nil {
			if err := f.afterFailure(ctx, err, state); err != nil {
				return err
			}
			continue
		}
		f.failed, f.limits = 0, 0
		if !deliver(ctx, page, yield) {
			return nil
		}
		state = &page.After
		f.report(ctx, page.Lag)
		if !page.More {
			wait.For(ctx, f.poll-min(time.Since(begun), f.poll/2))
		}
	}
	return nil
}

// afterFailure waits if trying again may help, and else returns the error.
func (f *following) afterFailure(ctx context.Context, err error, state *follow.State) error {
	if !f.goesAway(ctx, err) {
		return err
	}
	if state != nil {
		state.Renew()
	}
	wait.For(ctx, f.failed)
	return nil
}

// deliver reports whether the consumer wants more.
func deliver(ctx context.Context, page *follow.Page, yield func(audit.Followed, error) bool) bool {
	for i := range page.Len() {
		if ctx.Err() != nil || !yield(page.Record(i), nil) {
			return false
		}
	}
	return true
}

// goesAway reports whether trying again may help, and logs the first failure of a series.
func (f *following) goesAway(ctx context.Context, err error) bool {
	if ctx.Err() != nil || !errors.Is(err, audit.ErrUnavailable) {
		return false
	}
	if errors.Is(err, audit.ErrLimit) {
		if f.limits++; f.limits == 3 {
			return false
		}
	}
	if f.failed == 0 {
		f.log(ctx, "coordination_audit_follow_failed", slog.String("scope", f.query.Scope.String()), slog.String("error", err.Error()))
	}
	f.failed = min(max(firstRetry, 2*f.failed), lastRetry)
	return true
}

// report calls the observer, and logs what holds the follower up when that has lasted for ten
// times its patience.
func (f *following) report(ctx context.Context, lag audit.FollowLag) {
	if observe := f.query.Observe; observe != nil && time.Since(f.observed) >= f.poll {
		f.observed = time.Now()
		f.store.hooks.Do(func() {
			hooks.Safely(ctx, f.store.config.Logger, "observe", func() { observe(lag) })
		})
	}
	switch {
	case len(lag.BlockedBy) == 0:
		f.blocked = false
	case !f.blocked && time.Since(lag.BlockedSince) >= 10*max(0, cmp.Or(f.query.Patience, audit.DefaultPatience)):
		f.blocked = true
		f.log(ctx, "coordination_audit_follow_blocked", slog.String("scope", f.query.Scope.String()),
			slog.String("by", strings.Join(lag.BlockedBy, ", ")), slog.Time("since", lag.BlockedSince), slog.Int64("records", lag.Records))
	}
}

func (f *following) log(ctx context.Context, event string, attrs ...slog.Attr) {
	hooks.NewLogger(f.store.config.Logger, &f.store.hooks).LogAttrs(ctx, slog.LevelWarn, event, attrs...) //nolint:sloglint // both events are named above
}
