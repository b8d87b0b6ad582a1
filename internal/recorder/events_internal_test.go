package recorder

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit/audit"
)

// The log is where an operator finds a gap that the database has not, so it has all of it.
func TestGapIsLoggedWhole(t *testing.T) {
	t.Parallel()
	from := time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC)
	gap := audit.Gap{
		GapID: uuid.New(), Dropped: map[audit.EnvelopeClass]int64{audit.Safety: 2, audit.Cost: 3},
		FirstAuditID: uuid.New(), LastAuditID: uuid.New(), From: from, Until: from.Add(time.Second), Cause: "no room",
	}
	var out bytes.Buffer
	slog.New(slog.NewJSONHandler(&out, nil)).LogAttrs(t.Context(), slog.LevelError, "audit_gap_recorded", gapAttrs(&gap)...)
	var got map[string]any
	if err := json.Unmarshal(out.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	delete(got, "time")
	want := map[string]any{
		"level": "ERROR", "msg": "audit_gap_recorded", "gap_id": gap.GapID.String(), "dropped": 5.0,
		"first_audit_id": gap.FirstAuditID.String(), "last_audit_id": gap.LastAuditID.String(),
		"from": "2026-01-02T03:04:05.000006Z", "until": "2026-01-02T03:04:06.000006Z", "cause": "no room",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("logged (-want +got):\n%s", diff)
	}
}

// Each text of a record counts against the queue's bytes: one that did not would let the queue
// outgrow its bound.
func TestEntryCountsEachText(t *testing.T) {
	t.Parallel()
	for name, set := range map[string]func(rec *audit.Record, text string){
		"EnvelopeID":            func(rec *audit.Record, text string) { rec.EnvelopeID = text },
		"Reason":                func(rec *audit.Record, text string) { rec.Reason = text },
		"ConflictingEnvelopeID": func(rec *audit.Record, text string) { rec.ConflictingEnvelopeID = text },
		"PreemptingEnvelopeID":  func(rec *audit.Record, text string) { rec.PreemptingEnvelopeID = text },
		"TenantID":              func(rec *audit.Record, text string) { rec.TenantID = text },
		"TargetSubsystem":       func(rec *audit.Record, text string) { rec.TargetSubsystem = text },
		"TargetParameter":       func(rec *audit.Record, text string) { rec.TargetParameter = text },
		"ReasonCode":            func(rec *audit.Record, text string) { rec.ReasonCode = text },
		"PolicyVersion":         func(rec *audit.Record, text string) { rec.PolicyVersion = text },
		"Actor":                 func(rec *audit.Record, text string) { rec.Actor = text },
		"CorrelationID":         func(rec *audit.Record, text string) { rec.Links.CorrelationID = text },
		"Details":               func(rec *audit.Record, text string) { rec.Details = audit.Details(text) },
	} {
		var rec audit.Record
		set(&rec, "1234567")
		if size := newEntry(&rec).size; size != entryOverhead+14 {
			t.Errorf("%s of 7 bytes counts %d", name, size-entryOverhead)
		}
	}
}
