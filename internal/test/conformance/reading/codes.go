package reading

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/test/conformance/frame"
	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
)

// coded sets a record's reason code.
func coded(code string, rec audit.Record) audit.Record {
	rec.ReasonCode = code
	return rec
}

func breakdownCountsCodes(t *testing.T, db frame.Database) {
	store := frame.NewStore(db)
	stored := filled(t, store, 200)
	for _, scope := range everyScope() {
		want := make(map[string]map[audit.Decision]int64)
		for _, rec := range wanted(stored, audit.Query{Scope: scope}) {
			if rec.ReasonCode == "" {
				continue
			}
			if want[rec.ReasonCode] == nil {
				want[rec.ReasonCode] = make(map[audit.Decision]int64)
			}
			want[rec.ReasonCode][rec.Decision]++
		}
		found := mustAddUp(t, store, scope)
		if diff := cmp.Diff(want, found.ByReasonCode); diff != "" || found.OtherReasonCodes != 0 {
			t.Errorf("%s: %d with other codes (-want +got):\n%s", scope, found.OtherReasonCodes, diff)
		}
	}

	// The most frequent codes are counted one by one, and the first of those that are equally frequent.
	recs := make([]audit.Record, 0, audit.MaxReasonCodes+4)
	for n := range audit.MaxReasonCodes + 2 {
		recs = append(recs, ofTenant("coded", coded(fmt.Sprintf("CODE_%04d", n), applies("a"))))
	}
	last := recs[len(recs)-1].ReasonCode
	story(t, store, append(recs, ofTenant("coded", coded(last, rejects("a", ""))), ofTenant("coded", applies("a")))...)
	found := mustAddUp(t, store, audit.Tenant("coded"))
	if len(found.ByReasonCode) != audit.MaxReasonCodes || found.OtherReasonCodes != 2 {
		t.Errorf("%d codes and %d records with other codes, want %d and 2", len(found.ByReasonCode), found.OtherReasonCodes, audit.MaxReasonCodes)
	}
	if diff := cmp.Diff(map[audit.Decision]int64{audit.Applied: 1, audit.Rejected: 1}, found.ByReasonCode[last]); diff != "" {
		t.Errorf("the most frequent code (-want +got):\n%s", diff)
	}
	for place := audit.MaxReasonCodes - 2; place <= audit.MaxReasonCodes; place++ {
		if code := fmt.Sprintf("CODE_%04d", place); (found.ByReasonCode[code] != nil) != (place < audit.MaxReasonCodes-1) {
			t.Errorf("%s is counted as %v", code, found.ByReasonCode[code])
		}
	}
}

func groupsNameTopCode(t *testing.T, db frame.Database) {
	store := frame.NewStore(db)
	story(t, store,
		ofClass(audit.Safety, coded("GRANTED", applies("x"))),
		// Of two that are equally frequent, the first in byte order counts.
		over("p", "", coded("b", rejects("a", "x"))), over("p", "", coded("B", rejects("a", "x"))),
		over("p", "", coded("B", rejects("a", "x"))), over("p", "", coded("b", rejects("a", "x"))),
		// Most state none. Another tenant's code, and that of another decision, is not counted.
		over("q", "", rejects("c", "")), over("q", "", coded("RARE", rejects("c", ""))), over("q", "", rejects("c", "")),
		ofTenant("acme", coded("b", rejects("c", "x"))), coded("GRANTED", applies("c")), coded("GRANTED", applies("c")),
		coded("SELF", rejects("d", "d")), rejects("d", "d"), rejects("d", "d"),
		coded("b", preempts("e", "x")),
		ofClass(audit.Cost, rejects("f", "")), ofClass(audit.Performance, rejects("f", "")),
	)
	found := mustFind(t, store, audit.SignalQuery{MinRecords: 1, MinConflicts: 1})
	want := audit.Signals{
		RejectionRates: []audit.RejectionRate{
			{EnvelopeClass: audit.Cost, TopReasonCode: audit.TopReasonCode{ReasonCode: "b", Records: 3}},
			{EnvelopeClass: audit.Performance},
			{EnvelopeClass: audit.Safety}, // none was rejected
		},
		Friction: []audit.Friction{
			{EnvelopeClass: audit.Cost, CounterpartClass: audit.Safety, TopReasonCode: audit.TopReasonCode{ReasonCode: "b", Records: 3}},
			{EnvelopeClass: audit.Cost, CounterpartClass: audit.Unresolved, TopReasonCode: audit.TopReasonCode{ReasonCode: "b", Records: 1}},
		},
		SelfConflicts: audit.SelfConflicts{TopReasonCode: audit.TopReasonCode{ReasonCode: "SELF", Records: 1}},
		RepeatedRejections: []audit.RepeatedRejection{
			{EnvelopeID: "a", TopReasonCode: audit.TopReasonCode{ReasonCode: "B", Records: 2}},
			{EnvelopeID: "c", TopReasonCode: audit.TopReasonCode{ReasonCode: "RARE", Records: 1}},
			{EnvelopeID: "d", TopReasonCode: audit.TopReasonCode{ReasonCode: "SELF", Records: 1}},
		},
		RepeatedParameterRejections: []audit.RepeatedParameterRejection{
			{TargetSubsystem: "retry", TargetParameter: "p", TopReasonCode: audit.TopReasonCode{ReasonCode: "B", Records: 2}},
			{TargetSubsystem: "retry", TargetParameter: "q", TopReasonCode: audit.TopReasonCode{ReasonCode: "RARE", Records: 1}},
		},
	}
	numbers := cmp.Options{
		cmpopts.IgnoreFields(audit.RejectionRate{}, "Rejected", "Total", "FirstSeen", "LastSeen", "Evidence"),
		cmpopts.IgnoreFields(audit.Friction{}, "Conflicts", "Rejected", "Preempted", "Evidence"),
		cmpopts.IgnoreFields(audit.SelfConflicts{}, "Conflicts", "Evidence"),
		cmpopts.IgnoreFields(audit.RepeatedRejection{}, "Rejections", "FirstSeen", "LastSeen", "Evidence"),
		cmpopts.IgnoreFields(audit.RepeatedParameterRejection{}, "Rejections", "CounterpartClasses", "FirstSeen", "LastSeen", "Evidence"),
	}
	if diff := cmp.Diff(want, found, numbers); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Without our CHECKs, a row may have an empty code.
func emptyCodeIsNone(t *testing.T, db frame.Database) {
	store := frame.NewStore(db)
	dropChecks(t, db, "coordination_audit_records")
	fixture.MustExec(t, db.Pool, `INSERT INTO coordination_audit_records (audit_id, envelope_id, envelope_class, decision, reason, decision_timestamp, tenant_id, reason_code)
		SELECT gen_random_uuid(), 'a', 'COST', 'REJECTED', 'in the way', now(), 'empty', '' FROM generate_series(1, 3)`)
	found := mustFind(t, store, audit.SignalQuery{Scope: audit.Tenant("empty")})
	if len(found.RepeatedRejections) != 1 || found.RepeatedRejections[0].TopReasonCode != (audit.TopReasonCode{}) {
		t.Errorf("repeated rejections with an empty code: %+v", found.RepeatedRejections)
	}
	if counts := mustAddUp(t, store, audit.Tenant("empty")).ByReasonCode; len(counts) != 0 {
		t.Errorf("the breakdown counts an empty code: %v", counts)
	}
}
