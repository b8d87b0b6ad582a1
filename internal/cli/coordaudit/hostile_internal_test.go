package coordaudit

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/cli"
	"github.com/hoc-analytics/coordaudit/internal/importer"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

// hostile has what a terminal would act on or hide: C0 and C1 controls, DEL, bidi and
// invisible characters, with one and with two units of UTF-16.
const hostile = "a\x1b[31m\u009b31m\u0085\x7f\u202e\u2066\u200f\u200b\ufeff\u2028\U000e0041z"

// mustSteerNothing looks for raw control and format characters.
func mustSteerNothing(t *testing.T, about, text string) {
	t.Helper()
	if i := strings.IndexFunc(text, func(r rune) bool { return r != '\n' && !unicode.IsGraphic(r) }); i >= 0 {
		t.Errorf("%s: %q", about, text[max(0, i-20):min(len(text), i+20)])
	}
}

func hostileStory() []audit.Record {
	recs := story(hostile)
	for i := range recs {
		recs[i].EnvelopeID += hostile
		recs[i].Reason += hostile
		for _, id := range []*string{&recs[i].ConflictingEnvelopeID, &recs[i].PreemptingEnvelopeID, &recs[i].TargetSubsystem, &recs[i].TargetParameter} {
			if *id != "" {
				*id += hostile
			}
		}
	}
	return recs
}

func TestHostileCharacters(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	recs := hostileStory()
	persist(t, db, recs...)
	for _, scope := range []string{"--all-tenants", "--tenant=" + hostile} {
		for _, args := range ofEveryKind(recs[0].EnvelopeID) {
			args = append(slices.Clone(args), scope)
			if args[0] == "signals" {
				args = append(args, "--min-rejections=1", "--min-cycles=1", "--min-conflicts=1", "--min-records=1")
			}
			got := run(t, db.URL, "", args...)
			got.mustExit(t, cli.ExitDone)
			mustSteerNothing(t, strings.Join(args[:1], " "), got.stdout+got.stderr)
		}
	}
	id := uuids().FindString(run(t, db.URL, "", "list", "--ids", "--all-tenants").stdout)
	for _, args := range [][]string{{"get", id, "--all-tenants"}, {"get", id, "--all-tenants", "--json"}} {
		got := run(t, db.URL, "", args...)
		got.mustExit(t, cli.ExitDone)
		mustSteerNothing(t, "get", got.stdout)
	}
}

func TestHostileCharactersInErrors(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	directory := t.TempDir()
	for _, args := range [][]string{
		{"import", hostile},
		{"import", directory + "/" + hostile + "\nforged: line"},
		{hostile},
		{"list", "--" + hostile},
		{"list", "--tenant=" + hostile + "\nforged: line", "--cursor=x"},
		{"get", hostile, "--no-tenant"},
		{"list", "--all-tenants", "--since=" + hostile},
		{"export", "--all-tenants", "--out", directory + "/no/" + hostile},
		{"timeline", hostile + "\nforged: line", "--all-tenants", "--cursor=x"},
		{"get", number(1).String(), "--tenant=" + hostile + "\nforged: line"},
	} {
		got := run(t, db.URL, "", args...)
		if got.code == cli.ExitDone {
			t.Errorf("%q succeeds", args)
		}
		mustSteerNothing(t, args[0], got.stderr)
		if strings.Contains(got.stderr, "\nforged") || strings.Count(got.stderr, "\n") > 2 {
			t.Errorf("%q forges a line: %q", args, got.stderr)
		}
	}
}

// Escaped JSON has the same content.
func TestHostileCharactersInFiles(t *testing.T) {
	t.Parallel()
	from, to := testdb.New(t), testdb.New(t)
	persist(t, from, hostileStory()...)
	exported := run(t, from.URL, "", "export", "--all-tenants")
	exported.mustExit(t, cli.ExitDone)
	run(t, to.URL, exported.stdout, "import", "-").mustExit(t, cli.ExitDone)
	want := contents(t, from)
	if diff := cmp.Diff(want, imported(t, want, to)); diff != "" {
		t.Errorf("(-exported +imported):\n%s", diff)
	}
	var first struct {
		TenantID string `json:"tenant_id"`
	}
	if err := json.Unmarshal([]byte(strings.SplitN(exported.stdout, "\n", 2)[0]), &first); err != nil || first.TenantID != hostile {
		t.Errorf("%q, %v", first.TenantID, err)
	}

	path := filepath.Join(t.TempDir(), "x")
	bad := "no JSON " + strings.ReplaceAll(hostile, "\u0085", "")
	if err := os.WriteFile(path, []byte(bad+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, to.URL, "", "import", path).mustExit(t, cli.ExitFailed)
	text, err := os.ReadFile(path + importer.RejectsSuffix)
	if err != nil {
		t.Fatal(err)
	}
	mustSteerNothing(t, "rejects", string(text))
	if all := rejectsIn(t, path+importer.RejectsSuffix); len(all) != 1 || all[0].Input != bad {
		t.Errorf("kept: %+v", all)
	}
}
