package sealer_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/auditadmin"
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

// clusterSealed is a trail on the cluster, with a log.
func clusterSealed(t *testing.T) *sealed {
	t.Helper()
	testdb.NeedsCluster(t)
	return newSealed(t)
}

// A row that is committed below what was sealed gets a leaf behind it, and is proved as any other.
func TestClusterSealsWhatIsCommittedLate(t *testing.T) {
	t.Parallel()
	s := clusterSealed(t)
	tx, err := s.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	late := fixture.NewRecords(300) // on every shard, so in two phases
	if _, err := coordaudit.New(nil, patient()).PersistManyTx(t.Context(), tx, late); err != nil {
		t.Fatal(err)
	}
	s.persist(t, 500)
	if n := s.once(t); n != 500 {
		t.Fatalf("sealed %d rows, want those that are committed", n)
	}
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := s.once(t); n != 300 {
		t.Fatalf("sealed %d rows, want the late ones", n)
	}
	s.mustVerify(t, 800)
	for _, rec := range []int{0, 299} { // in a full tile, and in the tail
		proof, err := sealer.Prove(t.Context(), s.pool, "", late[rec].AuditID)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := proof.Verify(logName, s.verifier); err != nil || proof.Index < 500 {
			t.Errorf("the proof of leaf %d: %v", proof.Index, err)
		}
	}
}

// What was sealed on one server goes on as the same log on the cluster.
func TestClusterContinuesTheLogOfOneServer(t *testing.T) {
	t.Parallel()
	s := onOneNode(t)
	recs := s.persist(t, 300)
	fixture.MustExec(t, s.pool, "SELECT nextval('coordination_audit_records_seq_seq')") // a hole, as a rollback leaves
	s.persist(t, 300)
	s.once(t)
	before := s.checkpoint(t)
	distribute(t, s)
	s.mustVerify(t, 600) // before a leaf is listed
	if _, err := sealer.Prove(t.Context(), s.pool, "", recs[5].AuditID); err != nil {
		t.Error(err)
	}
	s.persist(t, 100)
	if n := s.once(t); n != 100 {
		t.Fatalf("sealed %d rows, want the new ones", n)
	}
	s.mustVerify(t, 700)
	if result := s.verifyAgainst(t, before); len(result.Findings) > 0 || result.Verified != 600 {
		t.Errorf("against the checkpoint of one server: %+v", result)
	}
	if n := fixture.QueryInt(t, s.pool, "SELECT count(DISTINCT leaf_index) FROM coordination_audit_seal_leaves WHERE kind = 1"); n != 700 {
		t.Errorf("%d leaves are listed, want 700", n)
	}
	s.superuser(t, "UPDATE coordination_audit_records SET reason = 'another' WHERE audit_id = $1", recs[7].AuditID)
	wantFindings(t, s.verify(t), sealer.Edited, recs[7].AuditID)
}

// onOneNode is a trail on the coordinator alone.
func onOneNode(t *testing.T) *sealed {
	t.Helper()
	db := testdb.NewOnCluster(t, false)
	return sealedOn(t, db)
}

func distribute(t *testing.T, s *sealed) {
	t.Helper()
	conn, err := pgx.ConnectConfig(t.Context(), s.pool.Config().ConnConfig)
	if err == nil {
		_, err = auditadmin.Distribute(t.Context(), conn, auditadmin.DistributeConfig{})
	}
	if err == nil {
		err = conn.Close(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
}

// A record that is listed as sealed and is not would never be sealed: it is named.
func TestClusterRecordThatIsListedInVainIsNamed(t *testing.T) {
	t.Parallel()
	for name, index := range map[string]int64{"PlaceOfAnother": 7, "PlaceInTheTail": 299, "BehindTheEnd": 1 << 40} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := clusterSealed(t)
			s.persist(t, 300)
			s.once(t)
			hidden := s.persist(t, 1)[0].AuditID
			fixture.MustExec(t, s.pool, "INSERT INTO coordination_audit_seal_leaves (row_id, row_no, epoch, leaf_index, kind) VALUES ($1, 0, 1, $2, 1)", hidden, index)
			n, err := s.sealer(t).Once(t.Context())
			if cutOff := name == "BehindTheEnd"; n != 0 || errors.Is(err, sealer.ErrCutOff) != cutOff || err != nil && !cutOff {
				t.Fatalf("sealed %d rows, and the only one is listed: %v", n, err)
			}
			wantFindings(t, s.verify(t), sealer.Inserted, hidden)
		})
	}
}

// Edits, deletions and lists that lost a row are different findings.
func TestClusterTamperingIsNamed(t *testing.T) {
	t.Parallel()
	s := clusterSealed(t)
	recs := s.persist(t, 600)
	s.once(t)
	s.superuser(t, "DELETE FROM coordination_audit_seal_leaves WHERE row_id = ANY ($1)", []uuid.UUID{recs[8].AuditID, recs[598].AuditID})
	s.mustVerify(t, 600) // the rows are what was sealed
	s.superuser(t, "UPDATE coordination_audit_records SET tenant_id = 'another' WHERE audit_id = $1", recs[9].AuditID)
	s.superuser(t, "UPDATE coordination_audit_records SET reason = 'another' WHERE audit_id = $1", recs[597].AuditID)
	wantFindings(t, s.verify(t), sealer.Edited, recs[9].AuditID, recs[597].AuditID)
	s.superuser(t, "DELETE FROM coordination_audit_records WHERE audit_id = $1", recs[10].AuditID)
	missing := 0
	for _, f := range s.verify(t).Findings {
		if f.Fault == sealer.Missing {
			missing++
		}
	}
	if missing != 1 {
		t.Errorf("%d records are missing, want 1", missing)
	}
}

// A worker that lost its last commits lists leaves no more that the log has. They are listed again.
func TestClusterLeavesThatWereLostAreListedAgain(t *testing.T) {
	t.Parallel()
	s := clusterSealed(t)
	recs := s.persist(t, 600)
	s.once(t)
	s.superuser(t, "DELETE FROM coordination_audit_seal_leaves WHERE row_id = ANY ($1)", []uuid.UUID{recs[300].AuditID, recs[599].AuditID})
	s.superuser(t, "DELETE FROM coordination_audit_seal_leaves WHERE row_id = $1", recs[301].AuditID)
	s.superuser(t, "DELETE FROM coordination_audit_records WHERE audit_id = $1", recs[301].AuditID)
	if n := s.once(t); n != 0 {
		t.Errorf("sealed %d rows again", n)
	}
	if n := fixture.QueryInt(t, s.pool, "SELECT count(DISTINCT leaf_index) FROM coordination_audit_seal_leaves"); n != 600 {
		t.Errorf("%d leaves are listed, want 600", n)
	}
	if n := fixture.QueryInt(t, s.pool, "SELECT count(*) FROM coordination_audit_seal_leaves WHERE kind = 0 AND leaf_index = 301"); n != 1 {
		t.Error("the leaf whose record is gone is not listed as such")
	}
}

// A new epoch seals everything again, and the leaves of the old one stay.
func TestClusterEpochSealsEverythingAgain(t *testing.T) {
	t.Parallel()
	s := clusterSealed(t)
	s.persist(t, 300)
	s.once(t)
	if _, err := s.sealer(t).OpenEpoch(t.Context(), "a test"); err != nil {
		t.Fatal(err)
	}
	s.mustVerify(t, 1) // the event
	if n := s.once(t); n != 300 {
		t.Fatalf("sealed %d rows, want 300 records", n)
	}
	s.mustVerify(t, 301)
	if n := fixture.QueryInt(t, s.pool, "SELECT count(*) FROM coordination_audit_seal_leaves"); n != 601 {
		t.Errorf("%d leaves are listed, want 601", n)
	}
}

// No checkpoint is exported whose leaves are not listed as they were sent, because a trigger of the
// owner removes or changes them: their rows would be sealed again in each round.
func TestClusterSealsNothingTwiceWhereATriggerTakesLeavesAway(t *testing.T) {
	t.Parallel()
	for name, does := range map[string]string{
		"Discarded":     "RETURN NULL;",
		"OfAnotherRow":  "NEW.row_id := gen_random_uuid(); RETURN NEW;",
		"OfAnotherLeaf": "NEW.leaf_index := NEW.leaf_index + 1000; RETURN NEW;",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := clusterSealed(t)
			s.persist(t, 1)
			s.once(t)
			before := string(s.checkpoint(t))
			// Each change of the schema in a message of its own, as a cluster wants it.
			fixture.MustExec(t, s.pool, "CREATE FUNCTION meddles() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "+does+" END $$")
			fixture.MustExec(t, s.pool, "CREATE TRIGGER meddles BEFORE INSERT ON coordination_audit_seal_leaves FOR EACH ROW EXECUTE FUNCTION meddles()")
			s.persist(t, 299)
			if n, err := s.sealer(t).Once(t.Context()); !errors.Is(err, sealer.ErrCannotSeal) || !strings.Contains(err.Error(), "coordination_audit_seal_leaves") || n != 0 {
				t.Errorf("Once() = %d, %v; want ErrCannotSeal that names the cause", n, err)
			}
			if got := string(s.checkpoint(t)); got != before {
				t.Errorf("exported:\n%s\nwant what was exported before:\n%s", got, before)
			}
			fixture.MustExec(t, s.pool, "DROP TRIGGER meddles ON coordination_audit_seal_leaves")
			if n := s.once(t); n != 299 {
				t.Errorf("%d rows sealed without the trigger, want 299", n)
			}
			s.mustVerify(t, 300)
		})
	}
}

// What was sealed on one server is not sealed again because a trigger keeps its leaves from being listed.
func TestClusterWithoutTheLeavesOfOneServerSealsNothing(t *testing.T) {
	t.Parallel()
	s := onOneNode(t)
	s.persist(t, 300)
	s.once(t)
	distribute(t, s)
	fixture.MustExec(t, s.pool, "CREATE FUNCTION meddles() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$")
	s.superuser(t, "CREATE TRIGGER meddles BEFORE INSERT ON coordination_audit_seal_leaves FOR EACH ROW EXECUTE FUNCTION meddles()")
	if n, err := s.sealer(t).Once(t.Context()); !errors.Is(err, sealer.ErrCannotSeal) || !strings.Contains(err.Error(), "coordination_audit_seal_leaves") || n != 0 {
		t.Errorf("Once() = %d, %v; want ErrCannotSeal that names the cause", n, err)
	}
	s.mustVerify(t, 300)
}
