package coordaudit

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"github.com/hoc-analytics/coordaudit/internal/cli"
	"github.com/hoc-analytics/coordaudit/internal/importer"
	"github.com/hoc-analytics/coordaudit/internal/jsonl"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

func TestImportRefusesBadLines(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	path := file(t, strings.Join([]string{
		line(1),
		`{"audit_id": "` + number(2).String(),
		line(3, "envelope_class", `"speed"`),
		line(4, "tenant_id", `"`+strings.Repeat("t", 101)+`"`),
		line(5, "decision_timestamp", `"2026-01-31T12:00:00"`),
		line(1, "reason", `"another reason"`),
		line(7),
	}, "\n")+"\n")

	got := run(t, db.URL, "", "import", "--json", path)
	got.mustExit(t, cli.ExitFailed)
	if diff := cmp.Diff(importer.Counts{Read: 7, Persisted: 2, Rejected: 5}, got.counts(t)); diff != "" {
		t.Errorf("summary (-want +got):\n%s", diff)
	}
	if n := stored(t, db.Pool); n != 2 {
		t.Errorf("%d rows, want 2", n)
	}
	mustContain(t, got.stderr,
		"line 2: the line is not valid JSON: it ends too early\n",
		"line 3: envelope_class must be one of SAFETY, RELIABILITY, COST, PERFORMANCE, UNKNOWN (any case, exact word)\n",
		"line 4: tenant_id is 101 characters long, at most 100 are allowed\n",
		"line 5: decision_timestamp is a naive time: add its offset, Z or ±hh:mm\n",
		"line 6: audit_id is taken by a record with other content; they differ in reason\n",
		"5 lines refused, see "+path+".rejects.jsonl: fix them and import again, nothing is stored twice\n")

	type fault struct {
		Line  int64
		Field string
	}
	var faults []fault
	for _, rejected := range rejectsIn(t, path+".rejects.jsonl") {
		for _, one := range rejected.Faults {
			faults = append(faults, fault{rejected.Line, one.Field})
		}
	}
	want := []fault{{2, ""}, {3, "envelope_class"}, {4, "tenant_id"}, {5, "decision_timestamp"}, {6, "audit_id"}}
	if diff := cmp.Diff(want, faults); diff != "" {
		t.Errorf("file of refused lines (-want +got):\n%s", diff)
	}
}

func TestImportTwice(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	path := file(t, lines(0, 2500))
	for _, want := range []importer.Counts{{Read: 2500, Persisted: 2500}, {Read: 2500, AlreadyPersisted: 2500}} {
		got := run(t, db.URL, "", "import", "--json", path)
		got.mustExit(t, cli.ExitDone)
		if diff := cmp.Diff(want, got.counts(t)); diff != "" || got.stderr != "" {
			t.Errorf("summary (-want +got):\n%s\nstderr: %s", diff, got.stderr)
		}
	}
	if n := stored(t, db.Pool); n != 2500 {
		t.Errorf("%d rows, want 2500", n)
	}
}

// Lines are parsed in parallel, and ahead of the batch that is loaded.
func TestImportReportsInOrder(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	const total = 2000
	var input strings.Builder
	want := importer.Counts{Read: total}
	var refused []int64
	for n := range total {
		switch {
		case n%7 == 3:
			input.WriteString("no JSON\n")
		case n%11 == 5: // of an earlier line, in this batch or another
			input.WriteString(line(n/154*154, "reason", `"another reason"`) + "\n")
		default:
			input.WriteString(line(n) + "\n")
			want.Persisted++
			continue
		}
		want.Rejected++
		refused = append(refused, int64(n+1))
	}
	rejects := t.TempDir() + "/refused.jsonl"
	got := run(t, db.URL, input.String(), "import", "-", "--json", "--batch", "300", "--rejects", rejects)
	got.mustExit(t, cli.ExitFailed)
	if diff := cmp.Diff(want, got.counts(t)); diff != "" {
		t.Errorf("summary (-want +got):\n%s", diff)
	}
	var kept []int64
	for _, rejected := range rejectsIn(t, rejects) {
		kept = append(kept, rejected.Line)
	}
	if diff := cmp.Diff(refused, kept); diff != "" {
		t.Errorf("refused lines (-want +got):\n%s", diff)
	}
	if n := int64(stored(t, db.Pool)); n != want.Persisted {
		t.Errorf("%d rows, want %d", n, want.Persisted)
	}
}

// An error of the database must end the import, even if it waits for input.
func TestImportStopsWithOpenInput(t *testing.T) {
	t.Parallel()
	db := testdb.NewEmpty(t)
	stdin, feed := io.Pipe()
	defer func() { _ = feed.Close() }()
	done := make(chan ran, 1)
	go func() { done <- runWith(t.Context(), db.URL, stdin, "import", "-", "--batch", "10") }()
	if _, err := io.WriteString(feed, lines(0, 15)); err != nil {
		t.Fatal(err)
	}
	got := <-done // a hang fails by the timeout of the test
	got.mustExit(t, cli.ExitFailed)
	mustContain(t, got.stderr, "stopped at line 1, 0 records stored before it: ")
}

func TestImportReplays(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	input := strings.Join([]string{
		line(1, "emit_traces", "false"),
		line(2),
		line(3, "emit_traces", "false", "decision", `"expired"`),
	}, "\n")
	path := file(t, input)
	got := run(t, db.URL, "", "import", "--json", path)
	got.mustExit(t, cli.ExitFailed)
	if diff := cmp.Diff(importer.Counts{Read: 3, Persisted: 1, Skipped: 1, Rejected: 1}, got.counts(t)); diff != "" {
		t.Errorf("summary (-want +got):\n%s", diff)
	}
	mustContain(t, got.stderr, "line 3: decision must be one of")
	if n := stored(t, db.Pool); n != 1 {
		t.Errorf("%d rows, want 1", n)
	}
}

func TestImportStandardInput(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	rejects := t.TempDir() + "/refused.jsonl"
	input := "\uFEFF" + line(1) + "\r\n\r\n   \n" + line(2) + "\n\n" + "oops\r\n" + line(3) // no line end
	got := run(t, db.URL, input, "import", "-", "--rejects", rejects)
	got.mustExit(t, cli.ExitFailed)
	for _, row := range []string{"read", "persisted", "already persisted", "skipped (replays)", "rejected"} {
		count := map[string]int{"read": 4, "persisted": 3, "rejected": 1}[row]
		mustContain(t, got.stdout, fmt.Sprintf("  %-17s  %11d\n", row, count))
	}
	mustContain(t, got.stderr, "line 6: the line is not valid JSON")
	if all := rejectsIn(t, rejects); len(all) != 1 || all[0].Input != "oops" {
		t.Errorf("refused lines: %+v", all)
	}
}

func TestImportReadError(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	input := io.MultiReader(strings.NewReader(line(1)+"\n"+line(2)+"\n{\"half"), iotest.ErrReader(errors.New("the disk is on fire")))
	got := runWith(t.Context(), db.URL, input, "import", "-", "--json")
	got.mustExit(t, cli.ExitFailed)
	mustContain(t, got.stderr, "so far: 2 lines read, 2 persisted, ",
		"coordaudit: importing -: reading line 3: the disk is on fire: fix the cause, then run the same command again, nothing is stored twice\n")
	if n := stored(t, db.Pool); n != 2 || got.stdout != "" {
		t.Errorf("%d rows, want 2; standard output: %q", n, got.stdout)
	}
}

func TestImportKeepsRefusedBytes(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	broken := line(1, "reason", "\"\xff\xfe <&> \u2028\"")
	odd := `{"😀": "<&>\u0000"}`
	path := file(t, broken+"\n"+odd+"\n")
	run(t, db.URL, "", "import", path).mustExit(t, cli.ExitFailed)
	all := rejectsIn(t, path+".rejects.jsonl")
	if len(all) != 2 {
		t.Fatalf("%d refused lines, want 2", len(all))
	}
	if string(all[0].InputBase64) != broken || !strings.Contains(all[0].Input, "\uFFFD\uFFFD <&>") {
		t.Errorf("broken UTF-8 was kept as %q and shown as %q", all[0].InputBase64, all[0].Input)
	}
	if all[1].Input != odd || all[1].InputBase64 != nil {
		t.Errorf("kept as %q", all[1].Input)
	}
}

func TestImportLongLine(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	huge := line(2, "reason", `"`+strings.Repeat("é", 1<<20)+`"`) // 2 MiB
	path := file(t, line(1)+"\n"+huge+"\n"+line(3)+"\n")
	got := run(t, db.URL, "", "import", "--json", path)
	got.mustExit(t, cli.ExitFailed)
	if diff := cmp.Diff(importer.Counts{Read: 3, Persisted: 2, Rejected: 1}, got.counts(t)); diff != "" {
		t.Errorf("summary (-want +got):\n%s", diff)
	}
	mustContain(t, got.stderr, fmt.Sprintf("line 2: the line is %d bytes long, at most 1048576 are allowed\n", len(huge)))
	all := rejectsIn(t, path+".rejects.jsonl")
	if len(all) != 1 || all[0].InputBytes != int64(len(huge)) || len(all[0].Input) > jsonl.KeptOfLongLine ||
		!strings.HasPrefix(huge, all[0].Input) || all[0].InputBase64 != nil {
		t.Errorf("kept: %d refused lines, %+v", len(all), all)
	}
}

func TestImportShowsTwentyRefusals(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	path := file(t, strings.Repeat("no JSON\n", 33))
	got := run(t, db.URL, "", "import", "--batch", "7", path)
	got.mustExit(t, cli.ExitFailed)
	mustContain(t, got.stderr, "line 20: ", "… and 13 more refused lines\n")
	if strings.Contains(got.stderr, "line 21: ") {
		t.Errorf("more than twenty are shown:\n%s", got.stderr)
	}
	if all := rejectsIn(t, path+".rejects.jsonl"); len(all) != 33 {
		t.Errorf("%d refused lines in the file, want 33", len(all))
	}
}

func TestImportRemovesOldRejects(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	path := file(t, line(1)+"\n")
	rejects := path + ".rejects.jsonl"
	if err := os.WriteFile(rejects, []byte(oldRejects), 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, db.URL, "", "import", path).mustExit(t, cli.ExitDone)
	if _, err := os.Stat(rejects); !os.IsNotExist(err) {
		t.Errorf("the earlier file is still there: %v", err)
	}
}

func TestImportKeepsItsInput(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	path := file(t, line(1)+"\n")
	link := path + ".link"
	if err := os.Link(path, link); err != nil {
		t.Fatal(err)
	}
	directory := t.TempDir()
	for rejects, message := range map[string]string{path: "it is the file to import", link: "it is the file to import", directory: "it is a directory"} {
		got := run(t, db.URL, "", "import", path, "--rejects", rejects)
		got.mustExit(t, cli.ExitUsage)
		mustContain(t, got.stderr, message)
		if _, err := os.Stat(rejects); err != nil {
			t.Error(err)
		}
	}
}
