package sealer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/sealdriver"
	"github.com/hoc-analytics/coordaudit/internal/wait"
)

// Sealer seals one trail. It is safe for concurrent use.
type Sealer struct {
	pool   *pgxpool.Pool
	config Config

	mu       sync.Mutex
	stats    Stats
	logged   time.Time       // since when it is blocked, if that was logged
	unlogged map[string]bool // tables that were logged to be UNLOGGED
}

// Stats is the state of a Sealer.
type Stats = audit.SealerStats

// New returns a Sealer. It does not connect.
func New(pool *pgxpool.Pool, config Config) (*Sealer, error) {
	config = config.withDefaults()
	if err := config.validate(); err != nil {
		return nil, err
	}
	if pool == nil {
		return nil, errors.New("configuring the sealer: the pool is nil")
	}
	return &Sealer{pool: pool, config: config, unlogged: map[string]bool{}}, nil
}

// Stats returns the current state.
func (s *Sealer) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stats
}

func (s *Sealer) update(change func(*Stats)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.stats)
}

// Once seals what is committed, waits for open transactions up to [Config.Patience], and
// returns the number of rows that it sealed. ctx bounds it. After an error, everything that
// was exported stays valid.
func (s *Sealer) Once(ctx context.Context) (sealed int64, err error) {
	defer func() { s.finish(err) }()
	n, err := s.begin(ctx)
	if err != nil {
		return 0, err
	}
	defer n.end(ctx)
	return n.round(ctx)
}

// Run seals until ctx ends, and then returns nil. It returns an error only if going on would
// be wrong: the log does not fit its exported checkpoint or its rows, or this database
// cannot be sealed. It tries again after every other error, such as a lost connection, and
// waits while another sealer is at work.
func (s *Sealer) Run(ctx context.Context) error {
	delay := s.config.Interval
	for {
		err := s.runSession(ctx)
		if ctx.Err() != nil {
			s.finish(nil)
			return nil //nolint:nilerr // it was stopped
		}
		s.finish(err)
		switch {
		case hopeless(err):
			return err
		case errors.Is(err, ErrSealedElsewhere):
			delay = s.config.Interval
		default:
			s.config.Logger.WarnContext(ctx, "coordination_audit_seal_failed", slog.String("error", err.Error()), slog.Duration("retry_in", delay))
			delay = min(max(2*delay, time.Second), time.Minute)
		}
		if !wait.For(ctx, delay) {
			return nil
		}
	}
}

func hopeless(err error) bool {
	for _, kind := range []error{ErrCannotSeal, ErrCutOff, ErrForked, ErrTampered} {
		if errors.Is(err, kind) {
			return true
		}
	}
	return false
}

func (s *Sealer) runSession(ctx context.Context) error {
	n, err := s.begin(ctx)
	if err != nil {
		return err
	}
	defer n.end(ctx)
	for {
		started := time.Now()
		if _, err := n.round(ctx); err != nil {
			return err
		}
		s.finish(nil)
		if !wait.For(ctx, s.config.Interval-time.Since(started)) {
			return nil
		}
	}
}

func cannot(reason string) error { return fmt.Errorf("%w: %s", ErrCannotSeal, reason) }

// storing names the error of rows that the database does not keep.
func storing(err error) error {
	if errors.Is(err, sealdriver.ErrNotStored) {
		return fmt.Errorf("%w: %w", ErrCannotSeal, err)
	}
	return err
}
