package cli

import (
	"errors"
	"slices"
)

// MustHaveStdin refuses an import from a standard input that there is not.
func (p *Program) MustHaveStdin(tried string, files []string) error {
	if slices.Contains(files, "-") && wasClosed(p.Stdin) {
		return &ShownError{Tried: tried, Cause: errors.New("the standard input is closed"), Next: "give a file, or a pipe to read from"}
	}
	return nil
}

// MustHaveStdout refuses to write to a standard output that there is not.
func (p *Program) MustHaveStdout(tried, out string) error {
	if out == "-" && wasClosed(p.Stdout) {
		return &ShownError{Tried: tried, Cause: errors.New("the standard output is closed"), Next: "name a file with --out, or redirect the standard output"}
	}
	return nil
}
