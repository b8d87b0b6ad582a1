package deadletter

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
)

// makeDir makes the directory and those above it, each with its entry synced: a file
// is not durable in a directory that is not.
func makeDir(path string) error {
	info, err := os.Stat(path)
	if err == nil && !info.IsDir() {
		return &fs.PathError{Op: "mkdir", Path: path, Err: syscall.ENOTDIR}
	}
	if err == nil || !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	parent := filepath.Dir(path)
	if err := makeDir(parent); err != nil {
		return err
	}
	if err := os.Mkdir(path, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return syncDir(parent)
}

// syncDir makes names durable: those made, and those removed.
func syncDir(path string) error {
	if runtime.GOOS == "windows" {
		return nil // NTFS keeps a journal of its names, and a directory cannot be flushed
	}
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	err = dir.Sync()
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, errors.ErrUnsupported) {
		err = nil // the file system has no such thing, so there is nothing to wait for
	}
	return errors.Join(err, dir.Close())
}

// keepAside copies a part of a file to a file of its own, durably, and returns its
// path. The same part again overwrites the same file, which a crash may have left half
// written.
func keepAside(from, dir string, offset, size int64) (path string, err error) {
	in, err := os.Open(from)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	if err := makeDir(dir); err != nil {
		return "", err
	}
	path = filepath.Join(dir, tornFileName(from, offset))
	out, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return "", err
	}
	_, err = io.Copy(out, io.NewSectionReader(in, offset, size))
	if err == nil {
		err = out.Sync()
	}
	if err = errors.Join(err, out.Close()); err != nil {
		return "", err
	}
	return path, syncDir(dir)
}

func tornFileName(from string, offset int64) string {
	name := filepath.Base(from)
	return fmt.Sprintf("%s-%d%s", name[:len(name)-len(lineFileSuffix)], offset, lineFileSuffix)
}

// cutOff ends a file at size, durably.
func cutOff(path string, size int64) error {
	out, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	err = out.Truncate(size)
	if err == nil {
		err = out.Sync()
	}
	return errors.Join(err, out.Close())
}
