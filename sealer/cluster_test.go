package sealer_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
	"github.com/hoc-analytics/coordaudit/sealer"
)

// On a cluster, every row that is sealed has a leaf next to it, and each is sealed once.
func TestClusterTrailIsSealed(t *testing.T) {
	t.Parallel()
	testdb.NeedsCluster(t)
	s := newSealed(t)
	s.persist(t, 700)
	if n := s.once(t); n != 700 {
		t.Fatalf("sealed %d rows, want 700", n)
	}
	s.persist(t, 3)
	if n := s.once(t); n != 3 {
		t.Fatalf("sealed %d rows, want 3", n)
	}
	if n := s.once(t); n != 0 {
		t.Fatalf("sealed %d rows again", n)
	}
	if n := fixture.QueryInt(t, s.pool, `
		SELECT count(*) FROM coordination_audit_records AS r JOIN coordination_audit_seal_leaves AS l ON l.row_id = r.audit_id
		WHERE l.kind = 1 AND l.leaf_index BETWEEN 0 AND 702`); n != 703 {
		t.Errorf("%d records have leaves, want 703", n)
	}
	s.mustVerify(t, 703)
}

// Without the table of leaves, nothing says what is sealed.
func TestClusterNeedsTheTableOfLeaves(t *testing.T) {
	t.Parallel()
	testdb.NeedsCluster(t)
	s := newSealed(t)
	fixture.MustExec(t, s.pool, "DROP TABLE coordination_audit_seal_leaves")
	_, err := s.sealer(t).Once(t.Context())
	if !errors.Is(err, sealer.ErrCannotSeal) || !strings.Contains(err.Error(), "migrate distribute") {
		t.Errorf("Once() = %v, want ErrCannotSeal and what to do", err)
	}
}
