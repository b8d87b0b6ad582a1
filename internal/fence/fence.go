// Package fence tells how far a trail is final. A seq is given before its row is committed, and
// transactions commit in any order. So a row with a lower seq may become visible after one with
// a higher seq, and a reader that follows the highest seq misses it.
//
// The rule has three statements in this order. Read the sequence's last value F. List the
// transactions that hold the lock which an INSERT takes. When each of them has ended, a new
// snapshot sees every row with a seq up to F that will ever be committed. It rests on this:
// a transaction takes the lock before it takes a seq, holds it to its end, and becomes visible
// before it gives the lock back.
//
// A transaction that takes too long is gone around: its rows are looked for later.
package fence

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/hoc-analytics/coordaudit/internal/wait"
)

// Source is a session that sees the transactions of its database.
type Source interface {
	// Inserting lists the transactions that may have inserted a row which is not committed
	// yet, by virtual id. The process id is 0 for a prepared transaction.
	Inserting(ctx context.Context) (map[string]int32, error)

	// Prepared names the prepared transactions among them, by virtual id.
	Prepared(ctx context.Context) (map[string]string, error)
}

// Fence waits until the transactions that may have inserted rows have ended. It goes around
// those that take longer than its patience.
type Fence struct {
	Source   Source
	Patience time.Duration

	// Report is called now and then with the names of the transactions that are open and
	// since when the oldest is waited for, and with none when they have ended. Its error ends
	// Wait. It may be nil.
	Report func(ctx context.Context, by []string, since time.Time) error

	// since is when the fence began to wait for each transaction that is open.
	since map[string]time.Time

	// Around are the transactions that the fence went around, oldest first. There are at most
	// two sets, so that the older one ends although new ones keep coming.
	Around []Set
}

// Set is transactions that may still commit rows up to a seq.
type Set struct {
	Through int64
	Since   time.Time
	By      map[string]int32 // process ids by virtual id; 0 if prepared
}

const (
	shortestWait = time.Millisecond
	longestWait  = 50 * time.Millisecond
)

// Wait waits for the transactions that are open now, but not for those that the fence went
// around before. It returns all that are still open when no other is left, or when the
// patience is over.
func (f *Fence) Wait(ctx context.Context) (left map[string]int32, err error) {
	started := time.Now()
	open, err := f.inserting(ctx)
	if err != nil {
		return nil, err
	}
	for delay := shortestWait; ; delay = min(2*delay, longestWait) {
		ended := len(f.unknown(open)) == 0 || time.Since(started) >= f.Patience
		if ended || time.Since(started) > longestWait {
			if err := f.report(ctx, open, started); err != nil {
				return nil, err
			}
		}
		if ended {
			return open, nil
		}
		if !wait.For(ctx, min(delay, max(shortestWait, f.Patience-time.Since(started)))) {
			return nil, context.Cause(ctx)
		}
		now, err := f.inserting(ctx)
		if err != nil {
			return nil, err
		}
		open = still(open, now)
	}
}

// report reports the transactions that are open, and since when it waits for the oldest.
func (f *Fence) report(ctx context.Context, open map[string]int32, started time.Time) error {
	if f.Report == nil {
		return nil
	}
	since := make(map[string]time.Time, len(open))
	var oldest time.Time
	for transaction := range open {
		began, ok := f.since[transaction]
		if !ok {
			began = started
		}
		since[transaction] = began
		if oldest.IsZero() || began.Before(oldest) {
			oldest = began
		}
	}
	f.since = since
	if len(open) == 0 {
		return f.Report(ctx, nil, oldest)
	}
	return f.Report(ctx, f.Names(ctx, open), oldest)
}

// Rest says that nothing is waited for: a transaction that is open now holds up no row.
func (f *Fence) Rest() { f.since = nil }

func (f *Fence) inserting(ctx context.Context) (map[string]int32, error) {
	open, err := f.Source.Inserting(ctx)
	if err != nil {
		return nil, fmt.Errorf("looking for open transactions: %w", err)
	}
	return open, nil
}

// unknown returns the transactions that the fence has not gone around.
func (f *Fence) unknown(open map[string]int32) map[string]int32 {
	unknown := maps.Clone(open)
	for _, set := range f.Around {
		for transaction := range set.By {
			delete(unknown, transaction)
		}
	}
	return unknown
}

// GoAround remembers transactions that may still commit rows up to a seq.
func (f *Fence) GoAround(through int64, by map[string]int32) {
	if len(f.Around) < 2 {
		f.Around = append(f.Around, Set{Through: through, Since: time.Now(), By: maps.Clone(by)})
		return
	}
	newest := &f.Around[1]
	newest.Through = max(newest.Through, through)
	maps.Copy(newest.By, by)
}

// Look asks which of the transactions in the sets are still open, and reports whether any has
// ended since it was last asked. If none has, no row of theirs has become visible.
func (f *Fence) Look(ctx context.Context) (ended bool, err error) {
	now, err := f.inserting(ctx)
	if err != nil {
		return false, err
	}
	return f.Saw(now), nil
}

// Saw is Look with a list that was made a moment ago.
func (f *Fence) Saw(now map[string]int32) (ended bool) {
	for i := range f.Around {
		before := f.Around[i].By
		f.Around[i].By = still(before, now)
		for transaction := range before {
			_, open := now[transaction]
			ended = ended || !open
		}
	}
	return ended
}

// Finished forgets the oldest sets as far as all their transactions have ended. Everything up to
// the returned seq is final for a snapshot that was taken after the last Look.
func (f *Fence) Finished() (through int64) {
	for len(f.Around) > 0 && len(f.Around[0].By) == 0 {
		through = max(through, f.Around[0].Through)
		f.Around = slices.Delete(f.Around, 0, 1)
	}
	return through
}

// recovered begins the virtual id of a transaction that was prepared before the server's last
// start or crash. It had another id then.
const recovered = "-1/"

// still returns which of some transactions are open now. A recovered one that is not among
// them may be one of them: it was prepared, and got its new id when the server came back.
func still(open, now map[string]int32) map[string]int32 {
	left := make(map[string]int32, len(open))
	for transaction, pid := range now {
		// A prepared transaction keeps its virtual id and has no process any more.
		_, known := open[transaction]
		if known || len(open) > 0 && strings.HasPrefix(transaction, recovered) {
			left[transaction] = pid
		}
	}
	return left
}

// Names names transactions as an operator can find them.
func (f *Fence) Names(ctx context.Context, open map[string]int32) []string {
	var prepared map[string]string
	if slices.Contains(slices.Collect(maps.Values(open)), 0) {
		prepared, _ = f.Source.Prepared(ctx) // else the virtual ids must do
	}
	names := make([]string, 0, len(open))
	for transaction, pid := range open {
		switch gid := prepared[transaction]; {
		case gid != "":
			names = append(names, fmt.Sprintf("prepared transaction %q", gid))
		case pid != 0:
			names = append(names, fmt.Sprintf("process %d", pid))
		default:
			names = append(names, "transaction "+transaction)
		}
	}
	slices.Sort(names)
	return names
}
