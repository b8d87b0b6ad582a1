package migrate

import (
	"encoding/json"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hoc-analytics/coordaudit/internal/cli"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

const (
	dropGuard = "DROP TRIGGER coordination_audit_refuse_truncate ON coordination_audit_records"
	addRule   = "CREATE RULE quiet AS ON UPDATE TO coordination_audit_records DO INSTEAD NOTHING"
	guard     = "trigger coordination_audit_refuse_truncate on public.coordination_audit_records"
)

func TestValidateAndRepair(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	steps := []struct {
		sql, args      string
		code           int
		stdout, stderr []string
	}{
		{args: "repair", stdout: []string{"nothing to repair\n"}},
		{sql: "CREATE INDEX mine ON coordination_audit_records (reason)", args: "validate", stdout: []string{"valid: ", "notice: index public.mine"}},
		{sql: dropGuard, args: "validate", code: exitDiffers, stdout: []string{
			"not valid: 1 difference\nerror: " + guard + "\n  is      missing\n  want    BEFORE TRUNCATE", "ENABLE ALWAYS\n  repair  migrate repair, which runs: BEGIN; CREATE TRIGGER", "COMMIT;\nnotice: index public.mine",
		}, stderr: []string{"migrate: validating the schema: 1 object of the schema or its guards differs from what the migrations make: run migrate repair"}},
		{args: "repair --dry-run", code: exitDiffers, stdout: []string{"-- " + guard + "\nBEGIN; CREATE TRIGGER", "-- nothing was changed; left as it is: 1 difference\n"}, stderr: []string{"run migrate repair"}},
		{args: "repair", stdout: []string{"repaired: " + guard + "\nrepaired: the schema and its guards are"}},
		{args: "validate", stdout: []string{"valid: "}},
		{sql: dropGuard + ";" + addRule, args: "repair", code: exitDiffers, stdout: []string{
			"repaired: " + guard, "not repaired: 1 difference left\nerror: rule quiet on public.coordination_audit_records", "repair  DROP RULE quiet ON public.coordination_audit_records",
		}, stderr: []string{"migrate: repairing the schema: 1 difference cannot be repaired by this command"}},
		{args: "repair --lock-timeout 0s", code: cli.ExitUsage, stderr: []string{"--lock-timeout must be positive"}},
	}
	for _, step := range steps {
		if step.sql != "" {
			execute(t, db, step.sql)
		}
		got := migrate(t, db.URL, strings.Fields(step.args)...)
		if got.code != step.code {
			t.Errorf("%s: exit code %d, want %d: %s", step.args, got.code, step.code, got.stderr)
		}
		checkStream(t, "stdout of "+step.args, got.stdout, step.stdout)
		checkStream(t, "stderr of "+step.args, got.stderr, step.stderr)
	}
}

// --schema names the trail, even if the search_path leads to another one.
func TestValidateANamedSchema(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	execute(t, db, `CREATE SCHEMA "the trail"`)
	for _, step := range []struct {
		sql, command string
		code         int
		stdout       string
	}{
		{command: "up", stdout: "up "},
		{command: "validate", stdout: "valid: "},
		{sql: `DROP TRIGGER coordination_audit_refuse_truncate ON "the trail".coordination_audit_records`, command: "validate", code: exitDiffers, stdout: `trigger coordination_audit_refuse_truncate on "the trail".coordination_audit_records`},
		{command: "repair", stdout: `repaired: trigger coordination_audit_refuse_truncate on "the trail".coordination_audit_records`},
		{command: "wait", stdout: "the database answers"},
	} {
		if step.sql != "" {
			execute(t, db, step.sql)
		}
		got := migrate(t, db.URL, step.command, "--schema=the trail")
		if got.code != step.code || !strings.Contains(got.stdout, step.stdout) {
			t.Errorf("%s: exit code %d, want %d: %s%s", step.command, got.code, step.code, got.stdout, got.stderr)
		}
	}
	if got := migrate(t, db.URL, "validate"); got.code != cli.ExitDone { // the one in public was never touched
		t.Errorf("without --schema: %s%s", got.stdout, got.stderr)
	}
}

func TestRepairNeedsATrail(t *testing.T) {
	t.Parallel()
	got := migrate(t, testdb.NewEmpty(t).URL, "repair")
	if got.code != exitPending {
		t.Errorf("exit code %d, want %d", got.code, exitPending)
	}
	checkStream(t, "stderr", got.stderr, []string{"migrate: repairing the schema: there is no complete trail: run migrate up"})
}

func TestDifferencesJSON(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	execute(t, db, dropGuard)
	difference := map[string]any{
		"automatic": true, "got": "missing", "object": guard, "severity": "error",
		"want":   "BEFORE TRUNCATE FOR EACH STATEMENT EXECUTE FUNCTION public.coordination_audit_refuse_change(), ENABLE ALWAYS",
		"repair": "BEGIN; CREATE TRIGGER coordination_audit_refuse_truncate BEFORE TRUNCATE ON public.coordination_audit_records FOR EACH STATEMENT EXECUTE FUNCTION public.coordination_audit_refuse_change(); ALTER TABLE public.coordination_audit_records ENABLE ALWAYS TRIGGER coordination_audit_refuse_truncate; COMMIT;",
	}
	action := map[string]any{"object": guard, "sql": difference["repair"], "done": true}
	for _, test := range []struct {
		args string
		code int
		want map[string]any
	}{
		{"validate --json", exitDiffers, map[string]any{"valid": false, "pending": []any{}, "differences": []any{difference}}},
		{"repair --json", cli.ExitDone, map[string]any{"repaired": true, "actions": []any{action}}},
		{"repair --json", cli.ExitDone, map[string]any{"repaired": true, "actions": []any{}}},
	} {
		got := migrate(t, db.URL, strings.Fields(test.args)...)
		var value map[string]any
		if err := json.Unmarshal([]byte(got.stdout), &value); err != nil {
			t.Fatalf("%s: %v in %s%s", test.args, err, got.stdout, got.stderr)
		}
		if diff := cmp.Diff(test.want, value); diff != "" || got.code != test.code {
			t.Errorf("%s: exit code %d, want %d (-want +got):\n%s", test.args, got.code, test.code, diff)
		}
	}
}

// A role that may not look never sees "valid".
func TestValidateWithoutRights(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	role := newRole(t, db)
	got := migrate(t, withRole(db.URL, role), "validate")
	if got.code != cli.ExitFailed || strings.HasPrefix(got.stdout, "valid") {
		t.Errorf("exit code %d: %s", got.code, got.stdout)
	}
	checkStream(t, "stdout", got.stdout, []string{"not known to be valid: this role cannot check 5 objects\n", "unchecked: table public.coordaudit_schema_version\n  is      cannot be checked: permission denied", "GRANT SELECT ON"})
	checkStream(t, "stderr", got.stderr, []string{"validate as the owner of the tables"})

	execute(t, db, "GRANT SELECT ON coordaudit_schema_version, coordination_audit_records, coordination_audit_gaps, coordination_audit_statements TO "+role)
	got = migrate(t, withRole(db.URL, role), "wait", "--schema")
	if got.code != cli.ExitDone {
		t.Errorf("a service's wait: exit code %d: %s", got.code, got.stderr)
	}
	checkStream(t, "stderr", got.stderr, []string{"this role's rights are not enough to check sequence public.coordination_audit_"})
}

// What waiting alone does not change is reported at once. The repair ends the waiting.
func TestWaitReportsDifferences(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ breaks, says, repair string }{
		"Guards": {dropGuard, guard + ": missing: waiting alone does not repair this: run migrate repair", "repair"},
		"Rights": {"REVOKE SELECT ON coordaudit_schema_version FROM $role", "permission denied for table coordaudit_schema_version", "GRANT SELECT ON coordaudit_schema_version TO $role"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := testdb.New(t)
			role := newRole(t, db)
			replace := strings.NewReplacer("$role", role).Replace
			execute(t, db, "GRANT SELECT ON coordaudit_schema_version, coordination_audit_records, coordination_audit_gaps, coordination_audit_statements TO "+role+"; "+replace(test.breaks))
			said := newWatch(test.says)
			ended := make(chan int, 1)
			go func() {
				ended <- Run(t.Context(), &cli.Program{Name: "migrate", Env: func(string) string { return withRole(db.URL, role) }, Stdout: &strings.Builder{}, Stderr: said}, []string{"wait", "--schema", "--timeout", "0"})
			}()
			select {
			case <-said.seen:
			case code := <-ended:
				t.Fatalf("exit code %d before it was repaired: %s", code, said)
			}
			if test.repair == "repair" {
				if got := migrate(t, db.URL, "repair"); got.code != cli.ExitDone {
					t.Fatal(got.stderr)
				}
			} else {
				execute(t, db, replace(test.repair))
			}
			if code := <-ended; code != cli.ExitDone {
				t.Errorf("exit code %d: %s", code, said)
			}
		})
	}
}

func TestWaitReportsWhy(t *testing.T) {
	t.Parallel()
	db := testdb.NewEmpty(t)
	said := newWatch("still waiting after", "migrations are pending: 1, 2", "still waiting after", "migrations are pending: 1, 2")
	ended := make(chan int, 1)
	go func() {
		ended <- Run(t.Context(), &cli.Program{Name: "migrate", Env: func(string) string { return db.URL }, Stdout: &strings.Builder{}, Stderr: said}, []string{"wait", "--schema", "--timeout", "0"})
	}()
	<-said.seen
	if got := migrate(t, db.URL, "up"); got.code != cli.ExitDone {
		t.Fatal(got.stderr)
	}
	if code := <-ended; code != cli.ExitDone {
		t.Errorf("exit code %d: %s", code, said)
	}
}

// watch is a stream that closes seen once it has these texts, in this order.
type watch struct {
	mu   sync.Mutex
	text strings.Builder
	want []string
	seen chan struct{}
	done bool
}

func newWatch(want ...string) *watch { return &watch{want: want, seen: make(chan struct{})} }

func (w *watch) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	n, err := w.text.Write(p)
	rest := w.text.String()
	for _, part := range w.want {
		_, after, found := strings.Cut(rest, part)
		if !found {
			return n, err
		}
		rest = after
	}
	if !w.done {
		w.done = true
		close(w.seen)
	}
	return n, err
}

func (w *watch) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.String()
}
