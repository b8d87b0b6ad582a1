package jsonl

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
)

// Kind says what a file holds, as far as its first bytes and its place tell.
type Kind string

// The kinds.
const (
	Unknown   Kind = ""
	Empty     Kind = "nothing"
	Records   Kind = "records of a trail"
	Table     Kind = "records of a trail as CSV"
	Events    Kind = "records of a trail as CloudEvents"
	Refused   Kind = "refused lines of an import"
	Manifest  Kind = "the manifest of an export"
	Proofs    Kind = "proofs of an export"
	Report    Kind = "a report"
	OfArchive Kind = "proofs of an archive"
	Waiting   Kind = "what a Recorder keeps for the database"
)

// KindOf looks at a plain file. Anything else is Unknown and is not opened.
func KindOf(path string) Kind {
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() {
		return Unknown
	}
	if info.Size() == 0 {
		return Empty
	}
	if ofRecorder(path) {
		return Waiting
	}
	file, err := os.Open(path)
	if err != nil {
		return Unknown
	}
	defer func() { _ = file.Close() }() // it was only read
	first := make([]byte, 16<<10)
	n, err := io.ReadFull(file, first)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return Unknown
	}
	return kindOf(first[:n])
}

func kindOf(first []byte) Kind {
	for _, form := range []struct {
		begins string
		kind   Kind
	}{
		{`{"line":`, Refused},
		{`{"count":`, Manifest},
		{`{"proof_of":`, Proofs},
		{`{"tile":`, OfArchive},
		{"audit_id,envelope_id,", Table},
		{`{"specversion":`, Events},
		{"<!doctype html>", Report},
	} {
		if bytes.HasPrefix(bytes.ToLower(first), []byte(form.begins)) {
			return form.kind
		}
	}
	line, _, _ := bytes.Cut(first, []byte("\n"))
	if bytes.HasPrefix(line, []byte("{")) && bytes.Contains(line, []byte(`"audit_id"`)) && bytes.Contains(line, []byte(`"envelope_id"`)) {
		return Records
	}
	return Unknown
}

// ofRecorder recognises the files of a Recorder by their names and the lock in their
// directory or the one above.
func ofRecorder(path string) bool {
	path, err := filepath.EvalSymlinks(path)
	if err != nil || !regexp.MustCompile(`^([0-9]+|gaps|statements)\.jsonl$`).MatchString(filepath.Base(path)) {
		return false
	}
	directory, err := filepath.Abs(filepath.Dir(path))
	if err != nil {
		return false
	}
	for _, place := range []string{directory, filepath.Dir(directory)} {
		if info, err := os.Lstat(filepath.Join(place, "lock")); err == nil && info.Mode().IsRegular() {
			return true
		}
	}
	return false
}

// mayReplace refuses a file that holds another of the kinds. It was named by mistake, and
// it may be the only copy.
func mayReplace(path string, own Kind) error {
	switch kind := KindOf(path); kind {
	case Unknown, Empty, own:
		return nil
	default:
		return fmt.Errorf("it holds %s, which %s would replace", kind, own)
	}
}
