package seal_test

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hoc-analytics/coordaudit/seal"
)

// vector is one entry of testdata/leaf_v1.json. Texts are hexadecimal.
type vector struct {
	Name    string         `json:"name"`
	Kind    string         `json:"kind"`
	Version uint8          `json:"version"`
	Columns []vectorColumn `json:"columns"`
	Leaf    string         `json:"leaf"`
	Hash    string         `json:"hash"`
}

// vectorColumn has a value, or a digest if the text was erased, or neither if it is NULL.
type vectorColumn struct {
	Name   string  `json:"name"`
	Type   string  `json:"type"`
	Value  *string `json:"value"`
	Digest *string `json:"digest,omitempty"`
}

const vectorFile = "testdata/leaf_v1.json"

func TestLeafVectors(t *testing.T) {
	t.Parallel()
	if *update {
		writeVectors(t)
	}
	data, err := os.ReadFile(vectorFile)
	if err != nil {
		t.Fatal(err)
	}
	var vectors []vector
	if err := json.Unmarshal(data, &vectors); err != nil {
		t.Fatal(err)
	}
	if len(vectors) != len(vectorRows(t)) {
		t.Fatalf("%s has %d vectors, want %d", vectorFile, len(vectors), len(vectorRows(t)))
	}
	for _, v := range vectors {
		row := v.row(t)
		if diff := cmp.Diff(v, vectorOf(t, v.Name, row)); diff != "" {
			t.Errorf("%s differs: %s", v.Name, diff)
		}
	}
	for i, named := range vectorRows(t) {
		if diff := cmp.Diff(named.row, vectors[i].row(t)); diff != "" {
			t.Errorf("%s is another row: %s", named.name, diff)
		}
	}
}

func writeVectors(t *testing.T) {
	t.Helper()
	var vectors []vector
	for _, named := range vectorRows(t) {
		vectors = append(vectors, vectorOf(t, named.name, named.row))
	}
	data, err := json.MarshalIndent(vectors, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.FromSlash(vectorFile), append(data, '\n'), 0o644); err != nil {
		t.Fatal(err)
	}
}

func vectorOf(t *testing.T, name string, row seal.Row) vector {
	t.Helper()
	leaf, err := row.AppendLeaf(nil)
	if err != nil {
		t.Fatal(err)
	}
	hash, err := row.Hash()
	if err != nil {
		t.Fatal(err)
	}
	v := vector{Name: name, Kind: row.Kind.String(), Version: row.Version, Leaf: hex.EncodeToString(leaf), Hash: hex.EncodeToString(hash[:])}
	for i, column := range seal.Columns(row.Kind, row.Version) {
		c := vectorColumn{Name: column.Name, Type: column.Type.String()}
		if row.Values[i] != nil {
			text := hex.EncodeToString(row.Values[i])
			c.Value = &text
		}
		if row.Digests != nil && row.Digests[i] != nil {
			text := hex.EncodeToString(row.Digests[i])
			c.Digest = &text
		}
		v.Columns = append(v.Columns, c)
	}
	return v
}

func (v vector) row(t *testing.T) seal.Row {
	t.Helper()
	row := seal.Row{Version: v.Version}
	for kind := seal.Record; kind <= seal.Event; kind++ {
		if kind.String() == v.Kind {
			row.Kind = kind
		}
	}
	for i, c := range v.Columns {
		var value []byte
		if c.Value != nil {
			value = unhex(t, *c.Value)
		}
		row.Values = append(row.Values, value)
		if c.Digest != nil {
			if row.Digests == nil {
				row.Digests = make([][]byte, len(v.Columns))
			}
			row.Digests[i] = unhex(t, *c.Digest)
		}
	}
	return row
}

func unhex(t *testing.T, text string) []byte {
	t.Helper()
	data, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

type namedRow struct {
	name string
	row  seal.Row
}

func vectorRows(t *testing.T) []namedRow {
	t.Helper()
	required := requiredRecord(t)
	usual := sampleRow(seal.Record)
	times := func(micros int64) seal.Row {
		return set(t, set(t, required, "decision_timestamp", int8Value(micros)), "created_at", int8Value(micros))
	}
	empty := required
	for _, column := range seal.Columns(seal.Record, 1) {
		if column.Type == seal.Text || column.Type == seal.Bytea {
			empty = set(t, empty, column.Name, []byte{})
		}
	}
	rows := []namedRow{
		{"record with every value", usual},
		{"record with NULL where it may be", required},
		{"record with empty values instead of NULL", empty},
		{"record with the reason and the details erased", erase(t, erase(t, usual, "reason"), "details")},
		{"record at infinity", times(infinity)},
		{"record at -infinity", times(negInfinity)},
		{"record in 4713 BC", times(bc4713)},
		{"record at the end of time", times(endOfTime)},
		{"record before 2000", times(-1)},
		{"record with the largest integers", integers(t, math.MaxInt64, math.MaxInt32)},
		{"record with the smallest integers", integers(t, math.MinInt64, math.MinInt32)},
		{"record in Unicode", set(t, set(t, required, "reason", []byte("Größe é e\u0301 日本語 🜚 \u202e\u00a0")), "tenant_id", []byte("Zoë-\U0001f9ea"))},
		{"record with a long reason", set(t, required, "reason", bytes.Repeat([]byte("a long reason. "), 300))},
		{"record with details", set(t, required, "details", jsonbValue(`{"a": [1.50, null, "ü\n"], "bb": {}}`))},
		{"record with a reason like a digest", set(t, required, "reason", bytes.Repeat([]byte("x"), 32))},
		{"gap", sampleRow(seal.Gap)},
		{"gap of infinite length", set(t, set(t, sampleRow(seal.Gap), "lost_from", int8Value(negInfinity)), "lost_until", int8Value(infinity))},
		{"statement", sampleRow(seal.Statement)},
		{"statement with ranges", set(t, set(t, sampleRow(seal.Statement), "dropped", multirange(1, 4, 7, 8)), "waiting_continues", []byte{0})},
		{"event", sampleRow(seal.Event)},
		{"event with an empty body", set(t, sampleRow(seal.Event), "body", []byte{})},
	}
	return rows
}

func requiredRecord(t *testing.T) seal.Row {
	t.Helper()
	usual, row := sampleRow(seal.Record), emptyRow(seal.Record)
	for _, name := range []string{"seq", "audit_id", "envelope_id", "envelope_class", "decision", "reason", "decision_timestamp", "created_at", "active_envelopes_count"} {
		row = set(t, row, name, usual.Values[columnIndex(t, seal.Record, name)])
	}
	return row
}

func integers(t *testing.T, wide int64, narrow int32) seal.Row {
	t.Helper()
	row := set(t, requiredRecord(t), "seq", int8Value(wide))
	return set(t, set(t, row, "source_seq", int8Value(wide)), "active_envelopes_count", int4Value(narrow))
}

// multirange takes pairs of a first ordinal and the one after the last.
func multirange(bounds ...int64) []byte {
	value := int4Value(int32(len(bounds) / 2))
	for i := 0; i < len(bounds); i += 2 {
		value = binary.BigEndian.AppendUint32(value, 25)
		value = append(value, 2) // the first is in, the second is not
		for _, bound := range bounds[i : i+2] {
			value = append(value, 0, 0, 0, 8)
			value = append(value, int8Value(bound)...)
		}
	}
	return value
}

// No two vectors share a leaf, except an erased record and its original.
func TestVectorsDiffer(t *testing.T) {
	t.Parallel()
	seen := map[seal.Hash]string{}
	for _, named := range vectorRows(t) {
		hash, err := named.row.Hash()
		if err != nil {
			t.Fatal(err)
		}
		if other, found := seen[hash]; found != strings.Contains(named.name, "erased") {
			t.Errorf("%s has the leaf of %q", named.name, other)
		}
		seen[hash] = named.name
	}
	if _, err := vectorRows(t)[3].row.Digest(columnIndex(t, seal.Record, "actor")); !errors.Is(err, seal.ErrRow) {
		t.Error(err)
	}
}
