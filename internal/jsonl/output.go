package jsonl

import (
	"bufio"
	"io"
)

// Output is where a command writes data: a file that takes its name once it is complete,
// or the standard output.
type Output struct {
	io.Writer
	Path     string       // empty for the standard output
	Complete func() error // writes all of it
	Publish  func() error // gives a complete file its name
	Discard  func()       // removes a file that was not published
}

// NewOutput opens an output. A command calls it before it asks the database, so that a
// file that cannot be written fails early. The path - is the standard output.
func NewOutput(path string, own Kind, stdout io.Writer) (Output, error) {
	if path == "-" {
		out := bufio.NewWriterSize(stdout, 1<<16)
		return Output{Writer: out, Complete: out.Flush, Publish: func() error { return nil }, Discard: func() {}}, nil
	}
	file, err := Create(path, own)
	if err != nil {
		return Output{}, err
	}
	return Output{Writer: file, Path: file.Path, Complete: file.Complete, Publish: file.Publish, Discard: file.Discard}, nil
}

// OutputName names the output of a path in messages.
func OutputName(path string) string {
	if path == "-" {
		return "the standard output"
	}
	return path
}
