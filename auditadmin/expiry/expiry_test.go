package expiry_test

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/auditadmin/expiry"
	"github.com/hoc-analytics/coordaudit/internal/importer"
	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
	"github.com/hoc-analytics/coordaudit/seal"
)

// The way of a record: planned, archived, taken out, accounted for, and proved without the database.
func TestExpiredRecordsStayProvable(t *testing.T) {
	t.Parallel()
	tr := newTrail(t)
	recs := tr.fill(t, 1000)
	tr.seal(t)
	filter := cost()
	plan, err := expiry.MakePlan(t.Context(), tr.config(t), filter)
	if err != nil || plan.Records != 250 || plan.Held != 0 {
		t.Fatalf("%+v, %v", plan, err)
	}
	dir, m := tr.archive(t, filter)
	if m.Records != 250-plan.Unsealed || tr.count(t) != 1000 {
		t.Fatalf("%+v; %d rows", m, tr.count(t))
	}
	tr.mustVerify(t)
	applied := tr.mustApply(t, dir)
	if applied.Expired != m.Records || tr.count(t) != 1000-m.Records || tr.events(t, "expired") != int64(len(m.Batches)) {
		t.Fatalf("%+v; %d rows, %d events", applied, tr.count(t), tr.events(t, "expired"))
	}
	result := tr.mustVerify(t) // before the events are sealed
	if result.Expired != m.Records || len(result.Archives) != 1 || result.Archives[0].Unsealed != int64(len(m.Batches)) {
		t.Errorf("%+v", result)
	}
	tr.seal(t)
	result = tr.mustVerify(t)
	if want := result.Archives[0]; result.Expired != m.Records || want.Archive != m.Digest() || want.Records != m.Records || want.Unsealed != 0 {
		t.Errorf("%+v", result)
	}
	found, err := tr.store.Completeness(t.Context(), audit.CompletenessQuery{})
	if err != nil || !found.Complete() || found.Sources[0].Explained.Expired != m.Records || found.Sources[0].Present != 1000-m.Records {
		t.Errorf("%+v, %v", found, err)
	}
	read, err := expiry.CheckArchive(t.Context(), dir, tr.verifier, nil)
	if err != nil {
		t.Error(err)
	}
	if recorded, err := expiry.OnRecord(t.Context(), tr.config(t), read); err != nil || recorded.Records != m.Records {
		t.Errorf("%+v, %v", recorded, err)
	}
	proveFromArchive(t, tr, dir, recs[0])
	if again := tr.mustApply(t, dir); again.Expired != 0 || again.Before != m.Records {
		t.Errorf("again: %+v", again)
	}
}

// proveFromArchive makes a bundle of a record of an archive, and verifies it as anyone does.
func proveFromArchive(t *testing.T, tr *trail, dir string, want audit.Record) {
	t.Helper()
	made, err := expiry.ProveArchived(t.Context(), dir, want.AuditID)
	if err != nil {
		t.Fatal(err)
	}
	text, err := made.MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	proof, err := seal.ParseProof(text)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := proof.Verify(logName, tr.verifier); err != nil {
		t.Error(err)
	}
	rec, err := proof.Row.Record()
	if err != nil || rec.AuditID != want.AuditID || len(rec.DiffersIn(want)) > 0 {
		t.Errorf("the proof is of %+v, %v", rec, err)
	}
}

// An archive is imported into another trail like an export.
func TestArchiveIsImported(t *testing.T) {
	t.Parallel()
	tr := newTrail(t)
	recs := tr.fill(t, 600)
	tr.seal(t)
	dir, m := tr.archive(t, cost())
	tr.mustApply(t, dir)
	other := testdb.New(t)
	store := coordaudit.New(other.Pool, fixture.Quiet())
	into := importer.New(importer.Config{Store: store, Batch: 100, Patience: time.Minute, Reporter: silent{}})
	if err := into.File(t.Context(), filepath.Join(dir, expiry.RecordsFile), nil); err != nil {
		t.Fatal(err)
	}
	if err := into.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if counts := into.Counts(); counts.Persisted != m.Records || counts.Rejected != 0 {
		t.Errorf("%+v, want %d persisted", counts, m.Records)
	}
	got, err := store.Get(t.Context(), audit.AllTenants(), recs[0].AuditID)
	if err != nil || len(got.DiffersIn(recs[0])) > 0 {
		t.Errorf("%+v, %v", got, err)
	}
}

type silent struct{}

func (silent) Begin(int64)           {}
func (silent) Progress(int64, int64) {}
func (silent) End()                  {}
func (silent) Notice(string)         {}

// An expired id is forgotten: the record can be stored again, and the old leaf stays expired.
func TestExpiredIDIsForgotten(t *testing.T) {
	t.Parallel()
	tr := newTrail(t)
	recs := tr.fill(t, 600)
	tr.seal(t)
	dir, m := tr.archive(t, cost())
	tr.mustApply(t, dir)
	result, err := tr.store.Persist(t.Context(), recs[0])
	if err != nil || result.Outcome != audit.Persisted {
		t.Errorf("%+v, %v", result, err)
	}
	tr.seal(t)
	if got := tr.mustVerify(t); got.Expired != m.Records {
		t.Errorf("%+v", got)
	}
}

// A row that someone deletes next to an expiry is still named missing, and so is one that an event
// of another record covers no longer.
func TestDeletionBesideExpiryIsNamed(t *testing.T) {
	t.Parallel()
	tr := newTrail(t)
	recs := tr.fill(t, 1000)
	tr.seal(t)
	gone := seqOf(t, tr, recs[1].AuditID) // of class SAFETY
	dir, m := tr.archive(t, cost())
	tr.mustApply(t, dir)
	tr.seal(t)
	tr.behindGuards(t, "DELETE FROM coordination_audit_records WHERE audit_id = $1", recs[1].AuditID)
	result := tr.verify(t)
	if len(result.Findings) != 1 || result.Findings[0].Fault != "missing" || result.Findings[0].Seq != gone || result.Expired != m.Records {
		t.Errorf("%+v", result)
	}
	found, err := tr.store.Completeness(t.Context(), audit.CompletenessQuery{})
	if err != nil || found.Complete() || found.Sources[0].UnexplainedTotal() != 1 {
		t.Errorf("%+v, %v", found, err)
	}
}

// An event that is forged before a deletion is found as long as its rows are there.
func TestEventWithoutDeletionIsFound(t *testing.T) {
	t.Parallel()
	tr := newTrail(t)
	recs := tr.fill(t, 600)
	execute(t, tr.db.Pool, `INSERT INTO coordination_audit_seal_events (event_id, kind, epoch, body) VALUES ($1, 'expired', 1,
		'{"archive":"`+strings.Repeat("0", 64)+`","first_seq":1,"last_seq":9,"records":9,"seqs":"{[1,10)}","sources":{}}')`, uuid.New())
	tr.seal(t)
	result := tr.verify(t)
	if len(result.Findings) != 9 || result.Findings[0].Fault != "not expired" || result.Findings[0].ID != recs[0].AuditID {
		t.Errorf("%+v", result)
	}
}

// A verification against an older checkpoint also knows what expired since.
func TestOlderCheckpointKnowsExpiry(t *testing.T) {
	t.Parallel()
	tr := newTrail(t)
	tr.fill(t, 700)
	tr.seal(t)
	older := tr.config(t)
	tr.fill(t, 700)
	tr.seal(t)
	dir, m := tr.archive(t, all())
	tr.mustApply(t, dir)
	tr.seal(t)
	result := tr.mustVerify(t)
	if result.Expired != m.Records {
		t.Errorf("%+v", result)
	}
	tr2 := *tr
	tr2.export = fixed{older.Checkpoint}
	if result := tr2.mustVerify(t); result.Expired != 700 {
		t.Errorf("%+v", result)
	}
}
