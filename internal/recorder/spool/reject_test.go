package spool_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/recorder/spool"
)

// rejects returns all rejected lines, in order.
func rejects(t *testing.T, dir string) (lines []map[string]json.RawMessage) {
	t.Helper()
	for _, path := range segments(t, filepath.Join(dir, "rejected")) {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: mode %v, %v", path, info.Mode(), err)
		}
		for text := range strings.Lines(read(t, path)) {
			var line map[string]json.RawMessage
			if err := json.Unmarshal([]byte(text), &line); err != nil {
				t.Fatalf("%v: %s", err, text)
			}
			lines = append(lines, line)
		}
	}
	return lines
}

func TestReject(t *testing.T) {
	t.Parallel()
	config := spool.Config{Path: t.TempDir()}
	d, _ := open(t, config)
	rec := record(1)
	before := time.Now().Add(-time.Microsecond)
	if err := d.Reject(&rec, `violates <"a check">`, "23514"); err != nil {
		t.Fatal(err)
	}
	lines := rejects(t, config.Path)
	if len(lines) != 1 || string(lines[0]["reason"]) != `"violates <\"a check\">"` || string(lines[0]["sqlstate"]) != `"23514"` {
		t.Fatalf("lines: %s", lines)
	}
	got, _, err := audit.ParseRecord(lines[0]["record"])
	if diff := cmp.Diff(rec, got); err != nil || diff != "" {
		t.Errorf("%v, record (-want +got):\n%s", err, diff)
	}
	var at time.Time
	if err := json.Unmarshal(lines[0]["rejected_at"], &at); err != nil || at.Before(before) || at.After(time.Now()) {
		t.Errorf("rejected_at is %v, %v", at, err)
	}
	if !d.Empty() || d.Bytes() != 0 {
		t.Error("a rejected record is still there to take")
	}
	if _, err := os.Stat(filepath.Join(config.Path, "rejected", "0000000001.jsonl")); err != nil {
		t.Errorf("%v, want the first number", err)
	}
}

func TestRejectLine(t *testing.T) {
	t.Parallel()
	config, path := prepared(t, records(0, 1))
	broken := "{\"reason\":\"a\xffb\"}"
	write(t, path, "not JSON <&>\n"+broken+"\n"+strings.Repeat("z", 3<<20)+"\n")
	d, _ := open(t, config)
	batch := next(t, d, 0)
	if reason := batch.Bad[2].Reason; reason != "is 3145728 bytes long, at most 1048576 are allowed; it is kept in the directory torn" {
		t.Errorf("the reason is %q", reason)
	}
	for _, bad := range batch.Bad {
		if err := d.RejectLine(bad); err != nil {
			t.Fatal(err)
		}
	}
	lines := rejects(t, config.Path)
	if len(lines) != 3 {
		t.Fatalf("%d lines", len(lines))
	}
	if string(lines[0]["input"]) != `"not JSON <&>"` || lines[0]["input_base64"] != nil || lines[0]["record"] != nil {
		t.Errorf("the first: %s", lines[0])
	}
	if string(lines[1]["input_base64"]) != `"`+base64.StdEncoding.EncodeToString([]byte(broken))+`"` {
		t.Errorf("the second: %s", lines[1])
	}
	if string(lines[2]["input_bytes"]) != "3145728" || len(lines[2]["input"]) > 5000 {
		t.Errorf("the third is %s bytes: %d are kept", lines[2]["input_bytes"], len(lines[2]["input"]))
	}
	done(t, d, batch)
}

func TestRejectFillsMaxBytes(t *testing.T) {
	t.Parallel()
	rec := record(1)
	config := spool.Config{Path: t.TempDir()}
	d, _ := open(t, config)
	if err := d.Reject(&rec, "no", ""); err != nil {
		t.Fatal(err)
	}
	size := int64(len(read(t, segments(t, filepath.Join(config.Path, "rejected"))[0])))
	bounded, _ := open(t, spool.Config{Path: t.TempDir(), MaxBytes: size})
	if err := bounded.Reject(&rec, "no", ""); err != nil {
		t.Errorf("Reject() = %v with room for exactly one", err)
	}
	if err := bounded.Reject(&rec, "no", ""); !errors.Is(err, spool.ErrFull) {
		t.Errorf("Reject() = %v, want ErrFull", err)
	}
}

// Neither record is on disk: the write of the first one fails, and the second has no room.
func TestRejectFailsBeforeFull(t *testing.T) {
	t.Parallel()
	disk := newCrashDisk(t)
	recs := records(0, 2)
	recs[1].Reason = strings.Repeat("x", 5000)
	d, _, err := spool.OpenOn(disk, spool.Config{Path: disk.root, MaxBytes: 4 << 10})
	if err != nil {
		t.Fatal(err)
	}
	defer shut(t, d)
	disk.fail = func(op, _ string) error {
		if op == "write" {
			return errDisk
		}
		return nil
	}
	kept, err := d.RejectAll([]spool.Rejection{{Record: &recs[0], Err: errors.New("no")}, {Record: &recs[1], Err: errors.New("no")}})
	if kept != 0 || !errors.Is(err, errDisk) {
		t.Errorf("RejectAll() = %d, %v, want 0 and the disk's error", kept, err)
	}
}

func TestRejectMaxBytes(t *testing.T) {
	t.Parallel()
	config := spool.Config{Path: t.TempDir(), SegmentBytes: 2 << 10, MaxBytes: 20 << 10}
	rec := record(1)
	var kept int
	for range 3 {
		d, _ := open(t, config)
		for range 5 {
			if err := d.Reject(&rec, "no", ""); err != nil {
				t.Fatal(err)
			}
			kept++
		}
		shut(t, d)
	}
	if lines, files := rejects(t, config.Path), segments(t, filepath.Join(config.Path, "rejected")); len(lines) != kept || len(files) != 6 {
		t.Errorf("%d lines of %d in %v", len(lines), kept, files)
	}
	d, _ := open(t, config)
	var err error
	for range 100 {
		if err = d.Reject(&rec, "no", ""); err != nil {
			break
		}
		kept++
	}
	if lines := rejects(t, config.Path); !errors.Is(err, spool.ErrFull) || len(lines) != kept {
		t.Errorf("Reject() = %v, %d lines of %d", err, len(lines), kept)
	}
	appendAll(t, d, records(0, 1)) // it has a bound of its own
}
