package spool

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Inspection is what a look from outside sees of a spool.
type Inspection struct {
	// Waiting are the segments of records that are not stored yet, Rejected the records that
	// the database has refused, Torn the ends that a crash cut off, and Later the records of a
	// newer release.
	Waiting, Rejected, Torn, Later Files

	// Gaps and Statements are the accounts that are not stored yet.
	Gaps, Statements Files

	// Foreign are the names of files that look like segments and are not.
	Foreign []string

	// Mode is that of the directory. Others may not enter it.
	Mode fs.FileMode
}

// Files sums up files that are not empty.
type Files struct {
	Number int
	Bytes  int64
	Oldest time.Time // the last change of the one that was not changed for the longest
}

func (f *Files) add(info fs.FileInfo) {
	if !info.Mode().IsRegular() || info.Size() == 0 {
		return
	}
	f.Number++
	f.Bytes += info.Size()
	if f.Oldest.IsZero() || info.ModTime().Before(f.Oldest) {
		f.Oldest = info.ModTime()
	}
}

// Inspect looks at a spool without opening it: it takes no lock, reads no record and changes
// nothing, so a Recorder may be at work there.
func Inspect(path string) (Inspection, error) {
	in, err := inspect(path)
	if err != nil {
		return Inspection{}, fmt.Errorf("inspecting the spool %q: %w", path, err)
	}
	return in, nil
}

func inspect(path string) (in Inspection, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return in, err
	}
	in.Mode = info.Mode()
	err = each(path, func(name string, info fs.FileInfo) {
		_, numbered := numberOf(name)
		switch {
		case name == gapsName:
			in.Gaps.add(info)
		case name == statementsName:
			in.Statements.add(info)
		case numbered:
			in.Waiting.add(info)
		case strings.HasSuffix(name, lineFileSuffix):
			in.Foreign = append(in.Foreign, name)
		}
	})
	for name, files := range map[string]*Files{rejectedName: &in.Rejected, tornName: &in.Torn, laterName: &in.Later} {
		sub := each(filepath.Join(path, name), func(_ string, info fs.FileInfo) { files.add(info) })
		if !errors.Is(sub, fs.ErrNotExist) {
			err = errors.Join(err, sub)
		}
	}
	return in, err
}

// each leaves out what is removed meanwhile.
func each(dir string, take func(name string, info fs.FileInfo)) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		info, err := entry.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		take(entry.Name(), info)
	}
	return nil
}
