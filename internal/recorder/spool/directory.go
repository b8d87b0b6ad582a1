package spool

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/durable"
)

// ErrFull means that a write would exceed [Config].MaxBytes. Nothing was written.
var ErrFull = errors.New("spool is full")

var errClosed = fmt.Errorf("the spool is %w", audit.ErrClosed)

const (
	defaultSegmentBytes = 16 << 20

	lockName     = "lock"
	tornName     = "torn"
	rejectedName = "rejected"
	gapsName     = "gaps.jsonl"

	statementsName = "statements.jsonl"
)

// Config sets where the spool is and how large it may grow.
type Config struct {
	// Path is the directory. It is created if it is missing, for this user alone. Required.
	Path string

	// SegmentBytes is the size beyond which a new segment begins. One Append stays in one
	// segment, so a large one may exceed it. Defaults to 16 MiB.
	SegmentBytes int64

	// MaxBytes bounds all segments together, and separately all files of the directory
	// rejected. A write that would exceed it fails with [ErrFull]. Defaults to no bound.
	MaxBytes int64
}

// Directory is an open spool. Its methods are safe for concurrent use. Bytes and Empty never
// wait for the disk.
type Directory struct {
	path    string
	config  Config
	lock    *lock
	place   fs.FileInfo // the directory that holds the lock; writing guards it and lock
	disk    disk
	rejects rejects
	gaps    sideFile

	statements sideFile

	// bytes is the size of the segments on disk.
	bytes atomic.Int64

	// Append holds writing, Next holds taking, and the removal of segments holds sweeping,
	// each for as long as the disk takes. Lock several of them in this order.
	writing, taking, sweeping sync.Mutex

	// number is that of the next segment. writing guards it.
	number int64

	// mu guards what follows and the segments' own state. No file is touched under it, so
	// that Empty does not wait for a disk that hangs.
	mu       sync.Mutex
	closed   bool
	segments []*segment // not done, oldest first
	active   *segment   // the last of segments, if Append continues it
	finished []*segment // to be removed
}

// Open opens the spool and scans what an earlier process left in it. The scan takes about 1 s
// per GiB, and constant memory. A torn, damaged or unreadable file does not prevent the
// opening: [Found] lists it. The error matches [audit.ErrDirectoryInUse] if this process or
// another one has the directory open already.
func Open(config Config) (*Directory, Found, error) {
	d, found, err := open(osDisk{}, config)
	if err != nil {
		return nil, Found{}, fmt.Errorf("opening the spool %q: %w", config.Path, err)
	}
	return d, found, nil
}

func open(disk disk, config Config) (*Directory, Found, error) {
	if config.Path == "" {
		return nil, Found{}, errors.New("no path given")
	}
	if config.SegmentBytes <= 0 {
		config.SegmentBytes = defaultSegmentBytes
	}
	path, err := filepath.Abs(config.Path) // the process may change its working directory later
	if err != nil {
		return nil, Found{}, err
	}
	if err := makeDir(disk, path); err != nil {
		return nil, Found{}, err
	}
	if err := durable.SyncAbove(disk, path); err != nil {
		return nil, Found{}, err
	}
	locked, err := takeLock(path)
	if err != nil {
		return nil, Found{}, err
	}
	d := &Directory{path: path, config: config, lock: locked, disk: disk}
	d.rejects = rejects{disk: disk, dir: filepath.Join(path, rejectedName), config: config}
	d.gaps = sideFile{disk: disk, dir: path, torn: filepath.Join(path, tornName), name: gapsName, holds: "gaps"}
	d.statements = sideFile{disk: disk, dir: path, torn: filepath.Join(path, tornName), name: statementsName, holds: "statements"}
	var found Found
	d.place, err = os.Stat(path)
	if err == nil {
		found, err = d.scan()
	}
	if err != nil {
		return nil, Found{}, errors.Join(err, locked.release())
	}
	return d, found, nil
}

// Bytes returns the size of the segments on disk, in bytes.
func (d *Directory) Bytes() int64 { return d.bytes.Load() }

// Empty reports whether there is no record to take, and none that was taken and is not done.
// Segments that cannot be read do not count.
func (d *Directory) Empty() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, seg := range d.segments {
		if seg.out > 0 || seg.hasMore() {
			return false
		}
	}
	return true
}

// Close waits for the calls in progress and releases the directory. Records that are not done
// stay there, and the next Open finds them. Later calls fail with [audit.ErrClosed]. A second
// Close does nothing.
func (d *Directory) Close() error {
	d.mu.Lock()
	closed := d.closed
	d.closed = true
	d.mu.Unlock()
	if closed {
		return nil
	}
	for _, lock := range []*sync.Mutex{&d.writing, &d.taking, &d.sweeping} {
		lock.Lock()
		defer lock.Unlock()
	}
	err := errors.Join(d.sealActive(), d.removeFinished(), d.rejects.close(), d.gaps.close(), d.statements.close(), d.lock.release())
	if err != nil {
		return fmt.Errorf("closing the spool: %w", err)
	}
	return nil
}

// sealActive ends the active segment, and removes it if it is empty.
func (d *Directory) sealActive() error {
	d.mu.Lock()
	var unused file
	if d.active != nil {
		seg := d.active
		unused = d.seal(seg)
		d.retire(seg)
	}
	d.mu.Unlock()
	return closeFile(unused)
}

// usable returns an error if the directory is closed. The caller holds mu.
func (d *Directory) usable() error {
	if d.closed {
		return errClosed
	}
	return nil
}
