// Package durable makes the names in directories survive a crash of the operating system.
// Syncing a file keeps its content; its name is in the directory, which is synced by itself.
// It imports the standard library alone, so that every room may use it.
package durable

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
)

// Disk is what this package needs of a file system. [OS] is the real one.
type Disk interface {
	Mkdir(path string, perm fs.FileMode) error
	Remove(path string) error

	// SyncDir makes the names in a directory durable: those created and those removed.
	SyncDir(path string) error
}

// OS is the file system of the operating system.
type OS struct{}

// Mkdir implements [Disk].
func (OS) Mkdir(path string, perm fs.FileMode) error { return os.Mkdir(path, perm) }

// Remove implements [Disk].
func (OS) Remove(path string) error { return os.Remove(path) }

// SyncDir implements [Disk]. On Windows it does nothing: NTFS keeps a journal of names, and a
// directory cannot be flushed there.
func (OS) SyncDir(path string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(SyncFile(dir), dir.Close())
}

// SyncFile syncs a file. It succeeds on a file system that has no sync, where there is nothing
// to wait for.
func SyncFile(f interface{ Sync() error }) error {
	err := f.Sync()
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, errors.ErrUnsupported) {
		return nil
	}
	return err
}

// MakeDir makes a directory and those above it, each durable in the one above. A directory
// that is there stays as it is: see [SyncAbove].
func MakeDir(d Disk, path string, perm fs.FileMode) error {
	switch info, err := os.Stat(path); { // follows a symbolic link to a directory
	case err == nil && !info.IsDir():
		return &fs.PathError{Op: "mkdir", Path: path, Err: syscall.ENOTDIR}
	case err == nil || !errors.Is(err, fs.ErrNotExist):
		return err
	}
	parent := filepath.Dir(path)
	if err := MakeDir(d, parent, perm); err != nil {
		return err
	}
	if err := d.Mkdir(path, perm); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if err := d.SyncDir(parent); err != nil {
		// The next try must find it missing, so that it syncs the entry again.
		return errors.Join(err, d.Remove(path))
	}
	return nil
}

// SyncAbove syncs a directory and all those above it. An earlier process may have created any
// of them and ended before it synced the entry.
func SyncAbove(d Disk, path string) error {
	if resolved, err := filepath.EvalSymlinks(path); err == nil {
		path = resolved
	}
	if err := d.SyncDir(path); err != nil {
		return err
	}
	for dir := filepath.Dir(path); dir != path; path, dir = dir, filepath.Dir(dir) {
		// No such process has created a directory that this user may not open or no one may write to.
		if err := d.SyncDir(dir); err != nil && !errors.Is(err, fs.ErrPermission) && !errors.Is(err, syscall.EROFS) {
			return err
		}
	}
	return nil
}

// Unfinished ends the names of files that [ReplaceFile] has not renamed yet. One that a killed
// process left behind may be removed.
const Unfinished = ".unfinished"

// ReplaceFile gives a file new content by rename, so that it holds the old content or the new,
// also after a crash. Only its owner may read it. It is durable when ReplaceFile returns nil.
// After an error either content may be there.
func ReplaceFile(path string, content []byte) error {
	dir, name := filepath.Split(path)
	file, err := os.CreateTemp(filepath.Clean(dir+"."), name+".*"+Unfinished)
	if err != nil {
		return err
	}
	_, err = file.Write(content)
	if err = errors.Join(err, file.Sync(), file.Close()); err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(file.Name()))
	}
	return OS{}.SyncDir(filepath.Dir(path))
}
