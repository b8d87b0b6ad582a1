package recorder

import (
	"context"
	"log/slog"
	"time"

	"github.com/hoc-analytics/coordaudit/internal/completeness"
)

const (
	// statementPeriod is how often a source that has changed says so.
	statementPeriod = time.Minute

	// newsPeriod is how often it says which ordinals will never come. A process that is killed
	// before that leaves them unexplained.
	newsPeriod = time.Second
)

// run makes statements in time, and stores them.
func (s *statements) run(ctx context.Context) {
	period := time.NewTicker(statementPeriod)
	defer period.Stop()
	news := time.NewTicker(newsPeriod)
	defer news.Stop()
	retry := time.NewTimer(0) // the source opens at once
	defer retry.Stop()
	for {
		periodic := false
		select {
		case <-ctx.Done():
			return
		case <-period.C:
			periodic = true
		case <-news.C:
			s.preserve(ctx)
			continue
		case <-s.wake:
		case <-retry.C:
		}
		if !s.advance(ctx, periodic) {
			retry.Reset(s.maxDelay)
		}
	}
}

// advance makes what is due and stores it. It reports whether nothing is left to store.
func (s *statements) advance(ctx context.Context, periodic bool) (done bool) {
	s.stateOwn(periodic)
	s.save(ctx) // a later run learns of this source, even if it is killed
	carried := s.carryOn(ctx)
	if carried && periodic {
		s.stateOthers()
	}
	if err := s.storeAll(ctx, 0, s.timeout/4); err != nil {
		s.save(ctx)
		return false
	}
	s.mu.Lock()
	done = carried && len(s.pending) == 0
	long := s.lines > maxSavedLines
	s.mu.Unlock()
	if done && long {
		s.shorten(ctx)
	}
	return done
}

// stateOwn makes this run's statement if it is due.
func (s *statements) stateOwn(periodic bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if own := s.book.own; !s.opened || own.RunsShort() || periodic && own.Changed() {
		s.state(own, completeness.Periodic)
	}
}

func (s *statements) stateOthers() { s.stateEach(s.book.carried(), (*completeness.Account).Changed) }

// carryOn continues the accounts of earlier sources, whose last statements the database may
// hold. It reports whether all of them go on.
func (s *statements) carryOn(ctx context.Context) bool {
	s.sending.Lock()
	defer s.sending.Unlock()
	for source, last := range s.found {
		attempt, cancel := context.WithTimeout(ctx, s.timeout)
		stored, ok, err := s.database.LatestStatement(attempt, source)
		cancel()
		if err != nil {
			return false
		}
		if ok && stored.Number > last.Number {
			last = stored
		}
		account := s.book.account(source)
		account.Continue(last)
		s.mu.Lock()
		s.state(account, completeness.Periodic)
		s.mu.Unlock()
		delete(s.found, source)
	}
	return true
}

// close makes the last statements, and puts them on record: in the database if it answers,
// else on disk.
func (s *statements) close(ctx context.Context, answers bool) {
	if answers {
		s.carryOn(ctx)
	}
	s.mu.Lock()
	if !s.opened {
		s.state(s.book.own, completeness.Opened)
	}
	s.state(s.book.own, completeness.Closed)
	s.mu.Unlock()
	if len(s.found) == 0 {
		s.stateOthers()
	}
	if answers {
		if err := s.storeAll(ctx, 0, s.timeout); err != nil {
			s.notRecorded(ctx, slog.LevelWarn, err)
		}
	}
	if !s.forget(ctx) {
		s.save(ctx)
	}
}
