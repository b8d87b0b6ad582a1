package coordaudit

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/cli"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

func TestWrongUsage(t *testing.T) {
	t.Parallel()
	const url = "postgres://someone:secret@127.0.0.1:1/nowhere"
	id := number(1).String()
	tests := map[string]struct {
		url  string
		args []string
		says string
	}{
		"NoCommand":         {url, nil, `expected one of "import", "export", "get", "list", "timeline", ...`},
		"UnknownCommand":    {url, []string{"imprt"}, `unexpected argument imprt`},
		"UnknownFlag":       {url, []string{"version", "--jsn"}, `unknown flag --jsn`},
		"NoFile":            {url, []string{"import"}, `expected "<file>"`},
		"EmptyFile":         {url, []string{"import", ""}, `the file's name is empty`},
		"BatchZero":         {url, []string{"import", "-", "--batch", "0"}, `--batch must be 1 to 10000`},
		"BatchTooLarge":     {url, []string{"import", "-", "--batch=10001"}, `--batch must be 1 to 10000`},
		"CoresNegative":     {url, []string{"expire", "apply", "--archive", "x", "--checkpoint", "x", "--key", "x", "--cores=-1"}, `--cores must not be negative`},
		"BatchNoNumber":     {url, []string{"import", "-", "--batch=many"}, `--batch`},
		"PatienceNegative":  {url, []string{"import", "-", "--patience=-1s"}, `--patience must not be negative`},
		"NoDatabase":        {"", []string{"import", "-"}, "coordaudit: importing -: no database is given: set DATABASE_URL or pass --database-url\n"},
		"NoDatabaseToGet":   {"", []string{"get", id, "--no-tenant"}, "no database is given"},
		"BrokenURL":         {"postgres://someone:secret@host:port/x", []string{"import", "-"}, "coordaudit: importing -: parsing the database URL: "},
		"BrokenSettings":    {"host=x password='secret sslmode=", []string{"import", "-"}, "parsing the database URL: "},
		"GetWithoutScope":   {url, []string{"get", id}, `--tenant=ID or --no-tenant or --all-tenants`},
		"GetWithTwoScopes":  {url, []string{"get", id, "--no-tenant", "--all-tenants"}, `can't be used together`},
		"GetEmptyTenant":    {url, []string{"get", id, "--tenant="}, `--tenant is empty; for records that belong to no tenant use --no-tenant`},
		"GetNoID":           {url, []string{"get", "--no-tenant"}, `expected "<id>"`},
		"GetNotAUUID":       {url, []string{"get", "7", "--no-tenant"}, `audit_id must be a UUID in its 36-character form`},
		"URLInAnotherPlace": {url, []string{"version", url}, `unexpected argument`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := run(t, test.url, "", test.args...)
			got.mustExit(t, cli.ExitUsage)
			mustContain(t, got.stderr, "coordaudit: ", test.says)
			if got.stdout != "" || strings.Contains(got.stderr, "secret") || strings.Count(got.stderr, "\n") != 1 {
				t.Errorf("stdout: %q\nstderr: %q", got.stdout, got.stderr)
			}
		})
	}
}

func TestFailures(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	id := number(1).String()
	tests := map[string]struct {
		url  string
		args []string
		says string
	}{
		"FileIsMissing":   {db.URL, []string{"import", "/nowhere/x.jsonl"}, "coordaudit: importing /nowhere/x.jsonl: open /nowhere/x.jsonl: no such file or directory: check the path\n"},
		"FileIsADir":      {db.URL, []string{"import", t.TempDir()}, "it is a directory: check the path\n"},
		"NoRecord":        {db.URL, []string{"get", id, "--all-tenants"}, "coordaudit: getting audit record " + id + " for all tenants: audit record not found: check the id"},
		"NotMigrated":     {testdb.NewEmpty(t).URL, []string{"get", id, "--all-tenants"}, "run the migrations (migrate up)"},
		"DatabaseIsAway":  {"postgres://someone:secret@127.0.0.1:1/nowhere", []string{"get", id, "--all-tenants"}, "database unavailable: "},
		"DemoServerAway":  {"postgres://someone:secret@127.0.0.1:1/nowhere", []string{"demo"}, "coordaudit: creating a scratch database for the demo: "},
		"ImportSaysCause": {"postgres://someone:secret@127.0.0.1:1/nowhere", []string{"import", "-", "--patience=0s"}, "stopped at line 1"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := run(t, test.url, line(1), test.args...)
			got.mustExit(t, cli.ExitFailed)
			mustContain(t, got.stderr, test.says)
			if strings.Contains(got.stderr, "secret") || strings.Contains(got.stderr, "goroutine") {
				t.Errorf("stderr: %s", got.stderr)
			}
		})
	}
}

func TestHelp(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		{"--help"},
		{"import", "--help"},
		{"export", "--help"},
		{"get", "-h"},
		{"list", "--help"},
		{"timeline", "--help"},
		{"stats", "--help"},
		{"signals", "--help"},
		{"gaps", "--help"},
		{"completeness", "--help"},
		{"demo", "--help"},
		{"version", "--help"},
	} {
		got := run(t, "postgres://someone:secret@host/x", "", args...)
		got.mustExit(t, cli.ExitDone)
		mustContain(t, got.stdout, "Usage: coordaudit", "DATABASE_URL")
		if got.stderr != "" || strings.Contains(got.stdout, "secret") {
			t.Errorf("%v: stdout: %s\nstderr: %s", args, got.stdout, got.stderr)
		}
	}
}

func TestGet(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	run(t, db.URL, line(1, "reason", `"first line\nsecond \u001b[31mline"`)+"\n"+line(2, "tenant_id", "null"), "import", "-").mustExit(t, cli.ExitDone)

	got := run(t, db.URL, "", "get", number(1).String(), "--tenant", "acme")
	got.mustExit(t, cli.ExitDone)
	shown := regexp.MustCompile(`(?m)^(created_at +).*$`).ReplaceAllString(got.stdout, "${1}now")
	shown = regexp.MustCompile(`(?m)^(source_id +)[0-9a-f-]{36}$`).ReplaceAllString(shown, "${1}that of the import")
	want := `audit_id                 11111111-1111-4111-8111-000000000001
seq                      1
tenant_id                acme
envelope_id              envelope-1
envelope_class           RELIABILITY
decision                 APPLIED
reason                   first line
                         second \u001b[31mline
conflicting_envelope_id  (none)
preempting_envelope_id   (none)
active_envelopes_count   1
decision_timestamp       2026-01-31T12:00:00.123456Z
created_at               now
source_id                that of the import
source_seq               1
`
	if diff := cmp.Diff(want, shown); diff != "" {
		t.Errorf("standard output (-want +got):\n%s", diff)
	}
	for _, args := range [][]string{{"--all-tenants"}, {"--no-tenant"}} {
		run(t, db.URL, "", append([]string{"get", number(2).String()}, args...)...).mustExit(t, cli.ExitDone)
	}
	run(t, db.URL, "", "get", number(1).String(), "--tenant", "globex").mustExit(t, cli.ExitFailed)
	run(t, db.URL, "", "get", number(1).String(), "--no-tenant").mustExit(t, cli.ExitFailed)
}

func TestGetJSON(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	run(t, db.URL, line(1), "import", "-").mustExit(t, cli.ExitDone)
	got := run(t, db.URL, "", "get", number(1).String(), "--all-tenants", "--json")
	got.mustExit(t, cli.ExitDone)
	var keys map[string]json.RawMessage
	if err := json.Unmarshal([]byte(got.stdout), &keys); err != nil {
		t.Fatalf("%v\n%s", err, got.stdout)
	}
	if string(keys["seq"]) != "1" || !regexp.MustCompile(`^"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z"$`).Match(keys["created_at"]) {
		t.Errorf("seq is %s, created_at is %s", keys["seq"], keys["created_at"])
	}
	for _, added := range []string{"seq", "created_at", "source_id", "source_seq"} {
		delete(keys, added)
	}
	content, err := json.Marshal(keys)
	if err != nil {
		t.Fatal(err)
	}
	want, _, err := audit.ParseRecord([]byte(line(1)))
	if err != nil {
		t.Fatal(err)
	}
	rec, _, err := audit.ParseRecord(content)
	if diff := cmp.Diff(want, rec); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

func TestVersion(t *testing.T) {
	t.Parallel()
	got := run(t, "", "", "version", "--json")
	got.mustExit(t, cli.ExitDone)
	var v versions
	if err := json.Unmarshal([]byte(got.stdout), &v); err != nil {
		t.Fatal(err)
	}
	if v.SchemaVersion < 2 || !strings.HasPrefix(v.GoVersion, "go") || v.Version == "" || v.Commit == "" {
		t.Errorf("%+v", v)
	}
	human := run(t, "", "", "version")
	human.mustExit(t, cli.ExitDone)
	mustContain(t, human.stdout, fmt.Sprintf("schema      %d\n", v.SchemaVersion))
}

func TestCompletion(t *testing.T) {
	t.Parallel()
	for shell, part := range map[string]string{
		"bash": "complete -o bashdefault -o default -F _coordaudit coordaudit\n",
		"zsh":  "compdef _coordaudit coordaudit\n",
		"fish": "complete -c coordaudit -n '__fish_seen_subcommand_from list' -l oldest-first -d 'Show the oldest first'\n",
	} {
		got := run(t, "", "", "completion", shell)
		got.mustExit(t, cli.ExitDone)
		mustContain(t, got.stdout, part)
	}
	run(t, "", "", "completion", "tcsh").mustExit(t, cli.ExitUsage)
}

func TestUnwritableResult(t *testing.T) {
	t.Parallel()
	var stderr lockedBuffer
	p := &cli.Program{Name: "coordaudit", Env: func(string) string { return "" }, Stdin: strings.NewReader(""), Stdout: brokenWriter{}, Stderr: &stderr}
	if code := Run(t.Context(), p, []string{"version"}); code != cli.ExitFailed {
		t.Errorf("exit code %d, want 1", code)
	}
	mustContain(t, stderr.String(), "coordaudit: writing the result: the pipe is closed: check where the standard output goes\n")
}

type brokenWriter struct{ io.Writer }

func (brokenWriter) Write([]byte) (int, error) { return 0, errors.New("the pipe is closed") }
