package coordaudit

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"

	"github.com/hoc-analytics/coordaudit/internal/cli"
	"github.com/hoc-analytics/coordaudit/internal/cli/coordaudit/shared"
	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

// example is a command line that makes sense.
type example struct {
	args     string // KEY, PRIVATE and SEALED stand for the files of a log, NEW for one that is not there
	offline  bool   // it needs no database
	survives bool   // it goes on without a database, or makes its own
}

// examples has one of every command.
func examples() map[string]example {
	const id = "11111111-1111-4111-8111-000000000001"
	const log = " --checkpoint SEALED --key KEY"
	return map[string]example{
		"import":               {args: "import - --patience=0s"},
		"export":               {args: "export --all-tenants --out NEW --proofs NEW.proofs" + log},
		"get":                  {args: "get " + id + " --all-tenants"},
		"list":                 {args: "list --all-tenants"},
		"timeline":             {args: "timeline saver --all-tenants"},
		"explain":              {args: "explain " + id + " --all-tenants --key KEY"},
		"follow":               {args: "follow --all-tenants --once"},
		"stats":                {args: "stats --all-tenants"},
		"signals":              {args: "signals --all-tenants"},
		"gaps":                 {args: "gaps"},
		"completeness":         {args: "completeness"},
		"seal run":             {args: "seal --once --key PRIVATE --checkpoints SEALED"},
		"seal keygen":          {args: "seal keygen NEW --name audit.example/new", offline: true},
		"verify trail":         {args: "verify" + log},
		"verify bundle":        {args: "verify bundle BUNDLE --key KEY", offline: true},
		"prove":                {args: "prove " + id + log},
		"expire plan":          {args: "expire plan --all-tenants --older-than 400d" + log},
		"expire archive":       {args: "expire archive --all-tenants --older-than 400d --out NEW" + log},
		"expire apply":         {args: "expire apply --archive NEW" + log},
		"expire check":         {args: "expire check --archive NEW --key KEY", offline: true},
		"expire holds list":    {args: "expire holds"},
		"expire holds add":     {args: "expire holds add --tenant acme --why asked"},
		"expire holds release": {args: "expire holds release " + id + " --why asked"},
		"expire minimum":       {args: "expire minimum --set 5 --why asked"},
		"erase":                {args: "erase " + id + " --text reason --why asked" + log},
		"report":               {args: "report --all-tenants --out NEW" + log},
		"serve":                {args: "serve --all-tenants --listen 127.0.0.1:0", survives: true},
		"demo":                 {args: "demo", survives: true},
		"completion":           {args: "completion bash", offline: true},
		"version":              {args: "version", offline: true},
	}
}

// of is the command line for a log with these files.
func (e example) of(t *testing.T, s sealedTrail, private, public, bundle string) []string {
	t.Helper()
	return strings.Fields(strings.NewReplacer(
		"PRIVATE", private, "KEY", public, "SEALED", s.exported, "BUNDLE", bundle, "NEW", filepath.Join(t.TempDir(), "new"),
	).Replace(e.args))
}

func TestExamplesAreEveryCommand(t *testing.T) {
	t.Parallel()
	parser, err := kong.New(&commandLine{}, shared.FlagVariables(), kong.Vars{"version": ""}, kong.Name("coordaudit"))
	if err != nil {
		t.Fatal(err)
	}
	all := examples()
	for _, node := range parser.Model.Leaves(false) {
		path := strings.TrimPrefix(node.FullPath(), "coordaudit ")
		if all[path].args == "" {
			t.Errorf("%s has no example", path)
		}
		delete(all, path)
	}
	for path := range all {
		t.Errorf("%s is no command", path)
	}
}

func (r ran) mustSayOnce(t *testing.T) {
	t.Helper()
	for line := range strings.Lines(r.stderr) {
		if verb := fixture.Doubled(line); verb != "" {
			t.Errorf("%s is said twice: %s", verb, line)
		}
	}
}

// typed is a command as a user types it, without its flags and arguments.
func typed(path string) string {
	if slices.Contains([]string{"seal run", "verify trail", "expire holds list"}, path) {
		path = path[:strings.LastIndexByte(path, ' ')] // its last word is the default
	}
	return "coordaudit " + path
}

// Of every command: no database and text that leads to none are wrong usage, one that is away or
// has no trail is a failure, and a flag that it does not have leads to its own help.
func TestExitCodesOfEveryCommand(t *testing.T) {
	t.Parallel()
	const away = "postgres://someone:secret@127.0.0.1:1/nowhere"
	s := newSealing(t, 3)
	s.once(t).mustExit(t, cli.ExitDone)
	bundle := filepath.Join(t.TempDir(), "bundle")
	run(t, s.db.URL, "", "prove", s.ids[0].String(), "--out", bundle).mustExit(t, cli.ExitDone)
	empty := testdb.NewEmpty(t).URL
	for path, command := range examples() {
		t.Run(strings.ReplaceAll(path, " ", ""), func(t *testing.T) {
			t.Parallel()
			on := func(url string, more ...string) ran {
				return run(t, url, line(1), append(command.of(t, s, s.key, s.public, bundle), more...)...)
			}
			help := ": run '" + typed(path) + " --help'\n"
			unknown := on(away, "--nonsense")
			unknown.mustExit(t, cli.ExitUsage)
			mustContain(t, unknown.stderr, "unknown flag --nonsense", help)
			if command.offline {
				return
			}
			broken := on("postgres://someone:secret@host:port/x")
			broken.mustExit(t, cli.ExitUsage)
			mustContain(t, broken.stderr, "parsing the database URL: ", help)
			if path != "demo" { // which starts a server of its own
				none := on("")
				none.mustExit(t, cli.ExitUsage)
				mustContain(t, none.stderr, ": no database is given: set DATABASE_URL or pass --database-url\n")
			}
			if command.survives {
				return
			}
			gone := on(away)
			gone.mustExit(t, cli.ExitFailed)
			gone.mustSayOnce(t)
			mustContain(t, gone.stderr, "database unavailable: ")
			if !strings.Contains(gone.stderr, "check that the database runs and that its URL is right") && !strings.Contains(gone.stderr, "fix the cause") {
				t.Errorf("no next step: %s", gone.stderr)
			}
			bare := on(empty)
			bare.mustExit(t, cli.ExitFailed)
			bare.mustSayOnce(t)
			mustContain(t, bare.stderr, "run the migrations (migrate up)")
			if all := gone.stderr + bare.stderr; strings.Contains(all, "secret") || strings.Contains(all, `\u0009`) {
				t.Errorf("stderr: %s", all)
			}
		})
	}
}

// A file that cannot be read, or is no key, is wrong usage. A key that is not that of the log is
// a failure of what was tried with it.
func TestWrongKeyOfEveryCommand(t *testing.T) {
	t.Parallel()
	s := newSealing(t, 3)
	s.once(t).mustExit(t, cli.ExitDone)
	dir := t.TempDir()
	other, damaged, bundle := filepath.Join(dir, "other"), filepath.Join(dir, "damaged"), filepath.Join(dir, "bundle")
	run(t, "", "", "seal", "keygen", other, "--name", "audit.example/another").mustExit(t, cli.ExitDone)
	run(t, s.db.URL, "", "prove", s.ids[0].String(), "--out", bundle).mustExit(t, cli.ExitDone)
	if err := os.WriteFile(damaged, []byte("no key\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	witnessed := map[string]string{"verify trail": " --witness WITNESS", "verify bundle": " --witness WITNESS"}
	for path, command := range examples() {
		if !strings.Contains(command.args, "KEY") && !strings.Contains(command.args, "PRIVATE") {
			continue
		}
		t.Run(strings.ReplaceAll(path, " ", ""), func(t *testing.T) {
			t.Parallel()
			for _, file := range []string{filepath.Join(dir, "none"), damaged, dir} {
				got := run(t, s.db.URL, "", command.of(t, s, file, file, bundle)...)
				got.mustExit(t, cli.ExitUsage)
				got.mustSayOnce(t)
				mustContain(t, got.stderr, file)
				if flags := witnessed[path]; flags != "" {
					got := run(t, s.db.URL, "", append(command.of(t, s, s.key, s.public, bundle), strings.Fields(strings.Replace(flags, "WITNESS", file, 1))...)...)
					got.mustExit(t, cli.ExitUsage)
					got.mustSayOnce(t)
					mustContain(t, got.stderr, file)
				}
			}
			got := run(t, s.db.URL, "", command.of(t, s, other, other+".pub", bundle)...)
			got.mustExit(t, cli.ExitFailed)
			got.mustSayOnce(t)
		})
	}
}
