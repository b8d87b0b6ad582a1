package serving

import (
	"testing"
	"time"

	"github.com/hoc-analytics/coordaudit/internal/cli/coordaudit/shared"
	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

// The sessions of the console cannot write, even if its role may, and no statement runs forever.
func TestSessionsReadOnly(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	for url, timeout := range map[string]string{
		db.URL: "9s",
		fixture.WithSetting(db.URL, "statement_timeout=3000"):                                                         "3s",
		fixture.WithSetting(db.URL, "options=-c%20statement_timeout%3D4s"):                                            "4s",
		fixture.WithSetting(db.URL, "default_transaction_read_only=off&pool_max_conns=3&application_name=audit-desk"): "9s",
	} {
		pool, store, err := openReading(t.Context(), &shared.Database{URL: url}, "testing", reads{longest: 9 * time.Second, connections: 5})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := pool.Exec(t.Context(), "CREATE TABLE written (n int)"); err == nil {
			t.Errorf("%s: a session of the console writes", url)
		}
		if got := fixture.QueryText(t, pool, "SHOW statement_timeout"); got != timeout {
			t.Errorf("%s: a statement may run for %s, want %s", url, got, timeout)
		}
		store.Close()
		pool.Close()
	}
}
