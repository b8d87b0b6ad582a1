package audit_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hoc-analytics/coordaudit/audit"
)

func validRecord() audit.Record {
	return audit.Record{
		EnvelopeID:        "retry-backoff-7",
		EnvelopeClass:     audit.Reliability,
		Decision:          audit.Applied,
		Reason:            "applied, nothing stood in its way",
		DecisionTimestamp: time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC),
	}
}

func TestValidateAcceptsStorable(t *testing.T) {
	t.Parallel()
	tests := map[string]func(*audit.Record){
		"the least that is needed": func(*audit.Record) {},
		"no class declared":        func(r *audit.Record) { r.EnvelopeClass = "" },
		"ids of 100 two-byte characters": func(r *audit.Record) {
			r.EnvelopeID = strings.Repeat("é", 100)
			r.TenantID = strings.Repeat("é", 100)
		},
		"a reason of 64 KiB":                     func(r *audit.Record) { r.Reason = strings.Repeat("x", audit.MaxReasonBytes) },
		"the first instant after the zero time":  func(r *audit.Record) { r.DecisionTimestamp = time.Time{}.Add(time.Microsecond) },
		"the last microsecond of the year 9999":  func(r *audit.Record) { r.DecisionTimestamp = time.Date(9999, 12, 31, 23, 59, 59, 999999000, time.UTC) },
		"the largest count":                      func(r *audit.Record) { r.ActiveEnvelopesCount = 1<<31 - 1 },
		"rejected with a conflicting id":         func(r *audit.Record) { r.Decision = audit.Rejected; r.ConflictingEnvelopeID = "other" },
		"rejected without one, as a kill switch": func(r *audit.Record) { r.Decision = audit.Rejected },
		"rejected by itself":                     func(r *audit.Record) { r.Decision = audit.Rejected; r.ConflictingEnvelopeID = r.EnvelopeID },
		"preempted":                              func(r *audit.Record) { r.Decision = audit.Preempted; r.PreemptingEnvelopeID = "other" },
		"a target of 100 two-byte characters each": func(r *audit.Record) {
			r.TargetSubsystem, r.TargetParameter = strings.Repeat("é", 100), strings.Repeat("é", 100)
		},
		"a parameter of no stated subsystem": func(r *audit.Record) { r.TargetParameter = "ttl" },
		"a counterpart of no declared class": func(r *audit.Record) {
			r.Decision, r.ConflictingEnvelopeID, r.CounterpartClass = audit.Rejected, "other", audit.Unknown
		},
		"preempted, with a conflicting id, too": func(r *audit.Record) {
			r.Decision = audit.Preempted
			r.PreemptingEnvelopeID, r.ConflictingEnvelopeID = "a", "b"
		},
	}
	for name, change := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rec := validRecord()
			change(&rec)
			if err := rec.Validate(); err != nil {
				t.Errorf("Validate() = %v, want nil", err)
			}
		})
	}
}

func TestValidateNamesField(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		change func(*audit.Record)
		want   audit.Fault
	}{
		"empty envelope id": {
			func(r *audit.Record) { r.EnvelopeID = "" },
			audit.Fault{Field: "envelope_id", Reason: "must not be empty"},
		},
		"envelope id of 101 characters": {
			func(r *audit.Record) { r.EnvelopeID = strings.Repeat("é", 101) },
			audit.Fault{Field: "envelope_id", Reason: "is 101 characters long, at most 100 are allowed"},
		},
		"100 characters and trailing blanks": {
			func(r *audit.Record) { r.TenantID = strings.Repeat("x", 100) + "     " },
			audit.Fault{Field: "tenant_id", Reason: "is 105 characters long, at most 100 are allowed"},
		},
		"conflicting id of 101 characters": {
			func(r *audit.Record) { r.Decision = audit.Rejected; r.ConflictingEnvelopeID = strings.Repeat("x", 101) },
			audit.Fault{Field: "conflicting_envelope_id", Reason: "is 101 characters long, at most 100 are allowed"},
		},
		"preempting id of 101 characters": {
			func(r *audit.Record) { r.Decision = audit.Preempted; r.PreemptingEnvelopeID = strings.Repeat("x", 101) },
			audit.Fault{Field: "preempting_envelope_id", Reason: "is 101 characters long, at most 100 are allowed"},
		},
		"tenant with a NUL": {
			func(r *audit.Record) { r.TenantID = "a\x00b" },
			audit.Fault{Field: "tenant_id", Reason: "contains a NUL character, which PostgreSQL cannot store"},
		},
		"tenant that is no UTF-8": {
			func(r *audit.Record) { r.TenantID = "a\xffb" },
			audit.Fault{Field: "tenant_id", Reason: "is not valid UTF-8"},
		},
		"a surrogate in UTF-8": {
			func(r *audit.Record) { r.Reason = "\xed\xa0\x80" },
			audit.Fault{Field: "reason", Reason: "is not valid UTF-8"},
		},
		"class of no known name": {
			func(r *audit.Record) { r.EnvelopeClass = "SAFETY " },
			audit.Fault{Field: "envelope_class", Reason: "must be one of SAFETY, RELIABILITY, COST, PERFORMANCE, UNKNOWN (any case, exact word)"},
		},
		"class constant in lower case": {
			func(r *audit.Record) { r.EnvelopeClass = "safety" },
			audit.Fault{Field: "envelope_class", Reason: "must be one of SAFETY, RELIABILITY, COST, PERFORMANCE, UNKNOWN (any case, exact word)"},
		},
		"no decision": {
			func(r *audit.Record) { r.Decision = "" },
			audit.Fault{Field: "decision", Reason: "must be one of APPLIED, REJECTED, PREEMPTED (any case, exact word)"},
		},
		"decision of no known name": {
			func(r *audit.Record) { r.Decision = "EXPIRED" },
			audit.Fault{Field: "decision", Reason: "must be one of APPLIED, REJECTED, PREEMPTED (any case, exact word)"},
		},
		"empty reason": {
			func(r *audit.Record) { r.Reason = "" },
			audit.Fault{Field: "reason", Reason: "must not be blank"},
		},
		"blank reason": {
			func(r *audit.Record) { r.Reason = " \t\n\u00a0" },
			audit.Fault{Field: "reason", Reason: "must not be blank"},
		},
		"reason beyond 64 KiB": {
			func(r *audit.Record) { r.Reason = strings.Repeat("x", audit.MaxReasonBytes+1) },
			audit.Fault{Field: "reason", Reason: "is 65537 bytes long, at most 65536 are allowed"},
		},
		"no time": {
			func(r *audit.Record) { r.DecisionTimestamp = time.Time{} },
			audit.Fault{Field: "decision_timestamp", Reason: "is required"},
		},
		"a year beyond 9999 in UTC": {
			func(r *audit.Record) {
				r.DecisionTimestamp = time.Date(9999, 12, 31, 23, 59, 59, 0, time.FixedZone("", -3600))
			},
			audit.Fault{Field: "decision_timestamp", Reason: "must lie in the years 1 to 9999 (UTC)"},
		},
		"a year before 1": {
			func(r *audit.Record) { r.DecisionTimestamp = time.Date(0, 12, 31, 0, 0, 0, 0, time.UTC) },
			audit.Fault{Field: "decision_timestamp", Reason: "must lie in the years 1 to 9999 (UTC)"},
		},
		"negative count": {
			func(r *audit.Record) { r.ActiveEnvelopesCount = -1 },
			audit.Fault{Field: "active_envelopes_count", Reason: "must not be negative"},
		},
		"applied with a conflicting id": {
			func(r *audit.Record) { r.ConflictingEnvelopeID = "other" },
			audit.Fault{Field: "conflicting_envelope_id", Reason: "must be empty when the decision is APPLIED"},
		},
		"applied with a preempting id": {
			func(r *audit.Record) { r.PreemptingEnvelopeID = "other" },
			audit.Fault{Field: "preempting_envelope_id", Reason: "must be empty unless the decision is PREEMPTED"},
		},
		"rejected with a preempting id": {
			func(r *audit.Record) { r.Decision = audit.Rejected; r.PreemptingEnvelopeID = "other" },
			audit.Fault{Field: "preempting_envelope_id", Reason: "must be empty unless the decision is PREEMPTED"},
		},
		"preempted without a preemptor": {
			func(r *audit.Record) { r.Decision = audit.Preempted },
			audit.Fault{Field: "preempting_envelope_id", Reason: "is required when the decision is PREEMPTED"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rec := validRecord()
			test.change(&rec)
			if diff := cmp.Diff([]audit.Fault{test.want}, faultsOf(t, rec.Validate())); diff != "" {
				t.Errorf("faults (-want +got):\n%s", diff)
			}
		})
	}
}

func TestValidateReportsAllFaults(t *testing.T) {
	t.Parallel()
	err := audit.Record{EnvelopeClass: "x", ActiveEnvelopesCount: -1, TenantID: "\x00"}.Validate()
	var fields []string
	for _, fault := range faultsOf(t, err) {
		fields = append(fields, fault.Field)
	}
	want := []string{"envelope_id", "envelope_class", "decision", "reason", "decision_timestamp", "active_envelopes_count", "tenant_id"}
	if diff := cmp.Diff(want, fields); diff != "" {
		t.Errorf("fields (-want +got):\n%s", diff)
	}
	for _, field := range want {
		if !strings.Contains(err.Error(), field+" ") {
			t.Errorf("the text does not name %s: %v", field, err)
		}
	}
}

func TestErrorsHoldNoValues(t *testing.T) {
	t.Parallel()
	rec := validRecord()
	rec.EnvelopeClass, rec.Decision = "hunter2", "hunter2"
	rec.EnvelopeID = strings.Repeat("hunter2", 20)
	rec.Reason = "hunter2\x00"
	rec.TenantID = "hunter2\xff"
	if err := rec.Validate(); strings.Contains(err.Error(), "hunter2") {
		t.Errorf("the error repeats a value: %v", err)
	}
}

func faultsOf(t *testing.T, err error) []audit.Fault {
	t.Helper()
	if !errors.Is(err, audit.ErrInvalidRecord) {
		t.Fatalf("error %v does not match ErrInvalidRecord", err)
	}
	invalid, ok := errors.AsType[*audit.InvalidRecordError](err)
	if !ok {
		t.Fatalf("error %v is no *InvalidRecordError", err)
	}
	return invalid.Faults
}
