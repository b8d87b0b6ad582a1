package audit_test

import (
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit/audit"
)

// predecessorLine is a call of persist_audit_record as its users wrote them down.
const predecessorLine = `{"audit_id": "9D191C61-c4ee-457d-9aa0-563922ea4db1", "envelope_id": "retry_backoff_s1", ` +
	`"envelope_class": "reliability", "decision": "preempted", "reason": "Preempted \ud83d\ude80", ` +
	`"decision_timestamp": "2026-01-01T05:30:00.123456789+05:30", "conflicting_envelope_id": null, ` +
	`"preempting_envelope_id": "safety_cap", "active_envelopes_count": 1, "tenant_id": "tenant-acme", "emit_traces": true}`

func TestParsePredecessorsCall(t *testing.T) {
	t.Parallel()
	got, replay, err := audit.ParseRecord([]byte(predecessorLine))
	if err != nil || replay {
		t.Fatalf("ParseRecord() = replay %v, error %v", replay, err)
	}
	want := audit.Record{
		AuditID:              uuid.MustParse("9d191c61-c4ee-457d-9aa0-563922ea4db1"),
		EnvelopeID:           "retry_backoff_s1",
		EnvelopeClass:        audit.Reliability,
		Decision:             audit.Preempted,
		Reason:               "Preempted 🚀",
		DecisionTimestamp:    time.Date(2026, 1, 1, 0, 0, 0, 123456000, time.UTC),
		PreemptingEnvelopeID: "safety_cap",
		ActiveEnvelopesCount: 1,
		TenantID:             "tenant-acme",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("record (-want +got):\n%s", diff)
	}
}

func TestMarshalRoundTrip(t *testing.T) {
	t.Parallel()
	rec := validRecord()
	rec.AuditID = uuid.MustParse("9d191c61-c4ee-457d-9aa0-563922ea4db1")
	rec.EnvelopeClass = ""
	rec.Reason = "<b>\u2028 \ufffd \\ud800"
	rec.DecisionTimestamp = time.Date(999, 1, 1, 0, 0, 0, 1, time.FixedZone("", 3600))
	data, err := json.Marshal(rec)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"envelope_class":"UNKNOWN"`, `"decision":"APPLIED"`, `"decision_timestamp":"0998-12-31T23:00:00.000000Z"`, `"tenant_id":null`} {
		if !strings.Contains(string(data), want) {
			t.Errorf("%s lacks %s", data, want)
		}
	}
	var got audit.Record
	if err := json.Unmarshal(data, &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(rec.Normalized(), got); diff != "" {
		t.Errorf("record (-want +got):\n%s", diff)
	}
}

// lineWith returns a good line with one member replaced; an empty value removes it.
func lineWith(key, value string) string {
	members := map[string]string{
		"audit_id": `"9d191c61-c4ee-457d-9aa0-563922ea4db1"`, "envelope_id": `"e"`, "envelope_class": `"cost"`,
		"decision": `"applied"`, "reason": `"why"`, "decision_timestamp": `"2026-01-01T00:00:00Z"`,
	}
	members[key] = value
	if value == "" {
		delete(members, key)
	}
	var line []string
	for _, key := range slices.Sorted(maps.Keys(members)) {
		line = append(line, `"`+key+`":`+members[key])
	}
	return "{" + strings.Join(line, ",") + "}"
}

func TestParseNamesKey(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		line string
		want audit.Fault
	}{
		"unknown key":                 {lineWith("severity", `1`), audit.Fault{Field: `"severity"`, Reason: "is not a known key"}},
		"a known key in other case":   {lineWith("Tenant_ID", `"a"`), audit.Fault{Field: `"Tenant_ID"`, Reason: "is not a known key"}},
		"duplicate key":               {strings.Replace(lineWith("", ""), "{", `{"reason":"first",`, 1), audit.Fault{Field: `"reason"`, Reason: "comes twice"}},
		"duplicate key, escaped":      {strings.Replace(lineWith("", ""), "{", `{"\u0072eason":"first",`, 1), audit.Fault{Field: `"reason"`, Reason: "comes twice"}},
		"missing id":                  {lineWith("audit_id", ""), audit.Fault{Field: "audit_id", Reason: "is required"}},
		"missing class":               {lineWith("envelope_class", ""), audit.Fault{Field: "envelope_class", Reason: "is required"}},
		"missing decision":            {lineWith("decision", ""), audit.Fault{Field: "decision", Reason: "is required"}},
		"null reason":                 {lineWith("reason", "null"), audit.Fault{Field: "reason", Reason: "is required"}},
		"null time":                   {lineWith("decision_timestamp", "null"), audit.Fault{Field: "decision_timestamp", Reason: "is required"}},
		"naive time":                  {lineWith("decision_timestamp", `"2026-01-01T12:00:00.5"`), audit.Fault{Field: "decision_timestamp", Reason: "is a naive time: add its offset, Z or ±hh:mm"}},
		"time that is none":           {lineWith("decision_timestamp", `"yesterday"`), audit.Fault{Field: "decision_timestamp", Reason: "must be an RFC 3339 time with an offset, such as 2026-01-31T12:00:00.000000Z"}},
		"time as a number":            {lineWith("decision_timestamp", `1767225600`), audit.Fault{Field: "decision_timestamp", Reason: "must be a string"}},
		"id in another form":          {lineWith("audit_id", `"9d191c61c4ee457d9aa0563922ea4db1"`), audit.Fault{Field: "audit_id", Reason: "must be a UUID in its 36-character form"}},
		"nil id":                      {lineWith("audit_id", `"00000000-0000-0000-0000-000000000000"`), audit.Fault{Field: "audit_id", Reason: "must not be the nil UUID"}},
		"unknown class":               {lineWith("envelope_class", `"LATENCY"`), audit.Fault{Field: "envelope_class", Reason: "must be one of SAFETY, RELIABILITY, COST, PERFORMANCE, UNKNOWN (any case, exact word)"}},
		"empty class":                 {lineWith("envelope_class", `""`), audit.Fault{Field: "envelope_class", Reason: "must be one of SAFETY, RELIABILITY, COST, PERFORMANCE, UNKNOWN (any case, exact word)"}},
		"class as a number":           {lineWith("envelope_class", `4`), audit.Fault{Field: "envelope_class", Reason: "must be a string"}},
		"count as text":               {lineWith("active_envelopes_count", `"1"`), audit.Fault{Field: "active_envelopes_count", Reason: "must be an integer"}},
		"count with a fraction":       {lineWith("active_envelopes_count", `1.0`), audit.Fault{Field: "active_envelopes_count", Reason: "must be an integer"}},
		"null count":                  {lineWith("active_envelopes_count", `null`), audit.Fault{Field: "active_envelopes_count", Reason: "must be an integer"}},
		"count of 2^31":               {lineWith("active_envelopes_count", `2147483648`), audit.Fault{Field: "active_envelopes_count", Reason: "must be between 0 and 2147483647"}},
		"negative count":              {lineWith("active_envelopes_count", `-1`), audit.Fault{Field: "active_envelopes_count", Reason: "must not be negative"}},
		"101 characters of tenant":    {lineWith("tenant_id", `"`+strings.Repeat("x", 101)+`"`), audit.Fault{Field: "tenant_id", Reason: "is 101 characters long, at most 100 are allowed"}},
		"NUL":                         {lineWith("tenant_id", `"a\u0000"`), audit.Fault{Field: "tenant_id", Reason: "contains a NUL character, which PostgreSQL cannot store"}},
		"lone high surrogate":         {lineWith("reason", `"a\ud800b"`), audit.Fault{Field: "reason", Reason: "has a lone surrogate, which is no character"}},
		"high surrogate at the end":   {lineWith("reason", `"a\uD83D"`), audit.Fault{Field: "reason", Reason: "has a lone surrogate, which is no character"}},
		"lone low surrogate":          {lineWith("reason", `"\udc00"`), audit.Fault{Field: "reason", Reason: "has a lone surrogate, which is no character"}},
		"two high surrogates":         {lineWith("reason", `"\ud800\ud800"`), audit.Fault{Field: "reason", Reason: "has a lone surrogate, which is no character"}},
		"broken UTF-8":                {lineWith("reason", "\"a\xff\""), audit.Fault{Field: "reason", Reason: "is not valid UTF-8"}},
		"emit_traces as text":         {lineWith("emit_traces", `"no"`), audit.Fault{Field: "emit_traces", Reason: "must be true or false"}},
		"101 characters of parameter": {lineWith("target_parameter", `"`+strings.Repeat("x", 101)+`"`), audit.Fault{Field: "target_parameter", Reason: "is 101 characters long, at most 100 are allowed"}},
		"subsystem as a number":       {lineWith("target_subsystem", `7`), audit.Fault{Field: "target_subsystem", Reason: "must be a string"}},
		"unknown counterpart class":   {lineWith("counterpart_class", `"LATENCY"`), audit.Fault{Field: "counterpart_class", Reason: "must be one of SAFETY, RELIABILITY, COST, PERFORMANCE, UNKNOWN (any case, exact word)"}},
		"a counterpart without an id": {lineWith("counterpart_class", `"safety"`), audit.Fault{Field: "counterpart_class", Reason: "must be empty if neither conflicting_envelope_id nor preempting_envelope_id is set"}},
		"preempted, no preemptor":     {lineWith("decision", `"PREEMPTED"`), audit.Fault{Field: "preempting_envelope_id", Reason: "is required when the decision is PREEMPTED"}},
		"no object":                   {`[1]`, audit.Fault{Reason: "must be a JSON object"}},
		"nothing":                     {``, audit.Fault{Reason: "is not valid JSON: it ends too early"}},
		"half a line":                 {`{"audit_id":`, audit.Fault{Reason: "is not valid JSON: it ends too early"}},
		"two objects":                 {lineWith("", "") + lineWith("", ""), audit.Fault{Reason: "has text after the JSON object"}},
		"an object and a word":        {lineWith("", "") + "x", audit.Fault{Reason: "has text after the JSON object"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, _, err := audit.ParseRecord([]byte(test.line))
			if diff := cmp.Diff([]audit.Fault{test.want}, faultsOf(t, err)); diff != "" {
				t.Errorf("faults (-want +got):\n%s", diff)
			}
		})
	}
}

func TestParseReportsAllFaults(t *testing.T) {
	t.Parallel()
	_, _, err := audit.ParseRecord([]byte(`{"audit_id":"x","envelope_id":7,"tenant_id":"` + strings.Repeat("x", 101) + `","colour":1}`))
	var fields []string
	for _, fault := range faultsOf(t, err) {
		fields = append(fields, fault.Field)
	}
	want := []string{"audit_id", "envelope_id", `"colour"`, "envelope_class", "decision", "reason", "decision_timestamp", "tenant_id"}
	if diff := cmp.Diff(want, fields); diff != "" {
		t.Errorf("fields (-want +got):\n%s", diff)
	}
}

func TestParseDefaults(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		line  string
		class audit.EnvelopeClass
	}{
		"no optional key":   {lineWith("", ""), audit.Cost},
		"null class":        {lineWith("envelope_class", "null"), audit.Unknown},
		"UNKNOWN class":     {lineWith("envelope_class", `"UNKNOWN"`), audit.Unknown},
		"empty optional id": {lineWith("tenant_id", `""`), audit.Cost},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rec, _, err := audit.ParseRecord([]byte(test.line))
			if err != nil || rec.EnvelopeClass != test.class || rec.TenantID != "" || rec.ActiveEnvelopesCount != 0 {
				t.Errorf("ParseRecord() = %+v, %v", rec, err)
			}
		})
	}
}

func TestParseReportsReplay(t *testing.T) {
	t.Parallel()
	line := []byte(lineWith("emit_traces", "false"))
	if _, replay, err := audit.ParseRecord(line); !replay || err != nil {
		t.Errorf("ParseRecord() = replay %v, %v; want true", replay, err)
	}
	var rec audit.Record
	if err := json.Unmarshal(line, &rec); !errors.Is(err, audit.ErrInvalidRecord) {
		t.Errorf("Unmarshal() = %v; a Record cannot carry a replay, so it must be refused", err)
	}
}

func FuzzParseRecord(f *testing.F) {
	f.Add([]byte(predecessorLine))
	f.Add([]byte(lineWith("reason", `"\ud800\udc00\\ud800"`)))
	f.Add([]byte(contextLine))
	f.Add([]byte(lineWith("format", "3")))
	f.Add([]byte(lineWith("details", `{"b":[1.50,{"c":"\ud83d\ude80<\u0001"}],"a":1e21,"":{}}`)))
	f.Fuzz(func(t *testing.T, data []byte) {
		rec, _, err := audit.ParseRecord(data)
		if errors.Is(err, audit.ErrNewerFormat) {
			if !json.Valid(data) || errors.Is(err, audit.ErrInvalidRecord) {
				t.Fatalf("a newer format in %q: %v", data, err)
			}
			return
		}
		if err != nil {
			faultsOf(t, err)
			return
		}
		if err := rec.Validate(); err != nil {
			t.Fatalf("an invalid record was let in: %v", err)
		}
		again, err := json.Marshal(rec)
		if err != nil {
			t.Fatal(err)
		}
		back, _, err := audit.ParseRecord(again)
		if diff := cmp.Diff(rec, back); err != nil || diff != "" {
			t.Fatalf("round trip: %v\n%s", err, diff)
		}
	})
}

func TestContextIsOptional(t *testing.T) {
	t.Parallel()
	line := strings.Replace(lineWith("decision", `"rejected"`), "{", `{"conflicting_envelope_id":"b","target_subsystem":"retry","target_parameter":"max_attempts","counterpart_class":"Safety",`, 1)
	rec, _, err := audit.ParseRecord([]byte(line))
	if err != nil || rec.TargetSubsystem != "retry" || rec.TargetParameter != "max_attempts" || rec.CounterpartClass != audit.Safety {
		t.Fatalf("ParseRecord() = %+v, %v", rec, err)
	}
	written, err := json.Marshal(rec)
	if err != nil {
		t.Fatal(err)
	}
	if again, _, err := audit.ParseRecord(written); err != nil || again != rec {
		t.Errorf("round trip: %+v, %v", again, err)
	}

	for _, line := range []string{
		lineWith("", ""), // an old line
		strings.Replace(lineWith("", ""), "{", `{"target_subsystem":null,"target_parameter":"","counterpart_class":null,`, 1),
	} {
		rec, _, err := audit.ParseRecord([]byte(line))
		if err != nil || rec.TargetSubsystem+rec.TargetParameter+string(rec.CounterpartClass) != "" {
			t.Fatalf("ParseRecord() = %+v, %v", rec, err)
		}
		written, err := json.Marshal(rec)
		if err != nil || strings.Contains(string(written), "target_") || strings.Contains(string(written), "counterpart_") {
			t.Errorf("what is not stated is written: %s, %v", written, err)
		}
	}
}
