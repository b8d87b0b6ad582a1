package sealer_test

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
	"github.com/hoc-analytics/coordaudit/internal/test/pgbouncer"
	"github.com/hoc-analytics/coordaudit/sealer"
)

// Behind a pooler, other clients use the same backend. They keep the search_path, and one that could
// hide rows is refused.
func TestPoolerKeepsItsSearchPath(t *testing.T) {
	t.Parallel()
	s := newSealed(t)
	id := s.persist(t, 300)[7].AuditID
	s.once(t)
	pooler := pgbouncer.Start(t, s.url, pgbouncer.Config{ServerConnections: 1})
	pool := fixture.OpenPool(t, pooler.URL(pgx.QueryExecModeExec), nil)
	if _, err := sealer.Prove(t.Context(), pool, "", id); err != nil {
		t.Fatal(err)
	}
	if path := fixture.QueryText(t, pool, "SHOW search_path"); !strings.Contains(path, "public") {
		t.Errorf("other clients have the search_path %q", path)
	}
	s.superuser(t, "CREATE SCHEMA evil")
	name := fixture.QueryText(t, s.pool, "SELECT current_database()")
	s.superuser(t, "ALTER DATABASE "+pgx.Identifier{name}.Sanitize()+" SET search_path = evil, pg_catalog, public")
	other := pgbouncer.Start(t, s.url, pgbouncer.Config{ServerConnections: 1})
	if _, err := sealer.Prove(t.Context(), fixture.OpenPool(t, other.URL(pgx.QueryExecModeExec), nil), "", id); err == nil || !strings.Contains(err.Error(), "before pg_catalog") {
		t.Errorf("%v", err)
	}
}
