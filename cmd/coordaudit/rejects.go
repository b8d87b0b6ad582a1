package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"unicode/utf8"

	"github.com/hoc-analytics/coordaudit/audit"
)

// shownRejects is how many refused lines are shown; all are in the file.
const shownRejects = 20

// rejects keeps the refused lines where they can be mended. Its file is made
// with the first of them.
type rejects struct {
	path  string
	file  *os.File
	out   *bufio.Writer
	count int64
	shown int64
}

// rejectedLine is one line of the file.
type rejectedLine struct {
	Line   int64           `json:"line"`
	Reason string          `json:"reason"`
	Faults []rejectedFault `json:"faults"`

	// Input is the line as it was read. JSON holds no broken UTF-8: such bytes are
	// shown as U+FFFD, and the line is kept byte for byte in InputBase64.
	Input       string `json:"input"`
	InputBase64 []byte `json:"input_base64,omitempty"`

	// InputBytes is the line's length if Input is only its beginning.
	InputBytes int64 `json:"input_bytes,omitempty"`
}

type rejectedFault struct {
	Field  string `json:"field"` // empty: the line as a whole
	Reason string `json:"reason"`
}

// newRejects removes the file of an earlier run, so that one that is there after
// a run is of this run. It removes nothing but a plain file, and never the input.
func newRejects(path string, in io.Reader) (*rejects, error) {
	tried := "removing the earlier " + path
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return &rejects{path: path}, nil
	case err != nil:
		return nil, &failure{tried: tried, cause: err, next: "name another file with --rejects"}
	}
	if file, ok := in.(*os.File); ok && sameFile(path, file) {
		return nil, usage(tried, errors.New("it is the file to import"), "name another file with --rejects")
	}
	if info.IsDir() {
		return nil, usage(tried, errors.New("it is a directory"), "name a file with --rejects")
	}
	if info.Mode().IsRegular() {
		err = os.Remove(path)
	}
	if err != nil {
		return nil, &failure{tried: tried, cause: err, next: "name another file with --rejects"}
	}
	return &rejects{path: path}, nil
}

func sameFile(path string, file *os.File) bool {
	one, err := os.Stat(path)
	if err != nil {
		return false
	}
	other, err := file.Stat()
	return err == nil && os.SameFile(one, other)
}

func (r *rejects) add(line int64, reason string, faults []audit.Fault, input []byte, size int64) error {
	if r.file == nil {
		// The lines are a trail's content: theirs alone who may read the input.
		file, err := os.OpenFile(r.path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
		if err != nil {
			return fmt.Errorf("making the file of refused lines: %w", err)
		}
		r.file, r.out = file, bufio.NewWriter(file)
	}
	r.count++
	rejected := rejectedLine{Line: line, Reason: reason, Input: string(input)}
	for _, fault := range faults {
		rejected.Faults = append(rejected.Faults, rejectedFault(fault))
	}
	if !utf8.Valid(input) {
		rejected.InputBase64 = input
	}
	if size > int64(len(input)) {
		rejected.InputBytes = size
	}
	encoder := json.NewEncoder(r.out)
	encoder.SetEscapeHTML(false) // it is for people to read
	return r.named(encoder.Encode(rejected))
}

// flush brings the lines to the file before the next batch is begun.
func (r *rejects) flush() error {
	if r.file == nil {
		return nil
	}
	return r.named(r.out.Flush())
}

func (r *rejects) close() error {
	if r.file == nil {
		return nil
	}
	return r.named(errors.Join(r.out.Flush(), r.file.Close()))
}

func (r *rejects) named(err error) error {
	if err != nil {
		return fmt.Errorf("writing the refused lines: %w", err)
	}
	return nil
}
