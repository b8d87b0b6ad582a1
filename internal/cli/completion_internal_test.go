package cli

import (
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"

	"github.com/hoc-analytics/coordaudit/internal/format"
)

// sample is a program with every kind of word that completions know.
type sample struct {
	URL string `name:"database-url" help:"The database. Not shown."`

	ShowVersion kong.VersionFlag `name:"version" help:"Show the version."`

	Import struct {
		File  string `arg:"" help:"A file."`
		Batch int    `help:"Lines: [1] to 10, the user's choice."`
	} `cmd:"" help:"Import: don't export. Not shown."`
	List struct {
		Wide bool `short:"w" help:"Cut nothing."`
	} `cmd:"" help:"List records."`
	Completion CompletionCommand `cmd:"" help:"Print a script."`
}

// script is what the sample prints for a shell.
func script(t *testing.T, shell string) string {
	t.Helper()
	var out, errs strings.Builder
	p := &Program{Name: "sample", Env: func(string) string { return "" }, Stdout: &out, Stderr: &errs}
	parsed, _, err := p.Parse(t.Context(), Grammar{Line: &sample{}, Version: "sample 1"}, []string{"completion", shell})
	if err == nil {
		err = parsed.Run()
	}
	if err != nil {
		t.Fatalf("%v: %s", err, errs.String())
	}
	return out.String()
}

// runShell runs a text in an installed shell, which reads no files of the user's.
func runShell(t *testing.T, text string, command ...string) string {
	t.Helper()
	path, err := exec.LookPath(command[0])
	if err != nil {
		t.Skipf("%s is not installed", command[0])
	}
	shell := exec.CommandContext(t.Context(), path, append(command[1:], text)...)
	out, err := shell.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return string(out)
}

func TestBashCompletion(t *testing.T) {
	t.Parallel()
	text := script(t, "bash")
	for words, want := range map[string]string{
		"sample|":                          "import list completion",
		"sample|im":                        "import",
		"sample|--da":                      "--database-url",
		"sample|import|--b":                "--batch",
		"sample|list|--":                   "--wide --help --database-url --version",
		"sample|--database-url|list|im":    "import",
		"sample|--database-url|=|x|im":     "import",
		"sample|--database-url|im":         "", // a value: files
		"sample|--database-url|=|im":       "",
		"sample|import|":                   "", // an argument: files
		"sample|--version|completion|z":    "zsh",
		"sample|completion|":               "bash zsh fish",
		"sample|no-such-command|--databas": "",
	} {
		list := strings.Split(words, "|")
		quotedWords := make([]string, len(list))
		for i, word := range list {
			quotedWords[i] = format.ShellQuoted(word)
		}
		run := text + "\nCOMP_WORDS=(" + strings.Join(quotedWords, " ") + "); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _sample; echo \"${COMPREPLY[*]}\""
		got := strings.Fields(runShell(t, run, "bash", "--norc", "-c"))
		wanted := strings.Fields(want)
		slices.Sort(got)
		slices.Sort(wanted)
		if !slices.Equal(got, wanted) {
			t.Errorf("%s offers %q, want %q", words, got, wanted)
		}
	}
}

func TestFishCompletion(t *testing.T) {
	t.Parallel()
	text := script(t, "fish")
	for _, part := range []string{
		"complete -c sample -n __fish_use_subcommand -f -a import -d 'Import: don\\'t export'\n",
		"complete -c sample -n '__fish_seen_subcommand_from list' -l wide -s w -d 'Cut nothing'\n",
		"complete -c sample -n '__fish_seen_subcommand_from completion' -f -a 'bash zsh fish'\n",
	} {
		if !strings.Contains(text, part) {
			t.Errorf("%q is not in:\n%s", part, text)
		}
	}
	got := runShell(t, text+"\ncomplete -C 'sample im'", "fish", "--no-config", "-c")
	if !strings.HasPrefix(got, "import\t") {
		t.Errorf("fish offers %q", got)
	}
}

func TestZshCompletion(t *testing.T) {
	t.Parallel()
	text := script(t, "zsh")
	for _, part := range []string{
		"#compdef sample\n",
		`'import:Import: don'\''t export'`,
		`'--batch=[Lines\: \[1\] to 10, the user'\''s choice]:value:_files'`,
		"'1:value:(bash zsh fish)'",
	} {
		if !strings.Contains(text, part) {
			t.Errorf("%q is not in:\n%s", part, text)
		}
	}
	runShell(t, text, "zsh", "-f", "-n", "-c")
}
