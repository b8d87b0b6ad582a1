package jsonl

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// SamePlace reports whether two paths lead to the same file.
func SamePlace(a, b string) bool {
	a, aErr := filepath.Abs(a)
	b, bErr := filepath.Abs(b)
	if aErr == nil && bErr == nil && a == b {
		return true
	}
	infoA, aErr := os.Stat(a)
	infoB, bErr := os.Stat(b)
	return aErr == nil && bErr == nil && os.SameFile(infoA, infoB)
}

// SameFile reports whether a path leads to an open file.
func SameFile(path string, file *os.File) bool {
	one, err := os.Stat(path)
	if err != nil {
		return false
	}
	other, err := file.Stat()
	return err == nil && os.SameFile(one, other)
}

// BehindLinks follows the links of a path, also of a file that does not exist yet. It
// refuses a device, because a file would replace it.
func BehindLinks(path string) (string, error) {
	info, err := os.Stat(path)
	switch {
	case err == nil && info.IsDir():
		return "", errors.New("it is a directory")
	case err == nil && !info.Mode().IsRegular():
		return "", errors.New("it is no plain file")
	case err == nil:
		return filepath.EvalSymlinks(path)
	case !errors.Is(err, fs.ErrNotExist):
		return "", err
	}
	directory, err := filepath.EvalSymlinks(filepath.Dir(path))
	if err != nil {
		return "", err
	}
	return filepath.Join(directory, filepath.Base(path)), nil
}
