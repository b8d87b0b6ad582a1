package coordaudit

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hoc-analytics/coordaudit/internal/cli"
)

// Each exported record that is sealed is proved, and the proofs hold without a database.
func TestExportProvesRecords(t *testing.T) {
	t.Parallel()
	s := newSealing(t, 300)
	s.once(t).mustExit(t, cli.ExitDone)
	sourceWith(t, s.db, "later", 2, true)
	out, proofs := filepath.Join(t.TempDir(), "records.jsonl"), filepath.Join(t.TempDir(), "proofs.jsonl")
	got := run(t, s.db.URL, "", "export", "--all-tenants", "--out", out, "--proofs", proofs)
	got.mustExit(t, cli.ExitDone)
	if !strings.Contains(got.stderr, "2 records not sealed yet, and have no proof") {
		t.Errorf("stderr %q", got.stderr)
	}
	got = run(t, "", "", "verify", "bundle", proofs, "--key", s.public)
	got.mustExit(t, cli.ExitDone)
	if got.stdout != "300 records as they were sealed\n" {
		t.Errorf("stdout %q", got.stdout)
	}

	text, err := os.ReadFile(proofs)
	if err != nil {
		t.Fatal(err)
	}
	swapped := strings.Replace(string(text), s.ids[5].String(), s.ids[6].String(), 1)
	if err := os.WriteFile(proofs, []byte(swapped), 0o600); err != nil {
		t.Fatal(err)
	}
	got = run(t, "", "", "verify", "bundle", proofs, "--key", s.public)
	got.mustExit(t, cli.ExitFailed)
	if !strings.Contains(got.stderr, s.ids[6].String()) {
		t.Errorf("stderr %q", got.stderr)
	}
}

// A record that is not as it was sealed has no proof, so an export that asks for proofs fails,
// and leaves no file.
func TestExportProvesNoEditedRecord(t *testing.T) {
	t.Parallel()
	s := newSealing(t, 300)
	s.once(t).mustExit(t, cli.ExitDone)
	execSQL(t, s.db, "ALTER TABLE coordination_audit_records DISABLE TRIGGER USER; UPDATE coordination_audit_records SET reason = 'edited' WHERE audit_id = '"+s.ids[17].String()+"'")
	dir := t.TempDir()
	got := run(t, s.db.URL, "", "export", "--all-tenants", "--out", filepath.Join(dir, "records"), "--proofs", filepath.Join(dir, "proofs"))
	got.mustExit(t, cli.ExitFailed)
	if files, _ := filepath.Glob(filepath.Join(dir, "*")); len(files) > 0 || !strings.Contains(got.stderr, s.ids[17].String()) {
		t.Errorf("files %q, stderr %q", files, got.stderr)
	}
}

func TestExportRefusesProofs(t *testing.T) {
	t.Parallel()
	s := newSealing(t, 1)
	dir := t.TempDir()
	same := filepath.Join(dir, "same")
	run(t, s.db.URL, "", "export", "--all-tenants", "--out", same, "--proofs", same).mustExit(t, cli.ExitUsage)
	run(t, s.db.URL, "", "export", "--all-tenants", "--proofs", "-").mustExit(t, cli.ExitUsage)
	got := run(t, s.db.URL, "", "export", "--all-tenants", "--out", same, "--proofs", filepath.Join(dir, "proofs"))
	got.mustExit(t, cli.ExitFailed)
	if !strings.Contains(got.stderr, "not sealed yet") {
		t.Errorf("stderr %q", got.stderr)
	}
}

// With an older checkpoint, or a day's folder of them, only later rows are compared. Progress
// is kept in a file while a verification runs, and the file is gone at its end.
func TestVerifyNarrowed(t *testing.T) {
	t.Parallel()
	s := newSealing(t, 300)
	s.once(t).mustExit(t, cli.ExitDone)
	older, err := filepath.Glob(filepath.Join(s.exported, "*", "*", "*.checkpoint"))
	if err != nil || len(older) != 1 {
		t.Fatalf("%q, %v", older, err)
	}
	sourceWith(t, s.db, "later", 10, true)
	s.once(t).mustExit(t, cli.ExitDone)
	progress := filepath.Join(t.TempDir(), "progress")
	s.verify(t, "--after", older[0], "--resume", progress).mustExit(t, cli.ExitDone)
	s.verify(t, "--after", filepath.Dir(older[0])).mustExit(t, cli.ExitDone)
	if _, err := os.Stat(progress); err == nil {
		t.Error("the progress is left behind")
	}
	if err := os.WriteFile(progress, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	got := s.verify(t, "--resume", progress)
	got.mustExit(t, cli.ExitFailed)
	if !strings.Contains(got.stderr, progress) || !strings.Contains(got.stderr, "remove") {
		t.Errorf("stderr %q", got.stderr)
	}
	got = s.verify(t, "--after", t.TempDir())
	got.mustExit(t, cli.ExitFailed)
}
