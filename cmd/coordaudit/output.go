package main

import (
	"bufio"
	"io"
)

// output is where a command writes what is not for a person to read: a file that
// takes its name once it is complete, or the standard output.
type output struct {
	io.Writer
	path     string       // empty for the standard output
	complete func() error // brings all of it to its place
	publish  func() error // gives a complete file its name
	discard  func()       // removes what has not been published
}

// newOutput begins an output, so that one that cannot be is known of before the
// database is asked. "-" is the standard output.
func newOutput(path string, stdout io.Writer) (output, error) {
	if path == "-" {
		out := bufio.NewWriterSize(stdout, 1<<16)
		return output{Writer: out, complete: out.Flush, publish: func() error { return nil }, discard: func() {}}, nil
	}
	file, err := newWholeFile(path)
	if err != nil {
		return output{}, err
	}
	return output{Writer: file, path: file.path, complete: file.complete, publish: file.publish, discard: file.discard}, nil
}

// outputName names an output by the flag's value.
func outputName(path string) string {
	if path == "-" {
		return "the standard output"
	}
	return path
}
