package sealer

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hoc-analytics/coordaudit/internal/durable"
)

func TestDirectoryNeverReplaces(t *testing.T) {
	t.Parallel()
	dir := Directory(t.TempDir())
	ctx := context.Background()
	for range 2 { // the same one again is no error
		if err := dir.Export(ctx, 1, 9, []byte("nine")); err != nil {
			t.Fatal(err)
		}
	}
	if err := dir.Export(ctx, 1, 9, []byte("another")); !errors.Is(err, ErrForked) {
		t.Errorf("another checkpoint of the same size: %v", err)
	}
	for _, at := range []struct {
		epoch, size int64
		text        string
	}{{1, 10, "ten"}, {1, 100, "hundred"}, {2, 5, "five"}, {10, 1, "one"}} {
		if err := dir.Export(ctx, at.epoch, at.size, []byte(at.text)); err != nil {
			t.Fatal(err)
		}
		if last, err := dir.Last(ctx); err != nil || string(last) != at.text {
			t.Errorf("last %q, %v; want %q", last, err, at.text)
		}
	}
	left, err := filepath.Glob(filepath.Join(dir.(*directory).path, "*", "*", "*"+unfinishedSuffix))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}

// Cosignatures of witnesses do not make another checkpoint of it. The log's signature does.
func TestDirectoryKeepsFirstCosignatures(t *testing.T) {
	t.Parallel()
	dir := Directory(t.TempDir())
	ctx := context.Background()
	const text = "log\n9\nroot\n"
	first := text + "\n— log AAAA\n— w1 BBBB\n"
	if err := dir.Export(ctx, 1, 9, []byte(first)); err != nil {
		t.Fatal(err)
	}
	for _, same := range []string{first, text + "\n— log AAAA\n", text + "\n— log AAAA\n— w1 CCCC\n— w2 DDDD\n"} {
		if err := dir.Export(ctx, 1, 9, []byte(same)); err != nil {
			t.Errorf("%q: %v", same, err)
		}
	}
	for _, other := range []string{text + "\n— log EEEE\n— w1 BBBB\n", "log\n9\nother\n\n— log AAAA\n— w1 BBBB\n", text + "\n— log AAAA", text} {
		if err := dir.Export(ctx, 1, 9, []byte(other)); !errors.Is(err, ErrForked) {
			t.Errorf("%q: %v", other, err)
		}
	}
	if last, err := dir.Last(ctx); err != nil || string(last) != first {
		t.Errorf("last %q, %v", last, err)
	}
}

func TestDirectoryRefusesClockInThePast(t *testing.T) {
	t.Parallel()
	dir := Directory(t.TempDir()).(*directory)
	if err := dir.Export(context.Background(), 1, 1, []byte("one")); err != nil {
		t.Fatal(err)
	}
	dir.now = func() time.Time { return time.Now().AddDate(0, 0, -2) }
	if err := dir.Export(context.Background(), 1, 2, []byte("two")); err == nil || !strings.Contains(err.Error(), "set the clock right") {
		t.Errorf("a clock in the past: %v", err)
	}
}

func TestDirectoryIgnoresStrangers(t *testing.T) {
	t.Parallel()
	dir := Directory(t.TempDir()).(*directory)
	if err := dir.Export(context.Background(), 1, 1, []byte("one")); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"README", "epoch-", "epoch-x", "epoch-01", "epoch-1/zebra", "epoch-1/9999-99-99"} {
		if err := os.MkdirAll(filepath.Join(dir.path, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if last, err := dir.Last(context.Background()); err != nil || string(last) != "one" {
		t.Errorf("last %q, %v", last, err)
	}
}

// noting notes the directories that it syncs.
type noting struct {
	durable.OS
	synced []string
}

func (n *noting) SyncDir(path string) error {
	n.synced = append(n.synced, path)
	return n.OS.SyncDir(path)
}

// A process that ended early may have made a directory and not synced its entry. So the first
// export of each process into one syncs it and all those above, and later ones only the name.
func TestDirectoryIsDurableUpToTheRoot(t *testing.T) {
	t.Parallel()
	path, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	for process := range 2 {
		disk := &noting{}
		dir := Directory(path).(*directory)
		dir.disk, dir.now = disk, func() time.Time { return now }
		for size := range 3 {
			disk.synced = nil
			if err := dir.Export(context.Background(), 1, int64(10*process+size+1), []byte("a checkpoint")); err != nil {
				t.Fatal(err)
			}
			day := filepath.Join(path, "epoch-1", now.UTC().Format(time.DateOnly))
			for _, above := range []string{filepath.Dir(day), path, filepath.Dir(path), string(filepath.Separator)} {
				if slices.Contains(disk.synced, above) != (size == 0) {
					t.Errorf("process %d, export %d: %q are synced", process, size, disk.synced)
				}
			}
			if last := disk.synced[len(disk.synced)-1]; last != day {
				t.Errorf("%s is synced last, want %s, which has the name", last, day)
			}
		}
	}
}

// An export that fails after it made its directory, as on a full disk, hides none of the
// checkpoints before it.
func TestDirectoryPassesOverEmptyOnes(t *testing.T) {
	t.Parallel()
	dir := Directory(t.TempDir()).(*directory)
	ctx := context.Background()
	if last, err := dir.Last(ctx); err != nil || last != nil {
		t.Errorf("last %q, %v; want none", last, err)
	}
	if err := dir.Export(ctx, 1, 1, []byte("one")); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"epoch-1/9999-12-31", "epoch-2/2026-01-01", "epoch-10"} {
		if err := os.MkdirAll(filepath.Join(dir.path, name), 0o755); err != nil {
			t.Fatal(err)
		}
		if last, err := dir.Last(ctx); err != nil || string(last) != "one" {
			t.Errorf("with an empty %s: last %q, %v", name, last, err)
		}
	}
	if err := dir.Export(ctx, 2, 7, []byte("seven")); err != nil {
		t.Fatal(err)
	}
	if last, err := dir.Last(ctx); err != nil || string(last) != "seven" {
		t.Errorf("last %q, %v", last, err)
	}
}
