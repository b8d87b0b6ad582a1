package auditadmin_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/hoc-analytics/coordaudit/auditadmin/internal/describe"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

// The description must match the migrations, on every PostgreSQL.
func TestDescription(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	schema, err := describe.Schema(t.Context(), connect(t, db, ""))
	if err != nil {
		t.Fatal(err)
	}
	got, err := describe.JSON(schema)
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile("internal/catalog/schema.json")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("schema.json is out of step: make generate (-file +migrations):\n%s", diff)
	}
	if found := check(t, connect(t, db, "")); len(found) > 0 {
		t.Errorf("a migrated database differs: %v", found)
	}
}

// latin1 returns a database with another encoding, without a URL.
func latin1(t *testing.T) *testdb.DB {
	t.Helper()
	admin := testdb.NewEmpty(t)
	name := "coordaudit_latin1_" + strings.ToLower(admin.Pool.Config().ConnConfig.Database[len("coordaudit_test_"):])
	execute(t, admin, "CREATE DATABASE "+name+" TEMPLATE template0 ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'")
	config, err := pgxpool.ParseConfig(admin.URL) // the pool's config is for its database only
	if err != nil {
		t.Fatal(err)
	}
	config.ConnConfig.Database = name
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		pool.Close()
		if _, err := admin.Pool.Exec(context.Background(), "DROP DATABASE "+name+" WITH (FORCE)"); err != nil {
			t.Error(err)
		}
	})
	return &testdb.DB{Pool: pool}
}

// checkImmutable fails unless the table refuses changes, also in replica sessions.
func checkImmutable(t *testing.T, pool *pgxpool.Pool, table string) {
	t.Helper()
	column := "seq"
	if strings.Contains(table, "_seal_") {
		column = "epoch"
	}
	for _, role := range []string{"origin", "replica"} {
		for _, sql := range []string{"UPDATE " + table + " SET " + column + " = DEFAULT", "DELETE FROM " + table, "TRUNCATE " + table} {
			err := pgx.BeginFunc(t.Context(), pool, func(tx pgx.Tx) error {
				if _, err := tx.Exec(t.Context(), "SET LOCAL session_replication_role = "+role); err != nil {
					return err
				}
				_, err := tx.Exec(t.Context(), sql)
				return errors.Join(err, errors.New("so that nothing is kept"))
			})
			if pgErr, _ := errors.AsType[*pgconn.PgError](err); pgErr == nil || pgErr.Code != "23000" {
				t.Errorf("%s as %s: %v, want it refused", sql, role, err)
			}
		}
	}
}
