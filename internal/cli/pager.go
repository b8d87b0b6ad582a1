package cli

import (
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"strings"

	"github.com/hoc-analytics/coordaudit/internal/cli/term"
)

// Page writes a text for a person. If the standard output is a terminal that is too low for
// it, the text goes through a pager, as git and psql do it: that of COORDAUDIT_PAGER, or else
// of PAGER, or else less. An empty variable, or cat, asks for none.
func (p *Program) Page(text string) error {
	p.showing.Load().Stop()
	pager := p.pager(text)
	if pager == "" {
		return p.Print(text)
	}
	shown, err := p.runPager(pager, text)
	if !shown {
		p.Warn("%s: starting the pager %s: %s: set %s to another one, or pass --no-pager", p.Name, pager, err, pagerVariable)
		return p.Print(text)
	}
	return nil // how a reader ends a pager says nothing about the result
}

// AboutTerminal is for the help of both programs.
const AboutTerminal = "On a terminal, a text that is longer than the screen goes through the pager of " + pagerVariable + ", or of PAGER, or less; an empty variable or --no-pager asks for none. " +
	"What takes longer than two seconds shows its progress there, unless --json is given."

// pagerVariable is of both programs.
const pagerVariable = "COORDAUDIT_PAGER"

// pager is the command line of the pager. It is empty if the text needs none.
func (p *Program) pager(text string) string {
	if p.NoPager || p.Env("TERM") == "dumb" || !term.IsTerminal(p.Stdout) {
		return ""
	}
	rows := term.Rows(p.Stdout)
	if rows == 0 || term.Fits(text, term.Columns(p.Stdout, p.Env("COLUMNS")), rows) {
		return ""
	}
	for _, variable := range []string{pagerVariable, "PAGER"} {
		if value, set := os.LookupEnv(variable); set { // Env cannot tell an empty variable from none
			if value = strings.TrimSpace(value); value == "cat" {
				return ""
			}
			return value
		}
	}
	if _, err := exec.LookPath(defaultPager); err != nil {
		return ""
	}
	return defaultPager
}

const defaultPager = "less"

// The exit codes by which a shell reports that it could not start a command.
const (
	shellNotExecutable = 126
	shellNotFound      = 127
)

// runPager reports whether a reader was shown anything. A pager that ends early closes its
// input, which is no error.
func (p *Program) runPager(pager, text string) (shown bool, err error) {
	// An interrupt belongs to the pager, which stays until its reader leaves it.
	interrupts := make(chan os.Signal, 1)
	signal.Notify(interrupts, os.Interrupt)
	defer signal.Stop(interrupts)
	command := exec.Command("sh", "-c", pager) // the user chooses the pager, as for git and man
	command.Env = os.Environ()
	// less leaves at once if the text fits, keeps colours, and leaves the text on the screen.
	for variable, value := range map[string]string{"LESS": "FRX", "LV": "-c"} {
		if _, set := os.LookupEnv(variable); !set {
			command.Env = append(command.Env, variable+"="+value)
		}
	}
	command.Stdin, command.Stdout, command.Stderr = strings.NewReader(text), p.Stdout, p.Stderr
	err = command.Run()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		code := exit.ExitCode()
		return code != shellNotExecutable && code != shellNotFound, err
	}
	return err == nil || command.ProcessState != nil, err
}
