package importer

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/hoc-analytics/coordaudit/internal/jsonl"
)

var errIsInput = errors.New("it is the file to import")

// HoldsRefused reports whether a file holds the refused lines of an earlier import.
func HoldsRefused(path string) bool { return jsonl.KindOf(path) == jsonl.Refused }

// Check refuses inputs and files of refused lines that are the same file, under any names,
// and a file of refused lines that would replace something else. It is called before the
// first input is opened, because an import removes the files of earlier runs. rejects is as
// in Config.
func Check(rejects string, inputs []string, stdin io.Reader) error {
	files := make([]fs.FileInfo, len(inputs))
	names := map[string]string{}
	for i, name := range inputs {
		if name == "-" {
			if file, ok := stdin.(*os.File); ok {
				files[i], _ = file.Stat() // nil: it is no file that a name leads to
			}
			continue
		}
		files[i], _ = os.Stat(name) // File reports one that is missing
		names[resolved(name)] = name
	}
	from := map[string]int{} // which input a file of refused lines is for
	for i, name := range inputs {
		path := rejectsFile(rejects, name)
		place := resolved(path)
		if first, ok := from[place]; ok {
			if rejects == "" && resolved(inputs[first]) != resolved(name) && !sameInfo(files[first], files[i]) {
				return &RejectsError{Path: path, Err: fmt.Errorf("it is for the refused lines of both %s and %s", inputs[first], name), Usage: true}
			}
			continue
		}
		from[place] = i
		info, err := os.Stat(path)
		if other, ok := names[place]; ok {
			return isInput(path, other)
		}
		for n, file := range files {
			if err == nil && sameInfo(info, file) {
				return isInput(path, inputs[n])
			}
		}
		if err := mayBecomeRejects(path); err != nil {
			return err
		}
	}
	return nil
}

func isInput(path, input string) error {
	err := errIsInput
	if path != input {
		err = fmt.Errorf("it is the file to import as %s", input)
	}
	return &RejectsError{Path: path, Err: err, Usage: true}
}

func sameInfo(a, b fs.FileInfo) bool { return a != nil && b != nil && os.SameFile(a, b) }

// resolved is one name for a file, whether it exists or not.
func resolved(path string) string {
	if behind, err := jsonl.BehindLinks(path); err == nil {
		path = behind
	}
	if absolute, err := filepath.Abs(path); err == nil {
		path = absolute
	}
	return path
}

// mayBecomeRejects refuses a directory, and a plain file with anything but refused lines.
// A device or a pipe is written to as it is.
func mayBecomeRejects(path string) error {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil //nolint:nilerr // there is none, or writing to it says why not
	case info.IsDir():
		return &RejectsError{Path: path, Err: errors.New("it is a directory"), Usage: true, Directory: true}
	case !info.Mode().IsRegular():
		return nil
	}
	switch kind := jsonl.KindOf(path); kind {
	case jsonl.Refused, jsonl.Empty:
		return nil
	case jsonl.Unknown:
		return &RejectsError{Path: path, Err: errors.New("it holds something else than refused lines"), Usage: true}
	default:
		return &RejectsError{Path: path, Err: fmt.Errorf("it holds %s", kind), Usage: true}
	}
}
