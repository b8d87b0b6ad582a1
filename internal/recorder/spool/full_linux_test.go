package spool_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/recorder/spool"
)

// tmpfs mounts a disk of this size. COORDAUDIT_REQUIRE_TMPFS=1 makes a skip a failure.
func tmpfs(t *testing.T, bytes int) (path string) {
	t.Helper()
	path = t.TempDir()
	if err := syscall.Mount("tmpfs", path, "tmpfs", 0, fmt.Sprintf("size=%d", bytes)); err != nil {
		if os.Getenv("COORDAUDIT_REQUIRE_TMPFS") == "1" {
			t.Fatalf("mounting a tmpfs: %v", err)
		}
		t.Skipf("needs the right to mount a tmpfs, which root has: %v", err)
	}
	t.Cleanup(func() {
		// A child that another test is just starting may hold the disk open until it execs.
		if err := syscall.Unmount(path, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return path
}

// fill fills the disk.
func fill(t *testing.T, disk string) (filler string) {
	t.Helper()
	filler = filepath.Join(disk, "filler")
	file, err := os.Create(filler)
	if err != nil {
		t.Fatal(err)
	}
	for err == nil {
		_, err = file.Write(make([]byte, 4096))
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	return filler
}

func TestFullDisk(t *testing.T) {
	t.Parallel()
	disk := tmpfs(t, 256<<10)
	write(t, filepath.Join(disk, "other"), strings.Repeat("x", 64<<10))
	config := spool.Config{Path: filepath.Join(disk, "spool"), SegmentBytes: 100 << 10}
	d, _ := open(t, config)
	var taken []audit.Record
	var failed int
	for n := 0; failed < 10; n += 7 {
		recs := records(n, n+7)
		switch err := d.Append(recs); {
		case err == nil:
			taken = append(taken, recs...)
		case errors.Is(err, syscall.ENOSPC):
			failed++
		default:
			t.Fatal(err)
		}
	}
	checkOnDisk(t, config.Path, taken)
	rec := record(1)
	if err := errors.Join(d.Reject(&rec, "no", "")); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("Reject() = %v", err)
	}

	remove(t, filepath.Join(disk, "other"))
	more := records(1000, 1007)
	appendAll(t, d, more)
	taken = append(taken, more...)
	checkOnDisk(t, config.Path, taken)
	if err := d.Reject(&rec, "no", ""); err != nil {
		t.Error(err)
	}
	got, bad := drain(t, d, 100)
	if diff := cmp.Diff(taken, got); diff != "" || len(bad) > 0 {
		t.Errorf("records (-want +got), %d bad:\n%s", len(bad), diff)
	}
	if lines := rejects(t, config.Path); len(lines) != 1 {
		t.Errorf("%d lines are rejected", len(lines))
	}
}

// checkOnDisk reads the segments like another program.
func checkOnDisk(t *testing.T, path string, want []audit.Record) {
	t.Helper()
	var got []audit.Record
	for _, segment := range segments(t, path) {
		for line := range strings.Lines(read(t, segment)) {
			rec, _, err := audit.ParseRecord([]byte(line))
			if err != nil {
				t.Fatalf("%s: %v: %q", segment, err, line)
			}
			got = append(got, rec)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("on disk (-want +got):\n%s", diff)
	}
}

func TestTornEndOnFullDisk(t *testing.T) {
	t.Parallel()
	disk := tmpfs(t, 256<<10)
	config := spool.Config{Path: filepath.Join(disk, "spool")}
	d, _ := open(t, config)
	want := records(0, 10)
	appendAll(t, d, want)
	shut(t, d)
	path := segments(t, config.Path)[0]
	appendTo(t, path, `{"torn`)
	whole := read(t, path)
	filler := fill(t, disk)

	d, found := open(t, config)
	if len(found.Torn) > 0 || len(found.Unreadable) != 1 || !errors.Is(found.Unreadable[0], syscall.ENOSPC) {
		t.Fatalf("found %+v", found)
	}
	batch := next(t, d, 0)
	if diff := cmp.Diff(want, batch.Records); diff != "" || len(batch.Bad) > 0 {
		t.Errorf("records (-want +got), bad %v:\n%s", batch.Bad, diff)
	}
	if err := d.Done(batch); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("Done() = %v; the torn end is nowhere else", err)
	}
	if !d.Empty() || read(t, path) != whole {
		t.Errorf("Empty() = %v, the segment holds %q", d.Empty(), read(t, path))
	}
	remove(t, filler)
	done(t, d, batch)
	kept, err := filepath.Glob(filepath.Join(config.Path, "torn", "*"))
	if err != nil || len(kept) != 1 || read(t, kept[0]) != `{"torn` || len(segments(t, config.Path)) > 0 || d.Bytes() != 0 {
		t.Errorf("set aside: %v; Bytes() = %d", kept, d.Bytes())
	}
}

func TestReadOnlyDisk(t *testing.T) {
	t.Parallel()
	disk := tmpfs(t, 64<<10)
	config := spool.Config{Path: disk}
	d, _ := open(t, config)
	want := records(0, 3)
	appendAll(t, d, want)
	shut(t, d)
	remount := func(flags uintptr) {
		t.Helper()
		// A process that another test starts holds our closed files until it runs its program.
		err := syscall.Mount("tmpfs", disk, "tmpfs", syscall.MS_REMOUNT|flags, "")
		for n := 0; errors.Is(err, syscall.EBUSY) && n < 500; n++ {
			time.Sleep(10 * time.Millisecond)
			err = syscall.Mount("tmpfs", disk, "tmpfs", syscall.MS_REMOUNT|flags, "")
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	remount(syscall.MS_RDONLY)
	if _, _, err := spool.Open(config); !errors.Is(err, syscall.EROFS) {
		t.Errorf("Open() = %v", err)
	}
	remount(0)
	d, _ = open(t, config)
	if got, _ := drain(t, d, 0); len(got) != len(want) {
		t.Errorf("%d records are there, want %d", len(got), len(want))
	}
}

func TestRemovedDirectory(t *testing.T) {
	t.Parallel()
	config := spool.Config{Path: filepath.Join(t.TempDir(), "spool")}
	d, _ := open(t, config)
	if err := os.RemoveAll(config.Path); err != nil {
		t.Fatal(err)
	}
	if err := d.Append(records(0, 1)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Append() = %v", err)
	}
	if batch, err := d.Next(1); batch != nil || err != nil || !d.Empty() {
		t.Errorf("Next() = %v, %v", batch, err)
	}
	if err := os.Mkdir(config.Path, 0o700); err != nil {
		t.Fatal(err)
	}
	appendAll(t, d, records(0, 1))
}
