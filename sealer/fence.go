package sealer

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/hoc-analytics/coordaudit/internal/sealdriver"
)

// fence waits until the transactions that may have inserted rows have ended. It goes around
// those that take longer than its patience: the seqs that they may still commit are awaited
// from then on.
type fence struct {
	conn     *sealdriver.Conn
	patience time.Duration
	report   func(ctx context.Context, by []string, since time.Time) error

	// since is when it began to wait for each transaction that is open.
	since map[string]time.Time

	// around are the transactions that the fence went around, oldest first. There are at
	// most two sets, so that the older one ends although new ones keep coming.
	around []openSet
}

// openSet are transactions that may still commit records up to a seq.
type openSet struct {
	through int64
	by      map[string]int32 // process ids by virtual id; 0 if prepared
}

const (
	shortestWait = time.Millisecond
	longestWait  = 50 * time.Millisecond
)

// wait waits for the transactions that are open now, but not for those that it went around
// before. It returns those that are still open when its patience is over.
func (f *fence) wait(ctx context.Context) (left map[string]int32, err error) {
	started := time.Now()
	open, err := f.conn.Inserting(ctx)
	if err != nil {
		return nil, fmt.Errorf("looking for open transactions: %w", err)
	}
	for delay := shortestWait; ; delay = min(2*delay, longestWait) {
		ended := len(f.unknown(open)) == 0 || time.Since(started) >= f.patience
		if ended || time.Since(started) > longestWait {
			if err := f.hold(ctx, open, started); err != nil {
				return nil, err
			}
		}
		if ended {
			return open, nil
		}
		if !sleep(ctx, delay) {
			return nil, context.Cause(ctx)
		}
		now, err := f.conn.Inserting(ctx)
		if err != nil {
			return nil, fmt.Errorf("looking for open transactions: %w", err)
		}
		open = still(open, now)
	}
}

// hold reports the transactions that are open, and since when it waits for the oldest.
func (f *fence) hold(ctx context.Context, open map[string]int32, started time.Time) error {
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
		return f.report(ctx, nil, oldest)
	}
	return f.report(ctx, f.names(ctx, open), oldest)
}

// unknown returns the transactions that the fence has not gone around.
func (f *fence) unknown(open map[string]int32) map[string]int32 {
	unknown := maps.Clone(open)
	for _, set := range f.around {
		for transaction := range set.by {
			delete(unknown, transaction)
		}
	}
	return unknown
}

// goAround remembers transactions that may still commit records up to a seq.
func (f *fence) goAround(through int64, by map[string]int32) {
	if len(f.around) < 2 {
		f.around = append(f.around, openSet{through: through, by: by})
		return
	}
	newest := &f.around[1]
	newest.through = max(newest.through, through)
	maps.Copy(newest.by, by)
}

// ended forgets the sets whose transactions have all ended. Everything up to the returned seq
// is final for a statement that begins now.
func (f *fence) ended(ctx context.Context) (through int64, err error) {
	now, err := f.conn.Inserting(ctx)
	if err != nil {
		return 0, fmt.Errorf("looking for open transactions: %w", err)
	}
	for len(f.around) > 0 {
		f.around[0].by = still(f.around[0].by, now)
		if len(f.around[0].by) > 0 {
			break
		}
		through = f.around[0].through
		f.around = slices.Delete(f.around, 0, 1)
	}
	return through, nil
}

func still(open, now map[string]int32) map[string]int32 {
	left := make(map[string]int32, len(open))
	for transaction, pid := range open {
		// A prepared transaction keeps its virtual id and has no process any more.
		if _, ok := now[transaction]; ok {
			left[transaction] = pid
		}
	}
	return left
}

// names names transactions as an operator can find them.
func (f *fence) names(ctx context.Context, open map[string]int32) []string {
	prepared, err := f.conn.Prepared(ctx)
	if err != nil {
		prepared = nil // the virtual ids must do
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
