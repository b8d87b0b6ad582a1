package spool_test

import (
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/recorder/spool"
)

func TestConcurrentCalls(t *testing.T) {
	t.Parallel()
	config := spool.Config{Path: t.TempDir(), SegmentBytes: 8 << 10}
	d, _ := open(t, config)
	want := records(0, 2000)
	var failures failures
	stop := make(chan struct{})
	var others sync.WaitGroup
	for range 2 {
		others.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					_, _ = d.Empty(), d.Bytes()
					for _, lost := range d.Check() {
						failures.add(lost)
					}
					failures.add(d.Reject(&want[0], "no", ""), d.SaveGap(gap(1)), d.ForgetGaps())
				}
			}
		})
	}
	appended := make(chan struct{})
	others.Go(func() {
		defer close(appended)
		for group := range slices.Chunk(want, 5) {
			failures.add(d.Append(group))
		}
	})
	got := takeUntil(t, d, appended)
	close(stop)
	others.Wait()
	rest, _ := drain(t, d, 0)
	if diff := cmp.Diff(want, append(got, rest...)); diff != "" {
		t.Errorf("records (-want +got):\n%s", diff)
	}
	if err := failures.err(); err != nil {
		t.Error(err)
	}
}

// takeUntil takes batches of any size.
func takeUntil(t *testing.T, d *spool.Directory, end <-chan struct{}) (got []audit.Record) {
	t.Helper()
	for {
		select {
		case <-end:
			return got
		default:
		}
		batch := next(t, d, 1+rand.IntN(20))
		if batch != nil {
			got = append(got, batch.Records...)
			done(t, d, batch)
		}
	}
}

type failures struct {
	mu   sync.Mutex
	errs []error
}

func (f *failures) add(errs ...error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, err := range errs {
		if err != nil && len(f.errs) < 5 {
			f.errs = append(f.errs, err)
		}
	}
}

func (f *failures) err() error { return errors.Join(f.errs...) }

func TestCloseWaits(t *testing.T) {
	t.Parallel()
	config := spool.Config{Path: t.TempDir()}
	d, disk := openFaulty(t, config)
	disk.hang, disk.hanging = make(chan struct{}), make(chan struct{})
	want := records(0, 3)
	appended, closed := make(chan error, 1), make(chan error, 1)
	go func() { appended <- d.Append(want) }()
	<-disk.hanging
	go func() { closed <- d.Close() }()
	for !isClosed(d) {
		select {
		case err := <-closed:
			t.Fatalf("Close() = %v, with an Append in progress", err)
		default:
		}
	}
	select {
	case err := <-closed:
		t.Fatalf("Close() = %v, with an Append in progress", err)
	case <-time.After(50 * time.Millisecond):
	}
	if _, _, err := spool.Open(config); !errors.Is(err, audit.ErrDirectoryInUse) {
		t.Errorf("Open() = %v, with an Append in progress", err)
	}
	close(disk.hang)
	if err := errors.Join(<-appended, <-closed); err != nil {
		t.Fatal(err)
	}
	d, _ = open(t, config)
	got, _ := drain(t, d, 0)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("records (-want +got):\n%s", diff)
	}
}

// isClosed uses a call that does not wait for the disk.
func isClosed(d *spool.Directory) bool {
	return errors.Is(d.Done(&spool.Batch{}), audit.ErrClosed)
}

// hangingDisk stops a call until the test lets it go on.
type hangingDisk struct {
	spool.OSDisk
	op      string
	hanging chan struct{} // gets a token when the call hangs
	goOn    chan struct{}
}

func (d hangingDisk) hang(op string) {
	if op == d.op {
		d.hanging <- struct{}{}
		<-d.goOn
	}
}

func (d hangingDisk) OpenFile(path string, flag int, perm fs.FileMode) (spool.File, error) {
	if flag == os.O_RDONLY {
		d.hang("read")
	}
	return d.OSDisk.OpenFile(path, flag, perm)
}

func (d hangingDisk) Remove(path string) error {
	d.hang("remove")
	return d.OSDisk.Remove(path)
}

func TestCloseWaitsForReaders(t *testing.T) {
	t.Parallel()
	for op, call := range map[string]func(*spool.Directory) error{
		"read": func(d *spool.Directory) error { _, err := d.Next(0); return err },
		"remove": func(d *spool.Directory) error {
			batch, err := d.Next(0)
			return errors.Join(err, d.Done(batch))
		},
	} {
		disk := hangingDisk{op: op, hanging: make(chan struct{}), goOn: make(chan struct{})}
		config := spool.Config{Path: t.TempDir()}
		d, _, err := spool.OpenOn(disk, config)
		if err != nil {
			t.Fatal(err)
		}
		appendAll(t, d, records(0, 1))
		called, closed := make(chan error, 1), make(chan error, 1)
		go func() { called <- call(d) }()
		<-disk.hanging
		go func() { closed <- d.Close() }()
		select {
		case err := <-closed:
			t.Fatalf("Close() = %v while a call waits for a %s", err, op)
		case <-time.After(50 * time.Millisecond):
		}
		if _, _, err := spool.Open(config); !errors.Is(err, audit.ErrDirectoryInUse) {
			t.Errorf("Open() = %v while a call waits for a %s", err, op)
		}
		close(disk.goOn)
		if err := errors.Join(<-called, <-closed); err != nil {
			t.Error(err)
		}
	}
}
