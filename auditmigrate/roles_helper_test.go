package auditmigrate_test

import (
	"context"
	"crypto/rand"
	"errors"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/hoc-analytics/coordaudit/auditmigrate"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

// newRole returns a role that is dropped with the test.
func newRole(t *testing.T, db *testdb.DB) string {
	t.Helper()
	role := "coordaudit_test_" + strings.ToLower(rand.Text()[:10])
	execute(t, db.Pool, "CREATE ROLE "+role)
	t.Cleanup(func() {
		if _, err := db.Pool.Exec(context.Background(), "DROP OWNED BY "+role+" CASCADE; DROP ROLE "+role); err != nil {
			t.Errorf("dropping role %s: %v", role, err)
		}
	})
	return role
}

// as returns a migrator whose sessions act as a role.
func as(db *testdb.DB, role string) *auditmigrate.Migrator { return asWith(db, role, quiet()) }

func asWith(db *testdb.DB, role string, config auditmigrate.Config) *auditmigrate.Migrator {
	connConfig := db.Pool.Config().ConnConfig.Copy()
	connConfig.RuntimeParams["role"] = role
	return auditmigrate.New(connConfig, config)
}

// poolAs returns a pool whose sessions act as a role. settings are names and values.
func poolAs(t *testing.T, db *testdb.DB, role string, settings ...string) *pgxpool.Pool {
	t.Helper()
	config := db.Pool.Config()
	config.ConnConfig.RuntimeParams["role"] = role
	for i := 0; i < len(settings); i += 2 {
		config.ConnConfig.RuntimeParams[settings[i]] = settings[i+1]
	}
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool
}

// owned returns an empty database, a role that may migrate it and a migrator with that
// role.
func owned(t *testing.T) (*testdb.DB, string, *auditmigrate.Migrator) {
	t.Helper()
	db := testdb.NewEmpty(t)
	owner := newRole(t, db)
	execute(t, db.Pool, "GRANT CREATE ON SCHEMA public TO "+owner)
	return db, owner, as(db, owner)
}

func mustUp(t *testing.T, migrator *auditmigrate.Migrator) {
	t.Helper()
	if _, err := migrator.Up(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func mustApply(t *testing.T, migrator *auditmigrate.Migrator, config auditmigrate.GrantConfig) auditmigrate.Grants {
	t.Helper()
	grants, err := migrator.ApplyGrants(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	return grants
}

// mustBeForbidden runs statements on a pool or in a transaction, as a role that lacks
// the rights for them.
func mustBeForbidden(t *testing.T, db interface {
	Exec(context.Context, string, ...any) (pgconn.CommandTag, error)
}, role string, statements ...string,
) {
	t.Helper()
	for _, sql := range statements {
		_, err := db.Exec(t.Context(), sql)
		if pgErr, _ := errors.AsType[*pgconn.PgError](err); pgErr == nil || pgErr.Code != "42501" {
			t.Errorf("a %s's %s: %v, want a lack of rights", role, sql, err)
		}
	}
}

// grantsOf lists the rights of all roles but the owner. It does not use its argument.
const grantsOf = `
	SELECT concat_ws(' ', CASE WHEN x.grantee = 0 THEN 'PUBLIC' ELSE pg_get_userbyid(x.grantee)::text END, c.relname, '', x.privilege_type, CASE WHEN x.is_grantable THEN 'grantable' END)
	FROM pg_class AS c CROSS JOIN LATERAL aclexplode(c.relacl) AS x
	WHERE c.relnamespace = 'public'::regnamespace AND x.grantee <> c.relowner AND $1::text IS NOT NULL
	UNION ALL
	SELECT concat_ws(' ', CASE WHEN x.grantee = 0 THEN 'PUBLIC' ELSE pg_get_userbyid(x.grantee)::text END, c.relname, a.attname, x.privilege_type, CASE WHEN x.is_grantable THEN 'grantable' END)
	FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid AND NOT a.attisdropped CROSS JOIN LATERAL aclexplode(a.attacl) AS x
	WHERE c.relnamespace = 'public'::regnamespace AND x.grantee <> c.relowner
	ORDER BY 1`
