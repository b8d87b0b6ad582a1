package completeness

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/test/conformance/frame"
	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
)

// account returns what the trail says of its sources.
func account(t *testing.T, db frame.Database) audit.Completeness {
	t.Helper()
	result, err := frame.NewStore(db).Completeness(t.Context(), audit.CompletenessQuery{})
	if err != nil {
		t.Fatal(err)
	}
	return result
}

// only returns the account of the one source of a trail.
func only(t *testing.T, db frame.Database) audit.SourceAccount {
	t.Helper()
	sources := account(t, db).Sources
	if len(sources) != 1 {
		t.Fatalf("%d sources, want one: %+v", len(sources), sources)
	}
	return sources[0]
}

// require compares an account with want, but not its id, its label and its times.
func require(t *testing.T, got, want audit.SourceAccount) {
	t.Helper()
	got.SourceID, got.Label, got.OpenedAt, got.LastStatementAt = uuid.Nil, "", time.Time{}, time.Time{}
	got.Unexplained = undated(got.Unexplained)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("account (-want +got):\n%s", diff)
	}
}

// undated joins the ranges that only their times separate.
func undated(ranges []audit.OrdinalRange) (joined []audit.OrdinalRange) {
	for _, r := range ranges {
		if last := len(joined) - 1; last >= 0 && joined[last].Last+1 == r.First {
			joined[last].Last = r.Last
			continue
		}
		joined = append(joined, audit.OrdinalRange{First: r.First, Last: r.Last})
	}
	return joined
}

// closedWith stores n records by a Recorder that it closes.
func closedWith(t *testing.T, db frame.Database, n int) []audit.Record {
	t.Helper()
	recs := fixture.NewRecords(n)
	recorder := frame.NewRecorder(t, frame.NewStore(db), frame.Hasty(t))
	frame.EnqueueAll(t, recorder, recs)
	frame.CloseRecorder(t, recorder)
	return recs
}

func accountsForEachOrdinal(t *testing.T, db frame.Database) {
	recs := closedWith(t, db, 200)
	result := account(t, db)
	if !result.Complete() || result.Unnumbered != 0 || result.At.IsZero() {
		t.Errorf("%+v, want a complete trail", result)
	}
	source := only(t, db)
	require(t, source, audit.SourceAccount{Closed: true, AcceptedThrough: 200, ReservedThrough: 200, Present: 200})
	if source.Label == "" || source.OpenedAt.IsZero() || source.LastStatementAt.Before(source.OpenedAt) {
		t.Errorf("%+v, want a label and times", source)
	}
	stored, err := frame.NewStore(db).Get(t.Context(), audit.AllTenants(), recs[41].AuditID)
	if err != nil || stored.Origin.SourceID != source.SourceID || stored.Origin.SourceSeq != 42 {
		t.Errorf("%+v, %v; want ordinal 42 of %s", stored.Origin, err, source.SourceID)
	}
}

func openSourceHasLastBlock(t *testing.T, db frame.Database) {
	recorder := frame.NewRecorder(t, frame.NewStore(db), frame.Hasty(t))
	for range 3 {
		if _, err := recorder.Record(t.Context(), fixture.NewRecord()); err != nil {
			t.Fatal(err)
		}
	}
	source := only(t, db)
	if source.Closed || source.Present != 3 || source.AcceptedThrough > 3 || source.LastBlock != source.ReservedThrough-3 || len(source.Unexplained) > 0 {
		t.Errorf("%+v, want three present and the rest of the block unknown", source)
	}
	frame.CloseRecorder(t, recorder)
	require(t, only(t, db), audit.SourceAccount{Closed: true, AcceptedThrough: 3, ReservedThrough: 3, Present: 3})
}

// Three records that will never come under their ordinals, each for its own cause.
func explainsWhatNeverComes(t *testing.T, db frame.Database) {
	store := frame.NewStore(db)
	taken := fixture.NewRecord()
	if _, err := store.Persist(t.Context(), taken); err != nil {
		t.Fatal(err)
	}
	conflicting := taken
	conflicting.Reason = "another one"
	again := fixture.NewRecord()
	config := frame.Hasty(t)
	config.MaxQueuedRecords, config.MaxSpoolBytes = 5, 2000
	recorder := frame.NewRecorder(t, store, config)
	frame.EnqueueAll(t, recorder, []audit.Record{taken, conflicting, again})
	if err := recorder.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := recorder.Record(t.Context(), again); err != nil {
		t.Fatal(err)
	}
	release := frame.LockTable(t, db)
	fixture.EventuallyWithin(t, time.Minute, func() bool {
		_ = recorder.Enqueue(fixture.NewRecord()) // until there is no room
		return recorder.Stats().Total().Dropped >= 3
	})
	release()
	fixture.EventuallyWithin(t, time.Minute, func() bool { total := recorder.Stats().Total(); return total.Queued+total.Spooled == 0 })
	frame.CloseRecorder(t, recorder)
	total := recorder.Stats().Total()
	require(t, only(t, db), audit.SourceAccount{
		Closed: true, AcceptedThrough: total.Accepted, ReservedThrough: total.Accepted, Present: total.Accepted - total.Dropped - 3,
		Explained: audit.Explained{Dropped: total.Dropped, Rejected: 1, AlreadyPersisted: 2},
	})
}

func findsDeletedRows(t *testing.T, db frame.Database) {
	recs := closedWith(t, db, 20)
	frame.Unguarded(t, db.Pool, fmt.Sprintf("DELETE FROM coordination_audit_records WHERE audit_id IN ('%s', '%s', '%s')",
		recs[3].AuditID, recs[4].AuditID, recs[19].AuditID))
	result := account(t, db)
	if result.Complete() {
		t.Error("three rows are missing, and the trail counts as complete")
	}
	require(t, result.Sources[0], audit.SourceAccount{
		Closed: true, AcceptedThrough: 20, ReservedThrough: 20, Present: 17,
		Unexplained: []audit.OrdinalRange{{First: 4, Last: 5}, {First: 20, Last: 20}},
	})
}

func datesWhatIsMissing(t *testing.T, db frame.Database) {
	recorder := frame.NewRecorder(t, frame.NewStore(db), frame.Hasty(t))
	recs := fixture.NewRecords(2)
	for _, rec := range recs { // the source has opened when the first one is stored
		if _, err := recorder.Record(t.Context(), rec); err != nil {
			t.Fatal(err)
		}
	}
	frame.CloseRecorder(t, recorder)
	frame.Unguarded(t, db.Pool, fmt.Sprintf("DELETE FROM coordination_audit_records WHERE audit_id = '%s'", recs[1].AuditID))
	source := only(t, db)
	want := []audit.OrdinalRange{{First: 2, Last: 2, After: source.OpenedAt, Before: source.LastStatementAt}}
	if diff := cmp.Diff(want, source.Unexplained); diff != "" || !want[0].After.Before(want[0].Before) {
		t.Errorf("unexplained (-want +got):\n%s", diff)
	}
}

// forge changes what a row says of its source.
func forge(source audit.SourceAccount, from, to int64) string {
	return fmt.Sprintf("UPDATE coordination_audit_records SET source_seq = %d WHERE source_id = '%s' AND source_seq = %d; ", to, source.SourceID, from)
}

func findsContradictions(t *testing.T, db frame.Database) {
	store := frame.NewStore(db)
	taken := fixture.NewRecord()
	if _, err := store.Persist(t.Context(), taken); err != nil {
		t.Fatal(err)
	}
	recorder := frame.NewRecorder(t, store, frame.Hasty(t))
	frame.EnqueueAll(t, recorder, append([]audit.Record{taken}, fixture.NewRecords(9)...)) // the first one comes elsewhere
	frame.CloseRecorder(t, recorder)
	source := only(t, db)
	frame.Unguarded(t, db.Pool, forge(source, 3, 2)+forge(source, 5, 1)+forge(source, 7, 4000))
	require(t, only(t, db), audit.SourceAccount{
		Closed: true, AcceptedThrough: 10, ReservedThrough: 10, Present: 8,
		Unexplained: []audit.OrdinalRange{{First: 3, Last: 3}, {First: 5, Last: 5}, {First: 7, Last: 7}},
		Findings: []audit.Finding{
			{Kind: audit.RepeatedOrdinal, First: 2, Last: 2},
			{Kind: audit.UnexpectedRow, First: 1, Last: 1},
			{Kind: audit.UnreservedRow, First: 4000, Last: 4000},
		},
	})
}

func findsMissingStatement(t *testing.T, db frame.Database) {
	closedWith(t, db, 5)
	fixture.MustExec(t, db.Pool, "ALTER TABLE coordination_audit_statements DISABLE TRIGGER USER")
	fixture.MustExec(t, db.Pool, "DELETE FROM coordination_audit_statements WHERE statement_no = 1")
	source := only(t, db)
	if diff := cmp.Diff([]audit.Finding{{Kind: audit.MissingStatement, First: 1, Last: 1}}, source.Findings); diff != "" {
		t.Errorf("findings (-want +got):\n%s", diff)
	}
	fixture.MustExec(t, db.Pool, "DELETE FROM coordination_audit_statements")
	require(t, only(t, db), audit.SourceAccount{Present: 5, Findings: []audit.Finding{{Kind: audit.NoStatements}}})
}

func othersHaveNoNumber(t *testing.T, db frame.Database) {
	store := frame.NewStore(db)
	tx := frame.CallersTx(t, db.Pool)
	if _, err := store.PersistTx(t.Context(), tx, fixture.NewRecord()); err != nil {
		t.Fatal(err)
	}
	frame.Commit(t, tx)
	if _, err := store.PersistMany(t.Context(), fixture.NewRecords(3)); err != nil {
		t.Fatal(err)
	}
	replay, err := store.Replaying().NewRecorder(coordaudit.RecorderConfig{SpoolDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	frame.EnqueueAll(t, replay, fixture.NewRecords(3))
	frame.CloseRecorder(t, replay)
	result := account(t, db)
	if len(result.Sources) != 0 || result.Unnumbered != 4 || !result.Complete() {
		t.Errorf("%+v, want four records without a number and no source", result)
	}
}

func windowSelectsSources(t *testing.T, db frame.Database) {
	closedWith(t, db, 3)
	between := account(t, db).At
	closedWith(t, db, 4)
	for name, c := range map[string]struct {
		window audit.Window
		want   []int64 // present
	}{
		"all":    {audit.Window{}, []int64{3, 4}},
		"before": {audit.Window{Until: between}, []int64{3}},
		"since":  {audit.Window{Since: between}, []int64{4}},
		"none":   {audit.Window{Until: between.AddDate(-1, 0, 0)}, nil},
	} {
		result, err := frame.NewStore(db).Completeness(t.Context(), audit.CompletenessQuery{Window: c.window})
		if err != nil {
			t.Fatal(err)
		}
		var present []int64
		for _, source := range result.Sources {
			present = append(present, source.Present)
		}
		if diff := cmp.Diff(c.want, present); diff != "" || !result.Complete() {
			t.Errorf("%s (-want +got), complete %s:\n%s", name, strconv.FormatBool(result.Complete()), diff)
		}
	}
	_, err := frame.NewStore(db).Completeness(t.Context(), audit.CompletenessQuery{Window: audit.Window{Since: between, Until: between.AddDate(0, 0, -1)}})
	if err == nil {
		t.Error("a window that ends before it begins was accepted")
	}
}
