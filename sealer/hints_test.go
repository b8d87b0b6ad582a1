package sealer_test

import (
	"encoding/binary"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit/seal"
	"github.com/hoc-analytics/coordaudit/sealer"
)

// The tests here lie in what no signature covers: in columns of tiles and checkpoints that only
// say where to look.

// plantTile stores a tile whose leaves are said to be records of some seqs.
func (s *sealed) plantTile(t *testing.T, index int64, seqs []int64, hashes []seal.Hash) {
	t.Helper()
	var leaves, joined []byte
	before := int64(0)
	for i := range 256 {
		seq, hash := before, seal.Hash{}
		if i < len(seqs) {
			seq, hash = seqs[i], hashes[i]
		}
		leaves, before = binary.AppendVarint(leaves, (seq-before)<<2), seq
		joined = append(joined, hash[:]...)
	}
	s.superuser(t, "INSERT INTO coordination_audit_seal_tiles (epoch, level, idx, through, late_from, late_through, root, leaves, hashes) VALUES (1, 0, $1, $2, $3, $2, decode(repeat('00', 32), 'hex'), $4, $5)",
		index, slices.Max(seqs), slices.Min(seqs), leaves, joined)
}

func blamed(result sealer.Verification, fault sealer.Fault, id uuid.UUID) bool {
	return slices.ContainsFunc(result.Findings, func(f sealer.Finding) bool { return f.Fault == fault && f.ID == id })
}

// A tile behind the end of the log says of a record that it was sealed late. No checkpoint covers
// that tile.
func TestTileBehindTheLogHidesNoInsertion(t *testing.T) {
	t.Parallel()
	s := newSealed(t)
	s.persist(t, 300)
	s.superuser(t, "SELECT nextval('coordination_audit_records_seq_seq')")
	s.persist(t, 300)
	s.once(t)
	for i, seq := range []int64{301, 7} { // a hole, and a seq that is taken
		id := s.insertAt(t, seq)
		if !blamed(s.verify(t), sealer.Inserted, id) {
			t.Fatalf("seq %d is not found", seq)
		}
		s.plantTile(t, int64(1_000_000+i), []int64{seq}, []seal.Hash{s.hashOf(t, id)})
		result := s.verify(t)
		if !blamed(result, sealer.Inserted, id) {
			t.Errorf("seq %d: found %+v, want the record", seq, result.Findings)
		}
		if !slices.ContainsFunc(result.Findings, func(f sealer.Finding) bool {
			return f.Fault == sealer.Damaged && strings.Contains(f.Text, "tile 100000")
		}) {
			t.Errorf("seq %d: found %+v, want the tile", seq, result.Findings)
		}
	}
}

// The leaves of the last tile that an older checkpoint covers count once, also if that tile is
// full by now.
func TestInsertionInTheLastTileOfAnOlderCheckpointIsNamed(t *testing.T) {
	t.Parallel()
	s := newSealed(t)
	s.persist(t, 300)
	s.once(t)
	older := s.checkpoint(t)
	s.persist(t, 400)
	s.once(t)
	wantFindings(t, s.verifyAgainst(t, older), sealer.Inserted)
	id := s.insertAt(t, 290)
	wantFindings(t, s.verifyAgainst(t, older), sealer.Inserted, id)
	wantFindings(t, s.verify(t), sealer.Inserted, id)
}

// A tile in the place of the unfinished one would take the marks away that name an edit.
func TestTileInPlaceOfTheUnfinishedOneHidesNoEdit(t *testing.T) {
	t.Parallel()
	s := newSealed(t)
	recs := s.persist(t, 600)
	s.once(t)
	s.edit(t, 590)
	var seqs []int64
	var hashes []seal.Hash
	for i := 512; i < 600; i++ {
		seqs, hashes = append(seqs, int64(i+1)), append(hashes, s.hashOf(t, recs[i].AuditID))
	}
	s.plantTile(t, 2, seqs, hashes)
	if result := s.verify(t); !blamed(result, sealer.Edited, recs[589].AuditID) {
		t.Errorf("found %+v, want the edited record", result.Findings)
	}
}

// The root of a tile does not decide whether its rows or its hashes are wrong: both can be changed.
func TestRootOfTheEditedRowsHidesNoEdit(t *testing.T) {
	t.Parallel()
	s := newSealed(t)
	recs := s.persist(t, 600)
	s.once(t)
	s.edit(t, 10)
	tile := seal.Tile{}
	for i := range 256 {
		tile.Hashes = append(tile.Hashes, s.hashOf(t, recs[i].AuditID))
	}
	root := tile.Root()
	s.superuser(t, "UPDATE coordination_audit_seal_tiles SET root = $1 WHERE level = 0 AND idx = 0", root[:])
	result := s.verify(t)
	if !blamed(result, sealer.Edited, recs[9].AuditID) {
		t.Errorf("found %+v, want the edited record", result.Findings)
	}
	if slices.ContainsFunc(result.Findings, func(f sealer.Finding) bool { return strings.Contains(f.Text, "its rows are as they were sealed") }) {
		t.Errorf("found %+v, and the rows are not as they were sealed", result.Findings)
	}
}

// A gap that a changed checkpoint makes the sealer pass over is found, and one that waits is
// counted.
func TestGapThatIsPassedOverIsNamed(t *testing.T) {
	t.Parallel()
	const gap = "INSERT INTO coordination_audit_gaps (gap_id, dropped_safety, dropped_reliability, dropped_cost, dropped_performance, dropped_unknown, first_audit_id, last_audit_id, lost_from, lost_until, cause) " +
		"VALUES ($1, 1, 0, 0, 0, 0, gen_random_uuid(), gen_random_uuid(), now(), now(), 'the disk was full')"
	s := newSealed(t)
	s.persist(t, 10)
	s.superuser(t, gap, uuid.New())
	s.once(t)
	s.mustVerify(t, 11)
	id := uuid.New()
	s.superuser(t, gap, id)
	if result := s.verify(t); result.UnsealedOthers != 1 || len(result.Findings) > 0 {
		t.Errorf("%d wait, found %+v; want one gap that waits", result.UnsealedOthers, result.Findings)
	}
	s.superuser(t, "UPDATE coordination_audit_seal_checkpoints SET gaps_through = 2")
	s.persist(t, 1)
	s.once(t)
	result := s.verify(t)
	if result.UnsealedOthers != 1 {
		t.Errorf("%d wait, want one", result.UnsealedOthers)
	}
	wantFindings(t, result, sealer.Inserted, id)
}

// Where only the rows after an older checkpoint are read, the tiles before it can say of their
// leaves what they like. They hide no record that was inserted after it, and no gap.
func TestOlderTilesHideNoInsertion(t *testing.T) {
	t.Parallel()
	s, records := widely(t)
	config := sealer.VerifyConfig{Checkpoint: s.checkpoint(t), After: s.signedAt(t, 65_536), Verifier: s.verifier}
	id, gap := s.insertAt(t, 2*(65_536+100)), uuid.New()
	s.superuser(t, "INSERT INTO coordination_audit_gaps (gap_id, dropped_safety, dropped_reliability, dropped_cost, dropped_performance, dropped_unknown, first_audit_id, last_audit_id, lost_from, lost_until, cause) "+
		"VALUES ($1, 1, 0, 0, 0, 0, gen_random_uuid(), gen_random_uuid(), now(), now(), 'the disk was full')", gap)
	var leaves []byte
	before, high := int64(0), int64(4*records)
	for n := int64(65_281); n <= 65_536; n++ {
		switch seq := 2*n - 1; n {
		case 65_300: // the first gap
			leaves = binary.AppendVarint(leaves, 1<<2|1)
		case 65_536:
			leaves = binary.AppendVarint(leaves, (high-before)<<2)
		default:
			leaves, before = binary.AppendVarint(leaves, (seq-before)<<2), seq
		}
	}
	s.superuser(t, "UPDATE coordination_audit_seal_tiles SET leaves = $1, through = $2 WHERE level = 0 AND idx = 255", leaves, high)
	s.superuser(t, "UPDATE coordination_audit_seal_tiles SET through = $1, late_from = 512 * idx + 1, late_through = 512 * idx + 511 WHERE level = 0 AND idx > 255", high)
	result, err := sealer.Verify(t.Context(), s.pool, config)
	if err != nil {
		t.Fatal(err)
	}
	if !blamed(result, sealer.Inserted, id) || !blamed(result, sealer.Edited, gap) {
		t.Errorf("found %+v, want the record and the gap", result.Findings)
	}
}
