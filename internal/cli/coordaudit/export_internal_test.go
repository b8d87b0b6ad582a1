package coordaudit

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/cli"
	"github.com/hoc-analytics/coordaudit/internal/cli/coordaudit/shared"
	"github.com/hoc-analytics/coordaudit/internal/cli/coordaudit/transfer"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

// contents returns all records of a database, without what the database added.
func contents(t *testing.T, db *testdb.DB) []audit.Record {
	t.Helper()
	var recs []audit.Record
	store := coordaudit.New(db.Pool, coordaudit.Config{})
	for rec, err := range store.All(t.Context(), audit.Query{Scope: audit.AllTenants(), Order: audit.OldestFirst}) {
		if err != nil {
			t.Fatal(err)
		}
		rec.Seq, rec.CreatedAt = 0, time.Time{}
		recs = append(recs, rec)
	}
	return recs
}

// imported are the contents of a database, without the sources that the import gave to
// records that had none.
func imported(t *testing.T, from []audit.Record, db *testdb.DB) []audit.Record {
	t.Helper()
	recs := contents(t, db)
	for i := range recs[:min(len(recs), len(from))] {
		if from[i].Origin.SourceID == uuid.Nil {
			recs[i].Origin.SourceID, recs[i].Origin.SourceSeq = uuid.Nil, 0
		}
	}
	return recs
}

// filesIn returns the names in a directory, including hidden ones.
func filesIn(t *testing.T, directory string) []string {
	t.Helper()
	entries, err := os.ReadDir(directory)
	if err != nil {
		t.Fatal(err)
	}
	names := []string{}
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestExportThenImport(t *testing.T) {
	t.Parallel()
	from, to, third := testdb.New(t), testdb.New(t), testdb.New(t)
	persist(t, from, append(unpleasant(), story("acme")...)...)
	run(t, from.URL, lines(0, 2500), "import", "-").mustExit(t, cli.ExitDone) // more than two pages
	got := run(t, from.URL, "", "export", "--all-tenants")
	got.mustExit(t, cli.ExitDone)
	run(t, to.URL, got.stdout, "import", "-").mustExit(t, cli.ExitDone)
	want := contents(t, from)
	if diff := cmp.Diff(want, imported(t, want, to)); diff != "" || len(want) != 2754 {
		t.Errorf("%d records (-exported +imported):\n%s", len(want), diff)
	}
	mustContain(t, got.stderr, "exported 2,754 records, ", " bytes for all tenants, of any time, to the standard output\n")

	copied := run(t, to.URL, "", "export", "--all-tenants") // each record has a source now
	run(t, third.URL, copied.stdout, "import", "-").mustExit(t, cli.ExitDone)
	if again := run(t, third.URL, "", "export", "--all-tenants"); again.stdout != copied.stdout {
		t.Error("the copy's export differs from that of the first")
	}
}

func TestExportFileMode(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	persist(t, db, story("acme")...)
	directory := t.TempDir()
	path, link := filepath.Join(directory, "x.jsonl"), filepath.Join(directory, "link")
	if err := os.WriteFile(path, []byte("old"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("x.jsonl", link); err != nil {
		t.Fatal(err)
	}
	got := run(t, db.URL, "", "export", "--tenant=acme", "--out", link)
	got.mustExit(t, cli.ExitDone)
	info, err := os.Lstat(path)
	if err != nil || info.Mode() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if text := run(t, db.URL, "", "export", "--tenant=acme").stdout; readFile(t, path) != text || got.stdout != "" || text == "" {
		t.Errorf("the file holds %s, the standard output %s", readFile(t, path), got.stdout)
	}
	if diff := cmp.Diff([]string{"link", "x.jsonl"}, filesIn(t, directory)); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
}

func TestExportManifest(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	// The order of insertion differs from the order of the decisions.
	persist(t, db, applied(noon().Add(5*time.Hour), "acme", "seq-1"))
	persist(t, db, applied(noon().Add(2*time.Hour), "acme", "seq-2"))
	persist(t, db, applied(noon().Add(3*time.Hour), "", "seq-3"))
	persist(t, db, applied(noon().Add(1*time.Hour), "acme", "seq-4"))
	persist(t, db, applied(noon(), "acme", "seq-5"))
	first, last := int64(2), int64(4)
	since, until := "2026-01-05T13:00:00.000000Z", "2026-01-05T17:00:00.000000Z"
	for scope, want := range map[string]transfer.ExportManifest{
		"--tenant=acme":  {Count: 2, FirstSeq: &first, LastSeq: &last, Scope: "tenant acme"},
		"--tenant=other": {Scope: "tenant other"},
	} {
		for _, out := range []string{"-", filepath.Join(t.TempDir(), "x.jsonl")} {
			path := filepath.Join(t.TempDir(), "manifest.json")
			got := run(t, db.URL, "", "export", scope, "--since", since, "--until=2026-01-05T18:00:00+01:00", "--out", out, "--manifest", path)
			got.mustExit(t, cli.ExitDone)
			text := got.stdout
			if out != "-" {
				text = readFile(t, out)
			}
			hash := sha256.Sum256([]byte(text))
			want.SHA256, want.Window = hex.EncodeToString(hash[:]), shared.WindowJSON{Since: &since, Until: &until}
			object := readFile(t, path)
			mustHaveKeys(t, "manifest", []byte(object), "count", "first_seq", "last_seq", "sha256", "scope", "window")
			var manifest transfer.ExportManifest
			if err := json.Unmarshal([]byte(object), &manifest); err != nil || strings.Count(object, "\n") != 1 {
				t.Fatalf("%v: %q", err, object)
			}
			if diff := cmp.Diff(want, manifest); diff != "" || int64(strings.Count(text, "\n")) != want.Count {
				t.Errorf("%s(-want +got):\n%s", text, diff)
			}
			if info, err := os.Stat(path); err != nil || info.Mode() != 0o600 {
				t.Errorf("mode %v, %v", info.Mode(), err)
			}
		}
	}
}

func TestFailedExportLeavesNoFile(t *testing.T) {
	t.Parallel()
	db, unmigrated := testdb.New(t), testdb.NewEmpty(t)
	persist(t, db, story("acme")...)
	directory := t.TempDir()
	kept := filepath.Join(directory, "kept.jsonl")
	if err := os.WriteFile(kept, []byte("kept"), 0o600); err != nil {
		t.Fatal(err)
	}
	manifest := filepath.Join(directory, "manifest.json")
	nowhere := filepath.Join(directory, "nowhere", "x")
	for name, test := range map[string]struct {
		url  string
		args []string
		says string
	}{
		"NotMigrated":     {unmigrated.URL, []string{"--out", kept, "--manifest", manifest}, "and check the search_path: run the same command again, no file was written\n"},
		"Unreachable":     {"postgres://127.0.0.1:1/nowhere", []string{"--out", kept, "--manifest", manifest}, "database unavailable: "},
		"ManifestNowhere": {db.URL, []string{"--out", kept, "--manifest", nowhere}, "nowhere: no such file or directory: name another file"},
		"OutNowhere":      {db.URL, []string{"--out", nowhere, "--manifest", manifest}, "nowhere: no such file or directory: name another file"},
		"OutIsADirectory": {db.URL, []string{"--out", directory, "--manifest", manifest}, "it is a directory: name another file"},
		"OutIsADevice":    {db.URL, []string{"--out", os.DevNull, "--manifest", manifest}, "it is no plain file: name another file, or use - and a redirection\n"},
	} {
		got := run(t, test.url, "", append([]string{"export", "--all-tenants"}, test.args...)...)
		got.mustExit(t, cli.ExitFailed)
		mustContain(t, got.stderr, test.says)
		if diff := cmp.Diff([]string{"kept.jsonl"}, filesIn(t, directory)); diff != "" || readFile(t, kept) != "kept" || got.stdout != "" {
			t.Errorf("%s left %q (-want +got):\n%s", name, readFile(t, kept), diff)
		}
	}

	var stderr lockedBuffer
	p := &cli.Program{Name: "coordaudit", Env: func(string) string { return db.URL }, Stdout: brokenWriter{}, Stderr: &stderr}
	if code := Run(t.Context(), p, []string{"export", "--all-tenants", "--manifest", manifest}); code != cli.ExitFailed {
		t.Errorf("exit code %d, want 1", code)
	}
	mustContain(t, stderr.String(), "writing the records: the pipe is closed: run the same command again, what was written is incomplete\n")
	if diff := cmp.Diff([]string{"kept.jsonl"}, filesIn(t, directory)); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
}

func TestInterruptedExportLeavesNoFile(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	tx, err := db.Pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(context.Background()) }()
	if _, err := tx.Exec(t.Context(), "LOCK TABLE coordination_audit_records"); err != nil {
		t.Fatal(err)
	}
	directory := t.TempDir()
	ctx, interrupt := context.WithCancel(t.Context())
	ended := make(chan ran)
	go func() {
		ended <- runWith(ctx, db.URL, strings.NewReader(""), "export", "--all-tenants",
			"--out", filepath.Join(directory, "x.jsonl"), "--manifest", filepath.Join(directory, "m.json"))
	}()
	for len(filesIn(t, directory)) < 2 { // begun under temporary names
		if !pause(t.Context(), time.Millisecond) {
			t.Fatal("it did not begin")
		}
	}
	if slices.Contains(filesIn(t, directory), "x.jsonl") {
		t.Error("the file has its name already")
	}
	interrupt()
	got := <-ended
	got.mustExit(t, cli.ExitFailed)
	mustContain(t, got.stderr, "coordaudit: exporting the audit records for all tenants: interrupted: run the same command again, no file was written\n")
	if names := filesIn(t, directory); len(names) > 0 {
		t.Errorf("it left %v", names)
	}
}

// interrupting ends a context at its first write.
type interrupting struct {
	lockedBuffer
	interrupt context.CancelFunc
}

func (w *interrupting) Write(text []byte) (int, error) {
	w.interrupt()
	return w.lockedBuffer.Write(text)
}

func TestExportInterruptedMidway(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	run(t, db.URL, lines(0, 3000), "import", "-").mustExit(t, cli.ExitDone)
	ctx, cancel := context.WithCancel(t.Context())
	out, stderr := &interrupting{interrupt: cancel}, &lockedBuffer{}
	p := &cli.Program{Name: "coordaudit", Env: func(string) string { return db.URL }, Stdout: out, Stderr: stderr}
	manifest := filepath.Join(t.TempDir(), "m.json")
	if code := Run(ctx, p, []string{"export", "--all-tenants", "--manifest", manifest}); code != cli.ExitFailed {
		t.Errorf("exit code %d, want 1: %s", code, stderr.String())
	}
	if n := strings.Count(out.String(), "\n"); n == 0 || n > 1000 {
		t.Errorf("%d lines were written", n)
	}
	if _, err := os.Stat(manifest); !os.IsNotExist(err) {
		t.Errorf("a manifest: %v", err)
	}
}

func TestExportRefusesOneFileTwice(t *testing.T) {
	t.Parallel()
	directory := t.TempDir()
	path := filepath.Join(directory, "x")
	if err := os.Symlink(directory, filepath.Join(directory, "here")); err != nil {
		t.Fatal(err)
	}
	for _, there := range []bool{false, true} {
		if there {
			if err := os.WriteFile(path, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Link(path, filepath.Join(directory, "link")); err != nil {
				t.Fatal(err)
			}
		}
		for _, other := range []string{path, directory + "/./x", directory + "/here/x", directory + "/link"} {
			if strings.HasSuffix(other, "link") && !there {
				continue
			}
			got := run(t, "postgres://127.0.0.1:1/x", "", "export", "--all-tenants", "--out", path, "--manifest", other)
			got.mustExit(t, cli.ExitUsage)
			mustContain(t, got.stderr, "--out and --manifest are the same file: name two files\n")
		}
	}
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	var stderr lockedBuffer
	p := &cli.Program{Name: "coordaudit", Env: func(string) string { return "postgres://127.0.0.1:1/x" }, Stdout: file, Stderr: &stderr}
	if code := Run(t.Context(), p, []string{"export", "--all-tenants", "--manifest", path}); code != cli.ExitUsage {
		t.Errorf("exit code %d, want 2: %s", code, stderr.String())
	}
}
