package sealer

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/durable"
)

// Directory exports checkpoints as files. Mount a place there that the administrator of the
// database cannot write. A file is DIR/epoch-1/2026-11-28/00000000000000001234.checkpoint:
// the epoch, the day in UTC, and the size. A file appears whole or not at all, is never
// replaced, and is durable before Export returns.
//
// The directory must be there. A missing one, or one whose checkpoints are gone meanwhile, is an
// error: it was mistyped, or is not mounted, and a new one would be a place without protection.
// A checkpoint that differs only in what follows the first signature, such as the
// cosignatures of witnesses, is the same one: the file stays as it is.
func Directory(path string) Exporter {
	return &directory{path: path, now: time.Now, disk: durable.OS{}}
}

type directory struct {
	path string
	now  func() time.Time
	disk durable.Disk

	mu   sync.Mutex
	kept string // the directory that was made durable last, with those above it
	used bool   // it has held a checkpoint
}

const (
	epochPrefix      = "epoch-"
	checkpointSuffix = ".checkpoint"
	unfinishedSuffix = ".unfinished"
)

// Export implements [Exporter].
func (d *directory) Export(_ context.Context, epoch, size int64, signed []byte) error {
	if err := d.there(); err != nil {
		return err
	}
	day := d.now().UTC().Format(time.DateOnly)
	epochDir := filepath.Join(d.path, epochPrefix+strconv.FormatInt(epoch, 10))
	if last, err := lastName(epochDir, isDay); err != nil {
		return err
	} else if last > day {
		return fmt.Errorf("the clock says %s, and %s holds checkpoints of %s: set the clock right", day, epochDir, last)
	}
	dir := filepath.Join(epochDir, day)
	if err := d.keep(dir); err != nil {
		return fmt.Errorf("making the directory of checkpoints: %w", err)
	}
	if err := writeNew(filepath.Join(dir, fmt.Sprintf("%020d", size)+checkpointSuffix), signed); err != nil {
		return err
	}
	if err := d.disk.SyncDir(dir); err != nil {
		return fmt.Errorf("syncing the directory of checkpoints: %w", err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.used = true
	return nil
}

// there refuses a directory that is missing, or that has lost what it held, as an empty mount
// point has.
func (d *directory) there() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, err := os.Stat(d.path); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("the directory of checkpoints %s does not exist: mount it, or correct the path; for a new log, make it first", audit.Printable(d.path))
	}
	epoch, err := lastName(d.path, isEpoch)
	if err == nil && epoch == "" && d.used {
		return fmt.Errorf("the directory of checkpoints %s has lost all that it held: mount it again", audit.Printable(d.path))
	}
	d.used = d.used || epoch != ""
	return err
}

// keep makes a directory if it is missing, and makes it durable. A process that ended early
// may have made it, or one above it, and not have synced the entry.
func (d *directory) keep(dir string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, err := os.Stat(dir); err == nil && d.kept == dir {
		return nil
	}
	d.kept = ""
	if err := durable.MakeDir(d.disk, dir, 0o755); err != nil { // checkpoints are public
		return err
	}
	if err := durable.SyncAbove(d.disk, dir); err != nil {
		return err
	}
	d.kept = dir
	return nil
}

// Last implements [Exporter].
func (d *directory) Last(context.Context) ([]byte, error) {
	if err := d.there(); err != nil {
		return nil, err
	}
	path, err := lastFile(d.path, isEpoch, isDay, isCheckpoint)
	if err != nil || path == "" {
		return nil, err
	}
	signed, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading a checkpoint: %w", err)
	}
	return signed, nil
}

// lastFile returns the path of the last entry, below the last of each level, or "". A directory
// without an entry is passed over: an export made it, and ended before it wrote its file.
func lastFile(dir string, valid ...func(string) bool) (string, error) {
	names, err := sortedNames(dir, valid[0])
	if err != nil {
		return "", err
	}
	for _, name := range slices.Backward(names) {
		path := filepath.Join(dir, name)
		if len(valid) == 1 {
			return path, nil
		}
		if path, err = lastFile(path, valid[1:]...); err != nil || path != "" {
			return path, err
		}
	}
	return "", nil
}

// lastName returns the last entry of a directory, in the order of numbers, or "".
func lastName(dir string, valid func(string) bool) (string, error) {
	names, err := sortedNames(dir, valid)
	if err != nil || len(names) == 0 {
		return "", err
	}
	return names[len(names)-1], nil
}

// sortedNames returns the entries of a directory in the order of numbers.
func sortedNames(dir string, valid func(string) bool) (names []string, err error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the directory of checkpoints: %w", err)
	}
	for _, entry := range entries {
		if valid(entry.Name()) {
			names = append(names, entry.Name())
		}
	}
	// A longer number is a higher one; days and sizes have one length each.
	slices.SortFunc(names, func(a, b string) int { return cmp.Or(cmp.Compare(len(a), len(b)), strings.Compare(a, b)) })
	return names, nil
}

func isEpoch(name string) bool {
	number, found := strings.CutPrefix(name, epochPrefix)
	n, err := strconv.ParseInt(number, 10, 64)
	return found && err == nil && n >= 1 && strconv.FormatInt(n, 10) == number
}

func isDay(name string) bool {
	_, err := time.Parse(time.DateOnly, name)
	return err == nil
}

func isCheckpoint(name string) bool {
	number, found := strings.CutSuffix(name, checkpointSuffix)
	_, err := strconv.ParseInt(number, 10, 64)
	return found && err == nil && len(number) == 20
}

// writeNew writes a file that must not exist with other content. A link is exclusive, and
// gives the name only to a finished file.
func writeNew(path string, content []byte) error {
	file, err := os.CreateTemp(filepath.Dir(path), "*"+unfinishedSuffix)
	if err != nil {
		return fmt.Errorf("writing a checkpoint: %w", err)
	}
	defer func() { _ = os.Remove(file.Name()) }() // its content is in the linked file
	_, err = file.Write(content)
	err = errors.Join(err, file.Chmod(0o644), file.Sync(), file.Close())
	if err != nil {
		return fmt.Errorf("writing a checkpoint: %w", err)
	}
	if err := os.Link(file.Name(), path); err != nil {
		if !errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("writing a checkpoint: %w", err)
		}
		there, err := os.ReadFile(path)
		if err != nil {
			return fmt.Errorf("reading a checkpoint: %w", err)
		}
		if !bytes.Equal(signedHead(there), signedHead(content)) {
			return fmt.Errorf("%s holds another checkpoint of this size: %w", path, ErrForked)
		}
	}
	return nil
}

// signedHead returns a checkpoint through its first signature, which is the log's.
func signedHead(note []byte) []byte {
	text, signatures, _ := bytes.Cut(note, []byte("\n\n"))
	first, _, complete := bytes.Cut(signatures, []byte("\n"))
	if !complete {
		return note
	}
	return note[:len(text)+len(first)+len("\n\n\n")]
}
