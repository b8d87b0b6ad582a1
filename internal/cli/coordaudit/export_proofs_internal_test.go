package coordaudit

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hoc-analytics/coordaudit/internal/cli"
	"github.com/hoc-analytics/coordaudit/seal"
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

// Under an exported checkpoint, the proofs have the cosignatures of its witnesses, and a record that
// it does not cover has none.
func TestExportProvesUnderExportedCheckpoint(t *testing.T) {
	t.Parallel()
	s := newSealing(t, 300)
	s.once(t).mustExit(t, cli.ExitDone)
	witness := filepath.Join(t.TempDir(), "w1")
	if _, err := seal.CreateWitnessKey(witness, "witness.example/w1"); err != nil {
		t.Fatal(err)
	}
	cosigned := cosign(t, s.exported, witness)
	sourceWith(t, s.db, "later", 2, true)
	s.once(t).mustExit(t, cli.ExitDone) // the stored log is longer than the cosigned one
	dir := t.TempDir()
	proofs := filepath.Join(dir, "proofs")
	export := func(flags ...string) ran {
		return run(t, s.db.URL, "", append([]string{"export", "--all-tenants", "--out", filepath.Join(dir, "records")}, flags...)...)
	}
	got := export("--proofs", proofs, "--checkpoint", cosigned, "--key", s.public)
	got.mustExit(t, cli.ExitDone)
	mustContain(t, got.stderr, "2 records not covered by the exported checkpoint, and have no proof")
	got = run(t, "", "", "verify", "bundle", proofs, "--key", s.public, "--witness", witness+".pub")
	got.mustExit(t, cli.ExitDone)
	mustContain(t, got.stdout, "300 records as they were sealed\n")
	export("--proofs", proofs).mustExit(t, cli.ExitDone)
	run(t, "", "", "verify", "bundle", proofs, "--key", s.public, "--witness", witness+".pub").mustExit(t, cli.ExitFailed)

	for want, flags := range map[string][]string{
		"--checkpoint needs --proofs":         {"--checkpoint", cosigned, "--key", s.public},
		"--key":                               {"--proofs", proofs, "--checkpoint", cosigned},
		"--proofs and --checkpoint are the s": {"--proofs", cosigned, "--checkpoint", cosigned, "--key", s.public},
	} {
		got := export(flags...)
		got.mustExit(t, cli.ExitUsage)
		mustContain(t, got.stderr, want)
	}
	other := filepath.Join(t.TempDir(), "other")
	run(t, "", "", "seal", "keygen", other, "--name", "audit.example/plant-7").mustExit(t, cli.ExitDone)
	got = export("--proofs", proofs, "--checkpoint", cosigned, "--key", other+".pub")
	got.mustExit(t, cli.ExitFailed)
	mustContain(t, got.stderr, "not signed by a known key")
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
