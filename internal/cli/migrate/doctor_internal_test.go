package migrate

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hoc-analytics/coordaudit/auditadmin/doctor"
	"github.com/hoc-analytics/coordaudit/internal/cli"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
	"github.com/hoc-analytics/coordaudit/seal"
)

func TestDoctorExitsByWhatItFinds(t *testing.T) {
	t.Parallel()
	db := testdb.NewOn(t, testdb.Durable(t))
	execute(t, db, insertRecord)
	got := migrate(t, db.URL, "doctor")
	if got.code != cli.ExitDone || got.stderr != "" {
		t.Errorf("exit code %d without an error: %s%s", got.code, got.stdout, got.stderr)
	}
	checkStream(t, "stdout", got.stdout, []string{
		"warning: roles: roles postgres\n  is      a superuser owns the trail", "\n  repair  CREATE ROLE coordaudit_owner",
		"notice: seal_lag: the trail", fmt.Sprintf("\nhealthy: 2 warnings, 1 notice of %d checks\n", len(doctor.Checks())),
	})

	execute(t, db, dropGuard)
	got = migrate(t, db.URL, "doctor")
	if got.code != 1 || !strings.HasPrefix(got.stdout, "error: guards: "+guard) {
		t.Errorf("exit code %d with an error: %s%s", got.code, got.stdout, got.stderr)
	}
	checkStream(t, "stdout", got.stdout, []string{"repair  migrate repair, which runs: BEGIN; CREATE TRIGGER", "not healthy: 1 error, "})
	checkStream(t, "stderr", got.stderr, []string{"migrate: examining the trail: 1 error found (guards): do what the list says"})

	got = migrate(t, db.URL, "doctor", "--json", "--quick")
	var result doctorResult
	if err := json.Unmarshal([]byte(got.stdout), &result); err != nil || got.code != 1 {
		t.Fatalf("exit code %d, %v in %s%s", got.code, err, got.stdout, got.stderr)
	}
	if result.Healthy || slices.Contains(result.Checks, "ordinals") || len(result.Checks) != len(doctor.Checks())-2 ||
		result.Findings[0].Check != "guards" || result.Findings[0].Severity != doctor.Error || result.Findings[0].Object != guard || result.Findings[0].Repair == "" {
		t.Errorf("%+v", result)
	}
}

func TestDoctorLooksAtWhatItIsGiven(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	execute(t, db, `CREATE SCHEMA "the trail"`)
	if got := migrate(t, db.URL, "up", "--schema=the trail"); got.code != cli.ExitDone {
		t.Fatal(got.stderr)
	}
	execute(t, db, `GRANT DELETE ON "the trail".coordination_audit_records TO PUBLIC`)
	spool := filepath.Join(t.TempDir(), "spool")
	if err := os.MkdirAll(filepath.Join(spool, "rejected"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(spool, "rejected", "0000000001.jsonl"), []byte("{}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	key := filepath.Join(t.TempDir(), "key.pub")
	_, public, err := seal.GenerateKey(rand.Reader, "audit.example/trail")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(key, []byte(public+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	got := migrate(t, db.URL, "doctor", "--schema=the trail", "--spool", spool, "--spool", spool+"-2", "--checkpoints", t.TempDir(), "--key", key, "--disk-free", "1TiB")
	checkStream(t, "stdout", got.stdout, []string{
		`privileges of PUBLIC on table "the trail".coordination_audit_records`, "spool: spool " + spool + "\n", "unchecked: spool: spool " + spool + "-2\n", "warning: export: ",
	})
	got = migrate(t, db.URL, "doctor", "--schema=the trail", "--checkpoints", spool+"-3", "--key", key) // as one that is not mounted
	checkStream(t, "stdout", got.stdout, []string{"unchecked: export: ", "spool-3 does not exist: mount it"})
	if got := migrate(t, db.URL, "doctor"); strings.Contains(got.stdout, "the trail\".") {
		t.Errorf("without --schema: %s", got.stdout)
	}
}

func TestDoctorRefusesWrongUsage(t *testing.T) {
	t.Parallel()
	for args, want := range map[string]string{
		"doctor --checkpoints /tmp":                 "--checkpoints and --key need each other",
		"doctor --key /tmp":                         "--checkpoints and --key need each other",
		"doctor --checkpoints /tmp --key /nowhere":  "/nowhere",
		"doctor --disk-free much":                   "such as 500GiB",
		"doctor --disk-free -5":                     "such as 500GiB",
		"doctor --disk-free 5XB":                    "such as 500GiB",
		"doctor --disk-free 99999999999TiB":         "such as 500GiB",
		"doctor --schema":                           "--schema needs a name",
		"doctor --database-url=postgres://u:geheim": "",
	} {
		got := migrate(t, "postgres://nobody@127.0.0.1:1/nothing", strings.Fields(args)...)
		if want == "" {
			if got.code == cli.ExitDone || strings.Contains(got.stderr, "geheim") {
				t.Errorf("%s: exit code %d: %s", args, got.code, got.stderr)
			}
			continue
		}
		if got.code != cli.ExitUsage || !strings.Contains(got.stderr, want) {
			t.Errorf("%s: exit code %d, want %d with %q: %s", args, got.code, cli.ExitUsage, want, got.stderr)
		}
	}
	if got := migrate(t, "", "doctor"); got.code != cli.ExitUsage || !strings.Contains(got.stderr, "no database is given") {
		t.Errorf("exit code %d: %s", got.code, got.stderr)
	}
	if got := migrate(t, "postgres://nobody@127.0.0.1:1/nothing", "doctor"); got.code != 1 || !strings.Contains(got.stderr, "examining the trail: ") {
		t.Errorf("exit code %d: %s", got.code, got.stderr)
	}
}
