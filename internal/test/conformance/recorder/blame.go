package recorder

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/test/conformance/frame"
	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
)

const (
	breakTrigger = "CREATE TRIGGER dba BEFORE INSERT ON coordination_audit_records FOR EACH ROW EXECUTE FUNCTION dba()"
	dropTrigger  = "DROP TRIGGER dba ON coordination_audit_records"
)

// function returns the statement that creates the trigger function dba with this body.
func function(body string) string {
	return "CREATE FUNCTION dba() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN " + body + " RETURN NEW; END $$"
}

func raises(sqlState string) []string {
	return []string{function(fmt.Sprintf("RAISE EXCEPTION 'no' USING ERRCODE = '%s';", sqlState)), breakTrigger}
}

// tableFaults are faults after which the table refuses every record. The first five records are
// stored before.
func tableFaults() map[string]struct {
	breaks []string
	repair string
} {
	return map[string]struct {
		breaks []string
		repair string
	}{
		"CheckFalse": {[]string{"ALTER TABLE coordination_audit_records ADD CONSTRAINT dba CHECK (false) NOT VALID"}, "ALTER TABLE coordination_audit_records DROP CONSTRAINT dba"},
		"RequiredColumn": {[]string{
			"ALTER TABLE coordination_audit_records ADD COLUMN theirs integer NOT NULL DEFAULT 1",
			"ALTER TABLE coordination_audit_records ALTER COLUMN theirs DROP DEFAULT",
		}, "ALTER TABLE coordination_audit_records ALTER COLUMN theirs SET DEFAULT 1"},
		"ForeignKey": {[]string{
			"CREATE TABLE theirs (id text PRIMARY KEY)",
			"ALTER TABLE coordination_audit_records ADD CONSTRAINT dba FOREIGN KEY (envelope_id) REFERENCES theirs NOT VALID",
		}, "INSERT INTO theirs VALUES ('retry-backoff-7')"},
		"ExhaustedSequence": {[]string{"ALTER TABLE coordination_audit_records ALTER COLUMN seq SET MAXVALUE 50"}, "ALTER TABLE coordination_audit_records ALTER COLUMN seq SET NO MAXVALUE"},
		"Domain": {[]string{
			"CREATE DOMAIN positive AS integer CHECK (VALUE > 0)",
			"ALTER TABLE coordination_audit_records ADD COLUMN theirs positive DEFAULT 1",
			"ALTER TABLE coordination_audit_records ALTER COLUMN theirs SET DEFAULT 0",
		}, "ALTER TABLE coordination_audit_records ALTER COLUMN theirs SET DEFAULT 1"},
		"UniqueIndex": {[]string{
			"CREATE UNIQUE INDEX dba ON coordination_audit_records ((seq > 0)) WHERE seq > 5",
		}, "DROP INDEX dba"},
		"TableThatIsFull": {[]string{
			function("IF (SELECT count(*) FROM coordination_audit_records) >= 50 THEN RAISE EXCEPTION 'full'; END IF;"),
			breakTrigger,
		}, dropTrigger},
		"TriggerThatBreaksRows": {[]string{function("NEW.reason := '';"), breakTrigger}, dropTrigger},
		"ArchiveWithOldCheck": {[]string{
			`CREATE SCHEMA archive; CREATE TABLE archive.coordination_audit_records (LIKE coordination_audit_records);
			ALTER TABLE archive.coordination_audit_records ADD CONSTRAINT coordination_audit_reason_valid CHECK (reason = 'old')`,
			"CREATE FUNCTION dba() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO archive.coordination_audit_records SELECT NEW.*; RETURN NULL; END $$",
			"CREATE TRIGGER dba AFTER INSERT ON coordination_audit_records FOR EACH ROW EXECUTE FUNCTION dba()",
		}, dropTrigger},
		"CheckUnderOurName": {[]string{
			"ALTER TABLE coordination_audit_records DROP CONSTRAINT coordination_audit_reason_valid",
			"ALTER TABLE coordination_audit_records ADD CONSTRAINT coordination_audit_reason_valid CHECK (reason = 'old') NOT VALID",
		}, "ALTER TABLE coordination_audit_records DROP CONSTRAINT coordination_audit_reason_valid"},
		"TriggerThatDropsRows":  {[]string{function("RETURN NULL;"), breakTrigger}, dropTrigger},
		"IntegrityViolation":    {raises("23000"), dropTrigger},
		"DataException":         {raises("22000"), dropTrigger},
		"RaisedException":       {raises("P0001"), dropTrigger},
		"ProgramLimit":          {raises("54000"), dropTrigger},
		"WithCheckOption":       {raises("44000"), dropTrigger},
		"UndefinedTable":        {raises("42P01"), dropTrigger},
		"InsufficientPrivilege": {raises("42501"), dropTrigger},
	}
}

// failedFlushes counts the refused statements.
type failedFlushes struct{ n atomic.Int64 }

func (*failedFlushes) ObservePersist(context.Context, audit.Observation) {}

func (f *failedFlushes) ObserveFlush(_ context.Context, flush audit.Flush) {
	if flush.Err != nil {
		f.n.Add(1)
	}
}

func tableFaultBlamesNoRecord(t *testing.T, db frame.Database) {
	for name, fault := range tableFaults() {
		if db.Distributed && slices.Contains([]string{"ForeignKey", "ExhaustedSequence", "UniqueIndex"}, name) {
			continue // Citus refuses the statement that makes the fault
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := db.Another(t)
			var failed failedFlushes
			storeConfig, config := fixture.Quiet(), frame.Hasty(t)
			storeConfig.Observer = &failed
			recorder := frame.NewRecorder(t, coordaudit.New(db.Pool, storeConfig), config)
			recs := fixture.NewRecords(200)
			frame.EnqueueAll(t, recorder, recs[:5])
			fixture.EventuallyWithin(t, time.Minute, func() bool { return fixture.CountRecords(t, db.Pool) == 5 })
			for _, sql := range fault.breaks {
				fixture.MustExec(t, db.Pool, sql)
			}
			frame.EnqueueAll(t, recorder, recs[5:])
			untilRetried(t, recorder, 10)
			if total := recorder.Stats().Total(); total.Rejected != 0 || total.Dropped != 0 {
				t.Errorf("records are blamed for a fault of the table: %+v", total)
			}
			// Each retry sends the batch and a few samples. It does not bisect.
			if retries := recorder.Stats().Retries; failed.n.Load() > 10*(retries+10) {
				t.Errorf("%d statements were refused in %d retries", failed.n.Load(), retries)
			}
			fixture.MustExec(t, db.Pool, fault.repair)
			fixture.EventuallyWithin(t, time.Minute, func() bool { return fixture.CountRecords(t, db.Pool) == 200 })
			frame.CloseRecorder(t, recorder)
			if kept := rejected(t, config.SpoolDir); len(kept) > 0 {
				t.Errorf("%d records are in rejected, the first since %q", len(kept), kept[0].Reason)
			}
		})
	}
}

// poisonous makes the table refuse poison with this SQLSTATE, or discard it if that is empty.
func poisonous(t *testing.T, db frame.Database, sqlState string) {
	t.Helper()
	then := "RETURN NULL;"
	if sqlState != "" {
		then = fmt.Sprintf("RAISE EXCEPTION 'no' USING ERRCODE = '%s';", sqlState)
	}
	fixture.MustExec(t, db.Pool, function("IF NEW.envelope_id = 'poison' THEN "+then+" END IF;"))
	fixture.MustExec(t, db.Pool, breakTrigger)
}

func poison() audit.Record {
	rec := fixture.NewRecord()
	rec.EnvelopeID = "poison"
	return rec
}

func badRecordIsRejectedAlone(t *testing.T, db frame.Database) {
	for _, sqlState := range []string{"", "22000", "23000", "23502", "23503", "2200H", "3F000", "42P01", "42501", "44000", "54000", "P0001"} {
		t.Run("SQLSTATE"+sqlState, func(t *testing.T) {
			t.Parallel()
			db := db.Another(t)
			poisonous(t, db, sqlState)
			config := frame.Hasty(t)
			recorder := frame.NewRecorder(t, frame.NewStore(db), config)
			recs := fixture.NewRecords(100)
			bad := poison()
			recs[60] = bad
			frame.EnqueueAll(t, recorder, recs)
			fixture.EventuallyWithin(t, time.Minute, func() bool { return fixture.CountRecords(t, db.Pool) == 99 })
			proveBy(t, recorder, 1)
			frame.CloseRecorder(t, recorder)
			kept := rejected(t, config.SpoolDir)
			if len(kept) != 1 || kept[0].Record.AuditID != bad.AuditID || kept[0].SQLState != sqlState {
				t.Errorf("rejected are %+v, want the bad one alone", kept)
			}
		})
	}
}

// proveBy enqueues good records until the Recorder has rejected this many.
func proveBy(t *testing.T, recorder *coordaudit.Recorder, rejected int64) {
	t.Helper()
	fixture.EventuallyWithin(t, time.Minute, func() bool {
		frame.EnqueueAll(t, recorder, fixture.NewRecords(1))
		return recorder.Stats().Total().Rejected >= rejected
	})
}

func loneRecordWaits(t *testing.T, db frame.Database) {
	poisonous(t, db, "23514")
	config := frame.Hasty(t)
	recorder := frame.NewRecorder(t, frame.NewStore(db), config)
	frame.EnqueueAll(t, recorder, fixture.NewRecords(3))
	if err := recorder.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := recorder.Record(t.Context(), poison()); !errors.Is(err, audit.ErrPending) {
		t.Errorf("alone: %v, want ErrPending", err)
	}
	untilRetried(t, recorder, 5)
	if total := recorder.Stats().Total(); total.Rejected != 0 {
		t.Errorf("rejected without a proof: %+v", total)
	}
	proveBy(t, recorder, 1)
	frame.CloseRecorder(t, recorder)
	if kept := rejected(t, config.SpoolDir); len(kept) != 1 || kept[0].Record.EnvelopeID != "poison" {
		t.Errorf("rejected are %+v", kept)
	}
}

func spooledRecordDelaysNone(t *testing.T, db frame.Database) {
	poisonous(t, db, "P0001")
	config := frame.Hasty(t)
	config.MaxBatch = 10
	away := frame.NewRecorder(t, unreachable(t), config)
	recs := append(fixture.NewRecords(1), poison())
	for range 3 { // so that they fill more than one batch
		recs = append(recs, poison(), poison(), poison(), poison())
	}
	frame.EnqueueAll(t, away, append(recs, fixture.NewRecords(30)...))
	frame.CloseRecorder(t, away)

	recorder := frame.NewRecorder(t, frame.NewStore(db), config)
	fixture.EventuallyWithin(t, time.Minute, func() bool { return fixture.CountRecords(t, db.Pool) == 31 })
	proveBy(t, recorder, 13)
	frame.CloseRecorder(t, recorder)
	for _, kept := range rejected(t, config.SpoolDir) {
		if kept.Record.EnvelopeID != "poison" {
			t.Errorf("%s is rejected", kept.Record.EnvelopeID)
		}
	}
}

func passingFaultRejectsNone(t *testing.T, db frame.Database) {
	underLoad(t, db, frame.NewStore(db), frame.Hasty(t), func(recorder *coordaudit.Recorder) {
		for range 10 {
			fixture.MustExec(t, db.Pool, "ALTER TABLE coordination_audit_records ADD CONSTRAINT dba CHECK (false) NOT VALID")
			untilRetried(t, recorder, 2)
			stored := recorder.Stats().Total().Persisted
			fixture.MustExec(t, db.Pool, "ALTER TABLE coordination_audit_records DROP CONSTRAINT dba")
			fixture.EventuallyWithin(t, time.Minute, func() bool { return recorder.Stats().Total().Persisted > stored })
		}
	})
}

// A valid record passes our constraints, so a stricter one under their name says nothing about the record.
func ownConstraintNeedsProof(t *testing.T, db frame.Database) {
	const name = "coordination_audit_reason_valid"
	fixture.MustExec(t, db.Pool, "ALTER TABLE coordination_audit_records DROP CONSTRAINT "+name)
	fixture.MustExec(t, db.Pool, "ALTER TABLE coordination_audit_records ADD CONSTRAINT "+name+" CHECK (reason <> 'poison')")
	recorder := frame.NewRecorder(t, frame.NewStore(db), frame.Hasty(t))
	bad := fixture.NewRecord()
	bad.Reason = "poison"
	if _, err := recorder.Record(t.Context(), bad); !errors.Is(err, audit.ErrPending) {
		t.Errorf("alone: %v, want ErrPending", err)
	}
	if total := recorder.Stats().Total(); total.Rejected != 0 {
		t.Errorf("rejected without a proof: %+v", total)
	}
	proveBy(t, recorder, 1)
}
