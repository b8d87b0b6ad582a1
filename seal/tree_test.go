package seal_test

import (
	"encoding/hex"
	"errors"
	"math"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/hoc-analytics/coordaudit/seal"
)

// The vectors of Certificate Transparency's reference implementation for RFC 6962.
func TestTreeOfKnownVectors(t *testing.T) {
	t.Parallel()
	inputs := []string{"", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"}
	roots := []string{
		"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
		"6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
		"fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
		"aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
		"d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
		"4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
		"76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
		"ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
		"5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
	}
	var tree seal.Tree
	for i, want := range roots {
		root, err := tree.Root()
		if got := hex.EncodeToString(root[:]); err != nil || got != want {
			t.Errorf("root of %d leaves is %s (%v), want %s", i, got, err, want)
		}
		if i < len(inputs) {
			leaf, err := hex.DecodeString(inputs[i])
			if err != nil {
				t.Fatal(err)
			}
			tree.Append(tlog.RecordHash(leaf))
		}
	}
}

// Every size: the root is that of tlog and that of the RFC's definition, the tiles are
// those of tlog, and a resumed tree is the same tree.
func TestTreeOfEverySize(t *testing.T) {
	t.Parallel()
	const last = 3000
	var stored []seal.Hash
	reader := tlog.HashReaderFunc(func(indexes []int64) ([]seal.Hash, error) {
		hashes := make([]seal.Hash, len(indexes))
		for i, x := range indexes {
			hashes[i] = stored[x]
		}
		return hashes, nil
	})
	leaves := numbered(last)
	l := newLog()
	for n := range int64(last) + 1 {
		want, err := tlog.TreeHash(n, reader)
		if err != nil {
			t.Fatal(err)
		}
		root := l.root(t)
		if root != want || n%97 < 2 && root != specRoot(leaves[:n]) {
			t.Fatalf("root of %d leaves is %v, want %v", n, root, want)
		}
		if n%61 == 0 || n%256 < 2 {
			checkResumed(t, &l.tree, leaves)
		}
		if n == last {
			break
		}
		more, err := tlog.StoredHashesForRecordHash(n, leaves[n], reader)
		if err != nil {
			t.Fatal(err)
		}
		stored = append(stored, more...)
		l.append(leaves[n])
	}
	if len(l.tiles) != last/256 {
		t.Fatalf("%d tiles are full, want %d", len(l.tiles), last/256)
	}
	for at, hashes := range l.tiles {
		tile := tlog.Tile{H: 8, L: int(at[0]), N: at[1], W: 256}
		want, err := tlog.ReadTileData(tile, reader)
		if err != nil {
			t.Fatal(err)
		}
		var got []byte
		for _, h := range hashes {
			got = append(got, h[:]...)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("tile %v differs: %s", at, diff)
		}
	}
}

func checkResumed(t *testing.T, tree *seal.Tree, leaves []seal.Hash) {
	t.Helper()
	resumed, err := seal.ResumeTree(tree.Size(), tree.Edge())
	if err != nil {
		t.Fatal(err)
	}
	clone := tree.Clone()
	for _, leaf := range leaves[:300] {
		full, want := resumed.Append(leaf), clone.Append(leaf)
		if len(full)+len(want) == 0 {
			continue
		}
		if diff := cmp.Diff(want, full); diff != "" {
			t.Fatalf("tiles of the resumed tree differ: %s", diff)
		}
		for _, tile := range full {
			if tile.Root() != specRoot(tile.Hashes) {
				t.Fatal("a tile has another root")
			}
		}
	}
	got, errGot := resumed.Root()
	want, errWant := clone.Root()
	if got != want || errGot != nil || errWant != nil || resumed.Size() != tree.Size()+300 {
		t.Fatalf("the resumed tree of %d leaves has root %v, want %v", tree.Size(), got, want)
	}
}

// Three levels of tiles, that is, more than 65,536 leaves.
func TestTreeOfThreeLevels(t *testing.T) {
	t.Parallel()
	leaves := numbered(66_000)
	l := newLog(leaves...)
	root := l.root(t)
	if root != specRoot(leaves) {
		t.Fatal("the root is another one")
	}
	var levels []int
	for _, hashes := range l.edge {
		levels = append(levels, len(hashes))
	}
	if diff := cmp.Diff([]int{66_000 % 256, 66_000 / 256 % 256, 1}, levels); diff != "" {
		t.Errorf("unfinished tiles differ: %s", diff)
	}
	full := seal.Tile{Level: 1, Hashes: l.tiles[[2]int64{1, 0}]}
	if l.edge[2][0] != full.Root() {
		t.Error("the hash of level 2 is not the root of the full tile of level 1")
	}
	for _, index := range []int64{0, 255, 256, 65_535, 65_536, 65_999} {
		proof, err := seal.ProveInclusion(66_000, index, root, l)
		if err != nil {
			t.Fatal(err)
		}
		if err := seal.CheckInclusion(66_000, root, index, leaves[index], proof); err != nil {
			t.Error(err)
		}
	}
	checkResumed(t, &l.tree, leaves)
}

func TestTilesAreTheCallers(t *testing.T) {
	t.Parallel()
	leaves := numbered(600)
	l := newLog(leaves...)
	want := l.root(t)
	for _, hashes := range l.tiles {
		clear(hashes)
	}
	for _, hashes := range l.tree.Edge() {
		clear(hashes)
	}
	clone := l.tree.Clone()
	for _, leaf := range leaves {
		clone.Append(leaf)
	}
	if l.root(t) != want || cmp.Diff(l.edge, l.tree.Edge()) != "" {
		t.Error("the tree shares hashes")
	}
}

func TestResumeChecksTheCounts(t *testing.T) {
	t.Parallel()
	hashes := numbered(256)
	for name, c := range map[string]struct {
		size   int64
		levels [][]seal.Hash
	}{
		"negative":         {-1, nil},
		"lowest":           {math.MinInt64, nil},
		"too large":        {seal.MaxSize + 1, nil},
		"largest integer":  {math.MaxInt64, nil},
		"nothing":          {3, nil},
		"one too few":      {3, [][]seal.Hash{hashes[:2]}},
		"one too many":     {3, [][]seal.Hash{hashes[:4]}},
		"a full tile":      {256, [][]seal.Hash{hashes}},
		"no second level":  {257, [][]seal.Hash{hashes[:1]}},
		"a level too many": {3, [][]seal.Hash{hashes[:3], hashes[:1]}},
		"of another size":  {0, [][]seal.Hash{hashes[:1]}},
		"many empty and 1": {0, append(make([][]seal.Hash, 90), hashes[:1])},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := seal.ResumeTree(c.size, c.levels); !errors.Is(err, seal.ErrBounds) {
				t.Errorf("error is %v", err)
			}
		})
	}
	if tree, err := seal.ResumeTree(0, make([][]seal.Hash, 3)); err != nil || tree.Size() != 0 {
		t.Errorf("empty levels: %v", err)
	}
}

// The largest log that can be resumed: its root is refused once it grows.
func TestLargestTree(t *testing.T) {
	t.Parallel()
	levels := slices.Repeat([][]seal.Hash{{}}, 7)
	levels = append(levels, numbered(16))
	tree, err := seal.ResumeTree(seal.MaxSize, levels)
	if err != nil {
		t.Fatal(err)
	}
	if root, err := tree.Root(); err != nil || root != specRoot(levels[7]) {
		t.Errorf("root is %v, %v", root, err)
	}
	tree.Append(seal.Hash{})
	if _, err := tree.Root(); !errors.Is(err, seal.ErrBounds) {
		t.Errorf("error is %v", err)
	}
}

// AllocsPerRun does not work while other tests run.
func TestAppendAllocatesNothing(t *testing.T) { //nolint:paralleltest // see above
	var tree seal.Tree
	tree.Append(seal.Hash{})
	if allocs := testing.AllocsPerRun(200, func() { tree.Append(seal.Hash{}) }); allocs != 0 {
		t.Errorf("appending takes %v allocations", allocs)
	}
}

func BenchmarkAppend(b *testing.B) {
	var tree seal.Tree
	b.ReportAllocs()
	for b.Loop() {
		tree.Append(seal.Hash{})
	}
}

func BenchmarkRoot(b *testing.B) {
	tree, err := seal.ResumeTree(1<<24-1, [][]seal.Hash{numbered(255), numbered(255), numbered(255)})
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := tree.Root(); err != nil {
			b.Fatal(err)
		}
	}
}
