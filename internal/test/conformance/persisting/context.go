package persisting

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/test/conformance/frame"
	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
)

// Row 13: the predecessor's rows lacked the subsystem, the parameter and the class of the other
// envelope.
func storesContext(t *testing.T, db frame.Database) {
	for _, mode := range db.ExecModes() {
		store := coordaudit.New(frame.PoolInMode(t, db, mode), fixture.Quiet())
		for _, call := range frame.OwnCalls(store) {
			for _, class := range append(audit.EnvelopeClasses(), "") {
				rec := frame.RejectedOver("holder", class)
				call.WantOutcome(t, rec, audit.Persisted)
				got, err := store.Get(t.Context(), audit.AllTenants(), rec.AuditID)
				if err != nil {
					t.Fatalf("%s, %s: %v", mode, call.Name, err)
				}
				if fields := rec.DiffersIn(got); fields != nil || got.CounterpartClass != class {
					t.Errorf("%s, %s: read back with other %v, counterpart class %q", mode, call.Name, fields, got.CounterpartClass)
				}
			}
		}
	}
}

// parts returns records with each part of a context alone, with all parts, and with none.
func parts() []audit.Record {
	var recs []audit.Record
	for _, state := range []func(rec, full *audit.Record){
		func(rec, full *audit.Record) { rec.TargetSubsystem = full.TargetSubsystem },
		func(rec, full *audit.Record) { rec.TargetParameter = full.TargetParameter },
		func(rec, full *audit.Record) { rec.ReasonCode = full.ReasonCode },
		func(rec, full *audit.Record) { rec.PolicyVersion = "NULL" },
		func(rec, full *audit.Record) { rec.Actor = `"\é,{}` },
		func(rec, full *audit.Record) { rec.Links.CausedBy = full.Links.CausedBy },
		func(rec, full *audit.Record) { rec.Links.Corrects = full.Links.Corrects },
		func(rec, full *audit.Record) { rec.Links.CorrelationID = full.Links.CorrelationID },
		func(rec, full *audit.Record) { rec.Details = full.Details },
		func(rec, full *audit.Record) { rec.Origin.TraceID = full.Origin.TraceID },
		func(rec, full *audit.Record) {
			rec.Origin.TraceID, rec.Origin.SpanID = full.Origin.TraceID, full.Origin.SpanID
		},
		func(rec, full *audit.Record) {
			rec.Origin.SourceID, rec.Origin.SourceSeq = full.Origin.SourceID, full.Origin.SourceSeq
		},
	} {
		rec, full := fixture.NewRecord(), fixture.NewFullRecord()
		state(&rec, &full)
		recs = append(recs, rec)
	}
	return append(recs, fixture.NewFullRecord(), fixture.NewRecord())
}

// A batch sends no column that none of its records states, so each part is sent alone, too.
func storesEachPart(t *testing.T, db frame.Database) {
	for _, mode := range db.ExecModes() {
		store := coordaudit.New(frame.PoolInMode(t, db, mode), fixture.Quiet())
		tx := frame.CallersTx(t, frame.PoolInMode(t, db, mode))
		var sent []audit.Record
		for _, call := range frame.EveryCall(store, tx) {
			for _, rec := range parts() {
				if _, err := call.Persist(t.Context(), rec); err != nil {
					t.Fatalf("%s: %s() = %v of %+v", mode, call.Name, err, rec)
				}
				sent = append(sent, rec)
			}
		}
		for name, persist := range map[string]func([]audit.Record) error{
			"PersistMany": func(recs []audit.Record) error {
				_, err := store.PersistMany(t.Context(), recs)
				return err
			},
			"PersistManyTx": func(recs []audit.Record) error {
				_, err := store.PersistManyTx(t.Context(), tx, recs)
				return err
			},
			"PersistManyFast": func(recs []audit.Record) error {
				_, err := store.PersistManyFast(t.Context(), recs)
				return err
			},
		} {
			recs := parts()
			if err := persist(recs); err != nil {
				t.Fatalf("%s: %s() = %v", mode, name, err)
			}
			sent = append(sent, recs...)
		}
		frame.Commit(t, tx)
		for _, rec := range sent {
			mustRead(t, store, mode.String(), rec)
		}
	}
}

// mustRead fails unless a record is read as it was sent, its origin included.
func mustRead(t *testing.T, store *coordaudit.Store, how string, want audit.Record) {
	t.Helper()
	got, err := store.Get(t.Context(), audit.AllTenants(), want.AuditID)
	if err != nil {
		t.Fatalf("%s: %v", how, err)
	}
	got.Seq, got.CreatedAt = want.Seq, want.CreatedAt
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s: (-sent +read):\n%s", how, diff)
	}
}

// A record that comes again comes from another trace, or by another run of a Recorder.
func originIsNotContent(t *testing.T, db frame.Database) {
	store := frame.NewStore(db)
	rec := fixture.NewFullRecord()
	fixture.MustPersist(t, store, rec)
	for name, origin := range map[string]audit.Origin{
		"none":    {},
		"another": fixture.NewFullRecord().Origin,
		"later":   {TraceID: rec.Origin.TraceID, SourceID: rec.Origin.SourceID, SourceSeq: rec.Origin.SourceSeq + 1},
	} {
		tx := frame.CallersTx(t, db.Pool)
		for _, call := range frame.EveryCall(store, tx) {
			again := rec
			again.Origin = origin
			result, err := call.Persist(t.Context(), again)
			if err != nil || (result.Outcome != audit.AlreadyPersisted && call.Name != "PersistManyFast") {
				t.Errorf("%s: %s() = %+v, %v; want AlreadyPersisted", name, call.Name, result, err)
			}
		}
		frame.Commit(t, tx)
	}
	mustRead(t, store, "after its retries", rec)
}

func differenceConflicts(t *testing.T, db frame.Database) {
	store := frame.NewStore(db)
	rec := fixture.NewFullRecord()
	fixture.MustPersist(t, store, rec)
	changes := map[string]func(*audit.Record){
		"target_subsystem":  func(r *audit.Record) { r.TargetSubsystem = "cache" },
		"target_parameter":  func(r *audit.Record) { r.TargetParameter = "" },
		"counterpart_class": func(r *audit.Record) { r.CounterpartClass = audit.Unknown },
		"reason_code":       func(r *audit.Record) { r.ReasonCode = "" },
		"policy_version":    func(r *audit.Record) { r.PolicyVersion = "rules-8" },
		"actor":             func(r *audit.Record) { r.Actor += " " },
		"caused_by":         func(r *audit.Record) { r.Links.CausedBy = uuid.Nil },
		"corrects":          func(r *audit.Record) { r.Links.Corrects = uuid.New() },
		"correlation_id":    func(r *audit.Record) { r.Links.CorrelationID = "action-4712" },
		"details":           func(r *audit.Record) { r.Details = `{"rank": [1.5, null]}` },
	}
	for field, change := range changes {
		tx := frame.CallersTx(t, db.Pool)
		for _, call := range frame.EveryCall(store, tx) {
			other := rec
			change(&other)
			err := call.WantFailure(t.Context(), t, other, audit.ErrConflict)
			if conflict, ok := errors.AsType[*audit.ConflictError](err); !ok || !cmp.Equal(conflict.Fields, []string{field}) {
				t.Errorf("%s(): %v, want a conflict in %s alone", call.Name, err, field)
			}
		}
		frame.Commit(t, tx)
	}
	for _, call := range frame.OwnCalls(store) {
		call.WantOutcome(t, rec, audit.AlreadyPersisted)
	}
}

func refusesInvalid(t *testing.T, db frame.Database) {
	store := frame.NewStore(db)
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
			audit.Fault{Field: "counterpart_class", Reason: "must be empty if neither conflicting_envelope_id nor preempting_envelope_id is set"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rec := frame.RejectedOver("holder", audit.Safety)
			test.change(&rec)
			for _, call := range frame.OwnCalls(store) {
				err := call.WantFailure(t.Context(), t, rec, audit.ErrInvalidRecord)
				invalid, ok := errors.AsType[*audit.InvalidRecordError](err)
				if !ok || !cmp.Equal(invalid.Faults, []audit.Fault{test.want}) {
					t.Errorf("%s(): %v, want %v", call.Name, err, test.want)
				}
			}
		})
	}
}
