package auditdriver

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit/audit"
)

// distinct returns a record whose fields all differ.
func distinct() audit.Record {
	return audit.Record{
		AuditID: uuid.MustParse("01020304-0506-0708-090a-0b0c0d0e0f10"), EnvelopeID: "envelope", EnvelopeClass: audit.Cost, Decision: audit.Preempted, Reason: "réason",
		DecisionTimestamp: time.Date(2026, 1, 2, 3, 4, 5, 678901000, time.UTC), ConflictingEnvelopeID: "conflicting", PreemptingEnvelopeID: "preempting",
		ActiveEnvelopesCount: 1<<30 + 7, TenantID: "tenant", TargetSubsystem: "subsystem", TargetParameter: "parameter", CounterpartClass: audit.Safety,
		ReasonCode: "code", PolicyVersion: "policy", Actor: "actor", Links: audit.Links{CausedBy: uuid.UUID{15: 1}, Corrects: uuid.UUID{0: 2}, CorrelationID: "correlation"},
		Details: `{"a": 1}`, Origin: audit.Origin{TraceID: audit.TraceID{7: 3}, SpanID: audit.SpanID{0: 4}, SourceID: uuid.UUID{3: 5}, SourceSeq: 1<<40 + 6},
	}
}

// copiedRows reads a COPY in binary form. NULL is "NULL".
func copiedRows(t *testing.T, stream []byte) (rows [][]string) {
	t.Helper()
	rest, ok := bytes.CutPrefix(stream, []byte("PGCOPY\n\377\r\n\000\000\000\000\000\000\000\000\000"))
	if !ok {
		t.Fatalf("it begins with %q", stream[:min(len(stream), 19)])
	}
	number := func(size int) uint64 {
		t.Helper()
		if len(rest) < size {
			t.Fatal("it ends within a row")
		}
		var n uint64
		for _, b := range rest[:size] {
			n = n<<8 | uint64(b)
		}
		rest = rest[size:]
		return n
	}
	for {
		fields := number(2)
		if fields == 0xFFFF {
			if len(rest) != 0 {
				t.Errorf("%d bytes behind the trailer", len(rest))
			}
			return rows
		}
		row := make([]string, fields)
		for i := range row {
			size := number(4)
			if size == 0xFFFFFFFF {
				row[i] = "NULL"
				continue
			}
			if uint64(len(rest)) < size {
				t.Fatalf("field %d is %d bytes long, %d are left", i, size, len(rest))
			}
			row[i], rest = string(rest[:size]), rest[size:]
		}
		rows = append(rows, row)
	}
}

func TestCopyHoldsAllColumns(t *testing.T) {
	t.Parallel()
	least := audit.Record{EnvelopeID: "e", Reason: "r", DecisionTimestamp: time.Date(1999, 12, 31, 23, 59, 59, 999999000, time.UTC), ActiveEnvelopesCount: 0}
	recs := []audit.Record{distinct(), least}
	for name, reader := range map[string]func(io.Reader) io.Reader{
		"at once":      func(r io.Reader) io.Reader { return r },
		"byte by byte": iotest.OneByteReader,
		"by halves":    iotest.HalfReader,
	} {
		stream, err := io.ReadAll(reader(newCopySource(slices.Values(recs))))
		if err != nil {
			t.Fatal(err)
		}
		zeros := func(n int) string { return strings.Repeat("\x00", n) }
		since := func(micros int64) string { return string(binary.BigEndian.AppendUint64(nil, uint64(micros))) }
		at := time.Date(2026, 1, 2, 3, 4, 5, 678901000, time.UTC).Sub(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)).Microseconds()
		want := [][]string{
			{
				"\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10", "envelope", "COST", "PREEMPTED", "réason", since(at), "conflicting", "preempting", "\x40\x00\x00\x07", "tenant", "subsystem", "parameter", "SAFETY",
				"code", "policy", "actor", zeros(15) + "\x01", "\x02" + zeros(15), "correlation", zeros(7) + "\x03" + zeros(8), "\x04" + zeros(7), "\x01" + `{"a": 1}`, zeros(3) + "\x05" + zeros(12), "\x00\x00\x01\x00\x00\x00\x00\x06",
			},
			{
				strings.Repeat("\x00", 16), "e", "", "", "r", since(-1), "NULL", "NULL", "\x00\x00\x00\x00", "NULL", "NULL", "NULL", "NULL",
				"NULL", "NULL", "NULL", "NULL", "NULL", "NULL", "NULL", "NULL", "NULL", "NULL", "NULL",
			},
		}
		if diff := cmp.Diff(want, copiedRows(t, stream)); diff != "" {
			t.Errorf("%s: rows (-want +got):\n%s", name, diff)
		}
	}
	if got := len(copyColumns()); got != 24 {
		t.Errorf("%d columns, each row has 24", got)
	}
}

func TestEmptyCopyIsComplete(t *testing.T) {
	t.Parallel()
	stream, err := io.ReadAll(newCopySource(slices.Values([]audit.Record(nil))))
	if rows := copiedRows(t, stream); err != nil || len(rows) != 0 {
		t.Errorf("%d rows, %v", len(rows), err)
	}
}

// The source holds one piece in memory, for any number of records.
func TestCopyIsStreamed(t *testing.T) {
	t.Parallel()
	const records = 500
	rec := distinct()
	rec.Reason = strings.Repeat("x", 1000)
	made := 0
	source := newCopySource(func(yield func(audit.Record) bool) {
		for range records {
			made++
			if !yield(rec) {
				return
			}
		}
	})
	piece := make([]byte, 64<<10)
	read, large := 0, 0
	for {
		n, err := source.Read(piece)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if read += n; n > 32<<10 {
			large++
		}
		if ahead := made*1000 - read; ahead > 2*len(piece) {
			t.Fatalf("%d bytes were made ahead", ahead)
		}
	}
	if made != records || large < records*1000/len(piece)-1 {
		t.Errorf("%d records made, %d large pieces, want %d and nearly all", made, large, records)
	}
}

func TestClosedCopyStopsReading(t *testing.T) {
	t.Parallel()
	made, ended := 0, false
	source := newCopySource(func(yield func(audit.Record) bool) {
		defer func() { ended = true }()
		for {
			made++
			if !yield(distinct()) {
				return
			}
		}
	})
	if _, err := source.Read(make([]byte, 19)); err != nil {
		t.Fatal(err)
	}
	if _, err := source.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	before := made
	source.close()
	if n, err := source.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) {
		t.Errorf("read %d bytes, %v of a closed source", n, err)
	}
	if made != before || !ended {
		t.Errorf("%d more records were asked for, the iterator ended: %t", made-before, ended)
	}
}
