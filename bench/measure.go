package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

// pace is the length and the number of turns.
type pace struct {
	Turn   time.Duration // of one contender; each caller makes at least one call
	Rounds int
}

// turn is what a contender did in one turn.
type turn struct {
	Calls   int     `json:"calls"`
	Seconds float64 `json:"seconds"`
	P50     float64 `json:"p50_us"` // of one call, without the time to make its input
	P99     float64 `json:"p99_us"`
}

// measure gives a turn to each contender that offers the work, round by round.
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
	err := inTurns(-1, p.Rounds, len(calls), func(round, i int) error {
		length := p.Turn
		if round < 0 {
			length /= 4
		}
		t, err := take(ctx, w.callers, length, calls[i])
		if err != nil {
			return fmt.Errorf("%s, %s: %w", w.name, results[i].Contender, err)
		}
		if round >= 0 {
			results[i].Turns = append(results[i].Turns, t)
		}
		return nil
	})
	return results, err
}

// inTurns lets n contenders take turns, A B C A B C. Each round starts with another
// contender, because the second one finds warmer pages. Rounds below 0 warm up.
func inTurns(first, rounds, n int, take func(round, i int) error) error {
	for round := first; round < rounds; round++ {
		for i := range n {
			if err := take(round, (i+max(round, 0))%n); err != nil {
				return err
			}
		}
	}
	return nil
}

// take makes calls on the given number of goroutines until the turn ends.
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
	return turnOf(slices.Concat(times...), took), nil
}

// turnOf summarizes the times of a turn's calls.
func turnOf(calls []time.Duration, took time.Duration) turn {
	slices.Sort(calls)
	at := func(share float64) float64 {
		return float64(calls[min(len(calls)-1, int(share*float64(len(calls))))].Nanoseconds()) / 1e3
	}
	return turn{Calls: len(calls), Seconds: took.Seconds(), P50: at(0.5), P99: at(0.99)}
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
