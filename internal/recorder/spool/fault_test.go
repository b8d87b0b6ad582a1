package spool_test

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/recorder/spool"
)

var errDisk = errors.New("the disk fails")

// faults are what fails next on the disk.
type faults struct {
	write, sync, cut bool
	hang             chan struct{} // closed to continue
	hanging          chan struct{} // closed when an fsync hangs
}

type faultyFile struct {
	spool.File
	faults *faults
}

// WriteAt writes half of the bytes if it fails.
func (f faultyFile) WriteAt(b []byte, at int64) (int, error) {
	if !f.faults.write {
		return f.File.WriteAt(b, at)
	}
	n, _ := f.File.WriteAt(b[:len(b)/2], at)
	return n, errDisk
}

func (f faultyFile) Sync() error {
	if f.faults.hang != nil {
		close(f.faults.hanging)
		<-f.faults.hang
	}
	if f.faults.sync {
		return errDisk
	}
	return f.File.Sync()
}

func (f faultyFile) Truncate(size int64) error {
	if f.faults.cut {
		return errDisk
	}
	return f.File.Truncate(size)
}

func openFaulty(t *testing.T, config spool.Config) (*spool.Directory, *faults) {
	t.Helper()
	d, _ := open(t, config)
	disk := &faults{}
	spool.SetCreate(d, func(file spool.File) spool.File { return faultyFile{file, disk} })
	return d, disk
}

func TestFailedAppend(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		disk     faults
		segments int // of the successful Appends
		torn     bool
		replayed bool // the next Open may give the records
	}{
		"Write":                 {disk: faults{write: true}, segments: 1},
		"WriteAndCuttingOff":    {disk: faults{write: true, cut: true}, segments: 2, torn: true, replayed: true},
		"Fsync":                 {disk: faults{sync: true}, segments: 2},
		"FsyncAndTheCuttingOff": {disk: faults{sync: true, cut: true}, segments: 2, replayed: true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			config := spool.Config{Path: t.TempDir()}
			d, disk := openFaulty(t, config)
			want := records(0, 20)
			appendAll(t, d, want[:5])
			*disk = test.disk
			if err := d.Append(records(100, 105)); !errors.Is(err, errDisk) {
				t.Fatalf("Append() = %v", err)
			}
			*disk = faults{}
			appendAll(t, d, want[5:15])
			appendAll(t, d, want[15:])
			paths := segments(t, config.Path)
			if len(paths) != test.segments {
				t.Errorf("segments: %v", paths)
			}
			var size int64
			for _, path := range paths {
				size += int64(len(read(t, path)))
			}
			if d.Bytes() != size {
				t.Errorf("Bytes() = %d, on disk are %d", d.Bytes(), size)
			}
			var got []audit.Record // not done
			for batch := next(t, d, 0); batch != nil; batch = next(t, d, 0) {
				got = append(got, batch.Records...)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("records (-want +got):\n%s", diff)
			}
			shut(t, d)

			reopened, found := open(t, config)
			if torn := len(found.Torn) > 0; torn != test.torn {
				t.Errorf("torn: %+v", found.Torn)
			}
			again, bad := drain(t, reopened, 0)
			if len(bad) > 0 || len(again) < len(want) || len(again) > len(want) && !test.replayed {
				t.Errorf("after a reopening: %d records, %d bad lines", len(again), len(bad))
			}
		})
	}
}

func TestFirstFsyncFails(t *testing.T) {
	t.Parallel()
	config := spool.Config{Path: t.TempDir()}
	d, disk := openFaulty(t, config)
	disk.sync, disk.cut = true, true
	if err := d.Append(records(0, 1)); !errors.Is(err, errDisk) {
		t.Fatalf("Append() = %v", err)
	}
	if left := segments(t, config.Path); len(left) > 0 || !d.Empty() || d.Bytes() != 0 {
		t.Errorf("left are %v; Empty() = %v, Bytes() = %d", left, d.Empty(), d.Bytes())
	}
}

func TestHangingDisk(t *testing.T) {
	t.Parallel()
	config := spool.Config{Path: t.TempDir()}
	d, disk := openFaulty(t, config)
	want := records(0, 4)
	appendAll(t, d, want[:2])
	before := d.Bytes()
	disk.hang, disk.hanging = make(chan struct{}), make(chan struct{})
	appended := make(chan error, 1)
	go func() { appended <- d.Append(want[2:]) }()
	<-disk.hanging

	others := make(chan error, 1)
	go func() { others <- allButAppend(d, before, want[:2]) }()
	select {
	case err := <-others:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(30 * time.Second):
		close(disk.hang)
		t.Fatal("the other calls wait for the disk too")
	}
	if len(segments(t, config.Path)) != 1 {
		t.Error("the segment is gone while an Append to it is in progress")
	}
	close(disk.hang)
	if err := <-appended; err != nil {
		t.Fatal(err)
	}
	disk.hang = nil
	got, _ := drain(t, d, 0)
	if diff := cmp.Diff(want[2:], got); diff != "" {
		t.Errorf("records (-want +got):\n%s", diff)
	}
	appendAll(t, d, want[:1])
	if path := segments(t, config.Path)[0]; !strings.HasSuffix(path, "0000000002.jsonl") {
		t.Errorf("%s should be sealed", path)
	}
}

// allButAppend calls the other methods, with these records in the spool.
func allButAppend(d *spool.Directory, size int64, want []audit.Record) error {
	if d.Empty() || d.Bytes() != size {
		return fmt.Errorf("Empty() = %v, Bytes() = %d", d.Empty(), d.Bytes())
	}
	batch, err := d.Next(0)
	if err != nil {
		return err
	}
	if diff := cmp.Diff(want, batch.Records); diff != "" {
		return fmt.Errorf("records (-want +got):\n%s", diff)
	}
	return errors.Join(d.Done(batch), d.Reject(&want[0], "no", ""))
}

// countingDisk counts the files that are open, and fails to read one of them.
type countingDisk struct {
	spool.OSDisk
	open       *atomic.Int64
	unreadable string
}

func (d countingDisk) OpenFile(path string, flag int, perm fs.FileMode) (spool.File, error) {
	opened, err := d.OSDisk.OpenFile(path, flag, perm)
	if err != nil {
		return nil, err
	}
	d.open.Add(1)
	return countedFile{File: opened, open: d.open, fails: path == d.unreadable}, nil
}

type countedFile struct {
	spool.File
	open  *atomic.Int64
	fails bool
}

func (f countedFile) Read(b []byte) (int, error) {
	if f.fails {
		return 0, errDisk
	}
	return f.File.Read(b)
}

func (f countedFile) Close() error {
	f.open.Add(-1)
	return f.File.Close()
}

func TestFilesAreClosed(t *testing.T) {
	t.Parallel()
	config, path := prepared(t, records(0, 5))
	appendTo(t, path, `{"torn`)
	var files atomic.Int64
	d, _, err := spool.OpenOn(countingDisk{open: &files}, config)
	if err != nil {
		t.Fatal(err)
	}
	if n := files.Load(); n != 0 {
		t.Errorf("%d files are open after Open", n)
	}
	appendAll(t, d, records(5, 10))
	saveAll(t, d, gap(1))
	rec := record(1)
	if err := d.Reject(&rec, "no", ""); err != nil {
		t.Fatal(err)
	}
	drain(t, d, 2)
	shut(t, d)
	if n := files.Load(); n != 0 {
		t.Errorf("%d files are open after Close", n)
	}
}

func TestUnreadableSegment(t *testing.T) {
	t.Parallel()
	config, path := prepared(t, records(0, 5))
	var files atomic.Int64
	d, found, err := spool.OpenOn(countingDisk{open: &files, unreadable: path}, config)
	if err != nil {
		t.Fatal(err)
	}
	defer shut(t, d)
	if len(found.Unreadable) != 1 || !errors.Is(found.Unreadable[0], errDisk) || len(found.Records) > 0 || !d.Empty() {
		t.Errorf("found %+v, Empty() = %v", found, d.Empty())
	}
	if int64(len(read(t, path))) != d.Bytes() {
		t.Errorf("Bytes() = %d, want the size of the unreadable file", d.Bytes())
	}
}

func TestFailedAppendAfterDone(t *testing.T) {
	t.Parallel()
	config := spool.Config{Path: t.TempDir()}
	d, disk := openFaulty(t, config)
	appendAll(t, d, records(0, 2))
	disk.hang, disk.hanging, disk.sync = make(chan struct{}), make(chan struct{}), true
	failed := make(chan error)
	go func() { failed <- d.Append(records(2, 4)) }()
	<-disk.hanging
	done(t, d, next(t, d, 0))
	close(disk.hang)
	if err := <-failed; !errors.Is(err, errDisk) {
		t.Errorf("Append() = %v", err)
	}
	if left := segments(t, config.Path); len(left) > 0 || !d.Empty() || d.Bytes() != 0 {
		t.Errorf("left are %v; Empty() = %v, Bytes() = %d", left, d.Empty(), d.Bytes())
	}
}

// Check looks at the other segments while a disk hangs in an Append, which looks at its own.
func TestCheckDoesNotWaitForAppend(t *testing.T) {
	t.Parallel()
	for _, before := range []int{0, 2} { // the Append begins a segment, or continues one
		config := spool.Config{Path: t.TempDir()}
		d, disk := openFaulty(t, config)
		appendAll(t, d, records(0, before))
		disk.hang, disk.hanging = make(chan struct{}), make(chan struct{})
		appended, checked := make(chan error, 1), make(chan int64, 1)
		go func() { appended <- d.Append(records(2, 4)) }()
		<-disk.hanging
		remove(t, segments(t, config.Path)[0])
		go func() { checked <- lostIn(d.Check()) }()
		select {
		case lost := <-checked:
			if lost != 0 {
				t.Errorf("%d records are reported as lost", lost)
			}
		case <-time.After(30 * time.Second):
			t.Error("Check waits for the Append")
		}
		close(disk.hang)
		if err := <-appended; !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("Append() = %v, want ErrNotExist", err)
		}
		if lost := lostIn(d.Check()); lost != int64(before) {
			t.Errorf("%d records are reported as lost, want %d", lost, before)
		}
	}
}

// A process that has no file descriptor left, for a moment, loses no segment by that.
func TestNoDescriptorIsTemporary(t *testing.T) {
	t.Parallel()
	config, _ := prepared(t, records(0, 3))
	disk := &scarceDisk{}
	d, _, err := spool.OpenOn(disk, config)
	if err != nil {
		t.Fatal(err)
	}
	defer shut(t, d)
	disk.scarce.Store(true)
	if _, err := d.Next(0); !errors.Is(err, syscall.EMFILE) || errors.As(err, new(*spool.UnreadableError)) {
		t.Errorf("Next() = %v, want an error that is temporary", err)
	}
	disk.scarce.Store(false)
	if got, _ := drain(t, d, 0); len(got) != 3 {
		t.Errorf("%d records of 3", len(got))
	}
}

// scarceDisk has no file descriptor at times.
type scarceDisk struct {
	spool.OSDisk
	scarce atomic.Bool
}

func (d *scarceDisk) OpenFile(path string, flag int, perm fs.FileMode) (spool.File, error) {
	if d.scarce.Load() {
		return nil, &fs.PathError{Op: "open", Path: path, Err: syscall.EMFILE}
	}
	return d.OSDisk.OpenFile(path, flag, perm)
}

// However a segment ends, its file is closed at once, so that a long life needs few descriptors.
func TestEachSegmentIsClosed(t *testing.T) {
	t.Parallel()
	var files atomic.Int64
	config := spool.Config{Path: t.TempDir(), SegmentBytes: 1}
	d, _, err := spool.OpenOn(countingDisk{open: &files}, config)
	if err != nil {
		t.Fatal(err)
	}
	defer shut(t, d)
	want := func(open int64, when string) {
		t.Helper()
		if n := files.Load(); n != open {
			t.Errorf("%d files are open %s, want %d", n, when, open)
		}
	}
	for n := range 3 {
		appendAll(t, d, records(n, n+1))
		want(1, "after an Append")
	}
	for range 3 {
		done(t, d, next(t, d, 0))
	}
	want(0, "after all segments were taken")
	appendAll(t, d, records(3, 4))
	remove(t, segments(t, config.Path)[0])
	if lost := lostIn(d.Check()); lost != 1 {
		t.Errorf("%d records are lost, want 1", lost)
	}
	want(0, "after the segment has gone")
}

// The file of a failed Append is given up, and closed.
func TestBrokenSegmentIsClosed(t *testing.T) {
	t.Parallel()
	var files atomic.Int64
	config := spool.Config{Path: t.TempDir()}
	d, _, err := spool.OpenOn(countingDisk{open: &files}, config)
	if err != nil {
		t.Fatal(err)
	}
	defer shut(t, d)
	appendAll(t, d, records(0, 1))
	remove(t, segments(t, config.Path)[0])
	if err := d.Append(records(1, 2)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Append() = %v, want ErrNotExist", err)
	}
	if n := files.Load(); n != 0 {
		t.Errorf("%d files are open, want none", n)
	}
}

// A record that has no JSON form is refused as a whole group, and nothing is written.
func TestRecordWithoutJSON(t *testing.T) {
	t.Parallel()
	config := spool.Config{Path: t.TempDir()}
	d, _ := open(t, config)
	recs := records(0, 2)
	recs[1].Details = "{"
	if err := d.Append(recs); err == nil || d.Bytes() != 0 || !d.Empty() {
		t.Errorf("Append() = %v, Bytes() = %d, Empty() = %v", err, d.Bytes(), d.Empty())
	}
	kept, err := d.RejectAll([]spool.Rejection{{Record: &recs[0], Err: errDisk}, {Record: &recs[1], Err: errDisk}})
	if lines := rejects(t, config.Path); kept != 1 || err == nil || len(lines) != 1 {
		t.Errorf("RejectAll() = %d, %v with %d lines, want the first record alone", kept, err, len(lines))
	}
}

// A segment that never held a record does not outlive its process.
func TestFailedFirstAppendLeavesNoFile(t *testing.T) {
	t.Parallel()
	config := spool.Config{Path: t.TempDir()}
	d, disk := openFaulty(t, config)
	disk.write = true
	if err := d.Append(records(0, 2)); !errors.Is(err, errDisk) {
		t.Fatalf("Append() = %v", err)
	}
	shut(t, d)
	if left := segments(t, config.Path); len(left) > 0 || d.Bytes() != 0 {
		t.Errorf("left are %v, Bytes() = %d", left, d.Bytes())
	}
}

// A new segment that cannot be examined takes no record, and leaves no file.
func TestUnexaminedSegment(t *testing.T) {
	t.Parallel()
	config := spool.Config{Path: t.TempDir()}
	d, _ := open(t, config)
	fails := true
	spool.SetCreate(d, func(file spool.File) spool.File { return unexamined{file, &fails} })
	if err := d.Append(records(0, 2)); !errors.Is(err, errDisk) || len(segments(t, config.Path)) > 0 || d.Bytes() != 0 {
		t.Errorf("Append() = %v, left are %v, Bytes() = %d", err, segments(t, config.Path), d.Bytes())
	}
	fails = false
	appendAll(t, d, records(0, 2))
}

type unexamined struct {
	spool.File
	fails *bool
}

func (f unexamined) Stat() (fs.FileInfo, error) {
	if *f.fails {
		return nil, errDisk
	}
	return f.File.Stat()
}

// unlistedDisk lists no directory.
type unlistedDisk struct{ spool.OSDisk }

func (unlistedDisk) ReadDir(path string) ([]fs.DirEntry, error) {
	return nil, &fs.PathError{Op: "readdir", Path: path, Err: errDisk}
}

// A spool whose files cannot be listed is not opened as if it were empty, and stays free.
func TestUnlistedSpoolIsNotEmpty(t *testing.T) {
	t.Parallel()
	config, _ := prepared(t, records(0, 2))
	if _, _, err := spool.OpenOn(unlistedDisk{}, config); !errors.Is(err, errDisk) {
		t.Errorf("Open() = %v, want the disk's error", err)
	}
	if _, found := open(t, config); total(found.Records) != 2 {
		t.Errorf("found %v afterwards, want two records", found.Records)
	}
}

// Gaps and statements that cannot be read are reported, and keep no one waiting.
func TestUnreadableSideFile(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"gaps.jsonl", "statements.jsonl"} {
		config, _ := prepared(t, records(0, 2))
		write(t, filepath.Join(config.Path, name), "half a line")
		d, found, err := spool.OpenOn(countingDisk{open: &atomic.Int64{}, unreadable: filepath.Join(config.Path, name)}, config)
		if err != nil {
			t.Fatal(err)
		}
		if len(found.Unreadable) != 1 || !errors.Is(found.Unreadable[0], errDisk) || total(found.Records) != 2 {
			t.Errorf("%s: found %+v", name, found)
		}
		shut(t, d)
	}
}
