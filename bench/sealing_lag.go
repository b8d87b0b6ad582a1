package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/pglocal"
	"github.com/hoc-analytics/coordaudit/internal/test/baseline"
	"github.com/hoc-analytics/coordaudit/internal/wait"
)

// lagFigures say how long after the answer to its commit a record is sealed and exported, or
// delivered to a follower.
type lagFigures struct {
	sealed, followed percentiles
	look             time.Duration // what an idle follower's look takes of the cores
}

type percentiles struct {
	count    int
	p50, p99 time.Duration
}

func percentilesOf(times []time.Duration) (p percentiles, err error) {
	if len(times) == 0 {
		return p, errors.New("nothing was measured: measure for longer")
	}
	slices.Sort(times)
	return percentiles{len(times), times[len(times)/2], times[len(times)*99/100]}, nil
}

// How the lags are measured.
const (
	sealedBatch    = 50 // records
	sealedBatches  = 100
	followedRate   = 1000 // records a second, one by one
	sealInterval   = 100 * time.Millisecond
	followInterval = 10 * time.Millisecond
	idleInterval   = 2 * time.Millisecond
)

func measureLag(ctx context.Context, server *pglocal.Server, length time.Duration) (f lagFigures, err error) {
	err = withSealedSite(ctx, server, 0, func(s *sealedSite) (err error) {
		if f.sealed, err = s.sealLag(ctx, length); err != nil {
			return err
		}
		if f.followed, err = s.followLag(ctx, length); err != nil {
			return err
		}
		f.look, err = s.idleLook(ctx, length/4)
		return err
	})
	return f, err
}

// steadily calls each at a rate, for a time, with four callers.
func steadily(ctx context.Context, rate int, length time.Duration, each func(ctx context.Context) error) error {
	const callers = 4
	due := make(chan struct{}, rate)
	faults := make([]error, callers)
	var running sync.WaitGroup
	for i := range callers {
		running.Go(func() {
			for range due {
				faults[i] = errors.Join(faults[i], each(ctx))
			}
		})
	}
	started := time.Now()
	for n := 0; time.Since(started) < length; n++ {
		wait.For(ctx, time.Until(started.Add(time.Duration(n)*time.Second/time.Duration(rate))))
		due <- struct{}{}
	}
	close(due)
	running.Wait()
	return errors.Join(faults...)
}

// sealLag watches the size of the log. A batch is sealed once as many rows are in the log as
// were answered when it was: no other rows exist.
func (s *sealedSite) sealLag(ctx context.Context, length time.Duration) (percentiles, error) {
	sealing, err := s.sealer(sealInterval)
	if err != nil {
		return percentiles{}, err
	}
	sealed := &sealedSizes{}
	stop := s.watch(ctx, sealing, sealed)
	err = steadily(ctx, sealedBatches, length, func(ctx context.Context) error {
		recs, err := baseline.Records(sealedBatch)
		if err != nil {
			return err
		}
		if err := s.writer.insertMany(ctx, recs); err != nil {
			return err
		}
		sealed.answered(sealedBatch)
		return nil
	})
	wait.For(ctx, 5*sealInterval) // the last ones are sealed
	if err := errors.Join(err, stop()); err != nil {
		return percentiles{}, err
	}
	return percentilesOf(sealed.lags)
}

// run runs something until stop is called. stop returns what it ended with.
func run(ctx context.Context, work func(ctx context.Context) error) (stop func() error) {
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- work(ctx) }()
	return func() error {
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			return err
		}
		return nil
	}
}

type runner interface {
	Run(ctx context.Context) error
	Stats() audit.SealerStats
}

// watch runs a sealer, and tells sealed how large the log is.
func (s *sealedSite) watch(ctx context.Context, sealing runner, sealed *sealedSizes) (stop func() error) {
	stopWatch := run(ctx, func(ctx context.Context) error {
		for ctx.Err() == nil {
			sealed.reached(int(sealing.Stats().Size))
			wait.For(ctx, time.Millisecond)
		}
		return ctx.Err()
	})
	stopSealer := run(ctx, sealing.Run)
	return func() error { return errors.Join(stopSealer(), stopWatch()) }
}

// sealedSizes compares how many rows were answered with how many are sealed.
type sealedSizes struct {
	mu      sync.Mutex
	count   int
	waiting []answeredSize
	lags    []time.Duration
}

type answeredSize struct {
	size int
	at   time.Time
}

func (s *sealedSizes) answered(rows int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.count += rows
	s.waiting = append(s.waiting, answeredSize{s.count, time.Now()})
}

func (s *sealedSizes) reached(size int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.waiting) > 0 && s.waiting[0].size <= size {
		s.lags = append(s.lags, time.Since(s.waiting[0].at))
		s.waiting = s.waiting[1:]
	}
}

// deliveries are the moments at which records were answered.
type deliveries struct {
	mu    sync.Mutex
	at    map[uuid.UUID]time.Time
	times []time.Duration
}

// seen is called for a record when its caller has the answer, and when it is delivered. A
// record that is delivered first was not late at all.
func (d *deliveries) seen(id uuid.UUID) {
	d.mu.Lock()
	defer d.mu.Unlock()
	answered, second := d.at[id]
	if !second {
		d.at[id] = time.Now()
		return
	}
	d.times = append(d.times, time.Since(answered))
	delete(d.at, id)
}

func (s *sealedSite) followLag(ctx context.Context, length time.Duration) (percentiles, error) {
	seen := &deliveries{at: map[uuid.UUID]time.Time{}}
	q := audit.FollowQuery{Scope: audit.AllTenants(), From: audit.FromNow(), PollInterval: followInterval}
	stop := run(ctx, func(ctx context.Context) error {
		for rec, err := range s.store.Follow(ctx, q) {
			if err != nil {
				return err
			}
			seen.seen(rec.AuditID)
		}
		return ctx.Err()
	})
	wait.For(ctx, 10*followInterval)
	err := steadily(ctx, followedRate, length, func(ctx context.Context) error {
		rec, err := baseline.Record()
		if err != nil {
			return err
		}
		if err := s.writer.insert(ctx, rec); err != nil {
			return err
		}
		seen.seen(rec.AuditID)
		return nil
	})
	wait.For(ctx, 20*followInterval)
	if err := errors.Join(err, stop()); err != nil {
		return percentiles{}, err
	}
	return percentilesOf(seen.times)
}

// idleLook follows a trail that stands still, with many looks a second.
func (s *sealedSite) idleLook(ctx context.Context, length time.Duration) (time.Duration, error) {
	looks := 0
	q := audit.FollowQuery{Scope: audit.AllTenants(), From: audit.FromNow(), PollInterval: idleInterval, Observe: func(audit.FollowLag) { looks++ }}
	_, before, err := spent(func() error { wait.For(ctx, length); return nil })
	if err != nil {
		return 0, err
	}
	_, worked, err := spent(func() error {
		stop := run(ctx, func(ctx context.Context) error {
			for _, err := range s.store.Follow(ctx, q) {
				if err != nil {
					return err
				}
			}
			return ctx.Err()
		})
		wait.For(ctx, length)
		return stop()
	})
	if err != nil {
		return 0, err
	}
	if looks == 0 {
		return 0, fmt.Errorf("following an idle trail: no look in %s", length)
	}
	return max(0, worked-before) / time.Duration(looks), nil
}
