package expiry_test

import (
	"errors"
	"strconv"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/auditadmin/expiry"
	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
	"github.com/hoc-analytics/coordaudit/sealer"
)

// An erased record shows as erased, verifies, and is proved; an edited one next to it is found.
func TestErasedRecordStaysProvable(t *testing.T) {
	t.Parallel()
	tr := newTrail(t)
	recs := tr.fill(t, 600)
	tr.seal(t)
	id := recs[10].AuditID
	for _, text := range []expiry.Text{expiry.Reason, expiry.Details} {
		event, err := expiry.Erase(t.Context(), tr.config(t), id, text, "article 17")
		if err != nil || event == 0 {
			t.Fatalf("%s: %d, %v", text, event, err)
		}
		if again, err := expiry.Erase(t.Context(), tr.config(t), id, text, "article 17"); err != nil || again != event {
			t.Errorf("%s again: %d, %v", text, again, err)
		}
	}
	if _, err := expiry.Erase(t.Context(), tr.config(t), recs[11].AuditID, expiry.Reason, "article 17"); err != nil {
		t.Fatal(err)
	}
	got, err := tr.store.Get(t.Context(), audit.AllTenants(), id)
	if err != nil || got.ErasedReason() == nil || got.ErasedDetails() == nil || got.EnvelopeID != recs[10].EnvelopeID {
		t.Errorf("%+v, %v", got, err)
	}
	if result := tr.mustVerify(t); result.Erased != 2 {
		t.Errorf("%+v", result)
	}
	tr.seal(t)
	if result := tr.mustVerify(t); result.Erased != 2 {
		t.Errorf("%+v", result)
	}
	proof, err := sealer.Prove(t.Context(), tr.db.Pool, "", id)
	if err == nil {
		_, err = proof.Verify(logName, tr.verifier)
	}
	if err != nil {
		t.Error(err)
	}

	tr.behindGuards(t, "UPDATE coordination_audit_records SET reason = 'another' WHERE audit_id = $1", recs[12].AuditID)
	result := tr.verify(t)
	if len(result.Findings) != 1 || result.Findings[0].ID != recs[12].AuditID || result.Findings[0].Fault != sealer.Edited {
		t.Errorf("%+v", result.Findings)
	}
}

// A text that was replaced by its digest without an event is an edit, and so is another digest.
func TestErasureWithoutEventIsFound(t *testing.T) {
	t.Parallel()
	tr := newTrail(t)
	recs := tr.fill(t, 600)
	tr.seal(t)
	digest := `encode(sha256(convert_to('coordaudit reason', 'UTF8') || decode('00', 'hex') || uuid_send(audit_id) || convert_to(reason, 'UTF8')), 'hex')`
	tr.behindGuards(t, "UPDATE coordination_audit_records SET reason = '[erased sha256:' || "+digest+" || ']' WHERE audit_id = $1", recs[3].AuditID)
	if _, err := expiry.Erase(t.Context(), tr.config(t), recs[4].AuditID, expiry.Reason, "article 17"); err != nil {
		t.Fatal(err)
	}
	tr.behindGuards(t, "UPDATE coordination_audit_records SET reason = '[erased sha256:' || repeat('ab', 32) || ']' WHERE audit_id = $1", recs[4].AuditID)
	result := tr.verify(t)
	found := map[uuid.UUID]sealer.Fault{}
	for _, f := range result.Findings {
		found[f.ID] = f.Fault
	}
	if len(found) != 2 || found[recs[3].AuditID] != sealer.Edited || found[recs[4].AuditID] != sealer.Edited {
		t.Errorf("%+v", result.Findings)
	}
}

// A retry of an erased record is the same record; with another text it is a conflict.
func TestRetryOfErasedRecord(t *testing.T) {
	t.Parallel()
	tr := newTrail(t)
	recs := tr.fill(t, 600)
	tr.seal(t)
	sent := recs[20]
	for _, text := range []expiry.Text{expiry.Reason, expiry.Details} {
		if _, err := expiry.Erase(t.Context(), tr.config(t), sent.AuditID, text, "article 17"); err != nil {
			t.Fatal(err)
		}
	}
	if result, err := tr.store.Persist(t.Context(), sent); err != nil || result.Outcome != audit.AlreadyPersisted {
		t.Errorf("Persist: %+v, %v", result, err)
	}
	if results, err := tr.store.PersistMany(t.Context(), []audit.Record{sent}); err != nil || results[0].Outcome != audit.AlreadyPersisted {
		t.Errorf("PersistMany: %+v, %v", results, err)
	}
	spelled := sent
	spelled.Details = `{ "n":1 }` // another spelling of the same details
	if result, err := tr.store.Persist(t.Context(), spelled); err != nil || result.Outcome != audit.AlreadyPersisted {
		t.Errorf("another spelling: %+v, %v", result, err)
	}
	for field, change := range map[string]func(*audit.Record){
		"reason":      func(r *audit.Record) { r.Reason = "another" },
		"details":     func(r *audit.Record) { r.Details = `{"n": 2}` },
		"no details":  func(r *audit.Record) { r.Details = "" },
		"envelope_id": func(r *audit.Record) { r.EnvelopeID = "another" },
	} {
		other := sent
		change(&other)
		if result, err := tr.store.Persist(t.Context(), other); !errors.Is(err, audit.ErrConflict) {
			t.Errorf("another %s: %+v, %v", field, result, err)
		}
	}
}

// What is not sealed, held, not there or without such a text stays.
func TestErasureIsRefused(t *testing.T) {
	t.Parallel()
	tr := newTrail(t)
	recs := tr.fill(t, 600)
	tr.seal(t)
	refused := func(name string, id uuid.UUID, text expiry.Text, why string, want error) {
		t.Helper()
		if _, err := expiry.Erase(t.Context(), tr.config(t), id, text, why); err == nil || want != nil && !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", name, err, want)
		}
	}
	refused("in the last tile", recs[599].AuditID, expiry.Reason, "why", sealer.ErrNotSealed)
	refused("without why", recs[0].AuditID, expiry.Reason, "", nil)
	refused("another column", recs[0].AuditID, "tenant_id", "why", nil)
	refused("no such record", uuid.New(), expiry.Reason, "why", expiry.ErrNoSuch)
	fresh := tr.fill(t, 1)
	refused("not sealed", fresh[0].AuditID, expiry.Reason, "why", sealer.ErrNotSealed)
	if _, err := expiry.PlaceHold(t.Context(), tr.keeper, "", expiry.Hold{EnvelopeID: recs[0].EnvelopeID, Why: "case"}); err != nil {
		t.Fatal(err)
	}
	refused("held", recs[0].AuditID, expiry.Reason, "why", expiry.ErrHeld)
	tr.behindGuards(t, "UPDATE coordination_audit_records SET reason = 'another' WHERE audit_id = $1", recs[1].AuditID)
	refused("edited", recs[1].AuditID, expiry.Reason, "why", sealer.ErrTampered)
	if n := tr.events(t, "erased"); n != 0 {
		t.Errorf("%d events of erasures", n)
	}
}

// An erased record expires like others, and its archive proves it with the digest.
func TestErasedRecordExpires(t *testing.T) {
	t.Parallel()
	tr := newTrail(t)
	recs := tr.fill(t, 600)
	tr.seal(t)
	if _, err := expiry.Erase(t.Context(), tr.config(t), recs[0].AuditID, expiry.Reason, "article 17"); err != nil {
		t.Fatal(err)
	}
	dir, m := tr.archive(t, cost())
	tr.mustApply(t, dir)
	tr.seal(t)
	if result := tr.mustVerify(t); result.Expired != m.Records {
		t.Errorf("%+v", result)
	}
	if _, err := expiry.CheckArchive(t.Context(), dir, tr.verifier, nil); err != nil {
		t.Error(err)
	}
}

// A record whose text was erased expires, and somebody stores it again, with its text. That can be
// erased again, with an event of its own.
func TestRecordThatIsStoredAgainIsErasedAgain(t *testing.T) {
	t.Parallel()
	tr := newTrail(t)
	recs := tr.fill(t, 600)
	tr.seal(t)
	first, err := expiry.Erase(t.Context(), tr.config(t), recs[0].AuditID, expiry.Reason, "article 17")
	if err != nil {
		t.Fatal(err)
	}
	dir, _ := tr.archive(t, all())
	tr.mustApply(t, dir)
	if _, err := tr.store.PersistMany(t.Context(), recs[:256]); err != nil {
		t.Fatal(err)
	}
	tr.fill(t, 256)
	tr.seal(t)
	tr.mustVerify(t)
	second, err := expiry.Erase(t.Context(), tr.config(t), recs[0].AuditID, expiry.Reason, "article 17")
	if err != nil || second == first {
		t.Fatalf("event %d, then %d, %v", first, second, err)
	}
	got, err := tr.store.Get(t.Context(), audit.AllTenants(), recs[0].AuditID)
	if err != nil || got.ErasedReason() == nil {
		t.Errorf("it reads %q, %v", got.Reason, err)
	}
	tr.seal(t)
	if result := tr.mustVerify(t); result.Erased != 1 || result.Claimed != 0 {
		t.Errorf("%+v", result)
	}
}

// An event that someone forged does not make a text count as erased that is there.
func TestForgedErasureIsNoErasure(t *testing.T) {
	t.Parallel()
	tr := newTrail(t)
	recs := tr.fill(t, 600)
	tr.seal(t)
	id := recs[0].AuditID
	execute(t, tr.db.Pool, `INSERT INTO coordination_audit_seal_events (event_id, kind, epoch, body)
		VALUES (md5('coordaudit erased reason ' || $1::text || ' ' || $2::text)::uuid, 'erased', 1, '{}')`, id.String(), strconv.FormatInt(seqOf(t, tr, id), 10))
	if _, err := expiry.Erase(t.Context(), tr.config(t), id, expiry.Reason, "article 17"); err == nil || !strings.Contains(err.Error(), "run coordaudit verify") {
		t.Errorf("%v", err)
	}
}

// A writer may store a text that reads as erased. It is as it was sealed, so it is no finding, but no
// erasure either.
func TestTextThatReadsAsErasedIsAClaim(t *testing.T) {
	t.Parallel()
	tr := newTrail(t)
	tr.fill(t, 300)
	rec := fixture.NewRecord()
	rec.Reason = audit.ErasedReason(make([]byte, 32))
	rec.Details = audit.ErasedDetails(make([]byte, 32))
	if _, err := tr.store.Persist(t.Context(), rec); err != nil {
		t.Fatal(err)
	}
	tr.seal(t)
	if result := tr.mustVerify(t); result.Erased != 0 || result.Claimed != 1 {
		t.Errorf("%+v", result)
	}
	tr.fill(t, 300)
	tr.seal(t)
	if _, err := expiry.Erase(t.Context(), tr.config(t), rec.AuditID, expiry.Reason, "article 17"); err != nil {
		t.Fatal(err)
	}
	tr.seal(t)
	if result := tr.mustVerify(t); result.Erased != 1 || result.Claimed != 0 {
		t.Errorf("once it is erased: %+v", result)
	}
}
