package sealer_test

import (
	"crypto/sha256"
	"errors"
	"testing"

	"github.com/hoc-analytics/coordaudit/seal"
	"github.com/hoc-analytics/coordaudit/sealer"
)

// Between any two checkpoints there is a proof, in and between tiles, also after the log has
// grown beyond them.
func TestConsistencyIsProved(t *testing.T) {
	t.Parallel()
	s := newSealed(t)
	sealed := []seal.Checkpoint{{Root: sha256.Sum256(nil)}}
	for _, count := range []int{1, 254, 1, 1, 300, 467} {
		s.persist(t, count)
		s.once(t)
		c, err := seal.OpenCheckpoint(s.checkpoint(t), logName, s.verifier)
		if err != nil {
			t.Fatal(err)
		}
		sealed = append(sealed, c)
		for _, to := range sealed {
			for _, from := range sealed {
				if from.Size > to.Size {
					continue
				}
				proof, err := sealer.ProveConsistency(t.Context(), s.pool, "", 1, from.Size, to.Size)
				if err == nil {
					err = seal.CheckConsistency(from.Size, from.Root, to.Size, to.Root, proof)
				}
				if err != nil {
					t.Errorf("from %d to %d: %v", from.Size, to.Size, err)
				}
			}
		}
	}
}

// What cannot be proved is refused with its cause.
func TestConsistencyNamesCause(t *testing.T) {
	t.Parallel()
	s := newSealed(t)
	s.persist(t, 300)
	s.once(t)
	s.persist(t, 300)
	s.once(t)
	for name, c := range map[string]struct {
		epoch, from, to int64
		want            error
	}{
		"BeyondLog":    {1, 300, 601, sealer.ErrNotSealed},
		"OtherEpoch":   {2, 0, 1, sealer.ErrNotSealed},
		"NoCheckpoint": {1, 300, 599, sealer.ErrForked},
		"Backwards":    {1, 600, 300, seal.ErrBounds},
		"Negative":     {1, -1, 300, seal.ErrBounds},
	} {
		if proof, err := sealer.ProveConsistency(t.Context(), s.pool, "", c.epoch, c.from, c.to); !errors.Is(err, c.want) || proof != nil {
			t.Errorf("%s: %v, %v, want %v", name, proof, err, c.want)
		}
	}
}

// A proof is not made from tiles or rows that were changed. A record whose tile is full has
// its hash there.
func TestConsistencyNeedsSealedRows(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		sql  string
		want error
	}{
		"RowInUnfinishedTile": {"UPDATE coordination_audit_records SET tenant_id = 'another' WHERE seq = 590", sealer.ErrTampered},
		"RowIsGone":           {"DELETE FROM coordination_audit_records WHERE seq = 590", sealer.ErrTampered},
		"Tile":                {`UPDATE coordination_audit_seal_tiles SET hashes = overlay(hashes PLACING '\x00112233' FROM 7 * 32) WHERE level = 0 AND idx = 1`, sealer.ErrTampered},
		"TileIsGone":          {"DELETE FROM coordination_audit_seal_tiles WHERE level = 0 AND idx = 1", sealer.ErrTampered},
		"RowInFullTile":       {"DELETE FROM coordination_audit_records WHERE seq = 1", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSealed(t)
			s.persist(t, 300)
			s.once(t)
			s.persist(t, 300)
			s.once(t)
			s.superuser(t, c.sql)
			if _, err := sealer.ProveConsistency(t.Context(), s.pool, "", 1, 300, 600); !errors.Is(err, c.want) {
				t.Errorf("%v, want %v", err, c.want)
			}
		})
	}
}
