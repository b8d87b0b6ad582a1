package pooler_test

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
	"github.com/hoc-analytics/coordaudit/internal/pooler"
	"github.com/hoc-analytics/coordaudit/internal/testdb"
)

func openMigrator(t *testing.T, url string) *auditmigrate.Migrator {
	t.Helper()
	migrator, err := auditmigrate.Open(url, auditmigrate.Config{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return migrator
}

// allModes is every mode, as the reading calls do without prepared statements.
func allModes() []pgx.QueryExecMode {
	return append(modes(), pgx.QueryExecModeCacheStatement, pgx.QueryExecModeDescribeExec)
}

func TestTheReadingCallsWorkThroughATransactionPooler(t *testing.T) {
	t.Parallel()
	db := testdb.NewEmpty(t)
	direct := openMigrator(t, db.URL)
	p := pooler.Start(t, db.URL, pooler.Config{ServerConnections: 2})
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
		for _, mode := range allModes() {
			for range 3 {
				all.Go(func() { checkReading(t, openMigrator(t, p.URL(mode)), want) })
			}
		}
		all.Wait()
	}
}

// checkReading holds each reading call against what a direct connection saw.
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

// What docs/deploy.md warns of, so that the warning is taken back when it is no
// longer true: why migrating needs a direct connection.
func TestATransactionPoolerHoldsNoLockAndLeaksSettings(t *testing.T) {
	t.Parallel()
	db := testdb.NewEmpty(t)
	p := pooler.Start(t, db.URL, pooler.Config{ServerConnections: 1})
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
		t.Errorf("another client's lock_timeout is %s: settings do not leak any more, correct docs/deploy.md", got)
	}
}

func TestMigratingWorksThroughASessionPooler(t *testing.T) {
	t.Parallel()
	db := testdb.NewEmpty(t)
	// goose takes two connections of each migrator.
	p := pooler.Start(t, db.URL, pooler.Config{PoolMode: "session", ServerConnections: 6})
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
		// An emptied setting of our own stays known to its session; its value is what counts.
		if got := ask[string](t, connect(t, p.URL(pgx.QueryExecModeExec)), settings); got != want && got != want+" " {
			t.Errorf("the next client's settings are %q, want %q", got, want)
		}
	}
}

// Migrating goes past the pooler while services go through it.
func TestServicesKeepWritingThroughThePoolerWhileTheSchemaMigrates(t *testing.T) {
	t.Parallel()
	for _, mode := range modes() {
		t.Run(mode.String(), func(t *testing.T) {
			t.Parallel()
			db := testdb.NewEmpty(t)
			direct := openMigrator(t, db.URL)
			if _, err := direct.UpTo(t.Context(), 3); err != nil { // the oldest that the store works on
				t.Fatal(err)
			}
			p := pooler.Start(t, db.URL, pooler.Config{})
			store, _ := openStore(t, p.URL(mode), 10*time.Second)
			stop := make(chan struct{})
			acknowledged := make([]int, 8)
			var all sync.WaitGroup
			for g := range acknowledged {
				all.Go(func() {
					for running := true; running; {
						if _, err := store.Persist(t.Context(), newRecord()); err != nil {
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
				if _, err := direct.DownTo(t.Context(), 3); err != nil {
					t.Error(err)
				}
			}
			close(stop)
			all.Wait()
			want := 0
			for _, n := range acknowledged {
				want += n
			}
			if n := len(storedIDs(t, db.Pool)); n != want {
				t.Errorf("%d records stored, %d acknowledged", n, want)
			}
		})
	}
}
