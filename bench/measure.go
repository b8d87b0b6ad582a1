package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

// pace is how long and how often.
type pace struct {
	Turn   time.Duration // of one contender; at least one call a caller is made
	Rounds int
}

// turn is what a contender did while it was its turn.
type turn struct {
	Calls   int     `json:"calls"`
	Seconds float64 `json:"seconds"`
	P50     float64 `json:"p50_us"` // of one call, without the making of its input
	P99     float64 `json:"p99_us"`
}

// measure gives each contender that can do the work its turns, A B C A B C, each
// round beginning with another one: whoever goes second finds warmer pages.
func measure(ctx context.Context, w work, s *site, p pace) ([]result, error) {
	var results []result
	var calls []preparing
	for _, c := range s.contenders {
		prepare := w.of(c, &s.facts)
		if prepare == nil {
			continue
		}
		results = append(results, result{
			Records: s.facts.records, Work: w.name, Contender: c.name, Callers: w.callers, RecordsPerCall: w.rows,
		})
		calls = append(calls, prepare)
	}
	for round := -1; round < p.Rounds; round++ { // the first one warms up
		length := p.Turn
		if round < 0 {
			length /= 4
		}
		for i := range calls {
			i = (i + max(round, 0)) % len(calls)
			t, err := take(ctx, w.callers, length, calls[i])
			if err != nil {
				return nil, fmt.Errorf("%s, %s: %w", w.name, results[i].Contender, err)
			}
			if round >= 0 {
				results[i].Turns = append(results[i].Turns, t)
			}
		}
	}
	return results, nil
}

// take makes calls on so many goroutines until the turn is over.
func take(ctx context.Context, callers int, length time.Duration, prepare preparing) (turn, error) {
	times, faults := make([][]time.Duration, callers), make([]error, callers)
	var running sync.WaitGroup
	start := time.Now()
	for i := range callers {
		running.Go(func() { times[i], faults[i] = repeat(ctx, start.Add(length), prepare) })
	}
	running.Wait()
	took := time.Since(start)
	if err := errors.Join(faults...); err != nil {
		return turn{}, err
	}
	all := slices.Concat(times...)
	slices.Sort(all)
	at := func(share float64) float64 {
		return float64(all[min(len(all)-1, int(share*float64(len(all))))].Nanoseconds()) / 1e3
	}
	return turn{Calls: len(all), Seconds: took.Seconds(), P50: at(0.5), P99: at(0.99)}, nil
}

func repeat(ctx context.Context, end time.Time, prepare preparing) ([]time.Duration, error) {
	var times []time.Duration
	for len(times) == 0 || time.Now().Before(end) {
		work, err := prepare()
		if err != nil {
			return nil, err
		}
		start := time.Now()
		if err := work(ctx); err != nil {
			return nil, err
		}
		times = append(times, time.Since(start))
	}
	return times, nil
}
