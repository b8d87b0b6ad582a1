package doctor_test

import (
	"context"
	"crypto/rand"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/mod/sumdb/note"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/auditadmin/doctor"
	"github.com/hoc-analytics/coordaudit/auditmigrate"
	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
	"github.com/hoc-analytics/coordaudit/seal"
	"github.com/hoc-analytics/coordaudit/sealer"
)

// healthy deploys a trail with roles of its own, writes by a Recorder, and seals.
func healthy(t *testing.T) (url string, config doctor.Config) {
	t.Helper()
	db := testdb.NewOn(t, testdb.Durable(t))
	name := fixture.QueryText(t, db.Pool, "SELECT current_database()::text")
	fixture.MustExec(t, db.Pool, `
		CREATE ROLE owner LOGIN;
		CREATE ROLE service LOGIN;
		GRANT pg_monitor TO owner;
		CREATE SCHEMA trail AUTHORIZATION owner;
		ALTER DATABASE `+name+` SET search_path = trail`)
	as := func(role string) string {
		return fixture.WithSetting(strings.Replace(db.URL, "user=postgres", "user="+role, 1), "application_name=coordaudit-"+role)
	}
	db.Pool.Reset() // a superuser's sessions, which the doctor would name
	migrator, err := auditmigrate.Open(as("owner"), auditmigrate.Config{Schema: "trail", Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := migrator.Up(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := migrator.ApplyGrants(t.Context(), auditmigrate.GrantConfig{Writers: []string{"service"}}); err != nil {
		t.Fatal(err)
	}
	config = doctor.Config{Spools: []string{filepath.Join(t.TempDir(), "spool")}, DiskFree: 1 << 50}
	record(t, as("service"), config.Spools[0])
	private, public, err := seal.GenerateKey(rand.Reader, "audit.example/trail")
	if err != nil {
		t.Fatal(err)
	}
	signer, err := note.NewSigner(private)
	if err != nil {
		t.Fatal(err)
	}
	if config.Key, err = note.NewVerifier(public); err != nil {
		t.Fatal(err)
	}
	exports := sealer.Directory(t.TempDir())
	config.LastExported = exports.Last
	pool := fixture.OpenPool(t, as("owner"), nil)
	made, err := sealer.New(pool, sealer.Config{Signer: signer, Export: exports, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := made.Once(t.Context()); err != nil {
		t.Fatal(err)
	}
	pool.Close()
	return as("owner"), config
}

func record(t *testing.T, url, spool string) {
	t.Helper()
	store := fixture.OpenStore(t, url, coordaudit.Config{})
	recorder, err := store.NewRecorder(coordaudit.RecorderConfig{SpoolDir: spool})
	if err != nil {
		t.Fatal(err)
	}
	for range 200 {
		if err := recorder.Enqueue(fixture.NewRecord()); err != nil {
			t.Fatal(err)
		}
	}
	if err := recorder.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	store.Close()
}

// Each check has a test in which it finds something. Here all of them find nothing.
func TestHealthyTrailHasNoFindings(t *testing.T) {
	t.Parallel()
	url, config := healthy(t)
	findings, err := doctor.Diagnose(t.Context(), fixture.OpenPool(t, url, nil), config)
	if err != nil || len(findings) > 0 {
		t.Errorf("want nothing: %v, %v", findings, err)
	}
}

// A role without rights learns what it cannot see, and everything that it can.
func TestCheckThatCannotBeDoneStopsNoOther(t *testing.T) {
	t.Parallel()
	url, config := healthy(t)
	poor := strings.Replace(url, "user=owner", "user=poor", 1)
	owner := fixture.OpenPool(t, url, nil)
	fixture.MustExec(t, owner, "ALTER TABLE trail.coordination_audit_records DISABLE TRIGGER coordination_audit_refuse_truncate")
	super := fixture.OpenPool(t, strings.Replace(url, "user=owner", "user=postgres", 1), nil)
	fixture.MustExec(t, super, "CREATE ROLE poor LOGIN; GRANT USAGE ON SCHEMA trail TO poor")
	owner.Close()
	super.Close()
	findings, err := doctor.Diagnose(t.Context(), fixture.OpenPool(t, poor, nil), config)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]doctor.Severity{}
	for _, f := range findings {
		if _, met := found[f.Check]; !met {
			found[f.Check] = f.Severity
		}
	}
	for _, name := range []string{"gaps", "ordinals", "sources", "seal_lag", "seal_key", "export", "growth", "standbys"} {
		if found[name] != doctor.Unchecked {
			t.Errorf("%s: %q, want that it could not be done: %v", name, found[name], findings)
		}
	}
	if found["guards"] != doctor.Error {
		t.Errorf("the disabled trigger is not named: %v", findings)
	}
	if found["fsync"] != "" || found["spool"] != "" {
		t.Errorf("what needs no rights is not healthy: %v", findings)
	}
}

func TestExportsNeedTheirKey(t *testing.T) {
	t.Parallel()
	exports := sealer.Directory(t.TempDir())
	if _, err := doctor.Diagnose(t.Context(), testdb.New(t).Pool, doctor.Config{LastExported: exports.Last}); err == nil || !strings.Contains(err.Error(), "Config.Key") {
		t.Errorf("it went on without the key: %v", err)
	}
}

func TestUnreachableDatabaseIsAnError(t *testing.T) {
	t.Parallel()
	pool := testdb.New(t).Pool
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := doctor.Diagnose(ctx, pool, doctor.Config{}); err == nil || !strings.Contains(err.Error(), "examining the trail") {
		t.Errorf("it examined nothing, and said so by %v", err)
	}
}

// docs/doctor.md lists every check, in order.
func TestDocumentationListsTheChecks(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/doctor.md")
	if err != nil {
		t.Fatal(err)
	}
	var want, got []string
	for _, check := range doctor.Checks() {
		want = append(want, "| `"+check.Name+"` | "+check.About+" | "+string(check.Worst)+" |")
	}
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "| `") {
			got = append(got, strings.TrimSpace(line))
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("docs/doctor.md (-want +got):\n%s", diff)
	}
}
