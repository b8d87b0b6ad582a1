package auditmigrate_test

import (
	"context"
	"crypto/rand"
	"errors"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/hoc-analytics/coordaudit/auditmigrate"
	"github.com/hoc-analytics/coordaudit/internal/testdb"
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

// as returns a migrator whose session acts as a role.
func as(db *testdb.DB, role string) *auditmigrate.Migrator {
	config := db.Pool.Config().ConnConfig.Copy()
	config.RuntimeParams["role"] = role
	return auditmigrate.New(config, quiet())
}

// The roles and grants of docs/deploy.md.
func TestAnOwnerMigratesAndAServiceOnlyReadsAndInserts(t *testing.T) {
	t.Parallel()
	db := testdb.NewEmpty(t)
	owner, service := newRole(t, db), newRole(t, db)

	_, err := as(db, owner).Up(t.Context())
	if err == nil || !strings.Contains(err.Error(), "permission denied for schema public (SQLSTATE 42501): migrate as the owner of the tables") {
		t.Errorf("without CREATE on the schema: %v", err)
	}
	execute(t, db.Pool, "GRANT CREATE ON SCHEMA public TO "+owner)
	if _, err := as(db, owner).Up(t.Context()); err != nil {
		t.Fatal(err)
	}

	if err := as(db, service).Validate(t.Context()); err == nil || !strings.Contains(err.Error(), "SELECT on coordaudit_schema_version is enough") {
		t.Errorf("a service without rights: %v", err)
	}
	execute(t, db.Pool, "GRANT SELECT, INSERT ON coordination_audit_records TO "+service+"; GRANT SELECT ON coordaudit_schema_version TO "+service)
	if err := as(db, service).Validate(t.Context()); err != nil {
		t.Errorf("a service with its rights: %v", err)
	}

	config := db.Pool.Config().ConnConfig.Copy()
	config.RuntimeParams["role"] = service
	conn, err := pgconn.ConnectConfig(t.Context(), &config.Config)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	if _, err := conn.Exec(t.Context(), insertRecord).ReadAll(); err != nil {
		t.Errorf("a service's record: %v", err)
	}
	for _, sql := range []string{
		"UPDATE coordination_audit_records SET reason = 'another'",
		"DELETE FROM coordination_audit_records",
		"TRUNCATE coordination_audit_records",
		"ALTER TABLE coordination_audit_records DISABLE TRIGGER ALL",
		"DROP TABLE coordination_audit_records",
		"DELETE FROM coordaudit_schema_version",
	} {
		_, err := conn.Exec(t.Context(), sql).ReadAll()
		if pgErr, _ := errors.AsType[*pgconn.PgError](err); pgErr == nil || pgErr.Code != "42501" {
			t.Errorf("a service's %s: %v, want a lack of rights", sql, err)
		}
	}
	if _, err := as(db, service).Down(t.Context()); err == nil {
		t.Error("a service has migrated down")
	}
	if _, err := as(db, owner).Redo(t.Context()); err != nil {
		t.Errorf("redo by the owner: %v", err)
	}
}
