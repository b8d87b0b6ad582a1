package frame

import (
	"context"
	"crypto/rand"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
)

// PoolAsPlainRole returns a pool whose sessions act as a new role that is no superuser and
// has the given rights alone.
func PoolAsPlainRole(t *testing.T, db Database, grants ...string) (pool *pgxpool.Pool, role string) {
	t.Helper()
	role = "coordaudit_test_" + strings.ToLower(rand.Text()[:12])
	fixture.MustExec(t, db.Pool, "CREATE ROLE "+role)
	if db.Distributed { // the coordinator logs in to its workers as the session's role
		fixture.MustExec(t, db.Pool, "ALTER ROLE "+role+" LOGIN")
	}
	t.Cleanup(func() {
		// A role belongs to the whole server, so it would outlive its database.
		for _, sql := range []string{"DROP OWNED BY " + role, "DROP ROLE " + role} {
			if _, err := db.Pool.Exec(context.Background(), sql); err != nil {
				t.Errorf("%s: %v", sql, err)
			}
		}
	})
	for _, grant := range grants {
		fixture.MustExec(t, db.Pool, "GRANT "+grant+" TO "+role)
	}
	pool = fixture.OpenPool(t, db.URL, func(config *pgxpool.Config) {
		config.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
			_, err := conn.Exec(ctx, "SET ROLE "+role)
			return err
		}
	})
	return pool, role
}
