package console_test

import (
	"context"
	"crypto/rand"
	"net/http"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/mod/sumdb/note"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/internal/console"
	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
	"github.com/hoc-analytics/coordaudit/seal"
	"github.com/hoc-analytics/coordaudit/sealer"
)

// newKey makes the key of a log.
func newKey(t *testing.T) (note.Signer, note.Verifier) {
	t.Helper()
	secret, public, err := note.GenerateKey(nil, "audit.example.com/test")
	if err != nil {
		t.Fatal(err)
	}
	signer, err := note.NewSigner(secret)
	if err != nil {
		t.Fatal(err)
	}
	key, err := note.NewVerifier(public)
	if err != nil {
		t.Fatal(err)
	}
	return signer, key
}

func sealAll(t *testing.T, pool *pgxpool.Pool, signer note.Signer) {
	t.Helper()
	sealing, err := sealer.New(pool, sealer.Config{Signer: signer, Export: sealer.Directory(t.TempDir()), Logger: fixture.Quiet().Logger})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := sealing.Once(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestProofIsShown(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	signer, key := newKey(t)
	s := openOn(t, db.Pool, func(config *console.Config) { config.Verifier = key })
	s.get(t, "/seal").must(t, http.StatusOK, "Not sealed")
	rec, late := decision("acme", "sealed-envelope"), decision("acme", "late")
	s.persist(t, rec)
	sealAll(t, db.Pool, signer)
	s.persist(t, late)
	page := "/records/" + rec.AuditID.String()
	s.get(t, page).must(t, http.StatusOK, "sealed, proof verified", "Download the proof", "leaf 0 of audit.example.com/test")
	s.get(t, "/records/"+late.AuditID.String()).must(t, http.StatusOK, "not sealed yet")
	s.get(t, "/seal").must(t, http.StatusOK, "1 record not sealed yet", "audit.example.com/test")

	got := s.get(t, page+"/proof").must(t, http.StatusOK)
	if !strings.HasPrefix(got.header.Get("Content-Disposition"), "attachment") {
		t.Errorf("the proof is no file: %v", got.header)
	}
	proof, err := seal.ParseProof([]byte(got.body))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := proof.Verify(key.Name(), key); err != nil {
		t.Errorf("the proof does not verify: %v", err)
	}

	fixture.MustExec(t, db.Pool, "ALTER TABLE coordination_audit_records DISABLE TRIGGER USER")
	fixture.MustExec(t, db.Pool, "UPDATE coordination_audit_records SET reason = 'another' WHERE audit_id = '"+rec.AuditID.String()+"'")
	s.get(t, page).must(t, http.StatusOK, "not as it was sealed")
	s.get(t, page+"/proof").must(t, http.StatusNotFound, "No proof")
}

// A log that the role may not read says nothing about a record. The answer says so, and the log
// of the console has the cause.
func TestUnreadLogIsNoVerdict(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	signer, _ := newKey(t)
	role := "coordaudit_test_" + strings.ToLower(rand.Text()[:10])
	fixture.MustExec(t, db.Pool, "CREATE ROLE "+role)
	t.Cleanup(func() {
		if _, err := db.Pool.Exec(context.WithoutCancel(t.Context()), "DROP OWNED BY "+role+" CASCADE; DROP ROLE "+role); err != nil {
			t.Errorf("dropping role %s: %v", role, err)
		}
	})
	fixture.MustExec(t, db.Pool, "GRANT SELECT ON coordination_audit_records TO "+role)
	s := openOn(t, fixture.OpenPool(t, db.URL, func(config *pgxpool.Config) { config.ConnConfig.RuntimeParams["role"] = role }), nil)
	rec := decision("acme", "sealed-envelope")
	fixture.MustPersist(t, coordaudit.New(db.Pool, fixture.Quiet()), rec)
	sealAll(t, db.Pool, signer)
	page := "/records/" + rec.AuditID.String()
	s.get(t, page).must(t, http.StatusOK, "not known", "seal not known")
	if log := s.log.String(); !strings.Contains(log, "coordination_console_seal_unread") || !strings.Contains(log, "coordination_audit_seal_checkpoints") {
		t.Errorf("the cause is not in the log: %s", log)
	}
	if got := s.get(t, page+"/proof").must(t, http.StatusInternalServerError, "may not read"); strings.Contains(got.body, "not sealed") {
		t.Errorf("the answer is a verdict: %s", main(got.body))
	}
}

// A row that was put among the sealed ones is not one that waits to be sealed.
func TestInsertedRowIsNotWaiting(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	signer, _ := newKey(t)
	s := openOn(t, db.Pool, nil)
	s.persist(t, decision("acme", "sealed-envelope"))
	sealAll(t, db.Pool, signer)
	id := uuid.NewString()
	fixture.MustExec(t, db.Pool, `INSERT INTO coordination_audit_records (audit_id, envelope_id, envelope_class, decision, reason, decision_timestamp, active_envelopes_count, seq)
		OVERRIDING SYSTEM VALUE VALUES ('`+id+`', 'forged', 'COST', 'APPLIED', 'x', now(), 0, -5)`)
	if got := s.get(t, "/records/"+id).must(t, http.StatusOK, "not as it was sealed", "was never sealed"); strings.Contains(got.body, "not sealed yet") {
		t.Errorf("it seems to wait: %s", main(got.body))
	}
	if got := s.get(t, "/seal").must(t, http.StatusOK, "No record waits to be sealed"); strings.Contains(got.body, "Every committed record is sealed") {
		t.Errorf("the page says more than it knows: %s", main(got.body))
	}
}

// A checkpoint that another key signed is no seal for a console that knows the key.
func TestForeignCheckpointIsNoSeal(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	signer, own := newKey(t)
	_, foreign := newKey(t)
	s := openOn(t, db.Pool, func(config *console.Config) { config.Verifier = foreign })
	rec := decision("acme", "sealed-envelope")
	s.persist(t, rec)
	sealAll(t, db.Pool, signer)
	if got := s.get(t, "/seal").must(t, http.StatusOK, "not signed by the key"); strings.Contains(got.body, "verdict good") {
		t.Errorf("the page is content: %s", main(got.body))
	}
	s.get(t, "/records/"+rec.AuditID.String()).must(t, http.StatusOK, "not as it was sealed")
	s.get(t, "/records/"+rec.AuditID.String()+"/proof").must(t, http.StatusNotFound, "No proof", "not as it was sealed")
	known := openOn(t, db.Pool, func(config *console.Config) { config.Verifier = own })
	known.get(t, "/seal").must(t, http.StatusOK, "signed by the key", "verdict good")
}

// A digest in the place of a text proves what was sealed, and not that its erasure is on record.
func TestErasedTextIsProvenByItsDigest(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	signer, key := newKey(t)
	s := openOn(t, db.Pool, func(config *console.Config) { config.Verifier = key })
	rec, whole := decision("acme", "envelope"), decision("acme", "envelope")
	rec.Details = `{"note": "x"}`
	s.persist(t, rec, whole)
	s.persist(t, fixture.NewRecords(300)...) // a full tile has the hashes of its leaves
	sealAll(t, db.Pool, signer)
	fixture.MustExec(t, db.Pool, "ALTER TABLE coordination_audit_records DISABLE TRIGGER USER")
	_, err := db.Pool.Exec(t.Context(), `UPDATE coordination_audit_records SET reason = '[erased sha256:' || encode(sha256(convert_to('coordaudit reason', 'UTF8') || decode('00', 'hex') || uuid_send(audit_id) || convert_to(reason, 'UTF8')), 'hex') || ']' WHERE audit_id = $1`, rec.AuditID)
	if err != nil {
		t.Fatal(err)
	}
	const says = "of its reason only a digest is proven, and coordaudit verify tells whether its erasure is on record"
	s.get(t, "/records/"+rec.AuditID.String()).must(t, http.StatusOK, says, "sealed, proof verified")
	if got := s.get(t, "/records/"+whole.AuditID.String()).must(t, http.StatusOK, "sealed, proof verified"); strings.Contains(got.body, "only a digest") {
		t.Errorf("a whole record is said to be erased: %s", main(got.body))
	}
}
