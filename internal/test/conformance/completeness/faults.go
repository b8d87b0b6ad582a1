package completeness

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/test/conformance/frame"
	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
)

// A table of statements that is locked, full or broken holds up no record.
func brokenStatementsDelayNothing(t *testing.T, db frame.Database) {
	t.Run("Locked", func(t *testing.T) {
		t.Parallel()
		db := db.Another(t)
		tx := frame.CallersTx(t, db.Pool)
		if _, err := tx.Exec(t.Context(), "LOCK TABLE coordination_audit_statements"); err != nil {
			t.Fatal(err)
		}
		storesAll(t, db)
		if err := tx.Rollback(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
	for name, sqlState := range map[string]string{"Full": "53100", "Busy": "55P03", "Broken": "XX000", "Unserializable": "40001"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := db.Another(t)
			frame.BeforeInsert(t, db, "coordination_audit_statements", "RAISE EXCEPTION 'no' USING ERRCODE = '"+sqlState+"';")
			storesAll(t, db)
		})
	}
}

func storesAll(t *testing.T, db frame.Database) {
	t.Helper()
	recorder := frame.NewRecorder(t, frame.NewStore(db), coordaudit.RecorderConfig{SpoolDir: t.TempDir(), WaitTimeout: time.Minute})
	for range 3 {
		if result, err := recorder.Record(t.Context(), fixture.NewRecord()); err != nil || result.Outcome != audit.Persisted {
			t.Errorf("%+v, %v; want Persisted", result, err)
		}
	}
	if total := recorder.Stats().Total(); total.Persisted != 3 || !recorder.Stats().Available {
		t.Errorf("%+v, want three persisted and none in the spool", total)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := recorder.Close(ctx); err != nil {
		t.Error(err)
	}
}

// What cannot be written next to the spool costs no record.
func unsavedStatementsCostNothing(t *testing.T, db frame.Database) {
	storeConfig := fixture.Quiet()
	storeConfig.Timeout = 200 * time.Millisecond
	away := fixture.OpenStore(t, "postgres://user@127.0.0.1:1/none?sslmode=disable", storeConfig)
	config := frame.Hasty(t)
	if err := os.Mkdir(filepath.Join(config.SpoolDir, "statements.jsonl"), 0o700); err != nil {
		t.Fatal(err)
	}
	recorder := frame.NewRecorder(t, away, config)
	frame.EnqueueAll(t, recorder, fixture.NewRecords(3))
	fixture.EventuallyWithin(t, time.Minute, func() bool { return recorder.Stats().Total().Spooled == 3 })
	frame.CloseRecorder(t, recorder)
	next := frame.NewRecorder(t, frame.NewStore(db), config)
	fixture.EventuallyWithin(t, time.Minute, func() bool { return next.Stats().Total().Spooled == 0 })
	frame.CloseRecorder(t, next)
	if n := fixture.CountRecords(t, db.Pool); n != 3 {
		t.Errorf("%d rows, want 3", n)
	}
}

// asKilled returns the directory as a process leaves it that is killed now.
func asKilled(t *testing.T, config coordaudit.RecorderConfig) coordaudit.RecorderConfig {
	t.Helper()
	left := t.TempDir()
	if err := os.CopyFS(filepath.Join(left, "spool"), os.DirFS(config.SpoolDir)); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(left, "spool", "lock")); err != nil {
		t.Fatal(err)
	}
	config.SpoolDir = filepath.Join(left, "spool")
	return config
}

// The next Recorder knows of a source that left nothing but its name. What the source said was
// waiting is then lost.
func lostMemoryIsFound(t *testing.T, db frame.Database) {
	config := frame.Hasty(t)
	config.RetryBudget = time.Hour // nothing goes to the spool
	store := frame.NewStore(db)
	killed := frame.NewRecorder(t, store, config)
	if _, err := killed.Record(t.Context(), fixture.NewRecord()); err != nil {
		t.Fatal(err)
	}
	release := frame.LockTable(t, db)
	frame.EnqueueAll(t, killed, fixture.NewRecords(5000)) // more than half of a block, so it makes a statement
	fixture.EventuallyWithin(t, time.Minute, func() bool {
		return fixture.QueryInt(t, db.Pool, "SELECT count(*) FROM coordination_audit_statements WHERE accepted_through > 4000") > 0
	})
	config = asKilled(t, config)
	store.Close() // the killed one stores nothing more
	release()
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	_ = killed.Close(ended) // it leaves its records in its own directory, where no one looks
	next := frame.NewRecorder(t, frame.NewStore(db), config)
	fixture.EventuallyWithin(t, time.Minute, func() bool {
		return fixture.QueryInt(t, db.Pool, "SELECT count(*) FROM coordination_audit_statements") >= 4
	})
	frame.CloseRecorder(t, next)
	first := account(t, db).Sources[0]
	if first.Closed || first.Present != 1 || first.Waiting != 0 || len(first.Unexplained) == 0 {
		t.Errorf("%+v, want the records of its memory unexplained", first)
	}
}

// A record that was rejected a moment before the process was killed stays explained.
func killAfterRejectIsExplained(t *testing.T, db frame.Database) {
	fixture.MustExec(t, db.Pool, "ALTER TABLE coordination_audit_records ADD CONSTRAINT dba_says_no CHECK (envelope_id <> 'poison')")
	config := frame.Hasty(t)
	killed := frame.NewRecorder(t, frame.NewStore(db), config)
	poison := fixture.NewRecord()
	poison.EnvelopeID = "poison"
	frame.EnqueueAll(t, killed, []audit.Record{fixture.NewRecord(), poison, fixture.NewRecord(), fixture.NewRecord()})
	fixture.EventuallyWithin(t, time.Minute, func() bool {
		total := killed.Stats().Total()
		return total.Rejected == 1 && total.Queued+total.Spooled == 0
	})
	time.Sleep(2 * time.Second) // its fate is on disk after one
	next := frame.NewRecorder(t, frame.NewStore(db), asKilled(t, config))
	fixture.EventuallyWithin(t, time.Minute, func() bool {
		return fixture.QueryInt(t, db.Pool, "SELECT count(*) FROM coordination_audit_statements WHERE rejected <> '{}'") > 0
	})
	frame.CloseRecorder(t, next)
	result := account(t, db)
	if !result.Complete() || result.Sources[0].Present != 3 || result.Sources[0].Explained.Rejected != 1 {
		t.Errorf("%+v, want three present and one rejected", result)
	}
}

// An import of a spool hides nothing of the source that left it.
func importHidesNoSource(t *testing.T, db frame.Database) {
	config := spooling(t, 4)
	source, err := frame.NewStore(db).NewSource(t.Context(), "import")
	if err != nil {
		t.Fatal(err)
	}
	recs := fixture.NewRecords(1)
	segments, err := filepath.Glob(filepath.Join(config.SpoolDir, "0*.jsonl"))
	if err != nil || len(segments) == 0 {
		t.Fatal(segments, err)
	}
	line, err := os.ReadFile(segments[0])
	if err != nil {
		t.Fatal(err)
	}
	if recs[0], _, err = audit.ParseRecord(firstLine(line)); err != nil {
		t.Fatal(err)
	}
	if err := source.Number(t.Context(), recs); err != nil {
		t.Fatal(err)
	}
	if _, err := source.PersistManyFast(t.Context(), recs); err != nil {
		t.Fatal(err)
	}
	if err := source.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	next := frame.NewRecorder(t, frame.NewStore(db), config)
	fixture.EventuallyWithin(t, time.Minute, func() bool { return next.Stats().Total().Spooled == 0 })
	frame.CloseRecorder(t, next)
	for _, of := range account(t, db).Sources {
		if of.SourceID == recs[0].Origin.SourceID && (of.Imported || of.Present != 4 || of.AcceptedThrough != 4 || !of.Closed) {
			t.Errorf("%+v, want the source's own account", of)
		}
	}
}

func firstLine(text []byte) []byte {
	for i, b := range text {
		if b == '\n' {
			return text[:i]
		}
	}
	return text
}

// A call that failed is repeated as a whole.
func numberingMayBeRepeated(t *testing.T, db frame.Database) {
	config := fixture.Quiet()
	config.Timeout = 300 * time.Millisecond
	source, err := coordaudit.New(db.Pool, config).NewSource(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	recs := make([]audit.Record, 100_001) // beyond what is reserved
	tx := frame.CallersTx(t, db.Pool)
	if _, err := tx.Exec(t.Context(), "LOCK TABLE coordination_audit_statements"); err != nil {
		t.Fatal(err)
	}
	if err := source.Number(t.Context(), recs); err == nil {
		t.Fatal("the statements are locked, and the ordinals count as on record")
	}
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := source.Number(t.Context(), recs); err != nil {
		t.Fatal(err)
	}
	if through := only(t, db).ReservedThrough; through < int64(len(recs)) || recs[100_000].Origin.SourceSeq != int64(len(recs)) {
		t.Errorf("reserved through %d, want %d at least", through, len(recs))
	}
}
