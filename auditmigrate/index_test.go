package auditmigrate_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hoc-analytics/coordaudit/auditmigrate"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

// invalidIndexes lists the indexes that an interrupted migration left behind.
const invalidIndexes = "SELECT indexrelid::regclass::text FROM pg_index WHERE NOT indisvalid"

// indexes lists a database's indexes in the form of catalog.
func indexes(t *testing.T, db *testdb.DB) []string {
	t.Helper()
	return slices.DeleteFunc(catalog(t, db.Pool), func(line string) bool { return !strings.HasPrefix(line, "index ") })
}

func TestIndexesAfterUp(t *testing.T) {
	t.Parallel()
	for name, db := range map[string]*testdb.DB{"made": testdb.New(t), "adopted": predecessor(t)} {
		up(t, db)
		want := []string{
			"coordination_audit_caused_by_time_idx true true",
			"coordination_audit_conflicting_scope_time_idx true true",
			"coordination_audit_corrects_idx true true",
			"coordination_audit_envelope_scope_time_idx true true",
			"coordination_audit_preempting_scope_time_idx true true",
			"coordination_audit_records_pkey true true",
			"coordination_audit_scope_time_idx true true",
			"coordination_audit_seq_idx true true",
			"coordination_audit_time_idx true true",
		}
		got := texts(t, db.Pool, `
			SELECT concat_ws(' ', relname, indisvalid::text, indisready::text) FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
			WHERE indrelid = 'coordination_audit_records'::regclass ORDER BY 1`)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("indexes of a table that was %s (-want +got):\n%s", name, diff)
		}
	}
}

func TestDownRestoresIndexes(t *testing.T) {
	t.Parallel()
	db := testdb.NewEmpty(t)
	upTo(t, db, 3)
	execute(t, db.Pool, insertContext)
	before := indexes(t, db)
	upTo(t, db, 4)
	changes, err := open(t, db.URL, quiet()).Down(t.Context())
	if diff := diffChanges(changesDown(4, 4), changes); diff != "" || err != nil {
		t.Errorf("%v, changes (-want +got):\n%s", err, diff)
	}
	if diff := cmp.Diff(before, indexes(t, db)); diff != "" {
		t.Errorf("indexes (-before +after up and down):\n%s", diff)
	}
}

// Without statistics the planner takes a tenant with half of the trail for a rare one.
func TestTenantStatistics(t *testing.T) {
	t.Parallel()
	db := predecessor(t)
	up(t, db)
	known := texts(t, db.Pool, "SELECT DISTINCT tablename::text FROM pg_stats WHERE attname = 'coalesce' AND schemaname = 'public' ORDER BY 1")
	want := []string{
		"coordination_audit_conflicting_scope_time_idx",
		"coordination_audit_envelope_scope_time_idx",
		"coordination_audit_preempting_scope_time_idx",
		"coordination_audit_scope_time_idx",
	}
	if diff := cmp.Diff(want, known); diff != "" {
		t.Errorf("indexes whose expressions have statistics (-want +got):\n%s", diff)
	}
}

// The snapshot of an older transaction stops a build. Any lock on the table stops a
// drop.
const (
	stopsABuild = "SELECT 1"
	stopsADrop  = "LOCK TABLE coordination_audit_records IN ACCESS SHARE MODE"
)

func TestUpFinishesIndexes(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ held, left string }{
		"Build": {stopsABuild, "coordination_audit_time_idx"},
		"Drop":  {stopsADrop, "coordination_audit_tenant_time_idx"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := testdb.NewEmpty(t)
			upTo(t, db, 3)
			release := inTransaction(t, db.Pool, test.held)
			migrator := open(t, db.URL, auditmigrate.Config{LockTimeout: 500 * time.Millisecond})

			changes, err := migrator.Up(t.Context())
			if !errors.Is(err, auditmigrate.ErrLocked) || len(changes) > 0 {
				t.Fatalf("changes %v, error %v; want ErrLocked", changes, err)
			}
			if want := "migrating up: applying " + readName + ": locked by another session"; !strings.HasPrefix(err.Error(), want) {
				t.Errorf("error is %q, want it to begin with %q", err, want)
			}
			if diff := cmp.Diff([]string{test.left}, texts(t, db.Pool, invalidIndexes)); diff != "" {
				t.Fatalf("half-done indexes (-want +got):\n%s", diff)
			}
			if err := migrator.Validate(t.Context()); !errors.Is(err, auditmigrate.ErrPending) {
				t.Errorf("validate: %v, want ErrPending", err)
			}

			release()
			changes, err = migrator.Up(t.Context())
			if diff := diffChanges(changesUp(4, newest), changes); diff != "" || err != nil {
				t.Errorf("the second time: %v, changes (-want +got):\n%s", err, diff)
			}
			if diff := cmp.Diff(catalog(t, testdb.New(t).Pool), catalog(t, db.Pool)); diff != "" {
				t.Errorf("repaired differs from whole (-whole +repaired):\n%s", diff)
			}
		})
	}
}

// docs/deploy.md shows this way out of an interrupted down.
func TestDownFinishesIndexes(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		version    int64
		held, left string
	}{
		"Of2Drop":  {2, stopsADrop, "coordination_audit_preempting_idx"},
		"Of4Build": {4, stopsABuild, "coordination_audit_tenant_time_idx"},
		"Of4Drop":  {4, stopsADrop, "coordination_audit_preempting_scope_time_idx"},
		"Of7Drop":  {7, stopsADrop, "coordination_audit_corrects_idx"},
		"Of9Drop":  {9, stopsADrop, "coordination_audit_seq_idx"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db, whole := testdb.NewEmpty(t), testdb.NewEmpty(t)
			upTo(t, db, test.version)
			upTo(t, whole, test.version-1)
			release := inTransaction(t, db.Pool, test.held)
			migrator := open(t, db.URL, auditmigrate.Config{LockTimeout: 500 * time.Millisecond})
			if changes, err := migrator.Down(t.Context()); !errors.Is(err, auditmigrate.ErrLocked) || len(changes) > 0 {
				t.Fatalf("changes %v, error %v; want ErrLocked", changes, err)
			}
			if diff := cmp.Diff([]string{test.left}, texts(t, db.Pool, invalidIndexes)); diff != "" {
				t.Fatalf("half-done indexes (-want +got):\n%s", diff)
			}

			release()
			changes, err := migrator.Down(t.Context())
			if diff := diffChanges(changesDown(test.version, test.version), changes); diff != "" || err != nil {
				t.Errorf("the second time: %v, changes (-want +got):\n%s", err, diff)
			}
			if diff := cmp.Diff(indexes(t, whole), indexes(t, db)); diff != "" {
				t.Errorf("finished differs from whole (-whole +finished):\n%s", diff)
			}
		})
	}
}

func TestCancelledIndexesResume(t *testing.T) {
	t.Parallel()
	db := predecessor(t)
	upTo(t, db, 3)
	release := inTransaction(t, db.Pool, stopsADrop)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error, 1)
	go func() { _, err := open(t, db.URL, quiet()).Up(ctx); done <- err }()
	eventually(t, db.Pool, migrationWaits)
	cancel()
	err := <-done
	if want := "migrating up: applying " + readName + ": interrupted: context canceled: run it again"; !errors.Is(err, context.Canceled) || err.Error() != want {
		t.Errorf("error is %v, want %q", err, want)
	}
	eventually(t, db.Pool, "SELECT NOT ("+migrationLockIsHeld+")")

	release()
	up(t, db)
	whole := predecessor(t)
	up(t, whole)
	if diff := cmp.Diff(catalog(t, whole.Pool), catalog(t, db.Pool)); diff != "" {
		t.Errorf("resumed differs from whole (-whole +resumed):\n%s", diff)
	}
}
