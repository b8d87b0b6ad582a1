package spool

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/hoc-analytics/coordaudit/audit"
)

// laterName is the directory of lines that a newer release wrote. Each Open takes them up
// again, in case it is of a release that can read them.
const laterName = "later"

// KeepForLater keeps lines that a newer release wrote. When it returns nil, all of them are
// on disk. Their segment may go then.
func (d *Directory) KeepForLater(lines []BadLine) error {
	if len(lines) == 0 {
		return nil
	}
	var text bytes.Buffer
	for i := range lines {
		text.Write(lines[i].line)
		text.WriteByte('\n')
	}
	if err := d.keepForLater(text.Bytes()); err != nil {
		return fmt.Errorf("keeping records of a newer release: %w", err)
	}
	return nil
}

func (d *Directory) keepForLater(text []byte) error {
	d.writing.Lock()
	defer d.writing.Unlock()
	d.mu.Lock()
	err := d.usable()
	d.mu.Unlock()
	if err != nil {
		return err
	}
	dir := filepath.Join(d.path, laterName)
	if err := makeDir(d.disk, dir); err != nil {
		return err
	}
	made, _, err := createNumbered(d.disk, dir, 1)
	if err != nil {
		return err
	}
	return errors.Join(made.append(text), made.file.Close())
}

// takeUpLater makes segments of the files that were kept for later. Nothing else runs
// meanwhile.
func (d *Directory) takeUpLater(found *Found) {
	dir := filepath.Join(d.path, laterName)
	entries, err := d.disk.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		found.unreadable(dir, err)
	}
	for _, entry := range entries {
		if _, ok := numberOf(entry.Name()); !ok {
			continue
		}
		from, to := filepath.Join(dir, entry.Name()), filepath.Join(d.path, numberedName(d.number))
		if err := d.disk.Rename(from, to); err != nil {
			found.unreadable(from, err)
			continue
		}
		d.number++
		if err := errors.Join(d.disk.SyncDir(d.path), d.disk.SyncDir(dir)); err != nil {
			found.unreadable(from, err)
		}
		d.takeUp(to, found)
	}
}

// SplitNewer separates the lines that a newer release wrote from those that are damaged.
func SplitNewer(lines []BadLine) (newer, damaged []BadLine) {
	for _, line := range lines {
		if line.newer {
			newer = append(newer, line)
		} else {
			damaged = append(damaged, line)
		}
	}
	return newer, damaged
}

// isNewer reports whether a newer release wrote a line, as its error says.
func isNewer(err error) bool { return errors.Is(err, audit.ErrNewerFormat) }
