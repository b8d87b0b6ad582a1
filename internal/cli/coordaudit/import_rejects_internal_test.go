package coordaudit

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/hoc-analytics/coordaudit/internal/cli"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

const oldRejects = `{"line":1,"reason":"the line is not valid JSON","faults":[{"field":"","reason":"x"}],"input":"no"}` + "\n"

func TestImportKeepsAllInputs(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	directory := inDirectory(t, map[string]string{"a.jsonl": line(1) + "\n", "b.jsonl": line(2) + "\n", "import": line(3) + "\n", "c.jsonl": line(4) + "\n", "other": "mine\n"})
	path := func(name string) string { return filepath.Join(directory, name) }
	for link, to := range map[string]string{"soft": "b.jsonl", "c.jsonl.rejects.jsonl": "b.jsonl", "way": "."} {
		if err := os.Symlink(to, path(link)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Link(path("b.jsonl"), path("hard")); err != nil {
		t.Fatal(err)
	}
	before := map[string]string{}
	for _, name := range []string{"a.jsonl", "b.jsonl", "other"} {
		before[name] = readFile(t, path(name))
	}
	for name, args := range map[string][]string{
		"SameName":     {path("a.jsonl"), path("b.jsonl"), "--rejects", path("b.jsonl")},
		"OtherName":    {path("a.jsonl"), path("b.jsonl"), "--rejects", directory + "/./b.jsonl"},
		"ThroughALink": {path("a.jsonl"), path("b.jsonl"), "--rejects", path("way/b.jsonl")},
		"SoftLink":     {path("a.jsonl"), path("b.jsonl"), "--rejects", path("soft")},
		"HardLink":     {path("a.jsonl"), path("b.jsonl"), "--rejects", path("hard")},
		"DefaultName":  {path("c.jsonl"), path("b.jsonl")},
		"NoRejects":    {path("a.jsonl"), "--rejects", path("other")},
		"OtherRecords": {path("a.jsonl"), "--rejects", path("b.jsonl")},
	} {
		got := run(t, db.URL, "", append([]string{"import"}, args...)...)
		if got.code != cli.ExitUsage {
			t.Errorf("%s: exit code %d\n%s", name, got.code, got.stderr)
		}
		for name, text := range before {
			if readFile(t, path(name)) != text {
				t.Errorf("%s was changed", name)
			}
		}
	}
	if n := stored(t, db.Pool); n != 0 {
		t.Errorf("%d rows", n)
	}
}

func TestImportLeavesOutRejects(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	directory := inDirectory(t, map[string]string{"a.jsonl": line(1) + "\n", "b.rejects.jsonl": line(2) + "\n", "old.jsonl": oldRejects})
	path := func(name string) string { return filepath.Join(directory, name) }
	got := run(t, db.URL, "", "import", path("a.jsonl"), path("b.rejects.jsonl"), path("old.jsonl"), "--rejects", path("old.jsonl"))
	got.mustExit(t, cli.ExitDone)
	mustContain(t, got.stderr, path("old.jsonl")+" is left out")
	if n := stored(t, db.Pool); n != 2 {
		t.Errorf("%d rows", n)
	}
}

func TestOutputKeepsOthers(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	directory := inDirectory(t, map[string]string{
		"records": line(1) + "\n", "refused": oldRejects, "manifest": `{"count":1}`, "report": "<!DOCTYPE html>\n<html></html>",
		"lock": "", "00000000000000000001.jsonl": line(1) + "\n", "gaps.jsonl": "{}\n", "statements.jsonl": "{}\n",
	})
	path := func(name string) string { return filepath.Join(directory, name) }
	for name, args := range map[string][]string{
		"refused":                    {"export", "--all-tenants", "--out"},
		"manifest":                   {"export", "--all-tenants", "--out"},
		"report":                     {"export", "--all-tenants", "--out"},
		"00000000000000000001.jsonl": {"export", "--all-tenants", "--out"},
		"gaps.jsonl":                 {"report", "--all-tenants", "--out"},
		"statements.jsonl":           {"report", "--all-tenants", "--out"},
		"records":                    {"report", "--all-tenants", "--out"},
	} {
		text := readFile(t, path(name))
		got := run(t, db.URL, "", append(args, path(name))...)
		if got.code == cli.ExitDone || readFile(t, path(name)) != text {
			t.Errorf("%v %s: exit code %d, %s", args, name, got.code, got.stderr)
		}
	}
	text := readFile(t, path("records"))
	got := run(t, db.URL, "", "export", "--all-tenants", "--out", path("new"), "--manifest", path("records"))
	if got.code == cli.ExitDone || readFile(t, path("records")) != text {
		t.Errorf("exit code %d, %s", got.code, got.stderr)
	}
	for _, args := range [][]string{
		{"export", "--all-tenants", "--out", path("records"), "--manifest", path("manifest")},
		{"report", "--all-tenants", "--out", path("report")},
	} {
		run(t, db.URL, "", args...).mustExit(t, cli.ExitDone)
		run(t, db.URL, "", args...).mustExit(t, cli.ExitDone) // each replaces its own
	}
}
