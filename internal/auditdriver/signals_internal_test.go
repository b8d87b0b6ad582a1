package auditdriver

import (
	"strings"
	"testing"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

// What the signals set for their plans ends with them: other calls of the same moment read in
// other ways.
func TestSettingsEndWithSignals(t *testing.T) {
	t.Parallel()
	pool := testdb.New(t).Pool
	if _, err := pool.Exec(t.Context(), "ALTER ROLE CURRENT_USER IN DATABASE "+pool.Config().ConnConfig.Database+" SET enable_mergejoin = off"); err != nil {
		t.Fatal(err)
	}
	pool.Reset()
	err := New(pool).AtMoment(t.Context(), func(d *Driver) error {
		settings := func() (found string) {
			t.Helper()
			err := d.moment.QueryRow(t.Context(), `SELECT string_agg(name || ' ' || setting, ', ' ORDER BY name) FROM pg_settings
				WHERE name IN ('jit', 'enable_seqscan', 'enable_sort', 'enable_nestloop', 'enable_mergejoin', 'parallel_tuple_cost')`).Scan(&found)
			if err != nil {
				t.Fatal(err)
			}
			return found
		}
		before := settings()
		if !strings.HasPrefix(before, "enable_mergejoin off, enable_nestloop on, enable_seqscan on, enable_sort on") {
			t.Fatal(before)
		}
		query := audit.SignalQuery{Scope: audit.AllTenants()}.WithDefaults()
		if _, err := d.Signals(t.Context(), &query); err != nil {
			return err
		}
		if after := settings(); after != before {
			t.Errorf("after the signals: %s, before: %s", after, before)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
