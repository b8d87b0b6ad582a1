package seal_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/seal"
)

// A record gives the row that it was read from, with a value in every column and with none that
// can be left out.
func TestRecordRowIsTheRowOfTheRecord(t *testing.T) {
	t.Parallel()
	least := sampleRow(seal.Record)
	for _, column := range seal.Columns(seal.Record, seal.LeafVersion) {
		switch column.Name {
		case "seq", "audit_id", "envelope_id", "envelope_class", "decision", "reason", "decision_timestamp", "created_at", "active_envelopes_count":
		default:
			least = set(t, least, column.Name, nil)
		}
	}
	rows := []seal.Row{sampleRow(seal.Record), least}
	for _, micros := range []int64{infinity, negInfinity, bc4713, endOfTime, -1, 0, 1} {
		rows = append(rows, set(t, least, "created_at", int8Value(micros)))
	}
	for _, row := range rows {
		rec, err := row.Record()
		if err != nil {
			t.Fatal(err)
		}
		got := seal.RecordRow(rec)
		if diff := cmp.Diff(row, got); diff != "" || !row.Equal(got) {
			t.Error(diff)
		}
	}
}

// What a record cannot say makes another row.
func TestRecordRowCannotSayEverything(t *testing.T) {
	t.Parallel()
	sample := sampleRow(seal.Record)
	for name, row := range map[string]seal.Row{
		"an empty text":       set(t, sample, "tenant_id", []byte{}),
		"no class":            set(t, sample, "envelope_class", nil),
		"a source of zeros":   set(t, sample, "source_id", make([]byte, 16)),
		"an ordinal of 0":     set(t, sample, "source_seq", int8Value(0)),
		"no count":            set(t, sample, "active_envelopes_count", nil),
		"an erased reason":    erase(t, sample, "reason"),
		"erased details":      erase(t, sample, "details"),
		"a trace of no trace": set(t, sample, "trace_id", make([]byte, 16)),
	} {
		rec, err := row.Record()
		if err != nil {
			t.Fatal(err)
		}
		if row.Equal(seal.RecordRow(rec)) {
			t.Errorf("%s: it makes the same row", name)
		}
	}
}

// Every record that is valid comes back from its row, and from its line of JSON.
func TestRecordRowOfLines(t *testing.T) {
	t.Parallel()
	rec := audit.Record{
		AuditID: uuid.UUID(uuidValue(1)), EnvelopeID: "e", Decision: audit.Applied, Reason: "ü \x7f <&> \u2028 \n", Seq: -5,
		DecisionTimestamp: time.Date(1969, 12, 31, 23, 59, 59, 999_999_999, time.UTC), CreatedAt: time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC),
		Details: `{"zz": "\u0001", "a":1e3, "b": [ null, 0.50 ]}`, ActiveEnvelopesCount: 7,
	}
	line, err := rec.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	parsed, _, err := audit.ParseRecord(line)
	if err != nil {
		t.Fatal(err)
	}
	parsed.Seq, parsed.CreatedAt = rec.Seq, rec.CreatedAt
	row := seal.RecordRow(rec.Normalized())
	if !row.Equal(seal.RecordRow(parsed)) {
		t.Error("the line gives another row")
	}
	if back, err := row.Record(); err != nil || cmp.Diff(rec.Normalized(), back) != "" {
		t.Errorf("%v %s", err, cmp.Diff(rec.Normalized(), back))
	}
	if i := columnIndex(t, seal.Record, "details"); !bytes.Equal(row.Values[i], jsonbValue(`{"a": 1000, "b": [null, 0.5], "zz": "\u0001"}`)) {
		t.Errorf("details are %q", row.Values[i])
	}
	if i := columnIndex(t, seal.Record, "reason"); !strings.Contains(string(row.Values[i]), "<&>") {
		t.Errorf("reason is %q", row.Values[i])
	}
}
