package auditadmin_test

import (
	"context"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/hoc-analytics/coordaudit/auditadmin"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

// Who may create functions and tables next to the trail, or drop it as the owner of its schema,
// is named with the command that repairs it. The guards stand all the same.
func TestWhoMayCreateInTheSchemaIsNamed(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ sql, object, got, repair string }{
		"Public": {
			"GRANT CREATE ON SCHEMA public TO PUBLIC", "privileges of PUBLIC on schema public", "CREATE: every role can create functions",
			"REVOKE CREATE ON SCHEMA public FROM PUBLIC",
		},
		"Role":          {"GRANT CREATE ON SCHEMA public TO $role", "privileges of $role on schema public", "CREATE: it can create functions", "REVOKE CREATE ON SCHEMA public FROM $role"},
		"Owner":         {"ALTER SCHEMA public OWNER TO $role", "schema public", "owner $role: it can drop the trail", "ALTER SCHEMA public OWNER TO $owner"},
		"DatabaseOwner": {"ALTER DATABASE $database OWNER TO $role; ALTER SCHEMA public OWNER TO pg_database_owner", "schema public", "owner $role, who owns the database", "ALTER SCHEMA public OWNER TO $owner"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db, owner, replace := scoped(t)
			conn := connect(t, db, owner)
			if found := check(t, conn); len(found) > 0 {
				t.Fatalf("at first: %v", found)
			}
			execute(t, db, replace(test.sql))
			found := check(t, conn)
			object := replace(test.object)
			d := find(found, object, auditadmin.Notice)
			if d == nil || len(found) != 1 || !strings.HasPrefix(d.Got, replace(test.got)) || !strings.Contains(d.Repair, replace(test.repair)) {
				t.Fatalf("want one notice about %s: %v", object, found)
			}
			execute(t, db, replace(test.repair))
			if found := check(t, conn); len(found) > 0 {
				t.Errorf("after the repair: %v", found)
			}
		})
	}
}

// No one is named who can do nothing that they cannot do anyway.
func TestOwnersMayCreateInTheSchema(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		sql   string
		named string // a difference that is named for another reason
	}{
		"Owner":               {sql: "ALTER SCHEMA public OWNER TO $owner"},
		"OwnerOfTheDatabase":  {sql: "ALTER DATABASE $database OWNER TO $owner; ALTER SCHEMA public OWNER TO pg_database_owner"},
		"OwnerOfBoth":         {sql: "ALTER DATABASE $database OWNER TO $owner; ALTER SCHEMA public OWNER TO pg_database_owner; REVOKE CREATE ON SCHEMA public FROM $owner"},
		"Superuser":           {sql: "ALTER ROLE $role SUPERUSER; GRANT CREATE ON SCHEMA public TO $role"},
		"SuperuserOwns":       {sql: "ALTER ROLE $role SUPERUSER; ALTER SCHEMA public OWNER TO $role"},
		"MemberOfTheOwner":    {sql: "GRANT $owner TO $role; GRANT CREATE ON SCHEMA public TO $role", named: "role $role"},
		"UsageOfEveryone":     {sql: "GRANT USAGE ON SCHEMA public TO PUBLIC, $role"},
		"CreateInOtherSchema": {sql: "CREATE SCHEMA other; GRANT CREATE ON SCHEMA other TO PUBLIC, $role"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db, owner, replace := scoped(t)
			execute(t, db, replace(test.sql))
			found := check(t, connect(t, db, owner))
			if test.named != "" && len(found) == 1 && found[0].Object == replace(test.named) {
				return
			}
			if len(found) > 0 {
				t.Errorf("%v", found)
			}
		})
	}
}

// scoped is [owned] with another role, in a schema as a new database of version 15 has it.
func scoped(t *testing.T) (db *testdb.DB, owner string, replace func(string) string) {
	t.Helper()
	db, owner = owned(t)
	role := newRole(t, db)
	var database, before string
	if err := db.Pool.QueryRow(t.Context(), "SELECT current_database(), current_user").Scan(&database, &before); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // a role that owns a database cannot be dropped
		_, err := db.Pool.Exec(context.Background(), "ALTER DATABASE "+pgx.Identifier{database}.Sanitize()+" OWNER TO "+pgx.Identifier{before}.Sanitize())
		if err != nil {
			t.Error(err)
		}
	})
	execute(t, db, "REVOKE CREATE ON SCHEMA public FROM PUBLIC")
	return db, owner, strings.NewReplacer("$database", pgx.Identifier{database}.Sanitize(), "$owner", owner, "$role", role).Replace
}
