package auditmigrate_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/hoc-analytics/coordaudit/auditmigrate"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

func diffChanges(want, got []auditmigrate.Change) string {
	return cmp.Diff(want, got, cmpopts.IgnoreFields(auditmigrate.Change{}, "Duration"))
}

func TestUpAppliesPendingOnce(t *testing.T) {
	t.Parallel()
	db := testdb.NewEmpty(t)
	var book logBook
	migrator := auditmigrate.New(db.Pool.Config().ConnConfig, auditmigrate.Config{Logger: book.logger()})

	changes, err := migrator.Up(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := diffChanges(changesUp(1, newest), changes); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
	wantLog := []logLine{
		{Level: "INFO", Msg: "audit_migration_applied", Name: createName},
		{Level: "INFO", Msg: "audit_migration_applied", Name: indexName},
		{Level: "INFO", Msg: "audit_migration_applied", Name: contextName},
		{Level: "INFO", Msg: "audit_migration_applied", Name: readName},
		{Level: "INFO", Msg: "audit_migration_applied", Name: gapsName},
		{Level: "INFO", Msg: "audit_migration_applied", Name: originName},
		{Level: "INFO", Msg: "audit_migration_applied", Name: linksName},
		{Level: "INFO", Msg: "audit_migration_applied", Name: statementsName},
		{Level: "INFO", Msg: "audit_migration_applied", Name: orderName},
		{Level: "INFO", Msg: "audit_migration_applied", Name: sealsName},
		{Level: "INFO", Msg: "audit_migration_applied", Name: retentionName},
	}
	if diff := cmp.Diff(wantLog, book.lines(t, slog.LevelInfo)); diff != "" {
		t.Errorf("log (-want +got):\n%s", diff)
	}
	if warnings := book.lines(t, slog.LevelWarn); len(warnings) > 0 {
		t.Errorf("warnings on an empty database: %v", warnings)
	}

	changes, err = migrator.Up(t.Context())
	if err != nil || len(changes) > 0 {
		t.Errorf("the second time: changes %v, error %v; want neither", changes, err)
	}
	if diff := cmp.Diff(wantVersions(), versions(t, db.Pool)); diff != "" {
		t.Errorf("version table (-want +got):\n%s", diff)
	}
}

func TestReadingCalls(t *testing.T) {
	t.Parallel()
	db := testdb.NewEmpty(t)
	migrator := open(t, db.URL, quiet())
	check := func(current int64, pending ...int64) {
		t.Helper()
		got, target, err := migrator.Version(t.Context())
		if err != nil || got != current || target != newest {
			t.Errorf("versions %d, %d, error %v; want %d, %d", got, target, err, current, newest)
		}
		list, err := migrator.Status(t.Context())
		if err != nil || len(list) != newest {
			t.Fatalf("status %v, error %v", list, err)
		}
		for i, m := range list {
			if m.Version != int64(i+1) || m.Name != migrationNames()[i] {
				t.Errorf("migration %d is %d %s, want %d %s", i, m.Version, m.Name, i+1, migrationNames()[i])
			}
			if m.AppliedAt.IsZero() != (m.Version > current) || (m.Version <= current && time.Since(m.AppliedAt).Abs() > time.Minute) {
				t.Errorf("at version %d: migration %d was applied at %v", current, m.Version, m.AppliedAt)
			}
		}
		err = migrator.Validate(t.Context())
		pendingErr, _ := errors.AsType[*auditmigrate.PendingError](err)
		if len(pending) == 0 {
			if err != nil {
				t.Errorf("validating version %d: %v", current, err)
			}
		} else if !errors.Is(err, auditmigrate.ErrPending) || pendingErr == nil || !cmp.Equal(pendingErr.Versions, pending) {
			t.Errorf("validating version %d: %v, want pending %v", current, err, pending)
		}
	}

	check(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11)
	if tables := texts(t, db.Pool, "SELECT relname::text FROM pg_class WHERE relnamespace = 'public'::regnamespace"); len(tables) > 0 {
		t.Errorf("reading calls have created %v", tables)
	}
	if changes, err := migrator.UpTo(t.Context(), 1); err != nil || len(changes) != 1 {
		t.Fatalf("changes %v, error %v", changes, err)
	}
	check(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11)
	if err := migrator.Validate(t.Context()); err.Error() != "validating the schema: migrations are pending: 2, 3, 4, 5, 6, 7, 8, 9, 10, 11: run the migrations (migrate up)" {
		t.Errorf("error is %q", err)
	}
	if changes, err := migrator.UpTo(t.Context(), 3); err != nil || len(changes) != 2 {
		t.Fatalf("changes %v, error %v", changes, err)
	}
	check(3, 4, 5, 6, 7, 8, 9, 10, 11)
	if _, err := migrator.UpTo(t.Context(), auditmigrate.Latest); err != nil {
		t.Fatal(err)
	}
	check(newest)
	if changes, err := migrator.UpTo(t.Context(), 1); err != nil || len(changes) > 0 {
		t.Errorf("up to a version below: changes %v, error %v; want neither", changes, err)
	}
}

func TestTimesAreUTC(t *testing.T) {
	t.Parallel()
	db := testdb.NewEmpty(t)
	config := db.Pool.Config().ConnConfig.Copy()
	config.RuntimeParams["timezone"] = "Asia/Tokyo"
	migrator := auditmigrate.New(config, quiet())
	if _, err := migrator.Up(t.Context()); err != nil {
		t.Fatal(err)
	}
	list, err := migrator.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range list {
		if time.Since(m.AppliedAt).Abs() > time.Minute {
			t.Errorf("migration %d was applied at %v, now is %v", m.Version, m.AppliedAt, time.Now().UTC())
		}
	}
}

func TestReadingCallsTakeNoLock(t *testing.T) {
	t.Parallel()
	db := predecessor(t)
	inTransaction(t, db.Pool, "LOCK TABLE coordination_audit_records IN ACCESS SHARE MODE")
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { _, err := open(t, db.URL, quiet()).Up(ctx); done <- err }()
	eventually(t, db.Pool, migrationLockIsHeld)

	start := time.Now()
	if err := open(t, db.URL, quiet()).Validate(t.Context()); !errors.Is(err, auditmigrate.ErrPending) {
		t.Errorf("validating during a migration: %v, want ErrPending", err)
	}
	if _, err := open(t, db.URL, quiet()).Status(t.Context()); err != nil || time.Since(start) > 5*time.Second {
		t.Errorf("status during a migration: %v after %v", err, time.Since(start))
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("the migration: %v, want it cancelled", err)
	}
}

func TestConcurrentProcesses(t *testing.T) {
	t.Parallel()
	db := testdb.NewEmpty(t)
	var wg sync.WaitGroup
	var mu sync.Mutex
	applied := map[int64]int{}
	shared := open(t, db.URL, quiet()) // half of them share one migrator
	for i := range 8 {
		migrator := shared
		if i%2 == 0 {
			migrator = open(t, db.URL, quiet())
		}
		wg.Go(func() {
			changes, err := migrator.Up(t.Context())
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			for _, c := range changes {
				applied[c.Version]++
			}
		})
	}
	wg.Wait()
	if diff := cmp.Diff(map[int64]int{1: 1, 2: 1, 3: 1, 4: 1, 5: 1, 6: 1, 7: 1, 8: 1, 9: 1, 10: 1, 11: 1}, applied); diff != "" {
		t.Errorf("how often each was applied (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(wantVersions(), versions(t, db.Pool)); diff != "" {
		t.Errorf("version table (-want +got):\n%s", diff)
	}
}

func TestNewerDatabaseIsReady(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	execute(t, db.Pool, "INSERT INTO "+auditmigrate.VersionTable+" (version_id, is_applied) VALUES ($1, true)", newest+1)
	migrator := open(t, db.URL, quiet())
	if changes, err := migrator.Up(t.Context()); err != nil || len(changes) > 0 {
		t.Errorf("up: changes %v, error %v; want neither", changes, err)
	}
	if err := migrator.Validate(t.Context()); err != nil {
		t.Errorf("validate: %v", err)
	}
	if current, target, err := migrator.Version(t.Context()); err != nil || current != newest+1 || target != newest {
		t.Errorf("versions %d, %d, error %v; want %d, %d", current, target, err, newest+1, newest)
	}
	for name, do := range map[string]func(context.Context) ([]auditmigrate.Change, error){"down": migrator.Down, "redo": migrator.Redo} {
		changes, err := do(t.Context())
		if err == nil || len(changes) > 0 || !strings.Contains(err.Error(), "the database is at version 12, this program knows versions up to 11 only: revert with the newer program") {
			t.Errorf("%s: changes %v, error %v", name, changes, err)
		}
	}
}

func TestUnknownVersionRefused(t *testing.T) {
	t.Parallel()
	migrator := open(t, testdb.New(t).URL, quiet())
	for name, do := range map[string]func() error{
		"up-to 99":   func() error { _, err := migrator.UpTo(t.Context(), 99); return err },
		"up-to 0":    func() error { _, err := migrator.UpTo(t.Context(), 0); return err },
		"down-to 99": func() error { _, err := migrator.DownTo(t.Context(), 99); return err },
		"down-to -1": func() error { _, err := migrator.DownTo(t.Context(), -1); return err },
	} {
		if err := do(); !errors.Is(err, auditmigrate.ErrUnknownVersion) || !strings.HasSuffix(err.Error(), ": this program knows versions 1 to 11") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestUpInAnotherSchema(t *testing.T) {
	t.Parallel()
	db := testdb.NewEmpty(t)
	migrator := open(t, db.URL+"&search_path=audit", quiet())
	start := time.Now()
	if _, err := migrator.Up(t.Context()); err == nil || !strings.HasSuffix(err.Error(), ": create the schema that search_path names, or correct search_path") {
		t.Errorf("without the schema: %v after %v", err, time.Since(start))
	}
	execute(t, db.Pool, "CREATE SCHEMA audit")
	if _, err := migrator.Up(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := migrator.Validate(t.Context()); err != nil {
		t.Error(err)
	}
	if err := open(t, db.URL, quiet()).Validate(t.Context()); !errors.Is(err, auditmigrate.ErrPending) {
		t.Errorf("with the default search_path: %v, want ErrPending", err)
	}
}

// What is read while a first run goes on is of one moment: no version without the table that it made.
func TestLookDuringUpIsOfOneMoment(t *testing.T) {
	t.Parallel()
	db := testdb.NewEmpty(t)
	migrator := open(t, db.URL, quiet())
	ended := make(chan struct{})
	var looking sync.WaitGroup
	for range 4 {
		looking.Go(func() {
			for {
				select {
				case <-ended:
					return
				default:
				}
				if err := migrator.Validate(t.Context()); err != nil && !errors.As(err, new(*auditmigrate.PendingError)) {
					t.Errorf("validate: %v", err)
					return
				}
			}
		})
	}
	for range 15 {
		if _, err := migrator.Up(t.Context()); err != nil {
			t.Error(err)
		}
		execute(t, db.Pool, "DROP TABLE coordination_audit_records, coordination_audit_gaps, coordination_audit_statements, "+
			"coordination_audit_seal_tiles, coordination_audit_seal_checkpoints, coordination_audit_seal_events, "+auditmigrate.VersionTable+" CASCADE")
	}
	close(ended)
	looking.Wait()
}
