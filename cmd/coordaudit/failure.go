package main

import (
	"errors"
	"regexp"
	"strings"
)

// failure is an error as a person gets to see it: what was tried, what went
// wrong, and what to do next.
type failure struct {
	tried string
	cause error
	next  string // may be empty
	code  int    // the exit code; 0 stands for exitFailed
}

func (f *failure) Error() string {
	text := f.tried + ": " + oneLine(f.cause)
	if f.next != "" {
		text += ": " + f.next
	}
	return text
}

func (f *failure) Unwrap() error { return f.cause }

// usage is the failure of a command line that could not be meant so.
func usage(tried string, cause error, next string) error {
	return &failure{tried: tried, cause: cause, next: next, code: exitUsage}
}

// errReported ends a command that has said all there is to say with exit code 1.
var errReported = errors.New("reported already")

// fail shows an error and returns the exit code.
func (p *program) fail(err error) int {
	if errors.Is(err, errReported) {
		return exitFailed
	}
	p.warn("coordaudit: %s", redact(err.Error()))
	if shown, ok := errors.AsType[*failure](err); ok && shown.code != 0 {
		return shown.code
	}
	return exitFailed
}

// redact is the last look at a text that may quote what a user typed, such as a
// database URL in the place of a file.
func redact(text string) string {
	for _, secret := range []string{
		`(://[^/?#\s@]*:)[^\s]*(@)`,
		`((?i:password|passphrase|passfile|sslpassword)\s*=\s*)(?:'(?:[^'\\]|\\.)*'|[^\s&"'` + "`" + `]+)()`,
	} {
		text = regexp.MustCompile(secret).ReplaceAllString(text, "${1}xxxxx${2}")
	}
	return text
}

// oneLine joins the lines of an error: pgx reports each address on its own.
func oneLine(err error) string {
	return strings.Join(strings.Fields(strings.ReplaceAll(err.Error(), "\n", " ")), " ")
}
