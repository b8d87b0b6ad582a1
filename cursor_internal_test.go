package coordaudit

import (
	"encoding/base64"
	"encoding/binary"
	"hash/crc32"
	"strings"
	"testing"
	"time"

	"github.com/hoc-analytics/coordaudit/audit"
)

func TestACursorOfANewerVersionIsToldFromADamagedOne(t *testing.T) {
	t.Parallel()
	query := audit.Query{Scope: audit.AllTenants()}
	of := listFingerprint(&query)
	rec := audit.Record{Seq: 1<<62 + 7, DecisionTimestamp: time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC)}
	cursor := cursorAt(of, &rec)
	place, err := positionOf(cursor, of)
	if err != nil || place.Seq != rec.Seq || !place.DecisionTimestamp.Equal(rec.DecisionTimestamp) {
		t.Fatalf("read back as %+v, %v", place, err)
	}

	newer := []byte{cursorVersion + 1, 'i', 'n', ' ', 'a', 'n', 'o', 't', 'h', 'e', 'r', ' ', 'f', 'o', 'r', 'm'}
	newer = binary.BigEndian.AppendUint32(newer, crc32.ChecksumIEEE(newer))
	for _, test := range []struct {
		cursor audit.Cursor
		says   string
	}{
		{audit.Cursor(base64.RawURLEncoding.EncodeToString(newer)), "another version"},
		{cursor[:len(cursor)-2], "damaged"},
		{cursor[1:], "damaged"},
		{"x" + cursor[1:], "damaged"},
		{"abc", "damaged"},
		{"-", "damaged"},
		{"page 2", "damaged"},
	} {
		if _, err := positionOf(test.cursor, of); err == nil || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%q: %v, want it to say %q", test.cursor, err, test.says)
		}
	}
}

func FuzzPositionOf(f *testing.F) {
	query := audit.Query{Scope: audit.AllTenants()}
	of := listFingerprint(&query)
	f.Add(string(cursorAt(of, &audit.Record{Seq: 1})))
	f.Fuzz(func(t *testing.T, cursor string) {
		place, err := positionOf(audit.Cursor(cursor), of)
		if err != nil || place == nil {
			return
		}
		rec := audit.Record{Seq: place.Seq, DecisionTimestamp: place.DecisionTimestamp}
		if again := cursorAt(of, &rec); string(again) != cursor {
			t.Errorf("%q reads as %+v, which is %q", cursor, place, again)
		}
	})
}
