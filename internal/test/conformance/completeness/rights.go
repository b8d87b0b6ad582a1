package completeness

import (
	"errors"
	"testing"

	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/test/conformance/frame"
	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
)

// A role without rights on the statements stores its records all the same. Its account shows
// that no one vouches for them.
func refusedStatementsDelayNothing(t *testing.T, db frame.Database) {
	pool, _ := frame.PoolAsPlainRole(t, db, "SELECT, INSERT ON coordination_audit_records")
	recorder := frame.NewRecorder(t, coordaudit.New(pool, fixture.Quiet()), frame.Hasty(t))
	if _, err := recorder.Record(t.Context(), fixture.NewRecord()); err != nil {
		t.Fatal(err)
	}
	frame.CloseRecorder(t, recorder)
	require(t, only(t, db), audit.SourceAccount{Present: 1, Findings: []audit.Finding{{Kind: audit.NoStatements}}})
}

func readerMayAsk(t *testing.T, db frame.Database) {
	closedWith(t, db, 5)
	pool, _ := frame.PoolAsPlainRole(t, db, "SELECT ON coordination_audit_records", "SELECT ON coordination_audit_statements")
	result, err := coordaudit.New(pool, fixture.Quiet()).Completeness(t.Context(), audit.CompletenessQuery{})
	if err != nil || len(result.Sources) != 1 || result.Sources[0].Present != 5 {
		t.Errorf("%+v, %v; want five present", result, err)
	}
}

// Rows that a policy hides would count as missing.
func hiddenRowsAreRefused(t *testing.T, db frame.Database) {
	closedWith(t, db, 5)
	pool, _ := frame.PoolAsPlainRole(t, db, "SELECT ON coordination_audit_records", "SELECT ON coordination_audit_statements")
	for _, table := range []string{"coordination_audit_records", "coordination_audit_statements"} {
		fixture.MustExec(t, db.Pool, "ALTER TABLE "+table+" ENABLE ROW LEVEL SECURITY")
		_, err := coordaudit.New(pool, fixture.Quiet()).Completeness(t.Context(), audit.CompletenessQuery{})
		if !errors.Is(err, audit.ErrRefused) {
			t.Errorf("%s: %v, want ErrRefused", table, err)
		}
		fixture.MustExec(t, db.Pool, "ALTER TABLE "+table+" DISABLE ROW LEVEL SECURITY")
	}
}

func ownBatchesAreAccountedFor(t *testing.T, db frame.Database) {
	store := frame.NewStore(db)
	source, err := store.NewSource(t.Context(), "nightly batch")
	if err != nil {
		t.Fatal(err)
	}
	stored := fixture.NewRecord()
	if _, err := store.Persist(t.Context(), stored); err != nil {
		t.Fatal(err)
	}
	refused := stored
	refused.Reason = "another one"
	recs := append(fixture.NewRecords(5), stored, refused)
	if err := source.Number(t.Context(), recs); err != nil {
		t.Fatal(err)
	}
	_, err = source.PersistManyFast(t.Context(), recs)
	if failed, ok := errors.AsType[*audit.BatchError](err); !ok || len(failed.Failures) != 1 {
		t.Fatalf("%v, want one conflict", err)
	}
	source.Reject(&recs[6])
	givenUp := fixture.NewRecords(1)
	if err := source.Number(t.Context(), givenUp); err != nil {
		t.Fatal(err)
	}
	source.Drop(&givenUp[0])
	if err := source.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	account := only(t, db)
	if account.Label != "nightly batch" || account.SourceID != source.ID() {
		t.Errorf("%+v, want the label and the id that it has", account)
	}
	require(t, account, audit.SourceAccount{
		Closed: true, AcceptedThrough: 8, ReservedThrough: 8, Present: 5,
		Explained: audit.Explained{Dropped: 1, Rejected: 1, AlreadyPersisted: 1},
	})
}

// Records of a file keep the ordinals that they have. Nothing can be said of the others.
func filesSourceIsElsewhere(t *testing.T, db frame.Database) {
	source, err := frame.NewStore(db).NewSource(t.Context(), "import")
	if err != nil {
		t.Fatal(err)
	}
	recs := fixture.NewRecords(3)
	other := uuid.Must(uuid.NewV7())
	recs[1].Origin.SourceID, recs[1].Origin.SourceSeq = other, 17
	if err := source.Number(t.Context(), recs); err != nil {
		t.Fatal(err)
	}
	if _, err := source.PersistMany(t.Context(), recs); err != nil {
		t.Fatal(err)
	}
	if err := source.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	result := account(t, db)
	if len(result.Sources) != 2 || !result.Complete() {
		t.Fatalf("%+v, want two sources and nothing missing", result)
	}
	for _, account := range result.Sources {
		want := audit.SourceAccount{Closed: true, AcceptedThrough: 2, ReservedThrough: 2, Present: 2}
		if account.SourceID == other {
			want = audit.SourceAccount{Imported: true, Present: 1}
		}
		require(t, account, want)
	}
}
