package console_test

import (
	"net/http"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"

	"github.com/hoc-analytics/coordaudit/internal/console"
	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
	"github.com/hoc-analytics/coordaudit/seal"
	"github.com/hoc-analytics/coordaudit/sealer"
)

func TestProofIsShown(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
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
	s := openOn(t, db.Pool, func(config *console.Config) { config.Verifier = key })
	s.get(t, "/seal").must(t, http.StatusOK, "Not sealed")
	rec, late := decision("acme", "sealed-envelope"), decision("acme", "late")
	s.persist(t, rec)
	sealing, err := sealer.New(db.Pool, sealer.Config{Signer: signer, Export: sealer.Directory(t.TempDir()), Logger: fixture.Quiet().Logger})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := sealing.Once(t.Context()); err != nil {
		t.Fatal(err)
	}
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
