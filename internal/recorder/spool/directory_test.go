package spool_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/recorder/spool"
)

func TestManySegments(t *testing.T) {
	t.Parallel()
	config := spool.Config{Path: t.TempDir(), SegmentBytes: 4 << 10}
	d, found := open(t, config)
	if len(found.Records)+len(found.Torn)+len(found.Gaps)+len(found.Unreadable) > 0 {
		t.Fatalf("found in a new directory: %+v", found)
	}
	want := records(0, 500)
	var size int64
	for group := range slices.Chunk(want, 7) {
		appendAll(t, d, group)
	}
	paths := segments(t, config.Path)
	if len(paths) < 20 {
		t.Fatalf("%d segments, the test needs many", len(paths))
	}
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil || info.Size() > config.SegmentBytes || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %d bytes, mode %v, %v", path, info.Size(), info.Mode(), err)
		}
		size += info.Size()
	}
	if d.Bytes() != size || d.Empty() {
		t.Errorf("Bytes() = %d, on disk are %d; Empty() = %v", d.Bytes(), size, d.Empty())
	}
	shut(t, d)

	d, found = open(t, config)
	if diff := cmp.Diff(countedByClass(want), found.Records); diff != "" {
		t.Errorf("found (-want +got):\n%s", diff)
	}
	if d.Bytes() != size {
		t.Errorf("Bytes() = %d after the reopening, on disk are %d", d.Bytes(), size)
	}
	got, bad := drain(t, d, 9)
	if diff := cmp.Diff(want, got); diff != "" || len(bad) > 0 {
		t.Errorf("records (-want +got), %d bad:\n%s", len(bad), diff)
	}
	if left := segments(t, config.Path); len(left) > 0 {
		t.Errorf("segments are left: %v", left)
	}
}

func TestImportFormat(t *testing.T) {
	t.Parallel()
	config := spool.Config{Path: t.TempDir()}
	d, _ := open(t, config)
	rec := record(1)
	rec.Decision, rec.ConflictingEnvelopeID, rec.CounterpartClass = audit.Rejected, "other", audit.Safety
	rec.Reason = strings.Repeat("\x01", audit.MaxReasonBytes)
	want := append(records(0, 10), rec)
	appendAll(t, d, want)
	paths := segments(t, config.Path)
	if len(paths) != 1 {
		t.Fatalf("segments: %v", paths)
	}
	var got []audit.Record
	for line := range strings.Lines(read(t, paths[0])) {
		rec, replay, err := audit.ParseRecord([]byte(line))
		if err != nil || replay {
			t.Fatalf("%v, replay %v: %s", err, replay, line)
		}
		got = append(got, rec)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("records (-want +got):\n%s", diff)
	}
	if again, bad := drain(t, d, 0); len(again) != len(want) || len(bad) > 0 {
		t.Errorf("given are %d records and %d bad lines", len(again), len(bad))
	}
}

func TestDoneRemovesSegment(t *testing.T) {
	t.Parallel()
	config := spool.Config{Path: t.TempDir()}
	d, _ := open(t, config)
	want := records(0, 10)
	appendAll(t, d, want)
	first, second := next(t, d, 6), next(t, d, 6)
	if third := next(t, d, 6); third != nil || d.Empty() {
		t.Fatalf("a third batch: %v; Empty() = %v with two taken", third, d.Empty())
	}
	done(t, d, second)
	done(t, d, second) // a second time does nothing
	if len(segments(t, config.Path)) != 1 || d.Bytes() == 0 || d.Empty() {
		t.Fatal("the segment is gone, although half of it is not done")
	}
	shut(t, d)

	d, found := open(t, config)
	if diff := cmp.Diff(countedByClass(want), found.Records); diff != "" {
		t.Errorf("found (-want +got):\n%s", diff)
	}
	if err := d.Done(first); err != nil || len(segments(t, config.Path)) != 1 {
		t.Errorf("a batch of an earlier Open is done: %v", err)
	}
	if got, _ := drain(t, d, 0); len(got) != len(want) {
		t.Errorf("%d records are given again, want %d", len(got), len(want))
	}
}

func TestAppendAfterNext(t *testing.T) {
	t.Parallel()
	config := spool.Config{Path: t.TempDir()}
	d, _ := open(t, config)
	want := records(0, 6)
	appendAll(t, d, want[:2])
	first := next(t, d, 1)
	appendAll(t, d, want[2:4])
	appendAll(t, d, want[4:])
	if paths := segments(t, config.Path); len(paths) != 2 {
		t.Errorf("segments: %v", paths)
	}
	done(t, d, first)
	got, _ := drain(t, d, 0)
	if diff := cmp.Diff(want[1:], got); diff != "" {
		t.Errorf("records (-want +got):\n%s", diff)
	}
	appendAll(t, d, want[:1])
	if base := filepath.Base(segments(t, config.Path)[0]); base != "0000000003.jsonl" {
		t.Errorf("%s: a number was used twice", base)
	}
}

func TestMaxBytes(t *testing.T) {
	t.Parallel()
	config := spool.Config{Path: t.TempDir(), SegmentBytes: 1 << 10, MaxBytes: 4 << 10}
	d, _ := open(t, config)
	var taken int
	var err error
	for err == nil && taken < 1000 {
		if err = d.Append(records(taken, taken+1)); err == nil {
			taken++
		}
	}
	if !errors.Is(err, spool.ErrFull) || d.Bytes() > config.MaxBytes || d.Bytes() < config.MaxBytes/2 {
		t.Fatalf("Append() = %v at %d bytes", err, d.Bytes())
	}
	shut(t, d)
	d, _ = open(t, config)
	if err := d.Append(records(0, 1)); !errors.Is(err, spool.ErrFull) {
		t.Errorf("Append() = %v after a reopening", err)
	}
	if got, _ := drain(t, d, 0); len(got) != taken {
		t.Errorf("%d records are there, %d were appended", len(got), taken)
	}
	if err := d.Append(records(0, 1)); err != nil {
		t.Errorf("Append() = %v in an empty spool", err)
	}
}

func TestCallsAfterClose(t *testing.T) {
	t.Parallel()
	config := spool.Config{Path: t.TempDir()}
	d, _ := open(t, config)
	appendAll(t, d, records(0, 2))
	batch := next(t, d, 1)
	shut(t, d)
	shut(t, d) // a second time does nothing
	rec := record(1)
	_, err := d.Next(1)
	for call, err := range map[string]error{
		"Append": d.Append(records(0, 1)), "Next": err, "Done": d.Done(batch), "Reject": d.Reject(&rec, "no", ""),
		"RejectLine": d.RejectLine(spool.BadLine{}), "SaveGap": d.SaveGap(audit.Gap{}), "ForgetGaps": d.ForgetGaps(),
	} {
		if !errors.Is(err, audit.ErrClosed) {
			t.Errorf("%s after Close: %v", call, err)
		}
	}
}

func TestEmptySegment(t *testing.T) {
	t.Parallel()
	config := spool.Config{Path: t.TempDir()}
	write(t, filepath.Join(config.Path, "0000000004.jsonl"), "")
	d, found := open(t, config)
	if len(found.Records) > 0 || len(found.Unreadable) > 0 || len(segments(t, config.Path)) > 0 {
		t.Errorf("found %+v, left %v", found, segments(t, config.Path))
	}
	appendAll(t, d, records(0, 1))
	if base := filepath.Base(segments(t, config.Path)[0]); base != "0000000005.jsonl" {
		t.Errorf("the first segment is %s", base)
	}
}

func TestOpenMakesParents(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a", "b")
	d, _ := open(t, spool.Config{Path: path})
	appendAll(t, d, records(0, 1))
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

func TestPathIsNoDirectory(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "file")
	write(t, path, "not ours")
	for _, path := range []string{path, filepath.Join(path, "below"), ""} {
		if _, _, err := spool.Open(spool.Config{Path: path}); err == nil || errors.Is(err, audit.ErrDirectoryInUse) {
			t.Errorf("Open(%q) = %v", path, err)
		}
	}
	if read(t, path) != "not ours" {
		t.Error("the file was written to")
	}
}

// A name that someone has taken meanwhile costs no record.
func TestTakenNumber(t *testing.T) {
	t.Parallel()
	config := spool.Config{Path: t.TempDir()}
	d, _ := open(t, config)
	write(t, filepath.Join(config.Path, "0000000001.jsonl"), "not ours")
	want := records(0, 2)
	appendAll(t, d, want)
	if got := read(t, filepath.Join(config.Path, "0000000001.jsonl")); got != "not ours" {
		t.Errorf("the file that was there holds %q", got)
	}
	if got, _ := drain(t, d, 0); len(got) != len(want) {
		t.Errorf("%d records of %d", len(got), len(want))
	}
}

// Someone else may have removed a segment whose records are all done.
func TestDoneAfterRemoval(t *testing.T) {
	t.Parallel()
	config := spool.Config{Path: t.TempDir()}
	d, _ := open(t, config)
	appendAll(t, d, records(0, 2))
	batch := next(t, d, 0)
	remove(t, segments(t, config.Path)[0])
	if err := d.Done(batch); err != nil || d.Bytes() != 0 {
		t.Errorf("Done() = %v, Bytes() = %d", err, d.Bytes())
	}
}

// The least bound is a bound: no record fits into one byte.
func TestLeastMaxBytes(t *testing.T) {
	t.Parallel()
	config := spool.Config{Path: t.TempDir(), MaxBytes: 1}
	d, _ := open(t, config)
	rec := record(1)
	if err := d.Append([]audit.Record{rec}); !errors.Is(err, spool.ErrFull) {
		t.Errorf("Append() = %v, want ErrFull", err)
	}
	if err := d.Reject(&rec, "no", ""); !errors.Is(err, spool.ErrFull) {
		t.Errorf("Reject() = %v, want ErrFull", err)
	}
}
