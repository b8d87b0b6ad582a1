package seal_test

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/seal"
)

func TestRecord(t *testing.T) {
	t.Parallel()
	got, err := sampleRow(seal.Record).Record()
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC).Add(817_000_000_123_456 * time.Microsecond)
	want := audit.Record{
		AuditID: uuid.UUID(uuidValue(1)), EnvelopeID: "text-of-envelope_id", EnvelopeClass: "text-of-envelope_class", Decision: "text-of-decision",
		Reason: "text-of-reason", DecisionTimestamp: at.Add(6 * time.Microsecond), ConflictingEnvelopeID: "text-of-conflicting_envelope_id",
		PreemptingEnvelopeID: "text-of-preempting_envelope_id", ActiveEnvelopesCount: 10, TenantID: "text-of-tenant_id",
		TargetSubsystem: "text-of-target_subsystem", TargetParameter: "text-of-target_parameter", CounterpartClass: "text-of-counterpart_class",
		ReasonCode: "text-of-reason_code", PolicyVersion: "text-of-policy_version", Actor: "text-of-actor",
		Links:   audit.Links{CausedBy: uuid.UUID(uuidValue(18)), Corrects: uuid.UUID(uuidValue(19)), CorrelationID: "text-of-correlation_id"},
		Details: `{"cost": 1.50}`,
		Origin: audit.Origin{
			TraceID: audit.TraceID([]byte(strings.Repeat("\xab", 16))), SpanID: audit.SpanID([]byte(strings.Repeat("\xab", 8))),
			SourceID: uuid.UUID(uuidValue(24)), SourceSeq: 26,
		},
		Seq: 1, CreatedAt: at.Add(7 * time.Microsecond),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if got.DecisionTimestamp.Location() != time.UTC {
		t.Error("the time is not in UTC")
	}
}

func TestRecordOfNulls(t *testing.T) {
	t.Parallel()
	got, err := emptyRow(seal.Record).Record()
	if diff := cmp.Diff(audit.Record{AuditID: uuid.UUID(uuidValue(1)), Seq: 1}, got); diff != "" || err != nil {
		t.Error(diff, err)
	}
}

func TestTimesOfRecords(t *testing.T) {
	t.Parallel()
	for want, micros := range map[string]int64{
		"infinity":                      infinity,
		"-infinity":                     negInfinity,
		"-4713-11-24T00:00:00.000000Z":  bc4713,
		"294276-12-31T23:59:59.999999Z": endOfTime,
		"1999-12-31T23:59:59.999999Z":   -1,
		"2000-01-01T00:00:00.000000Z":   0,
		"":                              math.MaxInt64 - 1,
		" ":                             math.MinInt64 + 1,
		"  ":                            bc4713 - 1,
		"   ":                           endOfTime + 1,
	} {
		record, err := set(t, sampleRow(seal.Record), "decision_timestamp", int8Value(micros)).Record()
		if strings.TrimSpace(want) == "" {
			if !errors.Is(err, seal.ErrRow) {
				t.Errorf("%d: %v", micros, err)
			}
			continue
		}
		if err != nil || audit.FormatTime(record.DecisionTimestamp) != want {
			t.Errorf("%d is %s (%v), want %s", micros, audit.FormatTime(record.DecisionTimestamp), err, want)
		}
	}
}

func TestOnlyRecordsAreDecoded(t *testing.T) {
	t.Parallel()
	for _, row := range []seal.Row{
		sampleRow(seal.Gap),
		{},
		{Kind: seal.Record, Version: 1},
		set(t, sampleRow(seal.Record), "trace_id", []byte("short")),
		set(t, sampleRow(seal.Record), "span_id", []byte{}),
	} {
		if record, err := row.Record(); !errors.Is(err, seal.ErrRow) || record != (audit.Record{}) {
			t.Errorf("%s: %v", row.Kind, err)
		}
	}
}
