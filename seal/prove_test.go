package seal_test

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/hoc-analytics/coordaudit/seal"
)

func TestInclusionOfEverySizeAndIndex(t *testing.T) {
	t.Parallel()
	leaves := numbered(300)
	for size := 1; size <= len(leaves); size++ {
		l := newLog(leaves[:size]...)
		root := l.root(t)
		for index := range int64(size) {
			if size > 40 && size%64 > 2 && (index+int64(size))%19 != 0 {
				continue
			}
			proof, err := seal.ProveInclusion(int64(size), index, root, l)
			if err != nil {
				t.Fatal(err)
			}
			if err := seal.CheckInclusion(int64(size), root, index, leaves[index], proof); err != nil {
				t.Fatal(err)
			}
			refuseInclusion(t, int64(size), root, index, leaves[index], proof)
		}
	}
}

// refuseInclusion alters each part of a right proof.
func refuseInclusion(t *testing.T, size int64, root seal.Hash, index int64, leaf seal.Hash, proof []seal.Hash) {
	t.Helper()
	refused := func(size int64, root seal.Hash, index int64, leaf seal.Hash, proof []seal.Hash, what string) {
		t.Helper()
		err := seal.CheckInclusion(size, root, index, leaf, proof)
		if !errors.Is(err, seal.ErrProof) && !errors.Is(err, seal.ErrBounds) {
			t.Fatalf("leaf %d of %d: %s: error is %v", index, size, what, err)
		}
	}
	flipped := func(h seal.Hash) seal.Hash { h[index%32] ^= 1; return h }
	refused(size, flipped(root), index, leaf, proof, "another root")
	refused(size, root, index, flipped(leaf), proof, "another leaf")
	refused(size, root, index+1, leaf, proof, "another index")
	refused(size, root, index-1, leaf, proof, "another index")
	refused(size, root, index, leaf, append(slices.Clip(proof), leaf), "a hash too many")
	for i := range proof {
		refused(size, root, index, leaf, proof[:i], "cut off")
		other := append([]seal.Hash(nil), proof...)
		other[i] = flipped(other[i])
		refused(size, root, index, leaf, other, "another hash")
	}
}

func TestConsistencyOfAllPairs(t *testing.T) {
	t.Parallel()
	const last = 130
	leaves := numbered(last)
	roots := make([]seal.Hash, last+1)
	for size := range roots {
		roots[size] = specRoot(leaves[:size])
	}
	for newSize := range last + 1 {
		l := newLog(leaves[:newSize]...)
		for oldSize := range newSize + 1 {
			from, to := int64(oldSize), int64(newSize)
			proof, err := seal.ProveConsistency(from, to, roots[newSize], l)
			if err != nil {
				t.Fatal(err)
			}
			if err := seal.CheckConsistency(from, roots[oldSize], to, roots[newSize], proof); err != nil {
				t.Fatal(err)
			}
			refuseConsistency(t, from, roots[oldSize], to, roots[newSize], proof)
		}
	}
}

func refuseConsistency(t *testing.T, from int64, oldRoot seal.Hash, to int64, newRoot seal.Hash, proof []seal.Hash) {
	t.Helper()
	refused := func(oldRoot, newRoot seal.Hash, proof []seal.Hash, what string) {
		t.Helper()
		if err := seal.CheckConsistency(from, oldRoot, to, newRoot, proof); !errors.Is(err, seal.ErrProof) {
			t.Fatalf("%d to %d: %s: error is %v", from, to, what, err)
		}
	}
	flipped := func(h seal.Hash) seal.Hash { h[to%32] ^= 0x80; return h }
	refused(flipped(oldRoot), newRoot, proof, "another old root")
	if from > 0 { // any log begins with the empty one
		refused(oldRoot, flipped(newRoot), proof, "another new root")
	}
	refused(oldRoot, newRoot, append(slices.Clip(proof), oldRoot), "a hash too many")
	for i := range proof {
		refused(oldRoot, newRoot, proof[:i], "cut off")
		other := append([]seal.Hash(nil), proof...)
		other[i] = flipped(other[i])
		refused(oldRoot, newRoot, other, "another hash")
	}
}

func TestConsistencyOverTiles(t *testing.T) {
	t.Parallel()
	leaves := numbered(2000)
	l := newLog(leaves...)
	root := l.root(t)
	for from := int64(1); from < 2000; from += 37 {
		proof, err := seal.ProveConsistency(from, 2000, root, l)
		if err != nil {
			t.Fatal(err)
		}
		if err := seal.CheckConsistency(from, specRoot(leaves[:from]), 2000, root, proof); err != nil {
			t.Fatal(err)
		}
	}
}

// A tile that was edited is found when a proof is made, also one of full width.
func TestEditedTileIsFound(t *testing.T) {
	t.Parallel()
	for level, index := range map[int]int64{0: 1, 1: 0} {
		l := newLog(numbered(700)...)
		root := l.root(t)
		hashes, err := l.ReadTile(level, index, 2)
		if err != nil {
			t.Fatal(err)
		}
		hashes[1][7] ^= 4
		if _, err := seal.ProveInclusion(700, 300, root, l); !errors.Is(err, seal.ErrTile) {
			t.Errorf("level %d: inclusion: %v", level, err)
		}
		if _, err := seal.ProveConsistency(300, 700, root, l); !errors.Is(err, seal.ErrTile) {
			t.Errorf("level %d: consistency: %v", level, err)
		}
	}
	l := newLog(numbered(700)...)
	if _, err := seal.ProveInclusion(700, 300, seal.Hash{}, l); !errors.Is(err, seal.ErrTile) {
		t.Errorf("another root: %v", err)
	}
}

type readerFunc func(level int, index int64, width int) ([]seal.Hash, error)

func (f readerFunc) ReadTile(level int, index int64, width int) ([]seal.Hash, error) {
	return f(level, index, width)
}

func TestReadersErrorComesThrough(t *testing.T) {
	t.Parallel()
	errDown := errors.New("database away")
	down := readerFunc(func(int, int64, int) ([]seal.Hash, error) { return nil, errDown })
	short := readerFunc(func(_ int, _ int64, width int) ([]seal.Hash, error) { return make([]seal.Hash, width-1), nil })
	long := readerFunc(func(_ int, _ int64, width int) ([]seal.Hash, error) { return make([]seal.Hash, width+1), nil })
	for want, reader := range map[error]readerFunc{errDown: down, seal.ErrTile: short, fmt.Errorf("%w", seal.ErrTile): long} {
		if is := errors.Unwrap(want); is != nil {
			want = is
		}
		if _, err := seal.ProveInclusion(700, 300, seal.Hash{}, reader); !errors.Is(err, want) {
			t.Errorf("inclusion: %v, want %v", err, want)
		}
		if _, err := seal.ProveConsistency(300, 700, seal.Hash{}, reader); !errors.Is(err, want) {
			t.Errorf("consistency: %v, want %v", err, want)
		}
	}
}

func extremes() []int64 {
	return []int64{
		math.MinInt64, -1, 0, 1, 2, 255, 256, 257, 1 << 32, seal.MaxSize - 1, seal.MaxSize, seal.MaxSize + 1,
		1<<62 - 1, 1 << 62, 1<<62 + 1, math.MaxInt64 - 1, math.MaxInt64,
	}
}

// tlog does not end for sizes above 2^62 and panics for others.
func TestExtremeSizesEnd(t *testing.T) {
	t.Parallel()
	zeros := readerFunc(func(_ int, _ int64, width int) ([]seal.Hash, error) { return make([]seal.Hash, width), nil })
	proof := make([]seal.Hash, 70)
	for _, a := range extremes() {
		for _, b := range extremes() {
			inside := a >= 1 && a <= seal.MaxSize && b >= 0 && b < a
			if err := seal.CheckInclusion(a, seal.Hash{}, b, seal.Hash{}, proof); errors.Is(err, seal.ErrBounds) == inside || err == nil {
				t.Errorf("checking leaf %d of %d: %v", b, a, err)
			}
			if _, err := seal.ProveInclusion(a, b, seal.Hash{}, zeros); errors.Is(err, seal.ErrBounds) == inside {
				t.Errorf("proving leaf %d of %d: %v", b, a, err)
			}
			inside = a >= 0 && a <= b && b <= seal.MaxSize
			if err := seal.CheckConsistency(a, seal.Hash{}, b, seal.Hash{}, proof); errors.Is(err, seal.ErrBounds) == inside || err == nil {
				t.Errorf("checking %d to %d: %v", a, b, err)
			}
			if _, err := seal.ProveConsistency(a, b, seal.Hash{}, zeros); errors.Is(err, seal.ErrBounds) == inside {
				t.Errorf("proving %d to %d: %v", a, b, err)
			}
		}
	}
}

func FuzzProofs(f *testing.F) {
	for _, n := range extremes() {
		f.Add(n, int64(3), []byte("hashes"))
	}
	f.Fuzz(func(_ *testing.T, a, b int64, data []byte) {
		var proof []seal.Hash
		for len(data) > 0 && len(proof) < 80 {
			sum := sha256.Sum256(data)
			proof = append(proof, sum)
			data = data[1:]
		}
		reader := readerFunc(func(level int, index int64, width int) ([]seal.Hash, error) {
			hashes := make([]seal.Hash, width)
			for i := range hashes {
				binary.BigEndian.PutUint64(hashes[i][:], uint64(index)<<8+uint64(i)+uint64(level))
			}
			return hashes, nil
		})
		_ = seal.CheckInclusion(a, seal.Hash{}, b, seal.Hash{}, proof)
		_ = seal.CheckConsistency(a, seal.Hash{}, b, seal.Hash{}, proof)
		_, _ = seal.ProveInclusion(a, b, seal.Hash{}, reader)
		_, _ = seal.ProveConsistency(a, b, seal.Hash{}, reader)
	})
}

func BenchmarkProveInclusion(b *testing.B) {
	l := newLog(numbered(66_000)...)
	root := l.root(b)
	for b.Loop() {
		if _, err := seal.ProveInclusion(66_000, 12_345, root, l); err != nil {
			b.Fatal(err)
		}
	}
}
