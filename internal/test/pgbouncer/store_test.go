package pgbouncer_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/test/conformance"
	"github.com/hoc-analytics/coordaudit/internal/test/conformance/transaction"
	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
	"github.com/hoc-analytics/coordaudit/internal/test/pgbouncer"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

// openBehind returns a migrated database behind a PgBouncer of its own, which shares few
// server connections between all clients.
func openBehind(t *testing.T, mode pgx.QueryExecMode) conformance.Database {
	t.Helper()
	db := testdb.New(t)
	url := pgbouncer.Start(t, db.URL, pgbouncer.Config{ServerConnections: 3}).URL(mode)
	return conformance.Database{URL: url, Pool: fixture.OpenPool(t, url, nil), Admin: db.Pool, Modes: modes()}
}

// TestConformance runs the guarantees that need no session of their own.
func TestConformance(t *testing.T) {
	t.Parallel()
	conformance.RunThroughPooler(t, modes(), openBehind)
}

// Where PgBouncer keeps no track of prepared statements, these modes fail. They must not lose
// an acknowledged record.
func TestPreparingModesLoseNothing(t *testing.T) {
	t.Parallel()
	for _, mode := range preparingModes() {
		t.Run(mode.String(), func(t *testing.T) {
			t.Parallel()
			db := openBehind(t, mode)
			acknowledged, failures := transaction.MakeConcurrentCalls(t, db, mode)
			if len(failures) > 0 {
				t.Logf("%d of %d rounds failed, the first with: %v", len(failures), transaction.Rounds, failures[0])
			}
			stored := transaction.StoredIDs(t, db)
			for _, id := range acknowledged {
				if _, found := slices.BinarySearch(stored, id); !found {
					t.Errorf("acknowledged and not stored: %s", id)
				}
			}
			if unique := slices.Compact(slices.Clone(stored)); len(unique) < len(stored) {
				t.Errorf("%d records are stored more than once", len(stored)-len(unique))
			}
		})
	}
}

// A pooler accepts the statement and lets it wait for a server connection. Until then it
// neither passes on a cancel request nor answers, so the store cannot know the outcome.
func TestBusyPoolerLeavesDoubt(t *testing.T) {
	t.Parallel()
	const (
		timeout = 500 * time.Millisecond
		grace   = 250 * time.Millisecond // as coordaudit.Config.Timeout's comment says
	)
	for _, mode := range modes() {
		t.Run(mode.String(), func(t *testing.T) {
			t.Parallel()
			db := testdb.New(t)
			p := pgbouncer.Start(t, db.URL, pgbouncer.Config{ServerConnections: 1})
			config := fixture.Quiet()
			config.Timeout = timeout
			store := fixture.OpenStore(t, p.URL(mode), config)
			// The first use of a connection is not tested here.
			fixture.MustPersist(t, store, fixture.NewRecord())
			busy, err := connect(t, p.URL(mode)).Begin(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if _, err := busy.Exec(t.Context(), "SELECT 1"); err != nil {
				t.Fatal(err)
			}
			start := time.Now()
			_, err = store.Persist(t.Context(), fixture.NewRecord())
			if took := time.Since(start); took < timeout || took > timeout+grace {
				t.Errorf("the call took %v, want %v and at most %v more", took, timeout, grace)
			}
			if !errors.Is(err, audit.ErrUnavailable) && !errors.Is(err, audit.ErrOutcomeUnknown) {
				t.Errorf("Persist() = %v, want ErrUnavailable or ErrOutcomeUnknown", err)
			}
			if err := busy.Rollback(t.Context()); err != nil {
				t.Fatal(err)
			}
			// A call that comes later through the only server connection sees it if it was stored.
			fixture.MustPersist(t, store, fixture.NewRecord())
			// A record in doubt may be there: the pooler may have sent it before it noticed that its
			// client had gone. A record that the store denied may not.
			stored := fixture.CountRecords(t, db.Pool)
			if inDoubt := errors.Is(err, audit.ErrOutcomeUnknown); stored != 2 && (!inDoubt || stored != 3) {
				t.Errorf("stored %d records after %v, want the first, the last, and the one between only if it was in doubt", stored, err)
			}
		})
	}
}

func TestClientsShareServerConnections(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	p := pgbouncer.Start(t, db.URL, pgbouncer.Config{ServerConnections: 2})
	backends := map[int]bool{}
	for range 8 {
		backends[ask[int](t, connect(t, p.URL(pgx.QueryExecModeExec)), "SELECT pg_backend_pid()")] = true
	}
	if len(backends) > 2 {
		t.Errorf("8 clients at once have %d server connections, want 2 at most", len(backends))
	}
}
