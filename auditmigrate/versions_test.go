package auditmigrate_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hoc-analytics/coordaudit/auditmigrate"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

// The version table after a dump of the schema alone, after other tools, after a
// restore, and after manual edits.
func TestUpCompletesVersions(t *testing.T) {
	t.Parallel()
	whole := catalog(t, testdb.New(t).Pool)
	for name, change := range map[string]string{
		"Empty":         "DELETE FROM coordaudit_schema_version",
		"WithoutTheRow": "DELETE FROM coordaudit_schema_version WHERE version_id = 0",
		"Gap":           "DELETE FROM coordaudit_schema_version WHERE version_id = 2",
		"FirstMissing":  "DELETE FROM coordaudit_schema_version WHERE version_id = 1",
		"NotApplied":    "UPDATE coordaudit_schema_version SET is_applied = false WHERE version_id >= 4",
		"Reverted":      "INSERT INTO coordaudit_schema_version (version_id, is_applied) VALUES (5, false)",
		"Twice":         "INSERT INTO coordaudit_schema_version (version_id, is_applied) VALUES (5, true)",
		"Sequence":      "DELETE FROM coordaudit_schema_version WHERE version_id = 5; SELECT setval('coordaudit_schema_version_id_seq', 1, false)",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := testdb.New(t)
			execute(t, db.Pool, insertRecord)
			execute(t, db.Pool, change)
			migrator := open(t, db.URL, quiet())
			if _, err := migrator.Up(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := migrator.Validate(t.Context()); err != nil {
				t.Errorf("validate: %v", err)
			}
			if current, _, err := migrator.Version(t.Context()); err != nil || current != newest {
				t.Errorf("version %d, error %v; want %d", current, err, newest)
			}
			if diff := cmp.Diff(whole, catalog(t, db.Pool)); diff != "" {
				t.Errorf("schema (-made +adopted):\n%s", diff)
			}
			if n := texts(t, db.Pool, "SELECT count(*)::text FROM coordination_audit_records"); n[0] != "1" {
				t.Errorf("%s records, want 1", n[0])
			}
			// Every way leads on from there.
			if _, err := migrator.DownTo(t.Context(), 1); err != nil {
				t.Errorf("down-to 1: %v", err)
			}
			up(t, db)
		})
	}
}

func TestVersionGapIsPending(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	execute(t, db.Pool, "DELETE FROM coordaudit_schema_version WHERE version_id = 3")
	before := catalog(t, db.Pool)
	migrator := open(t, db.URL, quiet())
	pending, ok := errors.AsType[*auditmigrate.PendingError](migrator.Validate(t.Context()))
	if !ok || !cmp.Equal(pending.Versions, []int64{3, 4, 5, 6, 7, 8, 9, 10, 11}) {
		t.Errorf("pending %v, want 3 to 11", pending)
	}
	for name, do := range map[string]func(context.Context) ([]auditmigrate.Change, error){"down": migrator.Down, "redo": migrator.Redo} {
		changes, err := do(t.Context())
		if err == nil || len(changes) > 0 || !strings.Contains(err.Error(), "lacks version 3") || !strings.Contains(err.Error(), "migrate up") {
			t.Errorf("%s: changes %v, error %v; want it refused", name, changes, err)
		}
	}
	execute(t, db.Pool, "INSERT INTO coordaudit_schema_version (version_id, is_applied) VALUES ($1, true)", newest+1)
	if changes, err := migrator.Up(t.Context()); err == nil || len(changes) > 0 || !strings.Contains(err.Error(), "newer program") {
		t.Errorf("up below a newer version: changes %v, error %v; want it refused", changes, err)
	}
	if diff := cmp.Diff(before, catalog(t, db.Pool)); diff != "" {
		t.Errorf("the schema has changed:\n%s", diff)
	}
}
