package sealer_test

import (
	"crypto/rand"
	"errors"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"

	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
	"github.com/hoc-analytics/coordaudit/seal"
	"github.com/hoc-analytics/coordaudit/sealer"
)

// A row may be committed on a worker below a seq that was sealed, so no log is begun there.
func TestATrailOnAClusterIsNotSealed(t *testing.T) {
	t.Parallel()
	db := testdb.NewOnCluster(t, true)
	private, _, err := seal.GenerateKey(rand.Reader, logName)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := note.NewSigner(private)
	if err != nil {
		t.Fatal(err)
	}
	s, err := sealer.New(db.Pool, sealer.Config{Signer: signer, Export: sealer.Directory(t.TempDir())})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Once(t.Context()); !errors.Is(err, sealer.ErrCannotSeal) || !strings.Contains(err.Error(), "docs/citus.md") {
		t.Errorf("Once() = %v, want ErrCannotSeal and what to do", err)
	}
}
