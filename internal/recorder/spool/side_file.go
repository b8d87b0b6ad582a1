package spool

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

// sideFile is a file of lines next to the segments: the gaps, or the statements.
type sideFile struct {
	disk      disk
	dir, torn string
	name      string
	holds     string // what its lines are, for errors

	mu     sync.Mutex
	closed bool

	// damaged means that the file has lines of another kind, so it must not be removed.
	damaged bool
}

func (f *sideFile) path() string { return filepath.Join(f.dir, f.name) }

func (f *sideFile) save(text []byte) (err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return errClosed
	}
	out, err := f.disk.OpenFile(f.path(), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		out, err = openRegular(f.disk, f.path(), os.O_RDWR)
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	info, err := out.Stat()
	if err != nil {
		return err
	}
	size := info.Size()
	if torn, err := endsTorn(out, size); err != nil {
		return err
	} else if torn {
		text = slices.Insert(text, 0, '\n')
	}
	lines := lineFile{disk: f.disk, file: out, path: f.path(), size: size}
	return lines.append(text)
}

func endsTorn(in io.ReaderAt, size int64) (bool, error) {
	if size == 0 {
		return false, nil
	}
	var last [1]byte
	_, err := in.ReadAt(last[:], size-1)
	return last[0] != '\n', err
}

func (f *sideFile) forget() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return errClosed
	}
	info, err := f.disk.Lstat(f.path())
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return nil // it is not ours, and SaveGap saves nothing to it
	case f.damaged:
		err = f.setAside()
	default:
		err = f.disk.Remove(f.path())
	}
	if err != nil {
		return err
	}
	f.damaged = false
	return f.disk.SyncDir(f.dir)
}

// setAside moves the file to the first free name in torn.
func (f *sideFile) setAside() error {
	if err := makeDir(f.disk, f.torn); err != nil {
		return err
	}
	for n := 1; ; n++ {
		path := filepath.Join(f.torn, fmt.Sprintf("%s-%d%s", strings.TrimSuffix(f.name, lineFileSuffix), n, lineFileSuffix))
		if _, err := f.disk.Lstat(path); err == nil {
			continue
		} else if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return errors.Join(f.disk.Rename(f.path(), path), f.disk.SyncDir(f.torn))
	}
}

// scan passes each line to take, and does not change the file.
func (f *sideFile) scan(found *Found, take func(line) error) {
	err := f.read(take)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	if err != nil {
		f.damaged = true
		found.unreadable(f.path(), err)
	}
}

func (f *sideFile) read(take func(line) error) (err error) {
	in, err := openRegular(f.disk, f.path(), os.O_RDONLY)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	lines := newLineReader(in)
	var bad int
	var first error
	for number := 1; ; number++ {
		line, err := lines.next()
		if errors.Is(err, io.EOF) {
			break
		}
		atEnd := err != nil
		if !atEnd {
			err = take(line)
		}
		if err == nil {
			continue
		}
		if bad++; first == nil {
			first = fmt.Errorf("line %d: %w", number, err)
		}
		if atEnd {
			break
		}
	}
	if bad > 0 {
		return fmt.Errorf("%d of its lines are not %s, the first is %w", bad, f.holds, first)
	}
	return nil
}

// decode reads a line that [sideFile.save] wrote.
func (l line) decode(saved any) error {
	if l.tooLong() {
		return fmt.Errorf("is %d bytes long, at most %d are allowed", l.size-1, maxLine)
	}
	text, _, intact := cutChecksum(l.text)
	if !intact {
		return errDamaged
	}
	return json.Unmarshal(text, saved)
}

func (f *sideFile) close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	return nil
}
