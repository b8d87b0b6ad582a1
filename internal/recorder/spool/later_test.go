package spool_test

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/recorder/spool"
)

// A line of a newer release is neither stored nor rejected. It waits for a release that can
// read it.
func TestNewerLinesWait(t *testing.T) {
	t.Parallel()
	config := spool.Config{Path: t.TempDir()}
	readable, err := json.Marshal(record(1))
	if err != nil {
		t.Fatal(err)
	}
	newer := `{"format":99,"audit_id":"x","something":"new","envelope_class":"SAFETY"}`
	path := filepath.Join(config.Path, "0000000007.jsonl")
	if err := os.WriteFile(path, []byte(newer+"\n"+string(readable)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for opening := range 3 {
		dir, found := open(t, config)
		records := map[bool]int64{true: 1}[opening == 0]
		if found.Records[audit.Safety] != 1 || total(found.Records) != 1+records {
			t.Fatalf("opening %d: found %v", opening, found.Records)
		}
		batch, err := dir.Next(0)
		if err != nil || int64(len(batch.Records)) != records || len(batch.Bad) != 1 {
			t.Fatalf("opening %d: %+v, %v", opening, batch, err)
		}
		waiting, damaged := spool.SplitNewer(batch.Bad)
		if len(waiting) != 1 || len(damaged) != 0 || !strings.Contains(waiting[0].Reason, "format") {
			t.Fatalf("opening %d: newer %+v, damaged %+v", opening, waiting, damaged)
		}
		if err := dir.KeepForLater(waiting); err != nil {
			t.Fatal(err)
		}
		if err := dir.Done(batch); err != nil {
			t.Fatal(err)
		}
		if !dir.Empty() {
			t.Error("a line that waits for another release counts as one to take")
		}
		if kept := read(t, filepath.Join(config.Path, "later", "0000000001.jsonl")); kept != newer+"\n" {
			t.Errorf("kept %q, want %q", kept, newer)
		}
		if err := dir.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func total(counts map[audit.EnvelopeClass]int64) (n int64) {
	for _, of := range counts {
		n += of
	}
	return n
}

// The caller lets the segment go when KeepForLater returns nil, so it must not before the lines
// are on disk.
func TestKeepForLaterFails(t *testing.T) {
	t.Parallel()
	for _, op := range []string{"mkdir", "syncdir", "create", "write", "sync"} {
		disk := newCrashDisk(t)
		d, _, err := openOn(t, disk)
		if err != nil {
			t.Fatal(err)
		}
		newer := newerLines(t)
		disk.fail = func(failing, path string) error {
			if failing == op && !strings.HasSuffix(path, ".jsonl") || failing == op && strings.Contains(path, "/later/") {
				return errDisk
			}
			return nil
		}
		if err := d.KeepForLater(newer); !errors.Is(err, errDisk) {
			t.Errorf("KeepForLater() = %v, with a failing %s", err, op)
		}
		disk.fail = nil
		if err := d.KeepForLater(newer); err != nil {
			t.Errorf("KeepForLater() = %v, after a failing %s", err, op)
		}
		left := filepath.Join(disk.crash(t), "a", "spool", "later")
		var kept []string
		for _, path := range segments(t, left) {
			if text := read(t, path); text != "" {
				kept = append(kept, text)
			}
		}
		if !slices.Equal(kept, []string{newerLine + "\n"}) {
			t.Errorf("kept after a crash are %q", kept)
		}
	}
}

func TestKeepForLaterAfterClose(t *testing.T) {
	t.Parallel()
	config := spool.Config{Path: t.TempDir()}
	d, _ := open(t, config)
	newer := newerLines(t)
	if err := d.KeepForLater(nil); err != nil {
		t.Errorf("KeepForLater() = %v for nothing", err)
	}
	shut(t, d)
	if err := d.KeepForLater(newer); !errors.Is(err, audit.ErrClosed) {
		t.Errorf("KeepForLater() = %v, want ErrClosed", err)
	}
	if _, err := os.Stat(filepath.Join(config.Path, "later")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v, want no directory for nothing", err)
	}
}

const newerLine = `{"format":99,"audit_id":"x","envelope_class":"SAFETY"}`

// newerLines returns the one line of a spool that a newer release wrote.
func newerLines(t *testing.T) []spool.BadLine {
	t.Helper()
	config := spool.Config{Path: t.TempDir()}
	write(t, filepath.Join(config.Path, "0000000001.jsonl"), newerLine+"\n")
	from, _ := open(t, config)
	newer, damaged := spool.SplitNewer(next(t, from, 0).Bad)
	if len(newer) != 1 || len(damaged) > 0 {
		t.Fatalf("newer %v, damaged %v", newer, damaged)
	}
	return newer
}

// What waits for a newer release and cannot be taken up stays where it is, and is reported.
func TestTakingUpLaterFails(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		op    string
		given int // lines
	}{{"rename", 0}, {"syncdir", 1}} {
		disk := newCrashDisk(t)
		d, _, err := openOn(t, disk)
		if err != nil {
			t.Fatal(err)
		}
		if err := d.KeepForLater(newerLines(t)); err != nil {
			t.Fatal(err)
		}
		shut(t, d)
		disk.fail = func(op, path string) error {
			if op == test.op && (op == "rename" || strings.HasSuffix(path, "/later")) {
				return errDisk
			}
			return nil
		}
		d, found, err := openOn(t, disk)
		if err != nil {
			t.Fatal(err)
		}
		if len(found.Unreadable) != 1 || !errors.Is(found.Unreadable[0], errDisk) || total(found.Records) != int64(test.given) {
			t.Errorf("%s fails: found %+v", test.op, found)
		}
		if kept := segments(t, filepath.Join(disk.root, "a", "spool", "later")); len(kept) != 1-test.given {
			t.Errorf("%s fails: %v wait", test.op, kept)
		}
		disk.fail = nil
		shut(t, d)
		if _, found, err := openOn(t, disk); err != nil || len(found.Unreadable) > 0 || total(found.Records) != 1 {
			t.Errorf("after a failing %s: %v, found %+v", test.op, err, found)
		}
	}
}

// Lines that wait are taken up under numbers of their own, next to other files there.
func TestTakeUpManyLater(t *testing.T) {
	t.Parallel()
	config := spool.Config{Path: t.TempDir()}
	d, _ := open(t, config)
	newer := newerLines(t)
	for range 3 {
		if err := d.KeepForLater(newer); err != nil {
			t.Fatal(err)
		}
	}
	appendAll(t, d, records(0, 1))
	shut(t, d)
	notes := filepath.Join(config.Path, "later", "notes.txt")
	write(t, notes, "not ours")
	d, found := open(t, config)
	if total(found.Records) != 4 || len(segments(t, config.Path)) != 4 || len(found.Unreadable) > 0 {
		t.Fatalf("found %+v in %v", found, segments(t, config.Path))
	}
	appendAll(t, d, records(1, 2))
	if got, bad := drain(t, d, 0); len(got) != 2 || len(bad) != 3 {
		t.Errorf("%d records and %d lines of a newer release, want 2 and 3", len(got), len(bad))
	}
	if read(t, notes) != "not ours" {
		t.Error("a file that is not ours was changed")
	}
}

// A damaged line next to one of a newer release does not wait with it.
func TestDamagedLineDoesNotWait(t *testing.T) {
	t.Parallel()
	config := spool.Config{Path: t.TempDir()}
	write(t, filepath.Join(config.Path, "0000000001.jsonl"), "one\n"+newerLine+"\ntwo\n")
	d, _ := open(t, config)
	batch := next(t, d, 0)
	newer, damaged := spool.SplitNewer(batch.Bad)
	if len(newer) != 1 || len(damaged) != 2 || !strings.Contains(newer[0].Reason, "format") {
		t.Errorf("newer are %+v, damaged %+v", newer, damaged)
	}
	if err := d.KeepForLater(newer); err != nil {
		t.Fatal(err)
	}
	done(t, d, batch)
	if kept := read(t, filepath.Join(config.Path, "later", "0000000001.jsonl")); kept != newerLine+"\n" {
		t.Errorf("kept is %q", kept)
	}
}
