package auditdriver_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/auditdriver"
	"github.com/hoc-analytics/coordaudit/internal/completeness"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

// A follower learns which seqs have a row, and which row of a range comes last. There may be none.
func TestFollowerFindsStoredSeqs(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	driver, _ := driverOn(t, db.URL, nil)
	seqs := map[int64]uuid.UUID{}
	for range 5 {
		rec := record()
		result, err := driver.Persist(t.Context(), &rec)
		if err != nil {
			t.Fatal(err)
		}
		seqs[result.Seq] = rec.AuditID
	}
	err := driver.Following(t.Context(), func(f *auditdriver.Follower) error {
		stored, err := f.Stored(t.Context(), completeness.Set{{First: 2, Last: 3}, {First: 5, Last: 900}})
		if diff := cmp.Diff(completeness.SetOf(2, 3, 5), stored); diff != "" || err != nil {
			t.Errorf("%v, stored (-want +got):\n%s", err, diff)
		}
		if stored, err := f.Stored(t.Context(), nil); len(stored) > 0 || err != nil {
			t.Errorf("of no seqs %v are stored, %v", stored, err)
		}
		last, found, err := f.LastThrough(t.Context(), 1, 4)
		if want := (auditdriver.SeqID{Seq: 4, AuditID: seqs[4]}); err != nil || !found || last != want {
			t.Errorf("the last through 4 is %+v, %t, %v", last, found, err)
		}
		if last, found, err := f.LastThrough(t.Context(), 100, 200); err != nil || found || last != (auditdriver.SeqID{}) {
			t.Errorf("the last of none is %+v, %t, %v", last, found, err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Without a checkpoint, or the table of checkpoints, nothing says how far rows are final. That is
// an answer, and no failure of the database.
func TestFollowerKnowsNoCheckpoint(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	driver, _ := driverOn(t, db.URL, nil)
	sealed := func() (err error) {
		_ = driver.Following(t.Context(), func(f *auditdriver.Follower) error {
			_, _, err = f.Sealed(t.Context())
			return err
		})
		return err
	}
	if err := sealed(); !errors.Is(err, auditdriver.ErrNoCheckpoint) {
		t.Errorf("%v, want ErrNoCheckpoint", err)
	}
	if _, err := db.Pool.Exec(t.Context(), "ALTER TABLE coordination_audit_seal_checkpoints RENAME TO hidden"); err != nil {
		t.Fatal(err)
	}
	if err := sealed(); !errors.Is(err, auditdriver.ErrNoCheckpoint) || errors.Is(err, audit.ErrRefused) {
		t.Errorf("%v without the table, want ErrNoCheckpoint", err)
	}
}
