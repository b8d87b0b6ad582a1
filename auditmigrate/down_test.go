package auditmigrate_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hoc-analytics/coordaudit/auditmigrate"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

func TestDownRefusesRecords(t *testing.T) {
	t.Parallel()
	db := predecessor(t)
	up(t, db)
	migrator := open(t, db.URL, quiet())
	// Only the caller can permit data loss.
	execute(t, db.Pool, "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET coordaudit.allow_data_loss = on', current_database()); END $$")
	before, whole := texts(t, db.Pool, elevenColumns), catalog(t, db.Pool)

	changes, err := migrator.DownTo(t.Context(), 0)
	if !errors.Is(err, auditmigrate.ErrDataLoss) {
		t.Fatalf("error is %v, want ErrDataLoss", err)
	}
	want := "migrating down: reverting " + createName +
		": ERROR: coordination_audit_records holds records, dropping it would destroy them (SQLSTATE 23001)" +
		": to drop them all the same, pass --allow-data-loss (Config.AllowDataLoss)"
	if err.Error() != want {
		t.Errorf("error is\n%q, want\n%q", err, want)
	}
	if len(changes) > 0 {
		t.Errorf("changes next to the error: %v, want none", changes)
	}
	if diff := cmp.Diff(whole, catalog(t, db.Pool)); diff != "" {
		t.Errorf("a refused down-to has changed:\n%s", diff)
	}
	if _, err := migrator.DownTo(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	standing := catalog(t, db.Pool)
	for name, do := range map[string]func() ([]auditmigrate.Change, error){
		"down": func() ([]auditmigrate.Change, error) { return migrator.Down(t.Context()) },
		"redo": func() ([]auditmigrate.Change, error) { return migrator.Redo(t.Context()) },
	} {
		if changes, err := do(); !errors.Is(err, auditmigrate.ErrDataLoss) || len(changes) > 0 {
			t.Errorf("%s: changes %v, error %v; want ErrDataLoss", name, changes, err)
		}
	}
	if diff := cmp.Diff(standing, catalog(t, db.Pool)); diff != "" {
		t.Errorf("a refused down has changed:\n%s", diff)
	}
	if !slices.Equal(before, texts(t, db.Pool, elevenColumns)) {
		t.Error("records are gone")
	}
	up(t, db)
}

// --allow-data-loss permits all of it, so the error names all of it.
func TestDownNamesEveryLoss(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	execute(t, db.Pool, insertContext)
	execute(t, db.Pool, insertGap)
	execute(t, db.Pool, insertOrigin)
	execute(t, db.Pool, insertStatement)
	execute(t, db.Pool, insertSealEvent)
	before := catalog(t, db.Pool)
	changes, err := open(t, db.URL, quiet()).DownTo(t.Context(), 0)
	if !errors.Is(err, auditmigrate.ErrDataLoss) || len(changes) > 0 {
		t.Fatalf("changes %v, error %v; want ErrDataLoss", changes, err)
	}
	for _, part := range []string{
		sealsName + ": ERROR: the tables of the seal hold tiles, checkpoints or events",
		statementsName + ": ERROR: coordination_audit_statements holds statements", originName + ": ERROR: coordination_audit_records holds records with reasons",
		gapsName + ": ERROR: coordination_audit_gaps holds gaps", contextName + ": ERROR: coordination_audit_records holds records with a context", createName + ": ERROR: coordination_audit_records holds records, ",
	} {
		if strings.Count(err.Error(), "reverting "+part) != 1 {
			t.Errorf("error is %q, want it to say %q once", err, part)
		}
	}
	if diff := cmp.Diff(before, catalog(t, db.Pool)); diff != "" {
		t.Errorf("a refused down-to has changed:\n%s", diff)
	}
}

func TestDownDropsRecords(t *testing.T) {
	t.Parallel()
	db := predecessor(t)
	up(t, db)
	changes, err := open(t, db.URL, auditmigrate.Config{AllowDataLoss: true}).DownTo(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	if diff := diffChanges(changesDown(newest, 1), changes); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
	if left := slices.DeleteFunc(catalog(t, db.Pool), func(line string) bool { return strings.Contains(line, auditmigrate.VersionTable) }); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestDownRevertsOne(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	migrator := open(t, db.URL, quiet())
	for _, want := range [][]auditmigrate.Change{changesDown(11, 11), changesDown(10, 10), changesDown(9, 9), changesDown(8, 8), changesDown(7, 7), changesDown(6, 6), changesDown(5, 5), changesDown(4, 4), changesDown(3, 3), changesDown(2, 2), changesDown(1, 1), nil} {
		changes, err := migrator.Down(t.Context())
		if diff := diffChanges(want, changes); diff != "" || err != nil {
			t.Errorf("%v, changes (-want +got):\n%s", err, diff)
		}
	}
	up(t, db)
	if diff := cmp.Diff(catalog(t, testdb.New(t).Pool), catalog(t, db.Pool)); diff != "" {
		t.Errorf("down and up again differs from up (-up +down and up):\n%s", diff)
	}
}

func TestDownToVersion(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	execute(t, db.Pool, insertRecord)
	migrator := open(t, db.URL, quiet())
	for _, want := range [][]auditmigrate.Change{changesDown(newest, 2), nil} {
		changes, err := migrator.DownTo(t.Context(), 1)
		if diff := diffChanges(want, changes); diff != "" || err != nil {
			t.Errorf("%v, changes (-want +got):\n%s", err, diff)
		}
	}
}

func TestRedo(t *testing.T) {
	t.Parallel()
	for _, last := range []int64{2, 4, 5, 6, 7, 8, 9, newest} {
		db := testdb.NewEmpty(t)
		upTo(t, db, last)
		execute(t, db.Pool, insertRecord)
		before := catalog(t, db.Pool)
		changes, err := open(t, db.URL, quiet()).Redo(t.Context())
		want := slices.Concat(changesDown(last, last), changesUp(last, last))
		if diff := diffChanges(want, changes); diff != "" || err != nil {
			t.Errorf("%v, changes (-want +got):\n%s", err, diff)
		}
		if diff := cmp.Diff(before, catalog(t, db.Pool)); diff != "" {
			t.Errorf("redo of %d has changed the schema:\n%s", last, diff)
		}
	}

	empty := testdb.NewEmpty(t)
	if changes, err := open(t, empty.URL, quiet()).Redo(t.Context()); err != nil || len(changes) > 0 {
		t.Errorf("with nothing applied: changes %v, error %v; want neither", changes, err)
	}
}
