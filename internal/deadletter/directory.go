package deadletter

import (
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"

	"github.com/hoc-analytics/coordaudit/audit"
)

// ErrFull says that what was to be written would take the directory beyond
// [Config].MaxBytes. Nothing of it was written.
var ErrFull = errors.New("dead-letter directory is full")

const (
	defaultSegmentBytes = 16 << 20

	lockName     = "lock"
	tornName     = "torn"
	rejectedName = "rejected"
	gapsName     = "gaps.jsonl"
)

// Config sets where and how much.
type Config struct {
	// Path is the directory. It is made, for this user alone, if it is missing.
	// Required.
	Path string

	// SegmentBytes is the size beyond which a segment is begun anew. One Append stays
	// in one segment, so that a large one may exceed it. Defaults to 16 MiB.
	SegmentBytes int64

	// MaxBytes bounds all segments together, and all of the directory rejected: what
	// would exceed it fails with [ErrFull]. Defaults to no bound.
	MaxBytes int64
}

// Directory is an open dead-letter directory. Its methods are safe for concurrent
// use. Bytes and Empty never wait for the disk.
type Directory struct {
	path    string
	config  Config
	release func() error
	create  func(path string) (file, error)
	rejects rejects
	gaps    gaps

	// bytes is the size of the segments on disk.
	bytes atomic.Int64

	// writing is held by Append, taking by Next, sweeping while segments are removed:
	// each for as long as the disk takes. Who needs several locks them in this order.
	writing, taking, sweeping sync.Mutex

	// number is the next segment's. writing guards it.
	number int64

	// mu guards what follows and the segments' own state. No file is touched under it,
	// so that a disk that hangs cannot keep Empty waiting.
	mu       sync.Mutex
	closed   bool
	segments []*segment // that hold what is not done, oldest first
	active   *segment   // the last of segments, if Append goes on with it
	finished []*segment // to be removed
}

// Open opens the directory and looks at what an earlier process left in it, in time
// that grows with its size (about 1 s per GiB) and in constant memory. A torn, damaged
// or unreadable file is never a reason not to open: [Found] tells of it. The error
// matches [audit.ErrDirectoryInUse] if the directory is open already, in this process
// or in another one.
func Open(config Config) (*Directory, Found, error) {
	d, found, err := open(config)
	if err != nil {
		return nil, Found{}, fmt.Errorf("opening the dead-letter directory %q: %w", config.Path, err)
	}
	return d, found, nil
}

func open(config Config) (*Directory, Found, error) {
	if config.Path == "" {
		return nil, Found{}, errors.New("no path given")
	}
	if config.SegmentBytes <= 0 {
		config.SegmentBytes = defaultSegmentBytes
	}
	path, err := filepath.Abs(config.Path) // the process may change its directory later
	if err != nil {
		return nil, Found{}, err
	}
	if err := makeDir(path); err != nil {
		return nil, Found{}, err
	}
	release, err := lockFile(filepath.Join(path, lockName))
	if err != nil {
		return nil, Found{}, err
	}
	d := &Directory{path: path, config: config, release: release, create: createFile}
	d.rejects = rejects{dir: filepath.Join(path, rejectedName), config: config}
	d.gaps = gaps{dir: path, torn: filepath.Join(path, tornName)}
	found, err := d.scan()
	if err != nil {
		return nil, Found{}, errors.Join(err, release())
	}
	return d, found, nil
}

// Bytes returns the size of the segments on disk, in bytes.
func (d *Directory) Bytes() int64 { return d.bytes.Load() }

// Empty reports whether no record is left to take and none is taken and not done.
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

// Close waits for the calls that are under way and gives the directory up. What was
// not done stays there and is found by the next Open. Later calls fail with
// [audit.ErrClosed]; a second Close does nothing.
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
	err := errors.Join(d.sealActive(), d.removeFinished(), d.rejects.close(), d.gaps.close(), d.release())
	if err != nil {
		return fmt.Errorf("closing the dead-letter directory: %w", err)
	}
	return nil
}

// sealActive ends the active segment. One that nothing was written to is removed.
func (d *Directory) sealActive() error {
	d.mu.Lock()
	var unused file
	if d.active != nil {
		seg := d.active
		unused = d.seal(seg)
		d.settle(seg)
	}
	d.mu.Unlock()
	return closeFile(unused)
}

// usable says why not. mu is held.
func (d *Directory) usable() error {
	if d.closed {
		return audit.ErrClosed
	}
	return nil
}
