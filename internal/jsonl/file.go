package jsonl

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"time"

	"github.com/hoc-analytics/coordaudit/internal/durable"
)

// File takes its name only once it is complete and on disk, so that no one takes half of
// it for the whole. Until then a file of that name stays as it is.
type File struct {
	Path string
	temp *os.File
	out  *bufio.Writer
}

// Create begins a file of a kind, that only its owner may read, because only those who may
// read the trail may read its content. It refuses a name at which a file of another kind is.
func Create(path string, own Kind) (*File, error) {
	path, err := BehindLinks(path)
	if err != nil {
		return nil, err
	}
	if err := mayReplace(path, own); err != nil {
		return nil, err
	}
	sweepParts(path)
	temp, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*.part") // mode 0600
	if err != nil {
		return nil, err
	}
	_ = holdPart(temp) // if it cannot be locked, its age protects it
	return &File{Path: path, temp: temp, out: bufio.NewWriterSize(temp, 1<<16)}, nil
}

// partAge is how long ago a part must have been written last before it counts as left
// behind by a killed process.
const partAge = time.Hour

// sweepParts removes what killed processes left of this file: parts that no process has
// locked or written to for an hour. A failure leaves them where they are.
func sweepParts(path string) {
	directory, base := filepath.Split(path)
	own := regexp.MustCompile(`^\.` + regexp.QuoteMeta(base) + `\.[0-9]+\.part$`)
	entries, err := os.ReadDir(filepath.Clean(directory + "."))
	if err != nil {
		return
	}
	for _, entry := range entries {
		info, err := entry.Info()
		if err != nil || !own.MatchString(entry.Name()) || !info.Mode().IsRegular() || time.Since(info.ModTime()) < partAge {
			continue
		}
		part, err := os.OpenFile(filepath.Join(directory, entry.Name()), os.O_RDWR, 0)
		if err != nil {
			continue
		}
		if held := holdPart(part); held == nil {
			_ = os.Remove(part.Name())
		}
		_ = part.Close()
	}
}

// Write implements io.Writer.
func (f *File) Write(text []byte) (int, error) { return f.out.Write(text) }

// Complete writes all of the file to the disk.
func (f *File) Complete() error {
	return errors.Join(f.out.Flush(), f.temp.Sync(), f.temp.Close())
}

// Publish gives a complete file its name.
func (f *File) Publish() error {
	if err := os.Rename(f.temp.Name(), f.Path); err != nil {
		return err
	}
	if err := (durable.OS{}).SyncDir(filepath.Dir(f.Path)); err != nil {
		return fmt.Errorf("syncing its directory: %w", err)
	}
	return nil
}

// Discard removes a file that was not published.
func (f *File) Discard() {
	_ = f.temp.Close()
	_ = os.Remove(f.temp.Name())
}
