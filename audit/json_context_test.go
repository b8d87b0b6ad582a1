package audit_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit/audit"
)

const (
	causeText, correctedText = "019a0000-0000-7000-8000-000000000001", "019a0000-0000-7000-8000-000000000002"
	sourceText               = "019a0000-0000-7000-8000-000000000003"
)

// contextLine has every key of format 2, as MarshalJSON writes them.
const contextLine = `{"format":2,"audit_id":"9d191c61-c4ee-457d-9aa0-563922ea4db1","envelope_id":"e","envelope_class":"COST","decision":"APPLIED",` +
	`"reason":"why","decision_timestamp":"2026-01-01T00:00:00.000000Z","conflicting_envelope_id":null,"preempting_envelope_id":null,` +
	`"active_envelopes_count":0,"tenant_id":null,"reason_code":"NO_CONFLICT","policy_version":"2026-01","actor":"coordinator-3",` +
	`"caused_by":"` + causeText + `","corrects":"` + correctedText + `","correlation_id":"rollout-7","trace_id":"` + traceText + `","span_id":"` + spanText + `",` +
	`"details":{"max":1.5,"steps":[1,2]},"source_id":"` + sourceText + `","source_seq":9223372036854775806}`

func TestContextRoundTrip(t *testing.T) {
	t.Parallel()
	got, _, err := audit.ParseRecord([]byte(contextLine))
	if err != nil {
		t.Fatal(err)
	}
	want, _, err := audit.ParseRecord([]byte(lineWith("", "")))
	if err != nil {
		t.Fatal(err)
	}
	trace, _ := audit.ParseTraceID(traceText)
	span, _ := audit.ParseSpanID(spanText)
	want.ReasonCode, want.PolicyVersion, want.Actor = "NO_CONFLICT", "2026-01", "coordinator-3"
	want.Links = audit.Links{CausedBy: uuid.MustParse(causeText), Corrects: uuid.MustParse(correctedText), CorrelationID: "rollout-7"}
	want.Details = `{"max": 1.5, "steps": [1, 2]}`
	want.Origin = audit.Origin{TraceID: trace, SpanID: span, SourceID: uuid.MustParse(sourceText), SourceSeq: 1<<63 - 2}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("record (-want +got):\n%s", diff)
	}
	written, err := json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(contextLine, string(written)); diff != "" {
		t.Errorf("line (-want +got):\n%s", diff)
	}
}

// Each field alone makes a line of format 2, and no other field is written.
func TestMarshalWritesFormat(t *testing.T) {
	t.Parallel()
	plain, err := json.Marshal(validRecord())
	if err != nil || strings.Contains(string(plain), "format") {
		t.Fatalf("an old line is %s, %v", plain, err)
	}
	for member, set := range map[string]func(*audit.Record){
		`"reason_code":"x"`:                 func(r *audit.Record) { r.ReasonCode = "x" },
		`"policy_version":"x"`:              func(r *audit.Record) { r.PolicyVersion = "x" },
		`"actor":"x"`:                       func(r *audit.Record) { r.Actor = "x" },
		`"caused_by":"` + causeText + `"`:   func(r *audit.Record) { r.Links.CausedBy = uuid.MustParse(causeText) },
		`"corrects":"` + causeText + `"`:    func(r *audit.Record) { r.Links.Corrects = uuid.MustParse(causeText) },
		`"correlation_id":"x"`:              func(r *audit.Record) { r.Links.CorrelationID = "x" },
		`"trace_id":"01` + zeros(30) + `"`:  func(r *audit.Record) { r.Origin.TraceID = audit.TraceID{1} },
		`"span_id":"01` + zeros(14) + `"`:   func(r *audit.Record) { r.Origin.SpanID = audit.SpanID{1} },
		`"details":{}`:                      func(r *audit.Record) { r.Details = " { } " },
		`"details":{"a":1e-400}`:            func(r *audit.Record) { r.Details = `{"a": 1e-400}` }, // as others may have written it
		`"source_id":"` + sourceText + `"`:  func(r *audit.Record) { r.Origin.SourceID = uuid.MustParse(sourceText) },
		`"source_seq":1`:                    func(r *audit.Record) { r.Origin.SourceSeq = 1 },
		`"details":{"a":"\u003c","bb":"x"}`: func(r *audit.Record) { r.Details = `{"bb":"x","a":"<"}` },
	} {
		rec := validRecord()
		set(&rec)
		got, err := json.Marshal(rec)
		want := `{"format":2,` + strings.TrimSuffix(string(plain[1:]), "}") + "," + member + "}"
		if string(got) != want || err != nil {
			t.Errorf("Marshal() = %s, %v\nwant %s", got, err, want)
		}
	}
}

func zeros(n int) string { return strings.Repeat("0", n) }

func TestMarshalRefusesBrokenDetails(t *testing.T) {
	t.Parallel()
	rec := validRecord()
	for _, details := range []audit.Details{"{", "{}{}", "\x00"} {
		rec.Details = details
		if got, err := json.Marshal(rec); err == nil {
			t.Errorf("details %q were written: %s", details, got)
		}
	}
}

func TestParseNamesContextKey(t *testing.T) {
	t.Parallel()
	const (
		uuidForm = "must be a UUID in its 36-character form"
		positive = "must be between 1 and 9223372036854775806"
	)
	for _, test := range []struct{ key, value, reason string }{
		{"reason_code", `7`, "must be a string"},
		{"actor", `"\u0000"`, "contains a NUL character, which PostgreSQL cannot store"},
		{"caused_by", `"` + strings.ReplaceAll(causeText, "-", "") + `"`, uuidForm},
		{"caused_by", `""`, uuidForm},
		{"caused_by", `"9D191C61-C4EE-457d-9aa0-563922ea4db1"`, "must not be the audit_id of the record itself"},
		{"corrects", `"00000000-0000-0000-0000-000000000000"`, "must not be the nil UUID"},
		{"corrects", `1`, "must be a string"},
		{"trace_id", `"` + strings.ToUpper(traceText) + `"`, "must be 32 lower-case hexadecimal digits"},
		{"trace_id", `"` + zeros(32) + `"`, "must not be all zeros"},
		{"trace_id", `""`, "must be 32 lower-case hexadecimal digits"},
		{"span_id", `"` + traceText + `"`, "must be 16 lower-case hexadecimal digits"},
		{"span_id", `"` + spanText + `"`, "must be empty if trace_id is not set"},
		{"details", `"{}"`, "must be a JSON object"},
		{"details", `[]`, "must be a JSON object"},
		{"details", `{"a":{"b":[1,-0]}}`, "a.b[1] is a negative zero, which PostgreSQL would store as 0"},
		{"details", `{"a":1,"a":1}`, "a comes twice"},
		{"source_id", `{}`, "must be a string"},
		{"source_id", `"` + sourceText + `"`, ""},
		{"source_seq", `0`, positive},
		{"source_seq", `-1`, positive},
		{"source_seq", `9223372036854775807`, positive},
		{"source_seq", `9223372036854775808`, positive},
		{"source_seq", `1.0`, "must be an integer"},
		{"source_seq", `"1"`, "must be an integer"},
		{"format", `null`, "must be an integer"},
		{"format", `3.0`, "must be an integer"},
		{"format", `"3"`, "must be an integer"},
		{"format", `0`, "must be at least 1"},
		{"format", `-9223372036854775809`, "must be at least 1"},
	} {
		want := audit.Fault{Field: test.key, Reason: test.reason}
		if test.reason == "" {
			want = audit.Fault{Field: "source_seq", Reason: "is required if source_id is set"}
		}
		_, _, err := audit.ParseRecord([]byte(lineWith(test.key, test.value)))
		if diff := cmp.Diff([]audit.Fault{want}, faultsOf(t, err)); diff != "" {
			t.Errorf("%s %s: faults (-want +got):\n%s", test.key, test.value, diff)
		}
	}
}

func TestContextMayBeNull(t *testing.T) {
	t.Parallel()
	want, _, err := audit.ParseRecord([]byte(lineWith("", "")))
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"reason_code", "policy_version", "actor", "caused_by", "corrects", "correlation_id", "trace_id", "span_id", "details", "source_id", "source_seq"} {
		if got, _, err := audit.ParseRecord([]byte(lineWith(key, "null"))); got != want || err != nil {
			t.Errorf("%s null: %+v, %v", key, got, err)
		}
	}
	for _, format := range []string{"1", "2"} {
		got, _, err := audit.ParseRecord([]byte(lineWith("format", format)))
		if got != want || err != nil {
			t.Errorf("format %s: %+v, %v", format, got, err)
		}
		line := strings.Replace(contextLine, `"format":2`, `"format":`+format, 1)
		if _, _, err := audit.ParseRecord([]byte(line)); err != nil {
			t.Errorf("format %s with all keys: %v", format, err)
		}
	}
}

func TestNewerFormat(t *testing.T) {
	t.Parallel()
	for line, newer := range map[string]bool{
		lineWith("format", "3"):                    true,
		lineWith("format", "99999999999999999999"): true,
		`{"format":3}`:                             true,
		`{"colour":{"a":[1]},"audit_id":7,"details":{"a":-0},"format":3,"colour":1}`: true,
		"{\"format\":3,\"reason\":\"\xff\\ud800\"}":                                  true,
		`{"format":2,"colour":1}`:                                                    false,
		`{"colour":1}`:                                                               false,
		`{"Format":3}`:                                                               false,
		`{"format":"3"}`:                                                             false,
		`{"format":3.5}`:                                                             false,
		`{"format":3`:                                                                false,
		`{"format":3}{}`:                                                             false,
		`[{"format":3}]`:                                                             false,
		`{"details":{"format":3}}`:                                                   false,
	} {
		_, _, err := audit.ParseRecord([]byte(line))
		if got := errors.Is(err, audit.ErrNewerFormat); got != newer || errors.Is(err, audit.ErrInvalidRecord) == newer {
			t.Errorf("%s: %v, is of a newer format: %v", line, err, newer)
		}
		var rec audit.Record
		if err := json.Unmarshal([]byte(line), &rec); errors.Is(err, audit.ErrNewerFormat) != newer {
			t.Errorf("%s: Unmarshal() = %v", line, err)
		}
	}
}
