package auditmigrate_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hoc-analytics/coordaudit/auditmigrate"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

const insertGap = `
	INSERT INTO coordination_audit_gaps (gap_id, dropped_safety, dropped_reliability, dropped_cost, dropped_performance, dropped_unknown,
		first_audit_id, last_audit_id, lost_from, lost_until, cause)
	VALUES (gen_random_uuid(), 1, 0, 2, 0, 0, gen_random_uuid(), gen_random_uuid(), now(), now(), 'the disk is full')`

const wholeGaps = "SELECT g::text FROM coordination_audit_gaps AS g ORDER BY seq"

func TestDownRefusesGaps(t *testing.T) {
	t.Parallel()
	db := testdb.NewEmpty(t)
	upTo(t, db, 5)
	execute(t, db.Pool, insertGap)
	// Only the caller can permit data loss.
	execute(t, db.Pool, "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET coordaudit.allow_data_loss = on', current_database()); END $$")
	before, gaps := catalog(t, db.Pool), texts(t, db.Pool, wholeGaps)
	migrator := open(t, db.URL, quiet())
	for name, do := range map[string]func() ([]auditmigrate.Change, error){
		"down":      func() ([]auditmigrate.Change, error) { return migrator.Down(t.Context()) },
		"redo":      func() ([]auditmigrate.Change, error) { return migrator.Redo(t.Context()) },
		"down-to 0": func() ([]auditmigrate.Change, error) { return migrator.DownTo(t.Context(), 0) },
	} {
		changes, err := do()
		if !errors.Is(err, auditmigrate.ErrDataLoss) || len(changes) > 0 {
			t.Fatalf("%s: changes %v, error %v; want ErrDataLoss", name, changes, err)
		}
		want := ": reverting " + gapsName + ": ERROR: coordination_audit_gaps holds gaps, dropping it would destroy them (SQLSTATE 23001)" +
			": to drop them all the same, pass --allow-data-loss (Config.AllowDataLoss)"
		if !strings.HasSuffix(err.Error(), want) {
			t.Errorf("%s: error is\n%q, want it to end with\n%q", name, err, want)
		}
	}
	if diff := cmp.Diff(before, catalog(t, db.Pool)); diff != "" {
		t.Errorf("a refused down has changed:\n%s", diff)
	}
	if diff := cmp.Diff(gaps, texts(t, db.Pool, wholeGaps)); diff != "" {
		t.Errorf("gaps (-before +after):\n%s", diff)
	}
}

func TestDownDropsGaps(t *testing.T) {
	t.Parallel()
	db := testdb.NewEmpty(t)
	upTo(t, db, 4)
	execute(t, db.Pool, insertContext)
	before, rows := catalog(t, db.Pool), texts(t, db.Pool, wholeRows)
	up(t, db)
	execute(t, db.Pool, insertGap)

	changes, err := open(t, db.URL, auditmigrate.Config{AllowDataLoss: true}).DownTo(t.Context(), 4)
	if diff := diffChanges(changesDown(newest, 5), changes); diff != "" || err != nil {
		t.Errorf("%v, changes (-want +got):\n%s", err, diff)
	}
	if diff := cmp.Diff(before, catalog(t, db.Pool)); diff != "" {
		t.Errorf("up and down again (-before +after):\n%s", diff)
	}
	if diff := cmp.Diff(rows, texts(t, db.Pool, wholeRows)); diff != "" {
		t.Errorf("records (-before +after):\n%s", diff)
	}
}

// A deploy must not stop a service that writes records.
func TestGapsTableNeedsNoLock(t *testing.T) {
	t.Parallel()
	db := testdb.NewEmpty(t)
	upTo(t, db, 4)
	inTransaction(t, db.Pool, "LOCK TABLE coordination_audit_records IN ACCESS EXCLUSIVE MODE")
	changes, err := open(t, db.URL, quiet()).UpTo(t.Context(), 5)
	if diff := diffChanges(changesUp(5, 5), changes); diff != "" || err != nil {
		t.Errorf("%v, changes (-want +got):\n%s", err, diff)
	}
}

// A dump may hold the table of gaps without the version table.
func TestUpAdoptsGaps(t *testing.T) {
	t.Parallel()
	requireAdopted(t, insertGap, wholeGaps,
		"ALTER TABLE coordination_audit_gaps DISABLE TRIGGER coordination_audit_gaps_refuse_truncate",
		"ALTER TABLE coordination_audit_gaps DROP CONSTRAINT coordination_audit_gaps_cause_valid")
}

func TestForeignGapsRefused(t *testing.T) {
	t.Parallel()
	const ours = "CREATE TABLE coordination_audit_gaps (LIKE ours INCLUDING ALL)"
	tests := map[string]struct{ table, fault string }{
		"OtherColumns": {"CREATE TABLE coordination_audit_gaps (gap_id uuid PRIMARY KEY)", "has another shape: cause must be text NOT NULL; "},
		"View":         {"CREATE VIEW coordination_audit_gaps AS SELECT * FROM ours", "has another shape: "},
		"OtherType":    {ours + "; ALTER TABLE coordination_audit_gaps ALTER COLUMN dropped_cost TYPE integer", "has another shape: dropped_cost must be bigint NOT NULL (SQLSTATE P0001)"},
		"TakesNULL":    {ours + "; ALTER TABLE coordination_audit_gaps ALTER COLUMN cause DROP NOT NULL", "has another shape: cause must be text NOT NULL (SQLSTATE P0001)"},
		"OwnSeq":       {ours + "; ALTER TABLE coordination_audit_gaps ALTER COLUMN seq DROP IDENTITY", "has another shape: seq must be bigint NOT NULL GENERATED ALWAYS AS IDENTITY (SQLSTATE P0001)"},
		"OtherKey":     {"CREATE TABLE coordination_audit_gaps (LIKE ours INCLUDING ALL EXCLUDING INDEXES)", "its primary key is not gap_id alone (SQLSTATE P0001)"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := testdb.New(t)
			execute(t, db.Pool, "ALTER TABLE coordination_audit_gaps RENAME TO ours")
			execute(t, db.Pool, test.table)
			execute(t, db.Pool, "DELETE FROM "+auditmigrate.VersionTable+" WHERE version_id >= 5")
			before := catalog(t, db.Pool)

			changes, err := open(t, db.URL, quiet()).Up(t.Context())
			if err == nil || len(changes) > 0 {
				t.Fatalf("changes %v, error %v; want a refusal", changes, err)
			}
			text := err.Error()
			if !strings.HasPrefix(text, "migrating up: applying "+gapsName+": ERROR: coordination_audit_gaps stands already and ") ||
				!strings.Contains(text, test.fault) || !strings.HasSuffix(text, ": rename that table, and migrate again") {
				t.Errorf("error is %q", text)
			}
			if diff := cmp.Diff(before, catalog(t, db.Pool)); diff != "" {
				t.Errorf("the table has changed:\n%s", diff)
			}
		})
	}
}
