package pgbouncer_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/test/conformance"
	"github.com/hoc-analytics/coordaudit/internal/test/conformance/transaction"
	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
	"github.com/hoc-analytics/coordaudit/internal/test/pgbouncer"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

// PgBouncer keeps the settings of each client apart, both those in the startup message of a
// store's own pool and those that a call sets for itself.
func TestForeignSettingsChangeNothing(t *testing.T) {
	t.Parallel()
	for _, mode := range modes() {
		t.Run(mode.String(), func(t *testing.T) {
			t.Parallel()
			db := testdb.New(t)
			for setting, value := range map[string]string{"client_encoding": "LATIN1", "datestyle": "German", "standard_conforming_strings": "off"} {
				if _, err := db.Pool.Exec(t.Context(), `DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET `+setting+` TO `+value+`', current_database()); END $$`); err != nil {
					t.Fatal(err)
				}
			}
			url := pgbouncer.Start(t, db.URL, pgbouncer.Config{ServerConnections: 1}).URL(mode)
			config := fixture.Quiet()
			config.Timeout = 20 * time.Second
			opened := fixture.OpenStore(t, url, config)
			pool := foreignPool(t, url)
			brought := coordaudit.New(pool, config)
			before := setting(t, pool, "client_encoding")

			var ids []string
			for _, store := range []*coordaudit.Store{opened, brought, opened, brought} {
				rec := fixture.NewRecord()
				rec.Reason = "café"
				if _, err := store.Persist(t.Context(), rec); err != nil {
					t.Fatal(err)
				}
				tx, err := pool.Begin(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				inTx := fixture.NewRecord()
				inTx.Reason = "café"
				if _, err := store.PersistTx(t.Context(), tx, inTx); err != nil {
					t.Error(err)
				}
				if err := tx.Commit(t.Context()); err != nil {
					t.Fatal(err)
				}
				ids = append(ids, rec.AuditID.String(), inTx.AuditID.String())
				for _, reader := range []*coordaudit.Store{opened, brought} {
					got, err := reader.Get(t.Context(), audit.AllTenants(), inTx.AuditID)
					if err != nil || got.Reason != "café" || !got.DecisionTimestamp.Equal(inTx.DecisionTimestamp) {
						t.Errorf("Get() = %+v, %v", got, err)
					}
				}
			}
			if after := setting(t, pool, "client_encoding"); after != before {
				t.Errorf("the client's encoding was %s and is %s", before, after)
			}
			stored := transaction.StoredIDs(t, conformance.Database{Admin: db.Pool})
			if len(stored) != len(ids) {
				t.Errorf("%d rows, want %d", len(stored), len(ids))
			}
			if n := fixture.QueryInt(t, db.Pool, "SELECT count(*) FROM coordination_audit_records WHERE reason = E'caf\\u00e9'"); n != len(ids) {
				t.Errorf("%d rows hold the text, want %d:\n%s", n, len(ids), cmp.Diff(ids, stored))
			}
		})
	}
}

func foreignPool(t *testing.T, url string) *pgxpool.Pool {
	t.Helper()
	return fixture.OpenPool(t, url, func(config *pgxpool.Config) {
		config.MaxConns = 1
		config.ConnConfig.RuntimeParams["client_encoding"] = "LATIN1"
		config.ConnConfig.RuntimeParams["datestyle"] = "German"
	})
}

func setting(t *testing.T, pool *pgxpool.Pool, name string) string {
	t.Helper()
	rows, err := pool.Query(t.Context(), "SHOW "+name, pgx.QueryExecModeExec)
	if err != nil {
		t.Fatal(err)
	}
	value, err := pgx.CollectExactlyOneRow(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	return strings.ToUpper(value)
}
