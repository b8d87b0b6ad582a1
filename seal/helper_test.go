package seal_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"flag"
	"math"
	"math/rand/v2"
	"testing"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/hoc-analytics/coordaudit/seal"
)

// -update writes the files in testdata again.
var update = flag.Bool("update", false, "write testdata again")

const logName = "audit.example.com/plant-7"

func int8Value(n int64) []byte { return binary.BigEndian.AppendUint64(nil, uint64(n)) }
func int4Value(n int32) []byte { return binary.BigEndian.AppendUint32(nil, uint32(n)) }

func jsonbValue(text string) []byte { return append([]byte{1}, text...) }

func uuidValue(first byte) []byte { return append([]byte{first}, bytes.Repeat([]byte{0x7f}, 15)...) }

// emptyRow has every value NULL but those that cannot be.
func emptyRow(kind seal.Kind) seal.Row {
	row := seal.Row{Kind: kind, Version: seal.LeafVersion, Values: make([][]byte, len(seal.Columns(kind, seal.LeafVersion)))}
	row.Values[0] = int8Value(1)
	if kind == seal.Record {
		row.Values[1] = uuidValue(1)
	}
	return row
}

// sampleRow has a value in every column, of usual lengths.
func sampleRow(kind seal.Kind) seal.Row {
	row := emptyRow(kind)
	for i, column := range seal.Columns(kind, seal.LeafVersion) {
		switch column.Type {
		case seal.UUID:
			row.Values[i] = uuidValue(byte(i))
		case seal.Text:
			row.Values[i] = []byte("text-of-" + column.Name)
		case seal.Timestamptz:
			row.Values[i] = int8Value(817_000_000_123_456 + int64(i))
		case seal.Int4:
			row.Values[i] = int4Value(int32(i))
		case seal.Int8:
			row.Values[i] = int8Value(int64(i) + 1)
		case seal.Bool:
			row.Values[i] = []byte{1}
		case seal.Bytea:
			row.Values[i] = bytes.Repeat([]byte{0xab}, 16)
			if column.Name == "span_id" {
				row.Values[i] = row.Values[i][:8]
			}
		case seal.JSONB:
			row.Values[i] = jsonbValue(`{"cost": 1.50}`)
		case seal.Int8Multirange:
			row.Values[i] = int4Value(0)
		}
	}
	return row
}

// columnIndex fails the test if there is no such column.
func columnIndex(tb testing.TB, kind seal.Kind, name string) int {
	tb.Helper()
	for i, column := range seal.Columns(kind, seal.LeafVersion) {
		if column.Name == name {
			return i
		}
	}
	tb.Fatalf("a %s has no column %s", kind, name)
	return -1
}

// set returns a copy of the row with another value.
func set(tb testing.TB, row seal.Row, name string, value []byte) seal.Row {
	tb.Helper()
	row.Values = append([][]byte(nil), row.Values...)
	row.Values[columnIndex(tb, row.Kind, name)] = value
	return row
}

// erase returns a copy of the row with a digest in the place of a text.
func erase(tb testing.TB, row seal.Row, name string) seal.Row {
	tb.Helper()
	i := columnIndex(tb, row.Kind, name)
	digest, err := row.Digest(i)
	if err != nil {
		tb.Fatal(err)
	}
	row = set(tb, row, name, nil)
	digests := make([][]byte, len(row.Values))
	copy(digests, row.Digests)
	digests[i] = digest[:]
	row.Digests = digests
	return row
}

// newKey makes the same key pair for the same seed.
func newKey(tb testing.TB, name string, seed uint64) (note.Signer, note.Verifier, string) {
	tb.Helper()
	var bytes [32]byte
	binary.BigEndian.PutUint64(bytes[:], seed)
	skey, vkey, err := seal.GenerateKey(rand.NewChaCha8(bytes), name)
	if err != nil {
		tb.Fatal(err)
	}
	signer, err := note.NewSigner(skey)
	if err != nil {
		tb.Fatal(err)
	}
	verifier, err := note.NewVerifier(vkey)
	if err != nil {
		tb.Fatal(err)
	}
	return signer, verifier, vkey
}

// testLog is a log in memory.
type testLog struct {
	leaves []seal.Hash
	tiles  map[[2]int64][]seal.Hash // full ones
	edge   [][]seal.Hash
	tree   seal.Tree
	read   int
}

func newLog(leaves ...seal.Hash) *testLog {
	l := &testLog{tiles: map[[2]int64][]seal.Hash{}}
	for _, leaf := range leaves {
		l.append(leaf)
	}
	l.edge = l.tree.Edge()
	return l
}

func (l *testLog) append(leaf seal.Hash) {
	l.leaves = append(l.leaves, leaf)
	for _, tile := range l.tree.Append(leaf) {
		l.tiles[[2]int64{int64(tile.Level), tile.Index}] = tile.Hashes
	}
}

func (l *testLog) ReadTile(level int, index int64, width int) ([]seal.Hash, error) {
	l.read++
	if full, found := l.tiles[[2]int64{int64(level), index}]; found {
		return full[:width], nil
	}
	return l.edge[level][:width], nil
}

func (l *testLog) root(tb testing.TB) seal.Hash {
	tb.Helper()
	root, err := l.tree.Root()
	if err != nil {
		tb.Fatal(err)
	}
	return root
}

// numbered returns leaf hashes that differ.
func numbered(n int) []seal.Hash {
	leaves := make([]seal.Hash, n)
	for i := range leaves {
		leaves[i] = tlog.RecordHash(int8Value(int64(i)))
	}
	return leaves
}

// specRoot is the definition in RFC 6962, section 2.1.
func specRoot(leaves []seal.Hash) seal.Hash {
	switch len(leaves) {
	case 0:
		return sha256.Sum256(nil)
	case 1:
		return leaves[0]
	}
	k := 1
	for 2*k < len(leaves) {
		k *= 2
	}
	return tlog.NodeHash(specRoot(leaves[:k]), specRoot(leaves[k:]))
}

const (
	infinity    = math.MaxInt64
	negInfinity = math.MinInt64
	bc4713      = -211_813_488_000_000_000
	endOfTime   = 9_223_371_331_200_000_000 - 1
)
