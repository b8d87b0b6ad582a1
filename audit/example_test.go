package audit_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit/audit"
)

// Every fault of a record is reported at once, by the field's name.
func ExampleRecord_Validate() {
	rec := audit.Record{EnvelopeID: "a", Decision: audit.Preempted, DecisionTimestamp: time.Now()}
	if invalid, ok := errors.AsType[*audit.InvalidRecordError](rec.Validate()); ok {
		for _, fault := range invalid.Faults {
			fmt.Println(fault.Field, fault.Reason)
		}
	}
	// Output:
	// reason must not be blank
	// preempting_envelope_id is required when the decision is PREEMPTED
}

// The arguments of the predecessor's callers are read as they are.
func ExampleParseRecord() {
	rec, replay, err := audit.ParseRecord([]byte(`{
		"audit_id": "9d191c61-c4ee-457d-9aa0-563922ea4db1", "envelope_id": "retry_backoff_s1",
		"envelope_class": "reliability", "decision": "applied", "reason": "Applied successfully",
		"decision_timestamp": "2026-01-01T00:00:00.000000+00:00", "tenant_id": null, "emit_traces": true}`))
	fmt.Println(rec.EnvelopeClass, rec.Decision, rec.DecisionTimestamp, replay, err)
	// Output: RELIABILITY APPLIED 2026-01-01 00:00:00 +0000 UTC false <nil>
}

func ExampleRecord_MarshalJSON() {
	data, err := json.Marshal(audit.Record{
		AuditID:    uuid.MustParse("9d191c61-c4ee-457d-9aa0-563922ea4db1"),
		EnvelopeID: "a", Decision: audit.Applied, Reason: "why",
		DecisionTimestamp: time.Date(2026, 1, 1, 1, 0, 0, 0, time.FixedZone("", 3600)),
	})
	fmt.Println(string(data), err)
	// Output: {"audit_id":"9d191c61-c4ee-457d-9aa0-563922ea4db1","envelope_id":"a","envelope_class":"UNKNOWN","decision":"APPLIED","reason":"why","decision_timestamp":"2026-01-01T00:00:00.000000Z","conflicting_envelope_id":null,"preempting_envelope_id":null,"active_envelopes_count":0,"tenant_id":null} <nil>
}

// Details come back as they are stored: sorted by length and bytes of the keys, with
// plain numbers.
func ExampleDetailsOf() {
	details, err := audit.DetailsOf(map[string]any{
		"weights": []float64{0.25, 1e6},
		"limit":   3,
		"mode":    "canary",
	})
	fmt.Println(details, err)

	_, err = audit.DetailsOf(map[string]any{"weights": []uint64{1, 1<<64 - 1}})
	fmt.Println(err)
	// Output:
	// {"mode": "canary", "limit": 3, "weights": [0.25, 1000000]} <nil>
	// invalid audit record: details weights[1] is a number that float64 would change: write it as a string
}

func ExampleDetails_Decode() {
	var facts struct {
		Limit int `json:"limit"`
	}
	err := audit.Details(`{"mode": "canary", "limit": 3}`).Decode(&facts)
	fmt.Println(facts.Limit, err)
	// Output: 3 <nil>
}
