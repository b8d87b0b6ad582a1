package seal_test

import (
	"errors"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hoc-analytics/coordaudit/seal"
)

// tileProofOf proves some places of a full tile.
func tileProofOf(tb testing.TB, log *testLog, tile int64, places seal.Places) (seal.TileProof, []seal.Hash) {
	tb.Helper()
	all := log.leaves[tile*seal.TileWidth : (tile+1)*seal.TileWidth]
	hashes, err := seal.ProveTile(all, places)
	if err != nil {
		tb.Fatal(err)
	}
	path, err := seal.ProveInclusion(int64(len(log.leaves)), tile*seal.TileWidth, log.root(tb), log)
	if err != nil {
		tb.Fatal(err)
	}
	var leaves []seal.Hash
	for place := range places.All() {
		leaves = append(leaves, all[place])
	}
	return seal.TileProof{Tile: tile, Places: places, Hashes: hashes, Path: path[seal.TileHeight:]}, leaves
}

// somePlaces are n random ones.
func somePlaces(random *rand.Rand, n int) (places seal.Places) {
	for _, place := range random.Perm(seal.TileWidth)[:n] {
		places.Add(uint8(place))
	}
	return places
}

// A proof of any leaves of a tile holds, says for each leaf what its own proof says, and holds no
// longer once anything in it is another.
func TestTileProofAgreesWithInclusion(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	for _, size := range []int{256, 257, 511, 512, 513, 1000, 1024, 5000, 65536, 65537, 66000} {
		log := newLog(numbered(size)...)
		root := log.root(t)
		for range 8 {
			tile := random.Int64N(int64(size / seal.TileWidth))
			proof, leaves := tileProofOf(t, log, tile, somePlaces(random, 1+random.IntN(seal.TileWidth)))
			if err := proof.Check(int64(size), root, leaves); err != nil {
				t.Fatalf("%d leaves of tile %d of %d: %v", len(leaves), tile, size, err)
			}
			checkInclusions(t, log, proof, leaves, random)
			for name, change := range changesOf(random, proof, leaves) {
				altered, others := change(proof)
				if err := altered.Check(int64(size), root, others); !errors.Is(err, seal.ErrProof) && !errors.Is(err, seal.ErrBounds) {
					t.Errorf("%s, tile %d of %d: %v", name, tile, size, err)
				}
			}
		}
	}
}

func checkInclusions(t *testing.T, log *testLog, proof seal.TileProof, leaves []seal.Hash, random *rand.Rand) {
	t.Helper()
	for place := range proof.Places.All() {
		if random.IntN(32) > 0 {
			continue
		}
		got, err := proof.Inclusion(place, leaves)
		if err != nil {
			t.Fatal(err)
		}
		want, err := seal.ProveInclusion(int64(len(log.leaves)), proof.Tile*seal.TileWidth+int64(place), log.root(t), log)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Fatalf("leaf %d of tile %d: %v %s", place, proof.Tile, err, diff)
		}
	}
}

func changesOf(random *rand.Rand, proof seal.TileProof, leaves []seal.Hash) map[string]func(p seal.TileProof) (seal.TileProof, []seal.Hash) {
	flipped := func(hashes []seal.Hash) []seal.Hash {
		hashes = slices.Clone(hashes)
		hashes[random.IntN(len(hashes))][random.IntN(32)] ^= 1 << random.IntN(8)
		return hashes
	}
	changes := map[string]func(p seal.TileProof) (seal.TileProof, []seal.Hash){
		"a leaf flipped": func(p seal.TileProof) (seal.TileProof, []seal.Hash) { return p, flipped(leaves) },
		"a leaf more": func(p seal.TileProof) (seal.TileProof, []seal.Hash) {
			return p, append(slices.Clone(leaves), leaves[0])
		},
		"a leaf fewer": func(p seal.TileProof) (seal.TileProof, []seal.Hash) { return p, leaves[1:] },
		"a hash more": func(p seal.TileProof) (seal.TileProof, []seal.Hash) {
			p.Hashes = append(slices.Clone(p.Hashes), leaves[0])
			return p, leaves
		},
		"a step more": func(p seal.TileProof) (seal.TileProof, []seal.Hash) {
			p.Path = append(slices.Clone(p.Path), leaves[0])
			return p, leaves
		},
		"the next tile":   func(p seal.TileProof) (seal.TileProof, []seal.Hash) { p.Tile++; return p, leaves },
		"the tile before": func(p seal.TileProof) (seal.TileProof, []seal.Hash) { p.Tile--; return p, leaves },
		"no places":       func(p seal.TileProof) (seal.TileProof, []seal.Hash) { p.Places = seal.Places{}; return p, nil },
	}
	if len(leaves) > 1 {
		changes["two leaves swapped"] = func(p seal.TileProof) (seal.TileProof, []seal.Hash) {
			leaves := slices.Clone(leaves)
			leaves[0], leaves[1] = leaves[1], leaves[0]
			return p, leaves
		}
	}
	if len(proof.Hashes) > 0 {
		changes["a hash flipped"] = func(p seal.TileProof) (seal.TileProof, []seal.Hash) {
			p.Hashes = flipped(p.Hashes)
			return p, leaves
		}
		changes["a hash fewer"] = func(p seal.TileProof) (seal.TileProof, []seal.Hash) {
			p.Hashes = p.Hashes[1:]
			return p, leaves
		}
		changes["another place"] = func(p seal.TileProof) (seal.TileProof, []seal.Hash) {
			p.Places = anotherPlace(p.Places)
			return p, leaves
		}
	}
	if len(proof.Path) > 0 {
		changes["a step flipped"] = func(p seal.TileProof) (seal.TileProof, []seal.Hash) {
			p.Path = flipped(p.Path)
			return p, leaves
		}
	}
	return changes
}

// anotherPlace moves the first place that has a free one after it.
func anotherPlace(places seal.Places) (moved seal.Places) {
	done := false
	for place := range places.All() {
		if !done && place < 255 && !places.Has(place+1) {
			place, done = place+1, true
		}
		moved.Add(place)
	}
	return moved
}

// All leaves of a tile need no hash of it, and one leaf needs 8.
func TestTileProofHasNoHashTooMany(t *testing.T) {
	t.Parallel()
	log := newLog(numbered(256)...)
	random := rand.New(rand.NewPCG(3, 4))
	for leaves, want := range map[int]int{256: 0, 255: 1, 1: 8} {
		proof, _ := tileProofOf(t, log, 0, somePlaces(random, leaves))
		if len(proof.Hashes) != want || len(proof.Path) != 0 {
			t.Errorf("%d leaves: %d hashes and %d steps", leaves, len(proof.Hashes), len(proof.Path))
		}
	}
	if _, err := seal.ProveTile(log.leaves[:255], somePlaces(random, 1)); !errors.Is(err, seal.ErrTile) {
		t.Error(err)
	}
	if _, err := seal.ProveTile(log.leaves, seal.Places{}); !errors.Is(err, seal.ErrBounds) {
		t.Error(err)
	}
	proof, leaves := tileProofOf(t, log, 0, somePlaces(random, 3))
	for place := range 256 {
		if _, err := proof.Inclusion(uint8(place), leaves); (err == nil) != proof.Places.Has(uint8(place)) {
			t.Errorf("place %d: %v", place, err)
		}
	}
}

// Checking any proof ends, and only a true one holds.
func FuzzTileProofCheck(f *testing.F) {
	f.Add(int64(0), int64(256), uint64(1), uint64(1<<63), 8, 0, 2)
	f.Add(int64(1<<52-1), int64(1)<<60, ^uint64(0), uint64(0), 1, 64, 128)
	f.Add(int64(-1), int64(-1), uint64(0), uint64(0), 0, 0, 0)
	f.Fuzz(func(t *testing.T, tile, size int64, first, last uint64, hashes, path, leaves int) {
		made := func(n int) []seal.Hash { return make([]seal.Hash, min(max(n, 0), 1000)) }
		proof := seal.TileProof{Tile: tile, Places: seal.Places{first, 0, 0, last}, Hashes: made(hashes), Path: made(path)}
		if err := proof.Check(size, seal.Hash{1}, made(leaves)); err == nil {
			t.Error("it holds")
		}
		if _, err := proof.Inclusion(uint8(first), made(leaves)); err == nil && !proof.Places.Has(uint8(first)) {
			t.Error("a leaf that it does not prove")
		}
	})
}

func TestPlaces(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(5, 6))
	for n := range seal.TileWidth + 1 {
		places := somePlaces(random, n)
		got, ok := seal.ParsePlaces(places.String())
		if n > 0 && (!ok || got != places) || places.Count() != n || len(slices.Collect(places.All())) != n {
			t.Errorf("%s: %v, %v", &places, got.String(), ok)
		}
	}
	for _, text := range []string{"", ",", "256", "1,", "1,2", "01", "1-1", "2-1", "1-2,3", "3,1", "-1", "1-", "0-256", "1-2-3", "+1", " 1"} {
		if got, ok := seal.ParsePlaces(text); ok {
			t.Errorf("%q is read as %s", text, &got)
		}
	}
}
