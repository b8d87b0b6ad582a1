package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/pglocal"
	"github.com/hoc-analytics/coordaudit/sealer"
)

// trailFigures are those of a trail that stands still.
type trailFigures struct {
	records                  int
	sealed, verified, caught float64       // records a second
	sealCost, verifyCost     time.Duration // of all cores, a record
	bytes                    float64       // of the tiles, a record
	prove                    time.Duration // the median of open Provers' proofs
	open                     time.Duration // of a Prover
	bundle                   int           // bytes, the median
}

func measureTrail(ctx context.Context, server *pglocal.Server, records int) (f trailFigures, err error) {
	err = withSealedSite(ctx, server, records, func(s *sealedSite) error {
		f, err = s.measure(ctx)
		return err
	})
	return f, err
}

func (s *sealedSite) measure(ctx context.Context) (f trailFigures, err error) {
	f.records = s.facts.records
	if _, err := s.admin.Exec(ctx, "CHECKPOINT"); err != nil {
		return f, fmt.Errorf("asking for a checkpoint: %w", err)
	}
	sealing, err := s.sealer(0)
	if err != nil {
		return f, err
	}
	took, worked, err := spent(func() error { _, err := sealing.Once(ctx); return err })
	if err != nil {
		return f, err
	}
	f.sealed, f.sealCost = float64(f.records)/took.Seconds(), worked/time.Duration(f.records)
	if took, worked, err = spent(func() error { return s.verify(ctx) }); err != nil {
		return f, err
	}
	f.verified, f.verifyCost = float64(f.records)/took.Seconds(), worked/time.Duration(f.records)
	if err := s.prove(ctx, &f); err != nil {
		return f, err
	}
	var size int64
	if err := s.admin.QueryRow(ctx, "SELECT pg_total_relation_size('coordination_audit_seal_tiles')").Scan(&size); err != nil {
		return f, fmt.Errorf("reading the size of the tiles: %w", err)
	}
	f.bytes = float64(size) / float64(f.records)
	took, _, err = spent(func() error { return s.catchUp(ctx) })
	f.caught = float64(f.records) / took.Seconds()
	return f, err
}

func (s *sealedSite) verify(ctx context.Context) error {
	signed, err := sealer.Directory(s.checkpoints).Last(ctx)
	if err != nil {
		return err
	}
	result, err := sealer.Verify(ctx, s.pool, sealer.VerifyConfig{Checkpoint: signed, Verifier: s.verifier})
	if err != nil {
		return err
	}
	if result.Verified != int64(s.facts.records) || len(result.Findings) > 0 {
		return fmt.Errorf("verifying: %d of %d records, %d findings", result.Verified, s.facts.records, len(result.Findings))
	}
	return nil
}

// prove makes a proof of each known id, and verifies it.
func (s *sealedSite) prove(ctx context.Context, f *trailFigures) error {
	started := time.Now()
	prover, err := sealer.OpenProver(ctx, s.pool, "")
	if err != nil {
		return err
	}
	defer prover.Close(ctx)
	f.open = time.Since(started)
	var times []time.Duration
	var sizes []int
	for _, id := range s.facts.ids {
		took, size, err := s.proveOne(ctx, prover, id)
		if err != nil {
			return err
		}
		times, sizes = append(times, took), append(sizes, size)
	}
	slices.Sort(times)
	slices.Sort(sizes)
	f.prove, f.bundle = times[len(times)/2], sizes[len(sizes)/2]
	return nil
}

func (s *sealedSite) proveOne(ctx context.Context, prover *sealer.Prover, id uuid.UUID) (took time.Duration, size int, err error) {
	started := time.Now()
	proof, err := prover.Prove(ctx, id)
	if err != nil {
		return 0, 0, err
	}
	took = time.Since(started)
	text, err := proof.MarshalText()
	if err != nil {
		return 0, 0, err
	}
	_, err = proof.Verify(s.verifier.Name(), s.verifier)
	return took, len(text), err
}

// catchUp follows the trail from its beginning to its end.
func (s *sealedSite) catchUp(ctx context.Context) error {
	delivered := 0
	for _, err := range s.store.Follow(ctx, audit.FollowQuery{Scope: audit.AllTenants()}) {
		if err != nil {
			return err
		}
		if delivered++; delivered == s.facts.records {
			return nil
		}
	}
	return errors.New("following: the records end early")
}
