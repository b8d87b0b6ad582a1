package cli

import (
	"errors"
	"regexp"
	"strings"

	"github.com/hoc-analytics/coordaudit/internal/format"
)

// The exit codes of every program. A program may add codes of its own.
const (
	ExitDone   = 0
	ExitFailed = 1
	ExitUsage  = 2
)

// ShownError is an error as a person sees it: what was tried, what went wrong, and what to
// do next.
type ShownError struct {
	Tried   string // empty if the cause says it, as an error of the library does
	Cause   error
	Next    string // may be empty
	Code    int    // the exit code; 0 means ExitFailed
	seeHelp bool   // [Program.Fail] adds how to get it
}

func (f *ShownError) Error() string {
	text := format.OneLine(f.Cause)
	if f.Tried != "" {
		text = strings.ReplaceAll(f.Tried, "\n", `\n`) + ": " + text
	}
	if f.Next != "" {
		text += ": " + f.Next
	}
	return text
}

func (f *ShownError) Unwrap() error { return f.Cause }

// Usage is the failure of a command line that makes no sense. An empty next means that the
// cause says it.
func Usage(tried string, cause error, next string) error {
	return &ShownError{Tried: tried, Cause: cause, Next: next, Code: ExitUsage}
}

// Misused is a [Usage] whose next step is the help of the command.
func Misused(tried string, cause error) error {
	return &ShownError{Tried: tried, Cause: cause, Code: ExitUsage, seeHelp: true}
}

// WithCode gives an error an exit code of its own. Its text stays as it is.
func WithCode(code int, err error) error { return &codedError{code: code, err: err} }

type codedError struct {
	code int
	err  error
}

func (e *codedError) Error() string { return e.err.Error() }

func (e *codedError) Unwrap() error { return e.err }

// ErrReported ends a command that has already explained its failure, with exit code 1.
var ErrReported = errors.New("reported already")

// ErrPipeClosed means that the reader of the standard output has ended.
var ErrPipeClosed = errors.New("the standard output is closed by its reader")

// ErrInterrupted means that a signal ended the command.
var ErrInterrupted = errors.New("interrupted")

// Fail shows an error and returns the exit code.
func (p *Program) Fail(err error) int {
	if errors.Is(err, ErrReported) || errors.Is(err, ErrPipeClosed) { // the reader, such as head, had enough
		return ExitFailed
	}
	shown, isShown := errors.AsType[*ShownError](err)
	if isShown && shown.seeHelp {
		shown.Next = "run '" + p.command + " --help'"
	}
	p.Warn("%s: %s", p.Name, redact(err.Error()))
	if coded, ok := errors.AsType[*codedError](err); ok {
		return coded.code
	}
	if isShown && shown.Code != 0 {
		return shown.Code
	}
	return ExitFailed
}

// redact masks passwords in a text that may quote what a user typed, such as a database
// URL in the place of a file.
func redact(text string) string {
	for _, secret := range []string{
		`(://[^/?#\s@]*:)[^\s]*(@)`,
		`((?i:password|passphrase|passfile|sslpassword)\s*=\s*)(?:'(?:[^'\\]|\\.)*'|[^\s&"'` + "`" + `]+)()`,
	} {
		text = regexp.MustCompile(secret).ReplaceAllString(text, "${1}xxxxx${2}")
	}
	return text
}
