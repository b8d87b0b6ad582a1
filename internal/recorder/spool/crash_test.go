package spool_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/recorder/spool"
)

// answers are what the calls of one process have returned.
type answers struct {
	kept, done, rejected map[uuid.UUID]bool
	gap                  *audit.Gap
	forgotten            bool
}

// live calls every method of the directory, until its disk crashes.
func live(t *testing.T, disk *crashDisk) (got answers) {
	t.Helper()
	got.kept, got.done, got.rejected = map[uuid.UUID]bool{}, map[uuid.UUID]bool{}, map[uuid.UUID]bool{}
	d, _, err := openOn(t, disk)
	if err != nil {
		return got
	}
	for n := range 6 {
		recs := records(3*n, 3*n+3)
		if d.Append(recs) == nil {
			mark(got.kept, recs)
		}
	}
	saved := gap(1)
	if d.SaveGap(saved) == nil {
		got.gap = &saved
	}
	for range 2 {
		batch, err := d.Next(3)
		if err != nil || batch == nil {
			break
		}
		if kept, _ := d.RejectAll([]spool.Rejection{{Record: &batch.Records[0], Err: errors.New("no")}}); kept == 1 {
			mark(got.rejected, batch.Records[:1])
		}
		if d.Done(batch) == nil {
			mark(got.done, batch.Records)
		}
	}
	got.forgotten = d.ForgetGaps() == nil
	return got
}

func mark(set map[uuid.UUID]bool, recs []audit.Record) {
	for _, rec := range recs {
		set[rec.AuditID] = true
	}
}

func TestCrashAtAnyOperation(t *testing.T) {
	t.Parallel()
	whole := newCrashDisk(t)
	live(t, whole)
	if whole.ops < 30 {
		t.Fatalf("only %d operations: %v", whole.ops, whole.log)
	}
	for after := 1; after <= whole.ops+1; after++ {
		disk := newCrashDisk(t)
		disk.after = after
		answers := live(t, disk)
		left := filepath.Join(disk.crash(t), "a", "spool")
		if _, err := os.Stat(left); err != nil && len(answers.kept) == 0 {
			continue
		}
		d, found := open(t, spool.Config{Path: left})
		given := map[uuid.UUID]bool{}
		got, bad := drain(t, d, 0)
		mark(given, got)
		if len(bad) > 0 {
			t.Errorf("crash at %d (%s): %d bad lines", after, disk.log[len(disk.log)-1], len(bad))
		}
		for id := range answers.kept {
			if !given[id] && !answers.done[id] {
				t.Errorf("crash at %d (%s): an acknowledged record is lost", after, disk.log[len(disk.log)-1])
			}
		}
		requireRejected(t, left, answers.rejected)
		if answers.gap != nil && !answers.forgotten && len(found.Gaps) != 1 {
			t.Errorf("crash at %d: %d gaps are found", after, len(found.Gaps))
		}
		shut(t, d)
	}
}

func requireRejected(t *testing.T, dir string, want map[uuid.UUID]bool) {
	t.Helper()
	var all strings.Builder
	for _, path := range segments(t, filepath.Join(dir, "rejected")) {
		all.WriteString(read(t, path))
	}
	for id := range want {
		if !strings.Contains(all.String(), id.String()) {
			t.Errorf("%s was rejected and is missing", id)
		}
	}
}

func TestDoneAfterCrash(t *testing.T) {
	t.Parallel()
	disk := newCrashDisk(t)
	answers := live(t, disk)
	d, found := open(t, spool.Config{Path: filepath.Join(disk.crash(t), "a", "spool")})
	got, _ := drain(t, d, 0)
	for _, rec := range got {
		if answers.done[rec.AuditID] {
			t.Error("a removal was not synced: a record is given again that was done")
		}
	}
	if len(answers.done) == 0 || !answers.forgotten || len(found.Gaps) > 0 {
		t.Errorf("%d done, and %d forgotten gaps are found", len(answers.done), len(found.Gaps))
	}
}

func TestTornEndAfterCrash(t *testing.T) {
	t.Parallel()
	disk := newCrashDisk(t)
	d, _, err := openOn(t, disk)
	if err != nil {
		t.Fatal(err)
	}
	appendAll(t, d, records(0, 3))
	shut(t, d)
	path := segments(t, filepath.Join(disk.root, "a", "spool"))[0]
	appendTo(t, path, `{"torn`)
	d, found, err := openOn(t, disk)
	if err != nil || len(found.Torn) != 1 {
		t.Fatalf("%v, found %+v", err, found)
	}
	if err := d.SaveGap(gap(1)); err != nil {
		t.Fatal(err)
	}
	shut(t, d)
	damaged := filepath.Join(disk.root, "a", "spool", "gaps.jsonl")
	appendTo(t, damaged, "no gap\n")
	d, _, err = openOn(t, disk)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.ForgetGaps(); err != nil {
		t.Fatal(err)
	}

	left := filepath.Join(disk.crash(t), "a", "spool")
	if kept := read(t, filepath.Join(left, "torn", filepath.Base(found.Torn[0].Path))); kept != `{"torn` {
		t.Errorf("set aside is %q", kept)
	}
	if kept := read(t, filepath.Join(left, "torn", "gaps-1.jsonl")); !strings.Contains(kept, "gap_id") {
		t.Error("a line that is not a gap is lost")
	}
	_, found = open(t, spool.Config{Path: left})
	if len(found.Torn)+len(found.Gaps)+len(found.Unreadable) > 0 {
		t.Errorf("reported again after the crash: %+v", found)
	}
}

// An earlier process may have ended between a mkdir and the sync of the parent directory.
func TestUnsyncedDirectory(t *testing.T) {
	t.Parallel()
	for _, made := range []string{"a", "a/spool", "a/spool/torn", "a/spool/rejected"} {
		disk := newCrashDisk(t)
		if err := os.MkdirAll(filepath.Join(disk.root, made), 0o700); err != nil {
			t.Fatal(err)
		}
		d, _, err := openOn(t, disk)
		if err != nil {
			t.Fatal(err)
		}
		want, rec := records(0, 3), record(9)
		appendAll(t, d, want)
		if err := d.Reject(&rec, "no", ""); err != nil {
			t.Fatal(err)
		}
		left := filepath.Join(disk.crash(t), "a", "spool")
		reopened, _ := open(t, spool.Config{Path: left})
		if got, _ := drain(t, reopened, 0); len(got) != len(want) {
			t.Errorf("with an existing %s: %d records are left of %d", made, len(got), len(want))
		}
		requireRejected(t, left, map[uuid.UUID]bool{rec.AuditID: true})
	}
}

func TestUnsyncableDirectory(t *testing.T) {
	t.Parallel()
	disk := newCrashDisk(t)
	disk.fail = func(op, path string) error {
		if op == "syncdir" && path == "/a" {
			return errDisk
		}
		return nil
	}
	if _, _, err := openOn(t, disk); !errors.Is(err, errDisk) {
		t.Fatalf("Open() = %v", err)
	}
	disk.fail = nil
	d, _, err := openOn(t, disk)
	if err != nil {
		t.Fatal(err)
	}
	appendAll(t, d, records(0, 2))
	reopened, _ := open(t, spool.Config{Path: filepath.Join(disk.crash(t), "a", "spool")})
	if got, _ := drain(t, reopened, 0); len(got) != 2 {
		t.Errorf("%d records are left of 2", len(got))
	}
}

// Found counts these lines as kept, so Open must sync them.
func TestUnsyncedLines(t *testing.T) {
	t.Parallel()
	disk := newCrashDisk(t)
	d, _, err := openOn(t, disk)
	if err != nil {
		t.Fatal(err)
	}
	appendAll(t, d, records(0, 2))
	shut(t, d)
	dir := filepath.Join(disk.root, "a", "spool")
	write(t, filepath.Join(dir, "0000000007.jsonl"), read(t, segments(t, dir)[0])) // its process was killed before the fsync
	if _, _, err = openOn(t, disk); err != nil {
		t.Fatal(err)
	}
	reopened, _ := open(t, spool.Config{Path: filepath.Join(disk.crash(t), "a", "spool")})
	if got, _ := drain(t, reopened, 0); len(got) != 4 {
		t.Errorf("%d records are left of 4", len(got))
	}
}

func TestRejectionsShareFsync(t *testing.T) {
	t.Parallel()
	disk := newCrashDisk(t)
	d, _, err := openOn(t, disk)
	if err != nil {
		t.Fatal(err)
	}
	recs := records(0, 500)
	rejections := make([]spool.Rejection, len(recs))
	for i := range recs {
		rejections[i] = spool.Rejection{Record: &recs[i], Err: errors.New("no")}
	}
	before := len(disk.log)
	if kept, err := d.RejectAll(rejections); kept != len(recs) || err != nil {
		t.Fatalf("RejectAll() = %d, %v", kept, err)
	}
	syncs := slices.DeleteFunc(slices.Clone(disk.log[before:]), func(op string) bool { return !strings.HasPrefix(op, "sync ") })
	if len(syncs) > 2 {
		t.Errorf("%d fsyncs for %d rejections", len(syncs), len(recs))
	}
}

// No later call would sync these.
func TestRemovalIsSynced(t *testing.T) {
	t.Parallel()
	disk := newCrashDisk(t)
	d, _, err := openOn(t, disk)
	if err != nil {
		t.Fatal(err)
	}
	appendAll(t, d, records(0, 3))
	done(t, d, next(t, d, 0))
	left := filepath.Join(disk.crash(t), "a", "spool")
	if again := segments(t, left); len(again) > 0 {
		t.Errorf("a segment is still there after its removal was acknowledged: %v", again)
	}

	appendAll(t, d, records(0, 3))
	shut(t, d)
	path := segments(t, filepath.Join(disk.root, "a", "spool"))[0]
	appendTo(t, path, `{"torn`)
	if _, found, err := openOn(t, disk); err != nil || len(found.Torn) != 1 {
		t.Fatalf("%v, found %+v", err, found)
	}
	left = filepath.Join(disk.crash(t), "a", "spool")
	if kept, err := filepath.Glob(filepath.Join(left, "torn", "*")); err != nil || len(kept) != 1 || read(t, kept[0]) != `{"torn` {
		t.Errorf("set aside are %v, %v", kept, err)
	}
	if content := read(t, segments(t, left)[0]); strings.Contains(content, "torn") {
		t.Error("the torn end is there again after it was cut off")
	}
}

// What is acknowledged in a directory that replaced the first one survives a crash there. Only
// the first segment pays for that.
func TestReplacedDirectoryIsSynced(t *testing.T) {
	t.Parallel()
	disk := newCrashDisk(t)
	d, _, err := openOn(t, disk)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(disk.root, "a", "spool")
	if err := errors.Join(os.Rename(path, path+".old"), os.Mkdir(path, 0o700)); err != nil {
		t.Fatal(err)
	}
	disk.fail = func(op, path string) error {
		if op == "syncdir" && path == "/a" {
			return errDisk
		}
		return nil
	}
	if err := d.Append(records(0, 4)); !errors.Is(err, errDisk) {
		t.Errorf("Append() = %v, and the directory is not durable", err)
	}
	disk.fail = nil
	for n := range 3 {
		before := len(disk.log)
		appendAll(t, d, records(4*n, 4*n+4)) // more than fits into a segment with others
		above := slices.Contains(disk.log[before:], "syncdir /a")
		if above != (n == 0) {
			t.Errorf("segment %d: the directory above is synced: %t", n+1, above)
		}
	}
	reopened, _ := open(t, spool.Config{Path: filepath.Join(disk.crash(t), "a", "spool")})
	if got, _ := drain(t, reopened, 0); len(got) != 12 {
		t.Errorf("%d records are left of 12", len(got))
	}
}

// A removal that fails is tried again, and no directory is synced for nothing.
func TestDoneTouchesTheDiskOnce(t *testing.T) {
	t.Parallel()
	disk := newCrashDisk(t)
	d, _, err := openOn(t, disk)
	if err != nil {
		t.Fatal(err)
	}
	appendAll(t, d, records(0, 4))
	first, second := next(t, d, 2), next(t, d, 2)
	before := len(disk.log)
	done(t, d, first)
	if ops := disk.log[before:]; len(ops) > 0 {
		t.Errorf("half of a segment is done, and that takes %v", ops)
	}
	disk.fail = func(op, _ string) error {
		if op == "remove" {
			return errDisk
		}
		return nil
	}
	if err := d.Done(second); !errors.Is(err, errDisk) || d.Bytes() == 0 {
		t.Errorf("Done() = %v, Bytes() = %d", err, d.Bytes())
	}
	disk.fail = nil
	done(t, d, first)
	if d.Bytes() != 0 || len(segments(t, filepath.Join(disk.root, "a", "spool"))) > 0 {
		t.Errorf("Bytes() = %d after the removal was tried again", d.Bytes())
	}
}

// An Append to a segment that is there costs one write and one fsync.
func TestAppendCostsOneFsync(t *testing.T) {
	t.Parallel()
	disk := newCrashDisk(t)
	d, _, err := openOn(t, disk)
	if err != nil {
		t.Fatal(err)
	}
	appendAll(t, d, records(0, 1))
	before := len(disk.log)
	appendAll(t, d, records(1, 2))
	const name = " /a/spool/0000000001.jsonl"
	if ops := disk.log[before:]; !slices.Equal(ops, []string{"write" + name, "sync" + name}) {
		t.Errorf("the second Append takes %q", ops)
	}
}
