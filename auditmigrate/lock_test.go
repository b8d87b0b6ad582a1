package auditmigrate_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hoc-analytics/coordaudit/auditmigrate"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

func TestMigrationLockTimeout(t *testing.T) {
	t.Parallel()
	db := predecessor(t)
	release := inTransaction(t, db.Pool, "LOCK TABLE coordination_audit_records IN ACCESS SHARE MODE")
	first := make(chan error, 1)
	go func() { _, err := open(t, db.URL, quiet()).Up(t.Context()); first <- err }()
	eventually(t, db.Pool, migrationLockIsHeld)

	start := time.Now()
	_, err := open(t, db.URL, auditmigrate.Config{LockTimeout: 700 * time.Millisecond}).Up(t.Context())
	if took := time.Since(start); took < 700*time.Millisecond || took > 5*time.Second {
		t.Errorf("gave up after %v, want 700ms", took)
	}
	if !errors.Is(err, auditmigrate.ErrLocked) {
		t.Fatalf("error is %v, want ErrLocked", err)
	}
	if text := err.Error(); !strings.HasPrefix(text, "migrating up: locked by another session: another process (pid ") ||
		!strings.HasSuffix(text, " for 700ms or longer: let it end, or wait longer by --lock-timeout (Config.LockTimeout), and run it again") {
		t.Errorf("error is %q", text)
	}

	release()
	if err := <-first; err != nil {
		t.Errorf("the first process: %v", err)
	}
}

func TestTableLockTimeout(t *testing.T) {
	t.Parallel()
	db := predecessor(t)
	before := catalog(t, db.Pool)
	release := inTransaction(t, db.Pool, "SELECT FROM coordination_audit_records")

	start := time.Now()
	migrator := open(t, db.URL, auditmigrate.Config{LockTimeout: 500 * time.Millisecond})
	_, err := migrator.Up(t.Context())
	if took := time.Since(start); !errors.Is(err, auditmigrate.ErrLocked) || took > 5*time.Second {
		t.Fatalf("error is %v after %v, want ErrLocked after 500ms", err, took)
	}
	if text := err.Error(); !strings.HasPrefix(text, "migrating up: applying "+createName+": locked by another session, waited 500ms: ERROR: canceling statement due to lock timeout (SQLSTATE 55P03): let ") {
		t.Errorf("error is %q", text)
	}
	execute(t, db.Pool, "DROP TABLE "+auditmigrate.VersionTable)
	if diff := cmp.Diff(before, catalog(t, db.Pool)); diff != "" {
		t.Errorf("the table has changed:\n%s", diff)
	}

	release()
	if _, err := migrator.Up(t.Context()); err != nil {
		t.Errorf("once the table is free, with the same migrator: %v", err)
	}
}

func TestCancelRollsBack(t *testing.T) {
	t.Parallel()
	db := predecessor(t)
	before := catalog(t, db.Pool)
	release := inTransaction(t, db.Pool, "SELECT FROM coordination_audit_records")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan struct{})
	var changes []auditmigrate.Change
	var err error
	go func() {
		changes, err = open(t, db.URL, quiet()).Up(ctx)
		close(ended)
	}()
	// Wait for it: a migration that has not begun has nothing to roll back.
	eventually(t, db.Pool, migrationWaits)
	cancel()
	<-ended

	if !errors.Is(err, context.Canceled) || len(changes) > 0 {
		t.Fatalf("changes %v, error %v; want it cancelled", changes, err)
	}
	if want := "migrating up: applying " + createName + ": interrupted: context canceled: run it again"; err.Error() != want {
		t.Errorf("error is %q, want %q", err, want)
	}
	eventually(t, db.Pool, "SELECT NOT ("+migrationLockIsHeld+")")
	if diff := cmp.Diff([]string{"0 true"}, versions(t, db.Pool)); diff != "" {
		t.Errorf("version table (-want +got):\n%s", diff)
	}
	execute(t, db.Pool, "DROP TABLE "+auditmigrate.VersionTable)
	if diff := cmp.Diff(before, catalog(t, db.Pool)); diff != "" {
		t.Errorf("the table has changed:\n%s", diff)
	}
	release()
	up(t, db)
}

func TestUpRebuildsInvalidIndex(t *testing.T) {
	t.Parallel()
	db := testdb.NewEmpty(t)
	// The snapshot of an older transaction lets migration 1 pass and stops the index
	// build.
	release := inTransaction(t, db.Pool, "SELECT 1")
	migrator := open(t, db.URL, auditmigrate.Config{LockTimeout: 500 * time.Millisecond})

	changes, err := migrator.Up(t.Context())
	if !errors.Is(err, auditmigrate.ErrLocked) {
		t.Fatalf("error is %v, want ErrLocked", err)
	}
	if want := "migrating up: applying " + indexName + ", having applied " + createName + ": locked by another session"; !strings.HasPrefix(err.Error(), want) {
		t.Errorf("error is %q, want it to begin with %q", err, want)
	}
	if diff := diffChanges(changesUp(1, 1), changes); diff != "" {
		t.Errorf("changes next to the error (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"coordination_audit_tenant_time_idx"}, texts(t, db.Pool, invalidIndexes)); diff != "" {
		t.Fatalf("half-built indexes (-want +got):\n%s", diff)
	}
	if err := migrator.Validate(t.Context()); !errors.Is(err, auditmigrate.ErrPending) {
		t.Errorf("validate: %v, want ErrPending", err)
	}

	release()
	changes, err = migrator.Up(t.Context())
	if diff := diffChanges(changesUp(2, newest), changes); diff != "" || err != nil {
		t.Errorf("the second time: %v, changes (-want +got):\n%s", err, diff)
	}
	if left := texts(t, db.Pool, invalidIndexes); len(left) > 0 {
		t.Errorf("still half built: %v", left)
	}
	whole := testdb.New(t)
	if diff := cmp.Diff(catalog(t, whole.Pool), catalog(t, db.Pool)); diff != "" {
		t.Errorf("repaired differs from whole (-whole +repaired):\n%s", diff)
	}
}

func TestStatementTimeoutIgnored(t *testing.T) {
	t.Parallel()
	db := predecessor(t)
	release := inTransaction(t, db.Pool, "SELECT FROM coordination_audit_records")
	done := make(chan error, 1)
	go func() {
		_, err := open(t, db.URL+"&statement_timeout=100", quiet()).Up(t.Context())
		done <- err
	}()
	eventually(t, db.Pool, migrationLockIsHeld)
	time.Sleep(500 * time.Millisecond)
	release()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
