package conformance

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
)

func contexts() []promise {
	return []promise{
		{"ContextIsStoredAndReadBack", contextIsStoredAndReadBack},
		{"AnotherContextUnderTheSameIDIsAConflict", anotherContextUnderTheSameIDIsAConflict},
		{"AContextThatCannotBeIsRefused", aContextThatCannotBeIsRefused},
	}
}

// rejectedOver is a record with all of its context.
func rejectedOver(holder string, class audit.EnvelopeClass) audit.Record {
	rec := newRecord()
	rec.Decision, rec.ConflictingEnvelopeID, rec.CounterpartClass = audit.Rejected, holder, class
	rec.TargetSubsystem, rec.TargetParameter = "retry", strings.Repeat("é", audit.MaxIDCharacters)
	return rec
}

// Row 13: the predecessor's rows lacked subsystem, parameter and the other
// envelope's class.
func contextIsStoredAndReadBack(t *testing.T, db Database) {
	for _, mode := range execModes() {
		store := coordaudit.New(poolInMode(t, db, mode), quiet())
		for _, call := range ownCalls(store) {
			for _, class := range append(audit.EnvelopeClasses(), "") {
				rec := rejectedOver("holder", class)
				call.wantOutcome(t, rec, audit.Persisted)
				got, err := store.Get(t.Context(), audit.AllTenants(), rec.AuditID)
				if err != nil {
					t.Fatalf("%s, %s: %v", mode, call.name, err)
				}
				if fields := rec.DiffersIn(got); fields != nil || got.CounterpartClass != class {
					t.Errorf("%s, %s: read back with other %v, counterpart class %q", mode, call.name, fields, got.CounterpartClass)
				}
			}
		}
	}
}

func anotherContextUnderTheSameIDIsAConflict(t *testing.T, db Database) {
	store := newStore(db)
	rec := rejectedOver("holder", audit.Safety)
	mustPersist(t, store, rec)
	changes := map[string]func(*audit.Record){
		"target_subsystem":  func(r *audit.Record) { r.TargetSubsystem = "cache" },
		"target_parameter":  func(r *audit.Record) { r.TargetParameter = "" },
		"counterpart_class": func(r *audit.Record) { r.CounterpartClass = audit.Unknown },
	}
	for field, change := range changes {
		for _, call := range ownCalls(store) {
			other := rec
			change(&other)
			err := call.wantFailure(t.Context(), t, other, audit.ErrConflict)
			if conflict, ok := errors.AsType[*audit.ConflictError](err); !ok || !cmp.Equal(conflict.Fields, []string{field}) {
				t.Errorf("%s(): %v, want a conflict in %s alone", call.name, err, field)
			}
		}
	}
	for _, call := range ownCalls(store) {
		call.wantOutcome(t, rec, audit.AlreadyPersisted)
	}
}

func aContextThatCannotBeIsRefused(t *testing.T, db Database) {
	store := newStore(db)
	long := strings.Repeat("x", audit.MaxIDCharacters+1)
	tests := map[string]struct {
		change func(*audit.Record)
		want   audit.Fault
	}{
		"a subsystem of 101 characters": {
			func(r *audit.Record) { r.TargetSubsystem = long },
			audit.Fault{Field: "target_subsystem", Reason: "is 101 characters long, at most 100 are allowed"},
		},
		"a parameter of 101 characters": {
			func(r *audit.Record) { r.TargetParameter = long },
			audit.Fault{Field: "target_parameter", Reason: "is 101 characters long, at most 100 are allowed"},
		},
		"a parameter with a NUL": {
			func(r *audit.Record) { r.TargetParameter = "a\x00" },
			audit.Fault{Field: "target_parameter", Reason: "contains a NUL character, which PostgreSQL cannot store"},
		},
		"a class of no known name": {
			func(r *audit.Record) { r.CounterpartClass = audit.Unresolved },
			audit.Fault{Field: "counterpart_class", Reason: "must be one of SAFETY, RELIABILITY, COST, PERFORMANCE, UNKNOWN (any case, exact word)"},
		},
		"a counterpart's class without a counterpart": {
			func(r *audit.Record) { r.ConflictingEnvelopeID = "" },
			audit.Fault{Field: "counterpart_class", Reason: "must be empty where no conflicting or preempting envelope is named"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rec := rejectedOver("holder", audit.Safety)
			test.change(&rec)
			for _, call := range ownCalls(store) {
				err := call.wantFailure(t.Context(), t, rec, audit.ErrInvalidRecord)
				invalid, ok := errors.AsType[*audit.InvalidRecordError](err)
				if !ok || !cmp.Equal(invalid.Faults, []audit.Fault{test.want}) {
					t.Errorf("%s(): %v, want %v", call.name, err, test.want)
				}
			}
		})
	}
}
