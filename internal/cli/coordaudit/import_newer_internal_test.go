package coordaudit

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hoc-analytics/coordaudit/internal/cli"
	"github.com/hoc-analytics/coordaudit/internal/importer"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

// newer is a line as a later release may write it. This release understands neither its
// keys nor its words.
func newer(n int) string {
	return line(n, "format", "3", "decision", `"deferred"`, "made_of", `{"cheese": true}`)
}

func TestImportLeavesOutNewerFormat(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	path := file(t, strings.Join([]string{line(1), newer(2), "no JSON", line(4), newer(5)}, "\n")+"\n")
	rejects := path + ".rejects.jsonl"
	for _, want := range []importer.Counts{
		{Read: 5, Persisted: 2, Rejected: 1, Newer: 2},
		{Read: 5, AlreadyPersisted: 2, Rejected: 1, Newer: 2},
	} {
		got := run(t, db.URL, "", "import", "--json", "--batch", "2", path)
		got.mustExit(t, cli.ExitFailed)
		if diff := cmp.Diff(want, got.counts(t)); diff != "" {
			t.Errorf("summary (-want +got):\n%s", diff)
		}
		mustContain(t, got.stderr,
			"line 2 of "+path+": was written by a newer release (format 3): update coordaudit\n",
			"line 3: the line is not valid JSON",
			"line 5 of "+path+": was written by a newer release (format 3): update coordaudit\n",
			"coordaudit: importing "+path+": 2 lines of a newer release left out: update coordaudit and import again, nothing is stored twice\n",
			"1 line refused, see "+rejects)
	}
	if all := rejectsIn(t, rejects); len(all) != 1 || all[0].Line != 3 {
		t.Errorf("refused lines: %+v", all)
	}
}

func TestImportOnlyNewerFormat(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	rejects := filepath.Join(t.TempDir(), "refused.jsonl")
	input := strings.Repeat(newer(1)+"\n", 33)
	got := run(t, db.URL, input, "import", "-", "--batch", "7", "--rejects", rejects)
	got.mustExit(t, cli.ExitFailed)
	mustContain(t, got.stderr, "line 20 of the standard input: was written", "… and 13 more lines of a newer release\n")
	mustContain(t, got.stdout, "  rejected                     0\n  newer format                33\n")
	if strings.Contains(got.stderr, "line 21 of ") || strings.Contains(got.stderr, "refused") {
		t.Errorf("stderr: %s", got.stderr)
	}
	if _, err := os.Stat(rejects); !os.IsNotExist(err) {
		t.Errorf("there is a file of refused lines: %v", err)
	}
	got = run(t, db.URL, line(1)+"\n", "import", "-", "--rejects", rejects)
	got.mustExit(t, cli.ExitDone)
	if strings.Contains(got.stdout, "newer") {
		t.Errorf("the summary of an import without such lines: %s", got.stdout)
	}
}
