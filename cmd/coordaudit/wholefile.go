package main

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
)

// wholeFile takes its name only once it is complete and on the disk, so that half
// of it is never taken for all. Until then a file of that name stays as it is.
type wholeFile struct {
	path string
	temp *os.File
	out  *bufio.Writer
}

// newWholeFile begins a file that its owner alone may read: a trail's content is
// theirs alone who may read the trail.
func newWholeFile(path string) (*wholeFile, error) {
	path, err := behindLinks(path)
	if err != nil {
		return nil, err
	}
	temp, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*.part") // mode 0600
	if err != nil {
		return nil, err
	}
	return &wholeFile{path: path, temp: temp, out: bufio.NewWriterSize(temp, 1<<16)}, nil
}

// behindLinks is the place that a path leads to, a file that is not there yet
// included. A device would be replaced by a file, so it is refused.
func behindLinks(path string) (string, error) {
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

// Write implements io.Writer.
func (f *wholeFile) Write(text []byte) (int, error) { return f.out.Write(text) }

// complete brings all of the file to the disk.
func (f *wholeFile) complete() error {
	return errors.Join(f.out.Flush(), f.temp.Sync(), f.temp.Close())
}

// publish gives a complete file its name.
func (f *wholeFile) publish() error {
	if err := os.Rename(f.temp.Name(), f.path); err != nil {
		return err
	}
	if runtime.GOOS == "windows" {
		return nil // it has no way to sync a directory
	}
	directory, err := os.Open(filepath.Dir(f.path))
	if err != nil {
		return fmt.Errorf("bringing its name to the disk: %w", err)
	}
	return errors.Join(directory.Sync(), directory.Close())
}

// discard removes what has not been published.
func (f *wholeFile) discard() {
	_ = f.temp.Close()
	_ = os.Remove(f.temp.Name())
}
