package importer

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"unicode/utf8"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/format"
	"github.com/hoc-analytics/coordaudit/internal/jsonl"
)

// RejectsSuffix is what the default name of a file of refused lines ends in.
const RejectsSuffix = ".rejects.jsonl"

// HeldForRecorder says what a file in a Recorder's directory holds that is no record. It is
// empty for every other file.
func HeldForRecorder(path string) string {
	switch filepath.Base(path) {
	case "gaps.jsonl":
		return "gaps"
	case "statements.jsonl":
		return "statements"
	default:
		return ""
	}
}

// shownRejects is how many refused lines are shown. The file has all of them.
const shownRejects = 20

// rejects keeps the refused lines in a file, where they can be fixed. The first refused
// line creates the file.
type rejects struct {
	path  string
	file  *os.File
	out   *bufio.Writer
	count int64
}

// RejectedLine is one line of the file.
type RejectedLine struct {
	Line   int64           `json:"line"`
	Reason string          `json:"reason"`
	Faults []RejectedFault `json:"faults"`

	// Input is the line as it was read. JSON cannot hold broken UTF-8: Input has U+FFFD
	// in its place, and InputBase64 has the line byte for byte.
	Input       string `json:"input"`
	InputBase64 []byte `json:"input_base64,omitempty"`

	// InputBytes is the length of the line if Input is only its beginning.
	InputBytes int64 `json:"input_bytes,omitempty"`

	// File is the name of the input if there are several.
	File string `json:"file,omitempty"`
}

// RejectedFault is one reason why a line was refused.
type RejectedFault struct {
	Field  string `json:"field"` // empty: the line as a whole
	Reason string `json:"reason"`
}

// RejectsError says why a file cannot hold the refused lines.
type RejectsError struct {
	Path string
	Err  error

	// Usage means that the name makes no sense. Directory means that it is a directory.
	Usage, Directory bool
}

func (e *RejectsError) Error() string { return "removing the earlier " + e.Path + ": " + e.Err.Error() }

func (e *RejectsError) Unwrap() error { return e.Err }

// newRejects removes the file of an earlier run, so that a file that exists after a run
// is of this run. It removes only a plain file that holds refused lines.
func newRejects(path string, in io.Reader) (*rejects, error) {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return &rejects{path: path}, nil
	case err != nil:
		return nil, &RejectsError{Path: path, Err: err}
	}
	if file, ok := in.(*os.File); ok && jsonl.SameFile(path, file) {
		return nil, &RejectsError{Path: path, Err: errIsInput, Usage: true}
	}
	if err := mayBecomeRejects(path); err != nil {
		return nil, err
	}
	if info.Mode().IsRegular() {
		err = os.Remove(path)
	}
	if err != nil {
		return nil, &RejectsError{Path: path, Err: err}
	}
	return &rejects{path: path}, nil
}

func (r *rejects) add(name string, line int64, reason string, faults []audit.Fault, input []byte, size int64) error {
	if r.file == nil {
		flags := os.O_WRONLY | os.O_CREATE | os.O_TRUNC
		if r.count > 0 { // of an earlier input
			flags = os.O_WRONLY | os.O_APPEND
		}
		// The lines are content of a trail: only those who may read the input may read them.
		file, err := os.OpenFile(r.path, flags, 0o600)
		if err != nil {
			return fmt.Errorf("making the file of refused lines: %w", err)
		}
		r.file, r.out = file, bufio.NewWriter(file)
	}
	r.count++
	rejected := RejectedLine{File: name, Line: line, Reason: reason, Input: string(input)}
	for _, fault := range faults {
		rejected.Faults = append(rejected.Faults, RejectedFault(fault))
	}
	if !utf8.Valid(input) {
		rejected.InputBase64 = input
	}
	if size > int64(len(input)) {
		rejected.InputBytes = size
	}
	var encoded bytes.Buffer
	encoder := json.NewEncoder(&encoded)
	encoder.SetEscapeHTML(false) // people read it
	if err := encoder.Encode(rejected); err != nil {
		return r.named(err)
	}
	_, err := r.out.Write(format.EscapeJSON(encoded.Bytes()))
	return r.named(err)
}

// flush writes the lines to the file before the next batch begins.
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
	err := errors.Join(r.out.Flush(), r.file.Close())
	r.file, r.out = nil, nil
	return r.named(err)
}

func (r *rejects) named(err error) error {
	if err != nil {
		return fmt.Errorf("writing the refused lines: %w", err)
	}
	return nil
}
