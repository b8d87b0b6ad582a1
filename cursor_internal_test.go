package coordaudit

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit/audit"
)

func TestCursorFaultIsNamed(t *testing.T) {
	t.Parallel()
	query := audit.Query{Scope: audit.AllTenants()}
	of := listFingerprint(&query)
	cursor := cursorAt(of, &audit.Record{AuditID: uuid.UUID{1, 15: 2}, Seq: 7, DecisionTimestamp: time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC)})
	newer := signed([]byte{cursorVersion + 1, 'i', 'n', ' ', 'a', 'n', 'o', 't', 'h', 'e', 'r', ' ', 'f', 'o', 'r', 'm'})
	older := signed(append(append([]byte{1}, of[:]...), make([]byte, 16)...))
	tooLate := signed(append(append(append([]byte{cursorVersion}, of[:]...), 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff), make([]byte, 24)...))
	for _, test := range []struct {
		cursor audit.Cursor
		says   string
	}{
		{newer, "another version"},
		{older, "another version"},
		{tooLate, "damaged"}, // a time that PostgreSQL cannot store
		{cursor[:len(cursor)-2], "damaged"},
		{cursor[1:], "damaged"},
		{"x" + cursor[1:], "damaged"},
		{cursor + "\n", "damaged"}, // as it is read from a line of a file
		{cursor[:9] + "\r\n" + cursor[9:], "damaged"},
		{"abc", "damaged"},
		{"-", "damaged"},
		{"page 2", "damaged"},
	} {
		_, err := positionOf(test.cursor, of)
		if !errors.Is(err, audit.ErrInvalidQuery) || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%q: %v, want it to say %q", test.cursor, err, test.says)
		}
	}
}

func signed(bytes []byte) audit.Cursor {
	bytes = binary.BigEndian.AppendUint32(bytes, crc32.ChecksumIEEE(bytes))
	return audit.Cursor(base64.RawURLEncoding.EncodeToString(bytes))
}

// The position of any row comes back unchanged.
func TestCursorHoldsPosition(t *testing.T) {
	t.Parallel()
	of := listFingerprint(&audit.Query{Scope: audit.AllTenants()})
	for _, at := range []time.Time{
		audit.InfinitePast(), audit.InfinitePast().Add(time.Microsecond), time.Date(-43, 3, 15, 0, 0, 0, 1000, time.UTC),
		{},
		time.Date(1969, 12, 31, 23, 59, 59, 999999000, time.UTC), time.Date(1999, 12, 31, 23, 59, 59, 999999000, time.UTC),
		time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC), audit.InfiniteFuture().Add(-time.Microsecond), audit.InfiniteFuture(),
	} {
		for _, seq := range []int64{math.MinInt64, -1, 0, 1<<62 + 7, math.MaxInt64} {
			for _, id := range []uuid.UUID{uuid.Nil, {1, 15: 2}, uuid.Max} {
				place, err := positionOf(cursorAt(of, &audit.Record{AuditID: id, Seq: seq, DecisionTimestamp: at}), of)
				if err != nil || place.Seq != seq || place.AuditID != id || !place.DecisionTimestamp.Equal(at) {
					t.Errorf("%v, %d, %s: read back as %+v, %v", at, seq, id, place, err)
				}
			}
		}
	}
}

func FuzzPositionOf(f *testing.F) {
	query := audit.Query{Scope: audit.AllTenants()}
	of := listFingerprint(&query)
	whole := cursorAt(of, &audit.Record{AuditID: uuid.UUID{1, 15: 2}, Seq: 1, DecisionTimestamp: time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC)})
	for _, seed := range []audit.Cursor{
		whole, "", "-", "=", "\n", whole + "\n", whole[:len(whole)/2], whole[1:], whole + whole, signed(nil), signed([]byte{cursorVersion}),
		cursorAt(of, &audit.Record{AuditID: uuid.Max, Seq: math.MaxInt64, DecisionTimestamp: audit.InfiniteFuture()}),
		cursorAt(of, &audit.Record{Seq: math.MinInt64, DecisionTimestamp: audit.InfinitePast()}),
		cursorAt(fingerprint{}, &audit.Record{Seq: 1}),
		signed(append(append([]byte{cursorVersion}, of[:]...), 0x80)),
		signed(append(append(append([]byte{cursorVersion}, of[:]...), 0x80), make([]byte, 31)...)),
	} {
		f.Add(string(seed))
	}
	f.Fuzz(func(t *testing.T, cursor string) {
		place, err := positionOf(audit.Cursor(cursor), of)
		if err != nil {
			invalid, ok := errors.AsType[*audit.InvalidQueryError](err)
			if !ok || len(invalid.Faults) != 1 || invalid.Faults[0].Field != "after" {
				t.Errorf("%q: %v, want the cursor refused by its field", cursor, err)
			}
			return
		}
		if place == nil {
			if cursor != "" {
				t.Errorf("%q reads as no place", cursor)
			}
			return
		}
		rec := audit.Record{AuditID: place.AuditID, Seq: place.Seq, DecisionTimestamp: place.DecisionTimestamp}
		if again := cursorAt(of, &rec); string(again) != cursor {
			t.Errorf("%q reads as %+v, which is %q", cursor, place, again)
		}
	})
}
