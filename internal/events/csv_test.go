package events_test

import (
	"bytes"
	"encoding/csv"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/events"
	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
)

// cells reads a header and lines with a reader of RFC 4180, as columns by name.
func cells(t *testing.T, recs ...audit.Record) []map[string]string {
	t.Helper()
	text := events.CSVHeader()
	for i := range recs {
		text = append(text, events.CSV(&recs[i])...)
	}
	if n := bytes.Count(text, []byte("\r\n")); n < len(recs)+1 {
		t.Errorf("%d line ends", n)
	}
	rows, err := csv.NewReader(bytes.NewReader(text)).ReadAll() // it refuses lines of another length
	if err != nil {
		t.Fatal(err)
	}
	var all []map[string]string
	for _, row := range rows[1:] {
		columns := map[string]string{}
		for i, name := range rows[0] {
			columns[name] = row[i]
		}
		all = append(all, columns)
	}
	return all
}

func TestCSVHasEveryColumn(t *testing.T) {
	t.Parallel()
	rec := fixture.NewFullRecord()
	rec.Seq, rec.CreatedAt = 7, time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC)
	rec.Decision, rec.PreemptingEnvelopeID = audit.Preempted, "guard"
	want := map[string]string{
		"audit_id": rec.AuditID.String(), "envelope_id": rec.EnvelopeID, "envelope_class": "RELIABILITY", "decision": "PREEMPTED",
		"reason": rec.Reason, "decision_timestamp": "2026-01-02T03:04:05.678901Z", "conflicting_envelope_id": "retry-budget-3",
		"preempting_envelope_id": "guard", "active_envelopes_count": "1", "tenant_id": "acme", "target_subsystem": "retry",
		"target_parameter": "backoff", "counterpart_class": "SAFETY", "reason_code": "SAME_PARAMETER", "policy_version": "rules-7",
		"actor": "coordinator-1", "caused_by": rec.Links.CausedBy.String(), "corrects": rec.Links.Corrects.String(), "correlation_id": "action-4711",
		"trace_id": rec.Origin.TraceID.String(), "span_id": rec.Origin.SpanID.String(), "details": string(rec.Details),
		"source_id": rec.Origin.SourceID.String(), "source_seq": strconv.FormatInt(1<<53+1, 10), "seq": "7", "created_at": "2026-01-02T03:04:05.000006Z",
	}
	if diff := cmp.Diff(want, cells(t, rec)[0]); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	bare := cells(t, audit.Record{AuditID: uuid.Max, DecisionTimestamp: audit.InfiniteFuture()})[0]
	for name, value := range bare {
		switch name {
		case "audit_id", "active_envelopes_count", "seq", "decision_timestamp", "created_at":
		default:
			if value != "" {
				t.Errorf("%s is %q, and nothing is stated", name, value)
			}
		}
	}
}

// A spreadsheet evaluates a cell that begins with one of these. The texts come back by taking one
// apostrophe off.
func TestCSVCellsAreNoFormulas(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1", "＋1", "－1", "＠x", "'quoted", "''=1",
		`=HYPERLINK("http://x","y")`, "=cmd|' /C calc'!A0",
		" =1+1", "\u00a0=1", "\ufeff=1", "\u200b+1", "\u202e-1", "\x0b@x", "\x0c=1", "\u3000＝1", "\t =1", " \ufeff \t=1", " '=1", "\x01=1", "\u3164=1", "\ufe00=1", "\u034f\u115f=1",
		"plain", " plain", "a =1", `with "quotes", commas` + "\r\nand lines\n=1", "1-1", "é", ";=1",
	} {
		rec := fixture.NewRecord()
		rec.EnvelopeID, rec.Reason, rec.TenantID, rec.Actor, rec.Details = text, text, text, text, audit.Details(text)
		got := cells(t, rec)[0]
		for _, name := range []string{"envelope_id", "reason", "tenant_id", "actor", "details"} {
			cell := got[name]
			visible := strings.TrimLeftFunc(cell, func(r rune) bool {
				return !unicode.IsGraphic(r) || unicode.IsSpace(r) || strings.ContainsRune("\u3164\ufe00\u034f\u115f", r)
			})
			if strings.IndexAny(cell, "=+-@\t\r\n＝＋－＠") == 0 || strings.IndexAny(visible, "=+-@＝＋－＠") == 0 {
				t.Errorf("%s begins like a formula: %q", name, cell)
			}
			// The reader of Go's library takes the carriage return off a line end within a field.
			if want := strings.ReplaceAll(text, "\r\n", "\n"); strings.TrimPrefix(cell, "'") != want {
				t.Errorf("%s is %q, want %q", name, cell, want)
			}
		}
	}
	// Nothing of a text is changed in the bytes.
	rec := fixture.NewRecord()
	rec.Reason = "a\r\nb\rc\nd"
	if !bytes.Contains(events.CSV(&rec), []byte(`"a`+"\r\nb\rc\nd"+`"`)) {
		t.Errorf("the line ends of a text changed: %q", events.CSV(&rec))
	}
	rec.DecisionTimestamp = audit.InfinitePast()
	if got := cells(t, rec)[0]["decision_timestamp"]; got != "'-infinity" {
		t.Errorf("an infinite time is %q", got)
	}
}
