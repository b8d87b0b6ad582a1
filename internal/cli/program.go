package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"syscall"

	"github.com/hoc-analytics/coordaudit/internal/cli/term"
	"github.com/hoc-analytics/coordaudit/internal/format"
)

// Program is one run of a program, with everything outside of it that it may touch.
type Program struct {
	Name   string
	Env    func(name string) string
	Stdin  io.Reader
	Stdout io.Writer
	Stderr io.Writer

	// NoPager keeps texts that a terminal cannot show at once away from a pager.
	NoPager bool

	// Terminal, in tests, stands for the terminal of the standard output.
	Terminal func() (columns int, ok bool)

	command     string // as a user typed it, without arguments
	forMachines bool   // the result is JSON: no one watches
	showing     atomic.Pointer[term.Progress]
}

// Print writes a result. If that fails, so does the command: a script must not take half
// a result for a whole one.
func (p *Program) Print(text string) error {
	p.showing.Load().Clear()
	if _, err := io.WriteString(p.Stdout, text); err != nil {
		return unprinted(err)
	}
	return nil
}

func unprinted(err error) error {
	if errors.Is(err, syscall.EPIPE) {
		err = errors.Join(err, ErrPipeClosed)
	}
	return &ShownError{Tried: "writing the result", Cause: err, Next: "check where the standard output goes"}
}

// PrintJSON prints a result as one line of JSON.
func (p *Program) PrintJSON(tried string, result any) error {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(result); err != nil {
		return &ShownError{Tried: tried, Cause: err}
	}
	return p.Print(string(format.EscapeJSON(text.Bytes())))
}

// Progress shows on the standard error what the command does if it takes longer than two
// seconds. It draws on terminals alone, and not with --json. The caller stops it.
func (p *Program) Progress(doing string) *term.Progress {
	if p.forMachines {
		return nil
	}
	shown := term.StartProgress(p.Stderr, doing)
	p.showing.Swap(shown).Stop()
	return shown
}

// Step names the part of the command that begins now, where its progress is shown.
func (p *Program) Step(doing string) { p.showing.Load().Say(doing) }

// Warn writes a line to the standard error. If that fails, there is no place left to
// report it.
func (p *Program) Warn(message string, args ...any) {
	_, _ = io.WriteString(p.Messages(), format.Printable(fmt.Sprintf(message, args...))+"\n")
}

// Messages is the standard error for whole lines, such as those of a log. They take the place
// of the progress.
func (p *Program) Messages() io.Writer { return messages{p} }

type messages struct{ of *Program }

// Write implements io.Writer.
func (m messages) Write(line []byte) (int, error) {
	m.of.showing.Load().Clear()
	return m.of.Stderr.Write(line)
}

// Hint tells a person why an answer may be empty. It writes nothing if the text is empty.
func (p *Program) Hint(text string) {
	if text != "" {
		p.Warn("%s", text)
	}
}

// Screen is where the result is read: a terminal, or a pipe, in which other programs look
// for whole ids and texts.
func (p *Program) Screen(wide bool) term.Screen {
	columns, isScreen := 0, false
	if p.Terminal != nil {
		columns, isScreen = p.Terminal()
	} else if term.IsTerminal(p.Stdout) {
		columns, isScreen = term.Columns(p.Stdout, p.Env("COLUMNS")), true
	}
	if !isScreen || wide {
		columns = 0
	}
	return term.Screen{Columns: columns, Colour: p.Colourful()}
}

// Colourful reports whether the standard output is a terminal that shows colours, and
// https://no-color.org is not asked for.
func (p *Program) Colourful() bool {
	return term.IsTerminal(p.Stdout) && p.Env("NO_COLOR") == "" && p.Env("TERM") != "dumb"
}
