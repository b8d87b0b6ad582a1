package migrate

import (
	"strings"
	"testing"

	"github.com/alecthomas/kong"

	"github.com/hoc-analytics/coordaudit/internal/cli"
	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
)

// examples has a command line of every command that makes sense.
func examples() map[string]string {
	return map[string]string{
		"up": "up", "up-to": "up-to 3", "down": "down", "down-to": "down-to 3", "redo": "redo", "status": "status", "version": "version",
		"grants": "grants --writer postgres", "validate": "validate", "repair": "repair", "distribute": "distribute", "doctor": "doctor",
		"sql": "sql", "completion": "completion bash", "wait": "wait --timeout 100ms",
	}
}

// Of every command: no database and text that leads to none are wrong usage, one that is away is a
// failure, and a flag that it does not have leads to its own help.
func TestExitCodesOfEveryCommand(t *testing.T) {
	t.Parallel()
	parser, err := kong.New(&grammar{}, kong.Name("migrate"), kong.Vars{"version": ""})
	if err != nil {
		t.Fatal(err)
	}
	all := examples()
	for _, node := range parser.Model.Leaves(false) {
		if all[node.Name] == "" {
			t.Errorf("%s has no example", node.Name)
		}
		delete(all, node.Name)
	}
	for name := range all {
		t.Errorf("%s is no command", name)
	}
	offline := map[string]bool{"sql": true, "completion": true}
	for name, args := range examples() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			must := func(url string, code int, parts []string, more ...string) {
				t.Helper()
				got := migrate(t, url, append(strings.Fields(args), more...)...)
				if got.code != code {
					t.Errorf("%q: exit code %d, want %d: %s", url, got.code, code, got.stderr)
				}
				checkStream(t, "stderr", got.stderr, parts)
				if strings.Contains(got.stderr, password) || strings.Contains(got.stderr, `\u0009`) || strings.Count(got.stderr, "\n") > 1 {
					t.Errorf("stderr is %q", got.stderr)
				}
				if verb := fixture.Doubled(got.stderr); verb != "" {
					t.Errorf("%s is said twice: %s", verb, got.stderr)
				}
			}
			const away = "postgres://user:s3cret@127.0.0.1:1/nowhere"
			help := ": run 'migrate " + name + " --help'\n"
			must(away, cli.ExitUsage, []string{"unknown flag --nonsense", help}, "--nonsense")
			if offline[name] {
				return
			}
			must("postgres://user:s3cret@host:port/x", cli.ExitUsage, []string{"parsing the database URL: ", help})
			if name != "version" { // which then tells that of the program
				must("", cli.ExitUsage, []string{"migrate: reading the command line: no database is given: set DATABASE_URL or pass --database-url\n"})
			}
			must(away, cli.ExitFailed, []string{"failed to connect to ", "check host and port in the database URL"})
		})
	}
}

func TestHelpNamesPager(t *testing.T) {
	t.Parallel()
	got := migrate(t, "", "--help")
	if got.code != cli.ExitDone {
		t.Fatalf("exit code %d: %s", got.code, got.stderr)
	}
	checkStream(t, "stdout", got.stdout, []string{"COORDAUDIT_PAGER", "PAGER", "--no-pager"})
}
