package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/pglocal"
	"github.com/hoc-analytics/coordaudit/internal/wait"
)

// neighbour is what runs next to the writers of a database.
type neighbour struct {
	name   string
	before string // a statement that the database begins with, or ""
	start  func(ctx context.Context, s *sealedSite) (stop func() error, err error)
}

const (
	alone     = "nothing"
	noSeq     = "nothing, without the index on seq"
	oneSealer = "a sealer, every 100 ms"
)

func followersName(n int) string { return fmt.Sprintf("%d followers, one look a second", n) }

func neighbours(followers int) []neighbour {
	none := func(context.Context, *sealedSite) (func() error, error) { return func() error { return nil }, nil }
	return []neighbour{
		{name: alone, start: none},
		{name: noSeq, before: "DROP INDEX coordination_audit_seq_idx", start: none},
		{name: oneSealer, start: func(ctx context.Context, s *sealedSite) (func() error, error) {
			sealing, err := s.sealer(sealInterval)
			if err != nil {
				return nil, err
			}
			return run(ctx, sealing.Run), nil
		}},
		{name: followersName(followers), start: func(ctx context.Context, s *sealedSite) (func() error, error) {
			return s.startFollowers(ctx, followers), nil
		}},
	}
}

func (s *sealedSite) startFollowers(ctx context.Context, n int) (stop func() error) {
	stops := make([]func() error, n)
	for i := range n {
		stops[i] = run(ctx, func(ctx context.Context) error {
			for _, err := range s.store.Follow(ctx, audit.FollowQuery{Scope: audit.AllTenants(), From: audit.FromNow()}) {
				if err != nil {
					return err
				}
			}
			return ctx.Err()
		})
	}
	return func() error {
		var faults []error
		for _, stop := range stops {
			faults = append(faults, stop())
		}
		return errors.Join(faults...)
	}
}

// startTime is what a neighbour gets to connect and to find its place.
const startTime = 300 * time.Millisecond

// neighbourWorks are what the writers do.
func neighbourWorks() []work { return []work{inserts(1), inserts(sealingConnections), batches(1000)} }

// measureNeighbours gives each neighbour a database of its own, so that it follows and seals
// only what was written next to it.
func measureNeighbours(ctx context.Context, server *pglocal.Server, p pace, followers int, c *conditions) ([]result, error) {
	return withNeighbours(ctx, server, neighbours(followers), nil, func(sites []*sealedSite) (all []result, err error) {
		c.PostgreSQL = sites[0].admin.PgConn().ParameterStatus("server_version")
		for _, w := range neighbourWorks() {
			results, err := besideNeighbours(ctx, w, neighbours(followers), sites, p)
			if err != nil {
				return nil, err
			}
			all = append(all, results...)
		}
		return all, nil
	})
}

func withNeighbours(ctx context.Context, server *pglocal.Server, left []neighbour, sites []*sealedSite, measure func([]*sealedSite) ([]result, error)) (results []result, err error) {
	if len(left) == 0 {
		return measure(sites)
	}
	err = withSealedSite(ctx, server, 0, func(s *sealedSite) error {
		if left[0].before != "" {
			if _, err := s.admin.Exec(ctx, left[0].before); err != nil {
				return fmt.Errorf("preparing a database: %w", err)
			}
		}
		results, err = withNeighbours(ctx, server, left[1:], append(sites, s), measure)
		return err
	})
	return results, err
}

func besideNeighbours(ctx context.Context, w work, all []neighbour, sites []*sealedSite, p pace) ([]result, error) {
	results := make([]result, len(all))
	for i, n := range all {
		results[i] = result{Work: w.name, Contender: n.name, Callers: w.callers, RecordsPerCall: w.rows}
	}
	if _, err := sites[0].admin.Exec(ctx, "CHECKPOINT"); err != nil {
		return nil, fmt.Errorf("asking for a checkpoint: %w", err)
	}
	err := inTurns(-1, p.Rounds, len(all), func(round, i int) error {
		stop, err := all[i].start(ctx, sites[i])
		if err != nil {
			return fmt.Errorf("%s: %w", all[i].name, err)
		}
		wait.For(ctx, startTime)
		t, err := take(ctx, w.callers, p.Turn, w.of(sites[i].writer, nil))
		if err := errors.Join(err, stop()); err != nil {
			return fmt.Errorf("%s, next to %s: %w", w.name, all[i].name, err)
		}
		if round >= 0 {
			results[i].Turns = append(results[i].Turns, t)
		}
		return nil
	})
	return results, err
}
