package main

import (
	"bytes"
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
	prove, again             time.Duration // the median of an open Prover's proofs, and of the same ones once more
	open                     time.Duration // of a Prover
	bundle, row              int           // bytes, the medians: of the whole, and of the line of its record
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
	for _, median := range []*time.Duration{&f.prove, &f.again} {
		var times []time.Duration
		var sizes, rows []int
		for _, id := range s.facts.ids {
			took, bundle, err := s.proveOne(ctx, prover, id)
			if err != nil {
				return err
			}
			row, _, _ := bytes.Cut(bundle[bytes.IndexByte(bundle, '\n')+1:], []byte("\n"))
			times, sizes, rows = append(times, took), append(sizes, len(bundle)), append(rows, len(row)+1)
		}
		slices.Sort(times)
		slices.Sort(sizes)
		slices.Sort(rows)
		*median, f.bundle, f.row = times[len(times)/2], sizes[len(sizes)/2], rows[len(rows)/2]
	}
	return nil
}

func (s *sealedSite) proveOne(ctx context.Context, prover *sealer.Prover, id uuid.UUID) (took time.Duration, bundle []byte, err error) {
	started := time.Now()
	proof, err := prover.Prove(ctx, id)
	if err != nil {
		return 0, nil, err
	}
	took = time.Since(started)
	if bundle, err = proof.MarshalText(); err != nil {
		return 0, nil, err
	}
	_, err = proof.Verify(s.verifier.Name(), s.verifier)
	return took, bundle, err
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
