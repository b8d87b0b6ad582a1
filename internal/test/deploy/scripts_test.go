package deploy_test

import (
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/auditadmin/doctor"
	"github.com/hoc-analytics/coordaudit/auditmigrate"
	"github.com/hoc-analytics/coordaudit/internal/pglocal"
	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

// The scripts of deploy/ make the roles that the compose file and the manifests connect as. With them
// a trail is deployed, written to, and found healthy.
func TestScriptsMakeRolesThatDeployATrail(t *testing.T) {
	t.Parallel()
	server := testdb.Durable(t)
	dir := t.TempDir()
	for _, name := range []string{"secrets.sh", "roles.sh"} {
		text, err := os.ReadFile("../../../deploy/" + name)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	mustRun(t, nil, "/bin/sh", filepath.Join(dir, "secrets.sh"))
	owner := secret(t, dir, "coordaudit_owner")
	mustRun(t, nil, "/bin/sh", filepath.Join(dir, "secrets.sh"))
	if again := secret(t, dir, "coordaudit_owner"); again != owner || !strings.HasPrefix(owner, "db:5432:audit:coordaudit_owner:") || len(owner) < 70 {
		t.Errorf("the secret changed, or is none of a password file: %d bytes, then %d", len(owner), len(again))
	}

	config, err := pgx.ParseConfig(server.URL())
	if err != nil {
		t.Fatal(err)
	}
	bin, err := pglocal.Find()
	if err != nil {
		t.Skip(err)
	}
	if _, err := os.Stat(filepath.Join(bin, "psql")); err != nil {
		t.Skip("psql is not installed")
	}
	watched := watch(t, filepath.Join(bin, "psql"))
	roles := func(secrets string) error {
		return runProgram(t, []string{"PATH=" + watched + ":" + os.Getenv("PATH"), "PGHOST=" + config.Host, "SECRETS=" + secrets}, "/bin/sh", filepath.Join(dir, "roles.sh"))
	}
	if err := roles(filepath.Join(dir, "nowhere")); err == nil {
		t.Error("without secrets, roles with no password were made")
	}
	if err := roles(filepath.Join(dir, "secrets")); err != nil {
		t.Fatal(err)
	}
	arguments, err := os.ReadFile(filepath.Join(watched, "arguments"))
	if err != nil || len(arguments) == 0 {
		t.Fatalf("psql was not called: %v", err)
	}
	for _, role := range []string{"coordaudit_owner", "coordaudit_service", "coordaudit_reader", "coordaudit_sealer"} {
		if fields := strings.Split(strings.TrimSpace(secret(t, dir, role)), ":"); strings.Contains(string(arguments), fields[4]) {
			t.Errorf("ps shows the password of %s", role)
		}
	}

	as := func(role string) string {
		return strings.Replace(server.DatabaseURL("audit"), "user=postgres", "user="+role, 1) + "&application_name=coordaudit-test"
	}
	migrator, err := auditmigrate.Open(as("coordaudit_owner"), auditmigrate.Config{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := migrator.Up(t.Context()); err != nil {
		t.Fatal(err)
	}
	grants, err := migrator.ApplyGrants(t.Context(), auditmigrate.GrantConfig{
		Writers: []string{"coordaudit_service"}, Readers: []string{"coordaudit_reader"}, Sealers: []string{"coordaudit_sealer"},
	})
	if err != nil || len(grants.Warnings) > 0 {
		t.Fatalf("%v, warnings %v", err, grants.Warnings)
	}
	store := fixture.OpenStore(t, as("coordaudit_service"), coordaudit.Config{})
	fixture.MustPersist(t, store, fixture.NewRecord())
	store.Close()
	pool := fixture.OpenPool(t, as("coordaudit_owner"), func(c *pgxpool.Config) { c.MaxConns = 2 })
	findings, err := doctor.Diagnose(t.Context(), pool, doctor.Config{DiskFree: 1 << 50})
	if err != nil || len(findings) != 1 || findings[0].Check != "seal_lag" { // nothing is sealed yet
		t.Errorf("%v, %v", findings, err)
	}
	super := fixture.OpenPool(t, server.DatabaseURL("audit"), nil)
	if n := fixture.QueryInt(t, super, "SELECT count(*)::int FROM pg_authid WHERE rolname ~ '^coordaudit' AND rolpassword LIKE 'SCRAM-SHA-256%' AND NOT rolsuper"); n != 4 {
		t.Errorf("%d roles have a password, want 4", n)
	}
}

func secret(t *testing.T, dir, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "secrets", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// watch returns a folder with a program that writes down its arguments, and calls the given one.
func watch(t *testing.T, program string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	script := "#!/bin/sh\necho \"$@\" >>'" + dir + "/arguments'\nexec '" + program + "' \"$@\"\n"
	if err := os.WriteFile(filepath.Join(dir, filepath.Base(program)), []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	return dir
}

func mustRun(t *testing.T, env []string, program string, args ...string) {
	t.Helper()
	if err := runProgram(t, env, program, args...); err != nil {
		t.Fatal(err)
	}
}

func runProgram(t *testing.T, env []string, program string, args ...string) error {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, args...)
	if env != nil {
		cmd.Env = env
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	return nil
}
