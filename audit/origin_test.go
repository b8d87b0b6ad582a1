package audit_test

import (
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit/audit"
)

const (
	traceText = "4bf92f3577b34da6a3ce929d0e0e4736"
	spanText  = "00f067aa0ba902b7"
)

func TestTraceIDHasOneForm(t *testing.T) {
	t.Parallel()
	trace, err := audit.ParseTraceID(traceText)
	if err != nil || trace.String() != traceText || trace[0] != 0x4b || trace[15] != 0x36 {
		t.Errorf("ParseTraceID() = %v, %v", trace, err)
	}
	span, err := audit.ParseSpanID(spanText)
	if err != nil || span.String() != spanText || span[1] != 0xf0 || span[7] != 0xb7 {
		t.Errorf("ParseSpanID() = %v, %v", span, err)
	}
	const digits = " lower-case hexadecimal digits"
	for text, reason := range map[string]string{
		"":                          "must be 32" + digits,
		strings.ToUpper(traceText):  "must be 32" + digits,
		traceText[1:]:               "must be 32" + digits,
		traceText + "00":            "must be 32" + digits,
		" " + traceText[1:]:         "must be 32" + digits,
		traceText[1:] + "g":         "must be 32" + digits,
		spanText:                    "must be 32" + digits,
		strings.Repeat("0", 32):     "must not be all zeros",
		strings.Repeat("é", 16):     "must be 32" + digits,
		strings.Repeat("x", 100000): "must be 32" + digits,
	} {
		got, err := audit.ParseTraceID(text)
		if diff := cmp.Diff([]audit.Fault{{Field: "trace_id", Reason: reason}}, faultsOf(t, err)); diff != "" || got != (audit.TraceID{}) {
			t.Errorf("ParseTraceID(%.40q) = %v, faults (-want +got):\n%s", text, got, diff)
		}
	}
	for text, reason := range map[string]string{traceText: "must be 16" + digits, strings.Repeat("0", 16): "must not be all zeros"} {
		got, err := audit.ParseSpanID(text)
		if diff := cmp.Diff([]audit.Fault{{Field: "span_id", Reason: reason}}, faultsOf(t, err)); diff != "" || got != (audit.SpanID{}) {
			t.Errorf("ParseSpanID(%q) = %v, faults (-want +got):\n%s", text, got, diff)
		}
	}
}

func TestTraceIDsAreText(t *testing.T) {
	t.Parallel()
	type ids struct {
		Trace audit.TraceID
		Span  audit.SpanID
	}
	trace, _ := audit.ParseTraceID(traceText)
	span, _ := audit.ParseSpanID(spanText)
	for text, want := range map[string]ids{
		`{"Trace":"` + traceText + `","Span":"` + spanText + `"}`: {trace, span},
		`{"Trace":"","Span":""}`:                                  {},
	} {
		if got, err := json.Marshal(want); string(got) != text || err != nil {
			t.Errorf("Marshal() = %s, %v; want %s", got, err, text)
		}
		got := ids{audit.TraceID{1}, audit.SpanID{1}}
		if err := json.Unmarshal([]byte(text), &got); got != want || err != nil {
			t.Errorf("Unmarshal() = %v, %v; want %v", got, err, want)
		}
	}
	for _, text := range []string{`{"Trace":"x"}`, `{"Span":"0000000000000000"}`} {
		got := ids{trace, span}
		if err := json.Unmarshal([]byte(text), &got); !errors.Is(err, audit.ErrInvalidRecord) || got != (ids{trace, span}) {
			t.Errorf("Unmarshal(%s) = %v, %v", text, got, err)
		}
	}
}

func TestLinksAndOrigin(t *testing.T) {
	t.Parallel()
	own, other := uuid.New(), uuid.New()
	const itself = "must not be the audit_id of the record itself"
	for name, test := range map[string]struct {
		id     uuid.UUID
		links  audit.Links
		origin audit.Origin
		want   []audit.Fault
	}{
		"nothing":           {id: own},
		"other records":     {id: own, links: audit.Links{CausedBy: other, Corrects: other}},
		"no id yet":         {links: audit.Links{CausedBy: other}},
		"itself":            {id: own, links: audit.Links{CausedBy: own, Corrects: own}, want: []audit.Fault{{Field: "caused_by", Reason: itself}, {Field: "corrects", Reason: itself}}},
		"a trace":           {origin: audit.Origin{TraceID: audit.TraceID{1}}},
		"a trace and span":  {origin: audit.Origin{TraceID: audit.TraceID{1}, SpanID: audit.SpanID{1}}},
		"a span":            {origin: audit.Origin{SpanID: audit.SpanID{1}}, want: []audit.Fault{{Field: "span_id", Reason: "must be empty if trace_id is not set"}}},
		"a source":          {origin: audit.Origin{SourceID: other, SourceSeq: 1}},
		"only its id":       {origin: audit.Origin{SourceID: other}, want: []audit.Fault{{Field: "source_seq", Reason: "is required if source_id is set"}}},
		"only its sequence": {origin: audit.Origin{SourceSeq: 1}, want: []audit.Fault{{Field: "source_id", Reason: "is required if source_seq is set"}}},
		"below 1":           {origin: audit.Origin{SourceID: other, SourceSeq: -1}, want: []audit.Fault{{Field: "source_seq", Reason: "must be between 1 and 9223372036854775806"}}},
		"beyond a range":    {origin: audit.Origin{SourceID: other, SourceSeq: math.MaxInt64}, want: []audit.Fault{{Field: "source_seq", Reason: "must be between 1 and 9223372036854775806"}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rec := validRecord()
			rec.AuditID, rec.Links, rec.Origin = test.id, test.links, test.origin
			if diff := cmp.Diff(test.want, allFaultsOf(t, rec)); diff != "" {
				t.Errorf("faults (-want +got):\n%s", diff)
			}
		})
	}
}

// Faults come in column order.
func TestContextFaultsInOrder(t *testing.T) {
	t.Parallel()
	rec := validRecord()
	rec.AuditID = uuid.New()
	rec.ReasonCode, rec.PolicyVersion, rec.Actor = "\x00", "\x00", "\x00"
	rec.Links = audit.Links{CausedBy: rec.AuditID, Corrects: rec.AuditID, CorrelationID: "\x00"}
	rec.Details = "[]"
	rec.Origin = audit.Origin{SpanID: audit.SpanID{1}, SourceSeq: -1}
	var fields []string
	for _, fault := range allFaultsOf(t, rec) {
		fields = append(fields, fault.Field)
	}
	want := []string{"reason_code", "policy_version", "actor", "caused_by", "corrects", "correlation_id", "span_id", "details", "source_id", "source_seq"}
	if diff := cmp.Diff(want, fields); diff != "" {
		t.Errorf("fields (-want +got):\n%s", diff)
	}
}

// The origin is not content. All else is.
func TestContextDiffers(t *testing.T) {
	t.Parallel()
	rec := validRecord()
	other := rec
	other.Origin = audit.Origin{TraceID: audit.TraceID{1}, SpanID: audit.SpanID{1}, SourceID: uuid.New(), SourceSeq: 1}
	if fields := rec.DiffersIn(other); fields != nil {
		t.Errorf("records of two origins differ in %q", fields)
	}
	other.ReasonCode, other.PolicyVersion, other.Actor, other.Details = "a", "b", "c", "{}"
	other.Links = audit.Links{CausedBy: uuid.New(), Corrects: uuid.New(), CorrelationID: "d"}
	want := []string{"reason_code", "policy_version", "actor", "caused_by", "corrects", "correlation_id", "details"}
	if diff := cmp.Diff(want, rec.DiffersIn(other)); diff != "" {
		t.Errorf("fields (-want +got):\n%s", diff)
	}
}
