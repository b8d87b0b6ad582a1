package completeness

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/test/conformance/frame"
	"github.com/hoc-analytics/coordaudit/internal/test/faultproxy"
	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
)

// A batch whose answer was lost may be stored. A record of it that is refused when it is sent again
// is rejected, and its row is no finding.
func rejectedAfterLostAnswer(t *testing.T, db frame.Database) {
	proxy := faultproxy.New(t, db.URL)
	config := fixture.Quiet()
	config.Timeout = 500 * time.Millisecond
	source, err := fixture.OpenStore(t, proxy.URL(), config).NewSource(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	recs := lostAnswer(t, db, proxy, source)
	fixture.MustExec(t, db.Pool, "ALTER TABLE coordination_audit_records ADD CONSTRAINT says_no CHECK (reason <> 'refused') NOT VALID")
	if _, err := source.PersistMany(t.Context(), recs); !errors.Is(err, audit.ErrRefused) {
		t.Fatalf("%v, want ErrRefused", err)
	}
	source.Reject(&recs[0])
	if err := source.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if account := only(t, db); len(account.Unexplained)+len(account.Findings) > 0 {
		t.Errorf("%+v, want nothing found", account)
	}
}

// A source whose opening got no answer may be on record. It goes on, since another one in its place
// would leave it open for good.
func openingIsNotLost(t *testing.T, db frame.Database) {
	proxy := faultproxy.New(t, db.URL)
	config := fixture.Quiet()
	config.Timeout = 500 * time.Millisecond
	store := fixture.OpenStore(t, proxy.URL(), config)
	for range 5 { // the cut may hit another answer
		if _, err := store.Persist(t.Context(), fixture.NewRecord()); err != nil { // opens a connection
			t.Fatal(err)
		}
		proxy.CutAtServer(faultproxy.ReadyForQuery) // committed
		proxy.StallNewConnections()
		source, err := store.NewSource(t.Context(), "")
		proxy.Resume()
		if errors.Is(err, audit.ErrOutcomeUnknown) {
			t.Fatalf("the source may be on record, and is lost: %v", err)
		}
		if err != nil {
			continue
		}
		recs := fixture.NewRecords(3)
		for _, step := range []func() error{
			func() error { return source.Number(t.Context(), recs) },
			func() error { _, err := source.PersistMany(t.Context(), recs); return err },
			func() error { return source.Close(t.Context()) },
		} {
			fixture.EventuallyWithin(t, time.Minute, func() bool { return step() == nil }) // a busy machine
		}
	}
	for _, of := range account(t, db).Sources {
		if !of.Closed || of.Present != 3 || len(of.Unexplained)+len(of.Findings) > 0 {
			t.Errorf("%+v, want three records of a closed source", of)
		}
	}
}

// lostAnswer returns a record that is stored, and whose answer was lost.
func lostAnswer(t *testing.T, db frame.Database, proxy *faultproxy.Proxy, source *coordaudit.Source) (recs []audit.Record) {
	t.Helper()
	fixture.EventuallyWithin(t, time.Minute, func() bool {
		recs = fixture.NewRecords(2)
		recs[1].Reason = "refused"
		if err := source.Number(t.Context(), recs); err != nil {
			t.Fatal(err)
		}
		if _, err := source.PersistMany(t.Context(), recs[:1]); err != nil { // opens a connection
			t.Fatal(err)
		}
		recs = recs[1:]
		proxy.CutAtServer(faultproxy.ReadyForQuery) // committed
		proxy.StallNewConnections()
		_, err := source.PersistMany(t.Context(), recs)
		proxy.Resume()
		if !errors.Is(err, audit.ErrOutcomeUnknown) {
			source.Drop(&recs[0])
			return false
		}
		return fixture.QueryInt(t, db.Pool, "SELECT count(*) FROM coordination_audit_records WHERE audit_id = $1", recs[0].AuditID) == 1
	})
	return recs
}

// A segment that was lost comes to light when its records are stored in another way.
func recoveredSegmentExplains(t *testing.T, db frame.Database) {
	config := spooling(t, 3)
	segments, err := filepath.Glob(filepath.Join(config.SpoolDir, "0*.jsonl"))
	if err != nil || len(segments) == 0 {
		t.Fatal(segments, err)
	}
	aside := t.TempDir()
	var recs []audit.Record
	for _, segment := range segments {
		text, err := os.ReadFile(segment)
		if err != nil {
			t.Fatal(err)
		}
		for line := range bytes.Lines(text) {
			rec, _, err := audit.ParseRecord(bytes.TrimSpace(line))
			if err != nil {
				t.Fatal(err)
			}
			rec.Origin = audit.Origin{}
			recs = append(recs, rec)
		}
		if err := os.Rename(segment, filepath.Join(aside, filepath.Base(segment))); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := frame.NewStore(db).PersistMany(t.Context(), recs); err != nil {
		t.Fatal(err)
	}
	frame.CloseRecorder(t, frame.NewRecorder(t, frame.NewStore(db), config))
	if account(t, db).Complete() {
		t.Error("three ordinals have no row and no explanation, and the trail counts as complete")
	}
	if err := os.CopyFS(config.SpoolDir, os.DirFS(aside)); err != nil {
		t.Fatal(err)
	}
	next := frame.NewRecorder(t, frame.NewStore(db), config)
	fixture.EventuallyWithin(t, time.Minute, func() bool { return next.Stats().Total().Spooled == 0 })
	frame.CloseRecorder(t, next)
	result := account(t, db)
	if !result.Complete() || result.Sources[0].Explained.AlreadyPersisted != 3 || result.Unnumbered != 3 {
		t.Errorf("%+v, want three already persisted", result)
	}
}

// A statement that takes several rows counts when it is whole. Until then nothing is missing.
func longStatementCountsAsAWhole(t *testing.T, db frame.Database) {
	source, err := frame.NewStore(db).NewSource(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	recs := fixture.NewRecords(8000)
	if err := source.Number(t.Context(), recs); err != nil {
		t.Fatal(err)
	}
	var stored []audit.Record
	for i := range recs {
		if i%2 == 0 {
			stored = append(stored, recs[i])
		} else {
			source.Drop(&recs[i])
		}
	}
	if _, err := source.PersistManyFast(t.Context(), stored); err != nil {
		t.Fatal(err)
	}
	frame.BeforeInsert(t, db, "coordination_audit_statements", "IF NEW.statement_no > 2 THEN RAISE EXCEPTION 'no'; END IF; RETURN NEW;")
	if err := source.Close(t.Context()); err == nil {
		t.Fatal("a statement of several parts closed the source, and only one part is stored")
	}
	if account := only(t, db); len(account.Unexplained)+len(account.Findings) > 0 || account.Closed || account.Present != 4000 {
		t.Errorf("%d unexplained ranges and %d findings, closed %t; want none, because the statement is not whole",
			len(account.Unexplained), len(account.Findings), account.Closed)
	}
	fixture.MustExec(t, db.Pool, "DROP TRIGGER foreign_trigger ON coordination_audit_statements")
	if err := source.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	require(t, only(t, db), audit.SourceAccount{
		Closed: true, AcceptedThrough: 8000, ReservedThrough: 8000, Present: 4000, Explained: audit.Explained{Dropped: 4000},
	})
}

// What is decided after a call of Close that failed is stated by the next one.
func closingMayBeRepeated(t *testing.T, db frame.Database) {
	source, err := frame.NewStore(db).NewSource(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	recs := fixture.NewRecords(3)
	if err := source.Number(t.Context(), recs); err != nil {
		t.Fatal(err)
	}
	frame.BeforeInsert(t, db, "coordination_audit_statements", "RAISE EXCEPTION 'no';")
	if err := source.Close(t.Context()); err == nil {
		t.Fatal("no statement is taken, and the source counts as closed")
	}
	source.Reject(&recs[0])
	source.Drop(&recs[1])
	fixture.MustExec(t, db.Pool, "DROP TRIGGER foreign_trigger ON coordination_audit_statements")
	if _, err := source.PersistMany(t.Context(), recs[2:]); err != nil {
		t.Fatal(err)
	}
	if err := source.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	require(t, only(t, db), audit.SourceAccount{
		Closed: true, AcceptedThrough: 3, ReservedThrough: 3, Present: 1, Explained: audit.Explained{Dropped: 1, Rejected: 1},
	})
}
