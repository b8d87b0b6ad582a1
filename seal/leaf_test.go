package seal_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/hoc-analytics/coordaudit/seal"
)

func TestColumnsAreACopy(t *testing.T) {
	t.Parallel()
	for kind, want := range map[seal.Kind]int{seal.Record: 26, seal.Gap: 13, seal.Statement: 13, seal.Event: 6} {
		columns := seal.Columns(kind, 1)
		if len(columns) != want || columns[0].Name != "seq" || columns[0].Type != seal.Int8 {
			t.Errorf("a %s has columns %v, want %d and seq first", kind, columns, want)
		}
		columns[0].Name = "other"
		if seal.Columns(kind, 1)[0].Name != "seq" {
			t.Errorf("the columns of a %s are shared", kind)
		}
	}
	for kind := range seal.Kind(8) {
		for _, version := range []uint8{0, 2, 255} {
			if seal.Columns(kind, version) != nil {
				t.Errorf("kind %d, version %d has columns", kind, version)
			}
		}
	}
}

// The leaf is built by hand here, from the words of docs/seal-format.md.
func TestLeafByHand(t *testing.T) {
	t.Parallel()
	row := emptyRow(seal.Record)
	row = set(t, row, "envelope_id", []byte("env-1"))
	row = set(t, row, "tenant_id", []byte{})
	row = set(t, row, "reason", []byte("why"))
	row = set(t, row, "details", jsonbValue(`{"a": 1}`))
	id := string(uuidValue(1))
	reason := sha256.Sum256([]byte("coordaudit reason\x00" + id + "why"))
	details := sha256.Sum256([]byte("coordaudit details\x00" + id + `{"a": 1}`))

	var want bytes.Buffer
	want.WriteString("coordaudit record\x00\x01")
	for _, column := range seal.Columns(seal.Record, 1) {
		switch column.Name {
		case "seq":
			want.WriteString("\x00\x00\x00\x08\x00\x00\x00\x00\x00\x00\x00\x01")
		case "audit_id":
			want.WriteString("\x00\x00\x00\x10" + id)
		case "envelope_id":
			want.WriteString("\x00\x00\x00\x05env-1")
		case "tenant_id":
			want.WriteString("\x00\x00\x00\x00")
		case "reason":
			want.WriteString("\x00\x00\x00\x20" + string(reason[:]))
		case "details":
			want.WriteString("\x00\x00\x00\x20" + string(details[:]))
		default:
			want.WriteString("\xff\xff\xff\xff")
		}
	}
	prefix := []byte("before")
	got, err := row.AppendLeaf(prefix)
	if err != nil || string(got) != "before"+want.String() {
		t.Fatalf("leaf is %x (%v), want %x", got, err, want.Bytes())
	}
	hash, err := row.Hash()
	if err != nil || hash != sha256.Sum256(append([]byte{0}, want.Bytes()...)) {
		t.Fatalf("hash is %x (%v)", hash, err)
	}
}

func TestErasedTextKeepsTheLeaf(t *testing.T) {
	t.Parallel()
	row := sampleRow(seal.Record)
	want, err := row.Hash()
	if err != nil {
		t.Fatal(err)
	}
	erased := erase(t, erase(t, row, "reason"), "details")
	if got, err := erased.Hash(); err != nil || got != want {
		t.Fatalf("hash of the erased row is %v (%v), want %v", got, err, want)
	}
	if record, err := erased.Record(); err != nil ||
		!bytes.Equal(record.ErasedReason(), erased.Digests[columnIndex(t, seal.Record, "reason")]) ||
		!bytes.Equal(record.ErasedDetails(), erased.Digests[columnIndex(t, seal.Record, "details")]) {
		t.Fatalf("the erased row shows %q, %q (%v)", record.Reason, record.Details, err)
	}
	i := columnIndex(t, seal.Record, "reason")
	again, err := erased.Digest(i)
	if first, _ := row.Digest(i); err != nil || again != first {
		t.Fatalf("digest after erasing is %v (%v), want %v", again, err, first)
	}
	other := set(t, row, "audit_id", uuidValue(9))
	if digest, _ := other.Digest(i); digest == again {
		t.Fatal("equal reasons of two records have one digest")
	}
}

func TestMalformedRowsAreRefused(t *testing.T) {
	t.Parallel()
	sample := sampleRow(seal.Record)
	digests := func(name string, length int) [][]byte {
		digests := make([][]byte, len(sample.Values))
		digests[columnIndex(t, seal.Record, name)] = make([]byte, length)
		return digests
	}
	with := func(row seal.Row, digests [][]byte) seal.Row { row.Digests = digests; return row }
	for name, row := range map[string]seal.Row{
		"zero value":                {},
		"unknown kind":              {Kind: 9, Version: 1, Values: sample.Values},
		"unknown version":           {Kind: seal.Record, Version: 2, Values: sample.Values},
		"a value short":             {Kind: seal.Record, Version: 1, Values: sample.Values[1:]},
		"seq is NULL":               set(t, sample, "seq", nil),
		"audit_id is NULL":          set(t, sample, "audit_id", nil),
		"short uuid":                set(t, sample, "audit_id", make([]byte, 15)),
		"long timestamp":            set(t, sample, "created_at", make([]byte, 9)),
		"empty integer":             set(t, sample, "source_seq", []byte{}),
		"empty details":             set(t, sample, "details", []byte{}),
		"details of version 2":      set(t, sample, "details", []byte("\x02{}")),
		"digests a column short":    with(sample, make([][]byte, 3)),
		"value and digest":          with(sample, digests("reason", 32)),
		"short digest":              with(set(t, sample, "reason", nil), digests("reason", 31)),
		"digest where none may be":  with(set(t, sample, "actor", nil), digests("actor", 32)),
		"empty digest, not nil":     with(set(t, sample, "reason", nil), digests("reason", 0)),
		"digest in the place of id": with(set(t, sample, "audit_id", nil), digests("audit_id", 32)),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got, err := row.AppendLeaf([]byte("x")); !errors.Is(err, seal.ErrRow) || string(got) != "x" {
				t.Errorf("AppendLeaf: %q, %v", got, err)
			}
			_, errHash := row.Hash()
			_, errRecord := row.Record()
			_, errDigest := row.Digest(5)
			_, errText := seal.Proof{Row: row, Checkpoint: []byte("x")}.MarshalText()
			for _, err := range []error{errHash, errRecord, errDigest, errText} {
				if !errors.Is(err, seal.ErrRow) || strings.Contains(err.Error(), "text-of") {
					t.Errorf("error is %v", err)
				}
			}
		})
	}
	for _, column := range []int{-1, 0, 6, 26} {
		if _, err := sample.Digest(column); !errors.Is(err, seal.ErrRow) {
			t.Errorf("digest of column %d: %v", column, err)
		}
	}
	if _, err := emptyRow(seal.Record).Digest(5); !errors.Is(err, seal.ErrRow) {
		t.Errorf("digest of NULL: %v", err)
	}
}

func TestSeq(t *testing.T) {
	t.Parallel()
	row := sampleRow(seal.Event)
	row.Values[0] = int8Value(-5)
	if seq, err := row.Seq(); err != nil || seq != -5 {
		t.Errorf("seq is %d, %v", seq, err)
	}
	for _, row := range []seal.Row{{}, set(t, row, "seq", nil), set(t, row, "seq", make([]byte, 4))} {
		if _, err := row.Seq(); !errors.Is(err, seal.ErrRow) {
			t.Errorf("seq of %v: %v", row.Values, err)
		}
	}
}

func TestHasherIsReused(t *testing.T) {
	t.Parallel()
	var h seal.Hasher
	for range 3 {
		for _, kind := range []seal.Kind{seal.Record, seal.Gap, seal.Statement, seal.Event} {
			for _, row := range []seal.Row{sampleRow(kind), emptyRow(kind)} {
				want, err := row.Hash()
				if err != nil {
					t.Fatal(err)
				}
				if got, err := h.Hash(row); err != nil || got != want {
					t.Errorf("hash of a %s is %v (%v), want %v", kind, got, err, want)
				}
			}
		}
		if _, err := h.Hash(seal.Row{Kind: 9}); !errors.Is(err, seal.ErrRow) {
			t.Errorf("unknown kind: %v", err)
		}
	}
}

// AllocsPerRun does not work while other tests run.
func TestHasherAllocatesNothing(t *testing.T) { //nolint:paralleltest // see above
	var h seal.Hasher
	row := sampleRow(seal.Record)
	if allocs := testing.AllocsPerRun(100, func() { _, _ = h.Hash(row) }); allocs != 0 {
		t.Errorf("a hash takes %v allocations", allocs)
	}
}

func TestWordsOfKindsAndTypes(t *testing.T) {
	t.Parallel()
	var got []string
	for i := range uint8(11) {
		got = append(got, fmt.Sprint(seal.Kind(i), " ", seal.Type(i)))
	}
	want := "kind 0 type 0, record uuid, gap text, statement timestamptz, event int4, kind 5 int8, kind 6 bool, kind 7 bytea, kind 8 jsonb, kind 9 int8multirange, kind 10 type 10"
	if strings.Join(got, ", ") != want {
		t.Errorf("got %q", got)
	}
}

func BenchmarkHasher(b *testing.B) {
	long := sampleRow(seal.Record)
	long = set(b, long, "reason", bytes.Repeat([]byte("x"), 1000))
	for name, row := range map[string]seal.Row{"sample": sampleRow(seal.Record), "sparse": sparseRecord(b), "long": long} {
		b.Run(name, func(b *testing.B) {
			var h seal.Hasher
			b.ReportAllocs()
			for b.Loop() {
				if _, err := h.Hash(row); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// sparseRecord has what most records have: the predecessor's columns and a source.
func sparseRecord(tb testing.TB) seal.Row {
	tb.Helper()
	row := emptyRow(seal.Record)
	for name, value := range map[string][]byte{
		"envelope_id": []byte("envelope-0000012345"), "envelope_class": []byte("RELIABILITY"), "decision": []byte("REJECTED"),
		"reason":             []byte("conflicts with an envelope of a higher class on the same parameter"),
		"decision_timestamp": int8Value(817_000_000_123_456), "created_at": int8Value(817_000_000_123_999),
		"conflicting_envelope_id": []byte("envelope-0000012300"), "active_envelopes_count": int4Value(12),
		"tenant_id": []byte("tenant-7"), "source_id": uuidValue(3), "source_seq": binary.BigEndian.AppendUint64(nil, 77),
	} {
		row = set(tb, row, name, value)
	}
	return row
}
