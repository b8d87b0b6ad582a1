package pgbouncer_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/hoc-analytics/coordaudit/auditmigrate"
	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
	"github.com/hoc-analytics/coordaudit/internal/test/pgbouncer"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

func openMigrator(t *testing.T, url string) *auditmigrate.Migrator {
	t.Helper()
	migrator, err := auditmigrate.Open(url, auditmigrate.Config{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return migrator
}

// The migrator's reading calls use no prepared statements, so they work in every mode.
func TestMigratorReads(t *testing.T) {
	t.Parallel()
	db := testdb.NewEmpty(t)
	direct := openMigrator(t, db.URL)
	p := pgbouncer.Start(t, db.URL, pgbouncer.Config{ServerConnections: 2})
	for _, version := range []int64{0, 1, 2, 3, auditmigrate.Latest} {
		if version > 0 {
			if _, err := direct.UpTo(t.Context(), version); err != nil {
				t.Fatal(err)
			}
		}
		want, err := direct.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var all sync.WaitGroup
		for _, mode := range append(modes(), preparingModes()...) {
			for range 3 {
				all.Go(func() { checkReading(t, openMigrator(t, p.URL(mode)), want) })
			}
		}
		all.Wait()
	}
}

// checkReading compares each reading call with what a direct connection saw.
func checkReading(t *testing.T, migrator *auditmigrate.Migrator, want []auditmigrate.Migration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if err := migrator.Wait(ctx); err != nil {
		t.Errorf("Wait: %v", err)
	}
	status, err := migrator.Status(ctx)
	if diff := cmp.Diff(want, status); diff != "" || err != nil {
		t.Errorf("Status: %v (-direct +through the pooler)\n%s", err, diff)
	}
	wantVersion, pending := int64(0), false
	for _, migration := range want {
		if migration.AppliedAt.IsZero() {
			pending = true
		} else {
			wantVersion = migration.Version
		}
	}
	if current, _, err := migrator.Version(ctx); current != wantVersion || err != nil {
		t.Errorf("Version: %d, %v, want %d", current, err, wantVersion)
	}
	if err := migrator.Validate(ctx); errors.Is(err, auditmigrate.ErrPending) != pending || !pending && err != nil {
		t.Errorf("Validate: %v, pending is %t", err, pending)
	}
}

// docs/deploy.md says why migrating needs a direct connection. This test fails when that is no
// longer true, so that the warning can go.
func TestPoolerLeaksLocksAndSettings(t *testing.T) {
	t.Parallel()
	db := testdb.NewEmpty(t)
	p := pgbouncer.Start(t, db.URL, pgbouncer.Config{ServerConnections: 1})
	url := p.URL(pgx.QueryExecModeExec)
	first, second := connect(t, url), connect(t, url)
	for _, client := range []*pgx.Conn{first, second} {
		if !ask[bool](t, client, "SELECT pg_try_advisory_lock(1)") {
			t.Error("the lock excludes another client: correct docs/deploy.md")
		}
	}
	if _, err := first.Exec(t.Context(), "SET lock_timeout = 12345"); err != nil {
		t.Fatal(err)
	}
	if got := ask[string](t, second, "SELECT current_setting('lock_timeout')"); got != "12345ms" {
		t.Errorf("another client's lock_timeout is %s: settings no longer leak, correct docs/deploy.md", got)
	}
}

func TestSessionPoolerMigrates(t *testing.T) {
	t.Parallel()
	db := testdb.NewEmpty(t)
	// goose takes two connections for each migrator.
	p := pgbouncer.Start(t, db.URL, pgbouncer.Config{PoolMode: "session", ServerConnections: 6})
	var all sync.WaitGroup
	for range 3 {
		all.Go(func() {
			if _, err := openMigrator(t, p.URL(pgx.QueryExecModeCacheStatement)).Up(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if err := openMigrator(t, db.URL).Validate(t.Context()); err != nil {
		t.Error(err)
	}
	const settings = "SELECT concat_ws(' ', current_setting('lock_timeout'), current_setting('statement_timeout'), current_setting('coordaudit.allow_data_loss', true))"
	want := ask[string](t, connect(t, db.URL), settings)
	for range 6 {
		// A session still knows a setting of ours that was reset. Its value is what counts.
		if got := ask[string](t, connect(t, p.URL(pgx.QueryExecModeExec)), settings); got != want && got != want+" " {
			t.Errorf("the next client's settings are %q, want %q", got, want)
		}
	}
}

// The migrator connects directly while services go through the pooler.
func TestWritesDuringMigration(t *testing.T) {
	t.Parallel()
	const oldest = 6 // version that the store works on
	for _, mode := range modes() {
		t.Run(mode.String(), func(t *testing.T) {
			t.Parallel()
			db := testdb.NewEmpty(t)
			direct := openMigrator(t, db.URL)
			if _, err := direct.UpTo(t.Context(), oldest); err != nil {
				t.Fatal(err)
			}
			p := pgbouncer.Start(t, db.URL, pgbouncer.Config{})
			config := fixture.Quiet()
			config.Timeout = 10 * time.Second
			store := fixture.OpenStore(t, fixture.WithSetting(p.URL(mode), "pool_max_conns=16"), config)
			stop := make(chan struct{})
			acknowledged := make([]int, 8)
			var all sync.WaitGroup
			for g := range acknowledged {
				all.Go(func() {
					for running := true; running; {
						if _, err := store.Persist(t.Context(), fixture.NewRecord()); err != nil {
							t.Error(err)
						} else {
							acknowledged[g]++
						}
						select {
						case <-stop:
							running = false
						default:
						}
					}
				})
			}
			for range 3 {
				if _, err := direct.Up(t.Context()); err != nil {
					t.Error(err)
				}
				if _, err := direct.DownTo(t.Context(), oldest); err != nil {
					t.Error(err)
				}
			}
			close(stop)
			all.Wait()
			want := 0
			for _, n := range acknowledged {
				want += n
			}
			if n := fixture.CountRecords(t, db.Pool); n != want {
				t.Errorf("%d records stored, %d acknowledged", n, want)
			}
		})
	}
}
