package sealer_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
	"github.com/hoc-analytics/coordaudit/sealer"
)

// hundredOfLog seals a trail of many tiles and of a checkpoint for each place.
func hundredOfLog(t *testing.T) (s *sealed, places int) {
	t.Helper()
	records, places := sizeAndPlaces(t, 10_000, 20)
	s = newSealed(t)
	s.seed(t, records)
	s.once(t)
	for range places {
		s.persist(t, 1+rand.IntN(20))
		s.once(t)
	}
	s.mustVerify(t, int64(fixture.CountRecords(t, s.pool)))
	return s, places
}

// A hundred random tiles of each kind of damage are all found and named, and no row is blamed.
// COORDAUDIT_SEALED=1000000 gives the number of records.
func TestHundredDamagedTilesAreNamed(t *testing.T) {
	t.Parallel()
	s, places := hundredOfLog(t)
	leaves := int64(fixture.CountRecords(t, s.pool))
	tiles := fixture.QueryInt(t, s.pool, "SELECT count(*)::int FROM coordination_audit_seal_tiles WHERE level = 0")
	places = min(places, tiles)

	for _, change := range []string{
		"hashes = set_byte(hashes, $2 % length(hashes), get_byte(hashes, $2 % length(hashes)) # 1)",
		"root = set_byte(root, $2 % length(root), get_byte(root, $2 % length(root)) # 128)",
	} {
		damaged, named := rand.Perm(tiles)[:places], map[string]bool{}
		for _, idx := range damaged {
			s.superuser(t, "UPDATE coordination_audit_seal_tiles SET "+change+" WHERE level = 0 AND idx = $1", idx, rand.IntN(1<<20))
			named[fmt.Sprintf("tile %d", idx)] = false
		}
		result := s.verify(t)
		if result.Verified != leaves {
			t.Errorf("%s: %d of %d rows are as they were sealed", change, result.Verified, leaves)
		}
		for _, f := range result.Findings {
			of, _, _ := strings.Cut(strings.Replace(f.Text, ": its hashes", " is not", 1), " is not")
			if _, of := named[of]; f.Fault != sealer.Damaged || !of {
				t.Errorf("%s: a false alarm: %+v", change, f)
			}
			named[of] = true
		}
		for tile, found := range named {
			if !found {
				t.Errorf("%s: %s is not found", change, tile)
			}
		}
		s.superuser(t, "TRUNCATE coordination_audit_seal_tiles, coordination_audit_seal_checkpoints")
		s.export = sealer.Directory(t.TempDir())
		s.once(t) // the same trail, sealed once more
		s.mustVerify(t, leaves)
	}
}

// Where it cannot be known any more which rows a tile covers, verification says so and names the
// tile.
func TestHundredUnreadableTilesAreNamed(t *testing.T) {
	t.Parallel()
	s, places := hundredOfLog(t)
	tiles := fixture.QueryInt(t, s.pool, "SELECT count(*)::int FROM coordination_audit_seal_tiles WHERE level = 0")
	s.superuser(t, "ALTER TABLE coordination_audit_seal_tiles DROP CONSTRAINT coordination_audit_seal_tiles_hashes_valid")
	s.superuser(t, "CREATE TABLE kept AS TABLE coordination_audit_seal_tiles")
	for i, idx := range rand.Perm(tiles)[:min(places, tiles)] {
		change := []string{
			"UPDATE coordination_audit_seal_tiles SET leaves = substr(leaves, 1, greatest(length(leaves) - 1 - $2, 0)) WHERE level = 0 AND idx = $1",
			"UPDATE coordination_audit_seal_tiles SET hashes = substr(hashes, 1, 32 * ($2 % 256)) WHERE level = 0 AND idx = $1",
			"DELETE FROM coordination_audit_seal_tiles WHERE level = 0 AND idx = $1 AND $2 >= 0",
		}[i%3]
		s.superuser(t, change, idx, rand.IntN(1000))
		result, err := sealer.Verify(t.Context(), s.pool, sealer.VerifyConfig{Checkpoint: s.checkpoint(t), Verifier: s.verifier})
		named := fmt.Sprintf("tile %d", idx)
		if err != nil && (!errors.Is(err, sealer.ErrTampered) || !strings.Contains(err.Error(), named)) {
			t.Errorf("%s: %v, want %s", change, err, named)
		}
		if err == nil && !slices.ContainsFunc(result.Findings, func(f sealer.Finding) bool { return f.Fault == sealer.Damaged && strings.Contains(f.Text, named) }) {
			t.Errorf("%s: %+v, want %s", change, result.Findings, named)
		}
		s.superuser(t, "DELETE FROM coordination_audit_seal_tiles WHERE level = 0 AND idx = $1", idx)
		s.superuser(t, "INSERT INTO coordination_audit_seal_tiles SELECT * FROM kept WHERE level = 0 AND idx = $1", idx)
	}
	s.mustVerify(t, int64(fixture.CountRecords(t, s.pool)))
}

// A hundred rewritten checkpoints are all named by their size.
func TestHundredRewrittenCheckpointsAreNamed(t *testing.T) {
	t.Parallel()
	s, places := hundredOfLog(t)
	rows, err := s.pool.Query(t.Context(), "SELECT size FROM coordination_audit_seal_checkpoints ORDER BY random() LIMIT $1", places)
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	var sizes []int64
	for rows.Next() {
		var size int64
		if err := rows.Scan(&size); err != nil {
			t.Fatal(err)
		}
		sizes = append(sizes, size)
	}
	rows.Close()
	for i, size := range sizes {
		s.superuser(t, "UPDATE coordination_audit_seal_checkpoints SET "+[]string{
			"root = set_byte(root, $2 % 32, get_byte(root, $2 % 32) # 1)",
			"note = overlay(note PLACING '~' FROM 1 + $2 % 20)",
			"note = rtrim(note, E'\\n') || ($2 + 1) || E'\\n'",
		}[i%3]+" WHERE size = $1", size, rand.IntN(1<<20))
		want = append(want, fmt.Sprintf("the stored checkpoint of size %d is not as it was signed", size))
	}
	for _, f := range s.verify(t).Findings {
		if f.Fault != sealer.Damaged || !slices.Contains(want, f.Text) {
			t.Errorf("a false alarm: %+v", f)
		}
		want = slices.DeleteFunc(want, func(text string) bool { return text == f.Text })
	}
	if len(want) > 0 {
		t.Errorf("not found: %q", want)
	}
}

// The trail is cut off at random checkpoints, rows and log, as an older copy would be that somebody put
// back, and grown to the same size with other rows. An exported checkpoint tells each time.
func TestHundredCutsAndRestoresAreFound(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	honest, size, cuts := grownInParts(t, sealedOn(t, db))
	for _, at := range cuts { //nolint:paralleltest // a copy at a time
		t.Run(strconv.Itoa(at), func(t *testing.T) {
			s := *honest
			s.pool = testdb.Copy(t, db).Pool
			s.cutOff(t, at)
			cut := s.verify(t)
			want := fmt.Sprintf("the checkpoint covers %d leaves, the log has %d", size, at)
			if len(cut.Findings) != 1 || cut.Findings[0].Fault != sealer.CutOff || cut.Findings[0].Text != want || cut.Verified != int64(at) {
				t.Errorf("cut off: %+v, want %s", cut, want)
			}

			s.grow(t, at, size)
			s.export, s.newPlace = sealer.Directory(t.TempDir()), true // the attacker's own
			s.once(t)
			grown := s.verifyAgainst(t, honest.checkpoint(t))
			if !slices.ContainsFunc(grown.Findings, func(f sealer.Finding) bool { return f.Fault == sealer.Forked }) {
				t.Errorf("cut off at %d and grown to %d: %+v", at, size, grown.Findings)
			}
		})
	}
}

// grownInParts grows a trail to its size with a checkpoint after each of random parts, and returns
// where these are.
func grownInParts(t *testing.T, s *sealed) (_ *sealed, size int, cuts []int) {
	t.Helper()
	size, places := sizeAndPlaces(t, 10_000, 10) // each place takes a copy of the database
	for _, at := range rand.Perm(size - 1)[:places] {
		cuts = append(cuts, at+1)
	}
	slices.Sort(cuts)
	s.dropIndexes(t)
	after := 0
	for _, through := range append(slices.Clone(cuts), size) {
		s.grow(t, after, through)
		s.once(t)
		after = through
	}
	s.mustVerify(t, int64(size))
	return s, size, cuts
}

// dropIndexes lets a trail grow faster. Sealing and verifying need the index on seq only.
func (s *sealed) dropIndexes(t *testing.T) {
	t.Helper()
	s.superuser(t, `DO $$ DECLARE name text; BEGIN
		FOR name IN
			SELECT indexrelid::regclass::text FROM pg_index
			WHERE indrelid = 'coordination_audit_records'::regclass AND NOT indisprimary AND indexrelid <> 'coordination_audit_seq_idx'::regclass
		LOOP
			EXECUTE 'DROP INDEX ' || name;
		END LOOP; END $$`)
}

// cutOff takes away what came after a checkpoint.
func (s *sealed) cutOff(t *testing.T, at int) {
	t.Helper()
	through := 2*at - 1
	s.superuser(t, "DELETE FROM coordination_audit_records WHERE seq > $1", through)
	s.superuser(t, "DELETE FROM coordination_audit_seal_checkpoints WHERE size > $1", at)
	s.superuser(t, "DELETE FROM coordination_audit_seal_tiles WHERE (idx + 1) * 256 ^ (level + 1) > $1", at)
	s.superuser(t, "SELECT setval('coordination_audit_records_seq_seq', $1)", through)
}
