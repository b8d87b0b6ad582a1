package migrate

import (
	"encoding/json"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hoc-analytics/coordaudit/internal/cli"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

func TestGrants(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	writer, reader, sealer := newRole(t, db), newRole(t, db), newRole(t, db)
	args := []string{"grants", "--writer", writer, "--reader", reader, "--sealer", sealer}
	mayInsert := func() (ok bool) {
		t.Helper()
		err := db.Pool.QueryRow(t.Context(), "SELECT has_column_privilege($1, 'coordination_audit_records', 'reason', 'INSERT')", writer).Scan(&ok)
		if err != nil {
			t.Fatal(err)
		}
		return ok
	}

	printed := migrate(t, db.URL, args...)
	if printed.code != cli.ExitDone || printed.stderr != "" {
		t.Fatalf("printing: %+v", printed)
	}
	checkStream(t, "stdout", printed.stdout, []string{"BEGIN;\n", "GRANT SELECT, INSERT (", ` ON TABLE "public"."coordination_audit_records" TO "` + writer + `";`, ` ON TABLE "public"."coordination_audit_seal_tiles" TO "` + reader + `";`, ` ON TABLE "public"."coordination_audit_seal_tiles" TO "` + sealer + `";`, "\nCOMMIT;\n"})
	if strings.Contains(printed.stdout, `"seq"`) || strings.Contains(printed.stdout, `"created_at"`) || strings.Contains(printed.stdout, `"made_at"`) || mayInsert() {
		t.Errorf("printing has granted, or grants too much:\n%s", printed.stdout)
	}

	applied := migrate(t, db.URL, append(args, "--apply", "--json")...)
	var value struct {
		Schema               string
		Applied              bool
		Statements, Warnings []string
	}
	if err := json.Unmarshal([]byte(applied.stdout), &value); err != nil || applied.code != cli.ExitDone {
		t.Fatalf("applying: %v, %+v", err, applied)
	}
	script := "BEGIN;\n" + strings.Join(value.Statements, ";\n") + ";\nCOMMIT;\n"
	if diff := cmp.Diff(printed.stdout, script); diff != "" || value.Schema != "public" || !value.Applied || value.Warnings == nil || !mayInsert() {
		t.Errorf("applied %+v (-printed +applied):\n%s", value, diff)
	}
	if again := migrate(t, db.URL, append(args, "--apply")...); again.code != cli.ExitDone || again.stdout != "-- nothing to do\n" {
		t.Errorf("again: %+v", again)
	}
}

func TestGrantsWithPsql(t *testing.T) {
	t.Parallel()
	psql, err := exec.LookPath("psql")
	if err != nil {
		t.Skip("needs psql")
	}
	db := testdb.New(t)
	args := []string{"grants", "--writer", newRole(t, db) + "," + newRole(t, db), "--reader", newRole(t, db), "--sealer", newRole(t, db)}
	cmd := exec.CommandContext(t.Context(), psql, "--no-psqlrc", "--set=ON_ERROR_STOP=1", db.URL)
	cmd.Stdin = strings.NewReader(migrate(t, db.URL, args...).stdout)
	if output, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	if got := migrate(t, db.URL, args...); got.stdout != "-- nothing to do\n" {
		t.Errorf("afterwards: %+v", got)
	}
}

func TestGrantsUsage(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	for args, want := range map[string]string{
		"grants": "no role is given: pass --writer, --reader, --sealer, --expirer, --eraser, --holder or --no-tenant-reader with a ROLE, or --tenant-reader ROLE=TENANT",
		"grants --writer none_such --reader neither":  `unknown role "none_such", "neither", nothing was changed`,
		"grants --sealer none_such":                   `unknown role "none_such", nothing was changed`,
		"grants --writer none_such --lock-timeout 0s": "--lock-timeout must be positive",
		"grants --writer none_such --schema":          "--schema needs a name",
		"up --schema":                                 "--schema needs a name",
		"grants --writer none_such --apply --unknown": "unknown flag --unknown",
	} {
		got := migrate(t, db.URL, strings.Fields(args)...)
		if got.code != cli.ExitUsage || got.stdout != "" || !strings.Contains(got.stderr, want) || strings.Count(got.stderr, "\n") != 1 {
			t.Errorf("%s: %+v, want exit 2 and %q", args, got, want)
		}
	}
}

func TestVersion(t *testing.T) {
	t.Parallel()
	got := migrate(t, "", "version")
	if got.code != cli.ExitDone || got.stderr != "" || !strings.HasPrefix(got.stdout, "program schema   11\nprogram build    ") {
		t.Errorf("%+v", got)
	}
	got = migrate(t, "", "version", "--json")
	if got.code != cli.ExitDone || !strings.Contains(got.stdout, `"database_version":null`) {
		t.Errorf("as JSON: %+v", got)
	}
	for _, args := range [][]string{{"--version"}, {"up", "--version"}} {
		got := migrate(t, "", args...)
		if got.code != cli.ExitDone || got.stderr != "" || !strings.HasPrefix(got.stdout, "migrate ") || strings.Count(got.stdout, "\n") != 1 {
			t.Errorf("%v: %+v", args, got)
		}
	}
	if got := migrate(t, "postgres://someone@127.0.0.1:1/none", "version"); got.code != cli.ExitFailed {
		t.Errorf("with a database that is away: %+v, want exit 1", got)
	}
}

func TestCompletion(t *testing.T) {
	t.Parallel()
	got := migrate(t, "", "completion", "bash")
	if got.code != cli.ExitDone || !strings.Contains(got.stdout, "'up up-to down down-to redo status version grants validate repair distribute doctor sql completion wait'") {
		t.Errorf("%+v", got)
	}
	if got := migrate(t, "", "completion", "tcsh"); got.code != cli.ExitUsage {
		t.Errorf("%+v", got)
	}
}

func TestSchemaFlag(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	execute(t, db, `CREATE SCHEMA "Tenant A"`)
	const name = "Tenant A"
	refused := migrate(t, db.URL+"&search_path=%22Tenant%20A%22", "up")
	if refused.code != cli.ExitFailed || !strings.Contains(refused.stderr, `"public"`) || !strings.Contains(refused.stderr, "--schema") {
		t.Errorf("up next to a trail: %+v, want it refused", refused)
	}
	for _, test := range []struct {
		args []string
		code int
	}{
		{[]string{"validate", "--schema", name}, exitPending},
		{[]string{"--schema", name, "up"}, cli.ExitDone},
		{[]string{"validate", "--schema=" + name}, cli.ExitDone},
		{[]string{"status", "--schema", name}, cli.ExitDone},
		{[]string{"version", "--schema", name}, cli.ExitDone},
		{[]string{"wait", "--schema"}, cli.ExitDone},
		{[]string{"wait", "--schema", "--timeout", "30s"}, cli.ExitDone},
		{[]string{"wait", "--timeout", "30s", "--schema", name}, cli.ExitDone},
		{[]string{"redo", "--schema", name}, cli.ExitDone},
		{[]string{"down-to", "0", "--schema", name}, cli.ExitDone},
		{[]string{"wait", "--schema", name, "--timeout", "1s"}, cli.ExitFailed},
		{[]string{"wait", "--timeout", "1s"}, cli.ExitDone},
		{[]string{"validate"}, cli.ExitDone},
	} {
		if got := migrate(t, db.URL, test.args...); got.code != test.code {
			t.Errorf("%v: exit code %d, want %d: %s", test.args, got.code, test.code, got.stderr)
		}
	}
	if got := migrate(t, "", "sql", "--schema", name); !strings.HasPrefix(got.stdout, `SET search_path = "Tenant A", pg_temp;`) {
		t.Errorf("sql: %.100s", got.stdout)
	}
}

func TestVerbose(t *testing.T) {
	t.Parallel()
	got := migrate(t, testdb.NewEmpty(t).URL, "up", "--verbose", "--json")
	if n := strings.Count(got.stderr, "\n"); got.code != cli.ExitDone || n != 11 || strings.Contains(got.stderr, "skipping") || strings.Count(got.stderr, `"duration_ms":`) != 11 {
		t.Errorf("%+v, want eleven lines", got)
	}
}

func TestTenantReaders(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	role := newRole(t, db)
	got := migrate(t, db.URL, "grants", "--tenant-reader", role+"=it's, acme=1", "--no-tenant-reader", role)
	checkStream(t, "stdout", got.stdout, []string{
		"BEGIN;\nCREATE TABLE", "CREATE OR REPLACE VIEW", "WITH (security_barrier = true)", "'" + role + "', 'it''s, acme=1')", "'" + role + "', NULL)", "GRANT SELECT ON TABLE", "COMMIT;",
	})
	for _, want := range []string{"CREATE OR REPLACE VIEW", "-- nothing to do"} {
		got = migrate(t, db.URL, "grants", "--tenant-reader", role+"=it's, acme=1", "--no-tenant-reader", role, "--apply")
		if got.code != cli.ExitDone || !strings.Contains(got.stdout, want) {
			t.Errorf("exit code %d, want %q: %s%s", got.code, want, got.stdout, got.stderr)
		}
	}
	if got := migrate(t, db.URL, "validate"); got.code != cli.ExitDone {
		t.Errorf("%s%s", got.stdout, got.stderr)
	}
	for _, text := range []string{role, role + "=", "=acme", ""} {
		got := migrate(t, db.URL, "grants", "--tenant-reader", text)
		if got.code != cli.ExitUsage || !strings.Contains(got.stderr, "--no-tenant-reader") {
			t.Errorf("%q: exit code %d: %s", text, got.code, got.stderr)
		}
	}
	if got := migrate(t, db.URL, "grants", "--tenant-reader", role+"=acme", "--reader", role); got.code != 1 || !strings.Contains(got.stderr, "nothing was changed") {
		t.Errorf("exit code %d: %s", got.code, got.stderr)
	}
}
