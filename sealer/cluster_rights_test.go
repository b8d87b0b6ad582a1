package sealer_test

import (
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/hoc-analytics/coordaudit/auditmigrate"
	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
	"github.com/hoc-analytics/coordaudit/sealer"
)

const insertLeaf = "INSERT INTO coordination_audit_seal_leaves (row_id, row_no, epoch, leaf_index, kind) VALUES (gen_random_uuid(), 0, 9, 1, 1)"

// clusterChanges are what no role of a grant may do to the table of a cluster.
func clusterChanges() []string {
	return []string{
		"UPDATE coordination_audit_seal_leaves SET leaf_index = leaf_index",
		"DELETE FROM coordination_audit_seal_leaves",
		"TRUNCATE coordination_audit_seal_leaves",
	}
}

// onCluster is as for a role that may log in on the workers.
func (s *sealed) onCluster(t *testing.T) (pool *pgxpool.Pool, role string) {
	t.Helper()
	pool, role = s.as(t)
	fixture.MustExec(t, s.pool, "ALTER ROLE "+role+" LOGIN")
	return pool, role
}

// A role that was granted before the trail was distributed seals it as well as one that was granted
// after it.
func TestClusterSealerRights(t *testing.T) {
	t.Parallel()
	s := onOneNode(t)
	early, earlyRole := s.onCluster(t)
	s.grant(t, auditmigrate.GrantConfig{Sealers: []string{earlyRole}})
	distribute(t, s)
	late, lateRole := s.onCluster(t)
	s.grant(t, auditmigrate.GrantConfig{Sealers: []string{lateRole}})
	owner := s.pool
	for _, pool := range []*pgxpool.Pool{early, late} {
		s.persist(t, 300)
		s.pool = pool
		s.once(t)
		s.pool = owner
		mustBeForbidden(t, pool, append(clusterChanges(), insertRecord)...)
	}
	s.mustVerify(t, 600)
}

func TestClusterReaderVerifiesAndProves(t *testing.T) {
	t.Parallel()
	s := clusterSealed(t)
	pool, role := s.onCluster(t)
	s.grant(t, auditmigrate.GrantConfig{Readers: []string{role}})
	recs := s.persist(t, 300)
	s.once(t)
	s.pool = pool
	s.mustVerify(t, 300)
	if _, err := sealer.Prove(t.Context(), pool, "", recs[3].AuditID); err != nil {
		t.Error(err)
	}
	mustBeForbidden(t, pool, append(clusterChanges(), insertLeaf, insertRecord)...)
}

// A service has nothing of the seal.
func TestClusterWriterHasNoLeaves(t *testing.T) {
	t.Parallel()
	s := clusterSealed(t)
	pool, role := s.onCluster(t)
	s.grant(t, auditmigrate.GrantConfig{Writers: []string{role}})
	mustBeForbidden(t, pool, append(clusterChanges(), insertLeaf, "SELECT * FROM coordination_audit_seal_leaves")...)
}
