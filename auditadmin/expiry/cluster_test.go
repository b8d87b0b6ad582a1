package expiry_test

import (
	"crypto/rand"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"golang.org/x/mod/sumdb/note"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/auditadmin/expiry"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
	"github.com/hoc-analytics/coordaudit/seal"
)

// Neither the plan nor the erasure begins where it could not be carried out.
func TestATrailOnAClusterDoesNotExpire(t *testing.T) {
	t.Parallel()
	db := testdb.NewOnCluster(t, true)
	_, public, err := seal.GenerateKey(rand.Reader, "audit.example/trail")
	if err != nil {
		t.Fatal(err)
	}
	verifier, err := note.NewVerifier(public)
	if err != nil {
		t.Fatal(err)
	}
	config := expiry.Config{Pool: db.Pool, Verifier: verifier, Checkpoint: []byte("a checkpoint")}
	_, planErr := expiry.MakePlan(t.Context(), config, expiry.Filter{Scope: audit.AllTenants(), Before: time.Now().AddDate(-2, 0, 0)})
	_, eraseErr := expiry.Erase(t.Context(), config, uuid.New(), expiry.Reason, "a request")
	for _, err := range []error{planErr, eraseErr} {
		if !errors.Is(err, expiry.ErrNotAllowed) || !strings.Contains(err.Error(), "docs/citus.md") {
			t.Errorf("%v, want ErrNotAllowed and what to do", err)
		}
	}
}
