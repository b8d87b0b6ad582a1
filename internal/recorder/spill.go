package recorder

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/hoc-analytics/coordaudit/audit"
)

// A group is what the spiller writes with one fsync.
const (
	maxGroup      = 4096
	maxGroupBytes = 8 << 20
)

// gathering is how long a group gathers after the one before it while the database is away.
// More fsyncs than that are not needed, and a push need not wake the spiller.
const gathering = 5 * time.Millisecond

// spiller writes records to the spool while the database is away, and while the queue is
// crowded. Flush and Close use it for what is left.
type spiller struct {
	queue       *queue
	ledger      *ledger
	health      *health
	files       spoolWriter
	statements  *statements
	delay       backoff
	log         *slog.Logger
	wakeDrainer chan<- struct{}

	// writing guards what the queue counts as taken bySpiller.
	writing sync.Mutex
}

// spoolWriter makes records durable on disk.
type spoolWriter interface {
	Append(recs []audit.Record) error
}

func (s *spiller) run(ctx context.Context) {
	failing := false
	for s.await(ctx) {
		err := s.spill(ctx)
		switch {
		case err == nil:
			s.delay.reset()
			failing = false
			if s.health.isAway() && !pause(ctx, gathering, nil) {
				return
			}
			continue
		case !failing: // logged once, not at every attempt
			failing = true
			s.log.LogAttrs(ctx, slog.LevelError, "audit_spool_failing", slog.String("error", err.Error()))
		}
		if !pause(ctx, s.delay.next(), nil) {
			return
		}
	}
}

// await waits until there is something to spill. It reports false when the machine ends.
func (s *spiller) await(ctx context.Context) bool {
	for {
		if _, crowded := s.queue.waits(); crowded {
			return ctx.Err() == nil
		}
		if !awaken(ctx, s.queue.crowded) {
			return false
		}
	}
}

// spill writes the oldest waiting records to the spool and answers their callers.
func (s *spiller) spill(ctx context.Context) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	group := s.queue.take(bySpiller, maxGroup, maxGroupBytes)
	recs := make([]audit.Record, len(group))
	for i, e := range group {
		recs[i] = e.rec
	}
	if len(recs) == 0 {
		return nil
	}
	s.statements.keep(ctx)
	if err := s.files.Append(recs); err != nil {
		s.queue.finish(bySpiller, group)
		return err
	}
	for _, e := range group {
		s.ledger.move(e.rec.EnvelopeClass, queued, spooled)
		e.reply(answer{err: fmt.Errorf("%w: it is in the spool", audit.ErrPending)})
	}
	s.queue.finish(bySpiller, nil)
	s.log.LogAttrs(ctx, slog.LevelDebug, "audit_spooled", slog.Int("records", len(group)))
	signal(s.wakeDrainer)
	return nil
}

// evacuate spills what waits, up to and including the ticket last.
func (s *spiller) evacuate(ctx context.Context, last int64) error {
	for {
		oldest, waits := s.queue.oldestWaiting()
		if !waits || oldest > last {
			return nil
		}
		if err := s.spill(ctx); err != nil {
			return err
		}
	}
}

// abandon passes everything that waits to lose, in groups, and returns the number of records.
func (s *spiller) abandon(lose func(rest []*entry)) (records int) {
	s.writing.Lock()
	defer s.writing.Unlock()
	for {
		rest := s.queue.take(bySpiller, maxGroup, maxGroupBytes)
		if len(rest) == 0 {
			return records
		}
		lose(rest)
		records += len(rest)
		s.queue.finish(bySpiller, nil)
	}
}
