package spool

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/hoc-analytics/coordaudit/internal/durable"
)

// makeDir makes a directory and those above it, each durable. A file is not durable in a
// directory that is not.
func makeDir(d disk, path string) error { return durable.MakeDir(d, path, 0o700) }

// setAside copies a part of a file to a file of its own, durably, and returns its path. A
// second copy of the same part overwrites the first, which a crash may have left half written.
// No other file is overwritten.
func setAside(d disk, from, dir string, offset, size int64) (path string, err error) {
	in, err := openRegular(d, from, os.O_RDONLY)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	if err := makeDir(d, dir); err != nil {
		return "", err
	}
	part := io.NewSectionReader(in, offset, size)
	out, path, err := createAside(d, filepath.Join(dir, tornFileName(from, offset)), part)
	if err != nil {
		return "", err
	}
	err = copyTo(out, part)
	if err == nil {
		err = out.Sync()
	}
	if err = errors.Join(err, out.Close()); err != nil {
		return "", err
	}
	return path, d.SyncDir(dir)
}

// createAside creates a file of this name, or of the first free name derived from it.
func createAside(d disk, name string, part *io.SectionReader) (out file, path string, err error) {
	path = name
	for n := 2; ; n++ {
		out, err = d.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
		if !errors.Is(err, fs.ErrExist) {
			return out, path, err
		}
		if out, err := openRegular(d, path, os.O_RDWR); err == nil {
			if begins(part, out) {
				return out, path, nil
			}
			_ = out.Close() // it was only read
		}
		path = fmt.Sprintf("%s.%d%s", name[:len(name)-len(lineFileSuffix)], n, lineFileSuffix)
	}
}

// comparedBytes is how much of two files is compared at once.
const comparedBytes = 64 << 10

// begins reports whether the part begins with the whole content of a file.
func begins(part *io.SectionReader, with file) bool {
	info, err := with.Stat()
	if err != nil || info.Size() > part.Size() {
		return false
	}
	left, right := make([]byte, comparedBytes), make([]byte, comparedBytes)
	for at := int64(0); at < info.Size(); at += int64(len(left)) {
		n := min(int64(len(left)), info.Size()-at)
		_, errLeft := part.ReadAt(left[:n], at)
		_, errRight := with.ReadAt(right[:n], at)
		if errLeft != nil && !errors.Is(errLeft, io.EOF) || errRight != nil && !errors.Is(errRight, io.EOF) || !bytes.Equal(left[:n], right[:n]) {
			return false
		}
	}
	return true
}

func copyTo(out file, in io.Reader) error {
	_, err := io.Copy(io.NewOffsetWriter(out, 0), in)
	return err
}

func tornFileName(from string, offset int64) string {
	name := filepath.Base(from)
	return fmt.Sprintf("%s-%d%s", name[:len(name)-len(lineFileSuffix)], offset, lineFileSuffix)
}

// cutOff truncates a file to size, durably.
func cutOff(d disk, path string, size int64) error {
	out, err := openRegular(d, path, os.O_RDWR)
	if err != nil {
		return err
	}
	err = out.Truncate(size)
	if err == nil {
		err = out.Sync()
	}
	return errors.Join(err, out.Close())
}
