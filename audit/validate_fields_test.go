package audit_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hoc-analytics/coordaudit/audit"
)

func allFaultsOf(t *testing.T, rec audit.Record) []audit.Fault {
	t.Helper()
	err := rec.Validate()
	if err == nil {
		return nil
	}
	invalid, ok := errors.AsType[*audit.InvalidRecordError](err)
	if !ok {
		t.Fatalf("Validate() = %v, want an InvalidRecordError", err)
	}
	return invalid.Faults
}

func TestTextFieldsAreBounded(t *testing.T) {
	t.Parallel()
	fields := map[string]func(*audit.Record, string){
		"envelope_id": func(r *audit.Record, text string) { r.EnvelopeID = text },
		"tenant_id":   func(r *audit.Record, text string) { r.TenantID = text },
		"conflicting_envelope_id": func(r *audit.Record, text string) {
			r.Decision, r.ConflictingEnvelopeID = audit.Rejected, text
		},
		"preempting_envelope_id": func(r *audit.Record, text string) {
			r.Decision, r.PreemptingEnvelopeID = audit.Preempted, text
		},
		"target_subsystem": func(r *audit.Record, text string) { r.TargetSubsystem = text },
		"target_parameter": func(r *audit.Record, text string) { r.TargetParameter = text },
		"reason_code":      func(r *audit.Record, text string) { r.ReasonCode = text },
		"policy_version":   func(r *audit.Record, text string) { r.PolicyVersion = text },
		"actor":            func(r *audit.Record, text string) { r.Actor = text },
		"correlation_id":   func(r *audit.Record, text string) { r.Links.CorrelationID = text },
	}
	for field, set := range fields {
		t.Run(field, func(t *testing.T) {
			t.Parallel()
			for text, reason := range map[string]string{
				strings.Repeat("é", audit.MaxIDCharacters):            "",
				strings.Repeat("x", audit.MaxIDCharacters+1):          "is 101 characters long, at most 100 are allowed",
				strings.Repeat("é", audit.MaxIDCharacters+1):          "is 101 characters long, at most 100 are allowed",
				strings.Repeat("x", audit.MaxIDCharacters+1) + "\xff": "is not valid UTF-8",
				strings.Repeat("x", audit.MaxIDCharacters+1) + "\x00": "contains a NUL character, which PostgreSQL cannot store",
				"\x00": "contains a NUL character, which PostgreSQL cannot store",
				"\xff": "is not valid UTF-8",
			} {
				var want []audit.Fault
				if reason != "" {
					want = []audit.Fault{{Field: field, Reason: reason}}
				}
				rec := validRecord()
				set(&rec, text)
				if diff := cmp.Diff(want, allFaultsOf(t, rec)); diff != "" {
					t.Errorf("%q: faults (-want +got):\n%s", text, diff)
				}
			}
		})
	}
}

func TestReasonHasOneFault(t *testing.T) {
	t.Parallel()
	tooLong := strings.Repeat("x", audit.MaxReasonBytes+1)
	for reason, want := range map[string]string{
		tooLong:          "is 65537 bytes long, at most 65536 are allowed",
		tooLong + "\xff": "is not valid UTF-8",
		tooLong + "\x00": "contains a NUL character, which PostgreSQL cannot store",
		" \t\n":          "must not be blank",
		"":               "must not be blank",
		strings.Repeat(" ", audit.MaxReasonBytes+1): "must not be blank",
	} {
		rec := validRecord()
		rec.Reason = reason
		if diff := cmp.Diff([]audit.Fault{{Field: "reason", Reason: want}}, allFaultsOf(t, rec)); diff != "" {
			t.Errorf("reason of %d bytes (-want +got):\n%s", len(reason), diff)
		}
	}
}

func TestCounterpartClass(t *testing.T) {
	t.Parallel()
	const (
		unknown = "must be one of SAFETY, RELIABILITY, COST, PERFORMANCE, UNKNOWN (any case, exact word)"
		missing = "must be empty if neither conflicting_envelope_id nor preempting_envelope_id is set"
	)
	for _, test := range []struct {
		class                   audit.EnvelopeClass
		conflicting, preempting string
		reason                  string
	}{
		{class: "SAFE", conflicting: "other", reason: unknown},
		{class: "SAFE", reason: unknown},
		{class: audit.Safety, reason: missing},
		{class: audit.Safety, conflicting: "other"},
		{class: audit.Safety, preempting: "other"},
		{class: audit.Safety, conflicting: "other", preempting: "another"},
		{},
	} {
		rec := validRecord()
		rec.Decision = audit.Rejected
		if test.preempting != "" {
			rec.Decision = audit.Preempted
		}
		rec.ConflictingEnvelopeID, rec.PreemptingEnvelopeID, rec.CounterpartClass = test.conflicting, test.preempting, test.class
		var want []audit.Fault
		if test.reason != "" {
			want = []audit.Fault{{Field: "counterpart_class", Reason: test.reason}}
		}
		if diff := cmp.Diff(want, allFaultsOf(t, rec)); diff != "" {
			t.Errorf("%+v: faults (-want +got):\n%s", test, diff)
		}
	}
}
