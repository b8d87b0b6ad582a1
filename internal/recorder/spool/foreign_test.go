package spool_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/recorder/spool"
)

func TestForeignNumbers(t *testing.T) {
	t.Parallel()
	for _, name := range []string{
		"4611686018427387903.jsonl", "9223372036854775807.jsonl", "9999999999.jsonl", "9000000000.jsonl", "10000000000.jsonl",
		"torn/4611686018427387903-7.jsonl", "torn/9999999999-0.jsonl", "torn/-.jsonl",
		"rejected/4611686018427387903.jsonl", "rejected/9999999999.jsonl",
	} {
		t.Run(strings.ReplaceAll(name, "/", "_"), func(t *testing.T) {
			t.Parallel()
			config := spool.Config{Path: t.TempDir(), SegmentBytes: 1}
			path := filepath.Join(config.Path, name)
			if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
				t.Fatal(err)
			}
			write(t, path, "") // an empty segment of ours would be removed
			want, rec := records(0, 6), record(7)
			for life := range 3 {
				d, _ := open(t, config)
				for _, one := range want[2*life : 2*life+2] {
					appendAll(t, d, []audit.Record{one})
				}
				if err := d.Reject(&rec, "no", ""); err != nil {
					t.Error(err)
				}
				shut(t, d)
			}
			d, found := open(t, config)
			if len(found.Unreadable) > 0 {
				t.Errorf("unreadable: %v", found.Unreadable)
			}
			if digits := strings.TrimSuffix(name, ".jsonl"); len(digits) > 10 && !strings.Contains(name, "/") && !slices.Contains(found.Foreign, name) {
				t.Errorf("foreign are %v", found.Foreign)
			}
			got, _ := drain(t, d, 0)
			slices.SortFunc(got, func(a, b audit.Record) int { return strings.Compare(a.EnvelopeID, b.EnvelopeID) })
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("records (-want +got):\n%s", diff)
			}
			if lines := rejects(t, config.Path); len(lines) != 3 {
				t.Errorf("%d lines are rejected, want 3", len(lines))
			}
		})
	}
}

// replaceBy replaces a file, as sed -i or a restored backup does.
func replaceBy(t *testing.T, path, content string) {
	t.Helper()
	write(t, path+".new", content)
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

func TestChangedActiveSegment(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		harm func(t *testing.T, path, content string)
		lost int64
	}{
		"Removed":           {func(t *testing.T, path, _ string) { t.Helper(); remove(t, path) }, 5},
		"ReplacedByNothing": {func(t *testing.T, path, _ string) { t.Helper(); replaceBy(t, path, "") }, 5},
		"ReplacedByItself":  {replaceBy, 0},
		"ReplacedByAPart": {func(t *testing.T, path, content string) {
			t.Helper()
			replaceBy(t, path, content[:strings.Index(content, "\n")+1])
		}, 4},
		"Truncated": {func(t *testing.T, path, _ string) { t.Helper(); write(t, path, "") }, 5},
		"CutOff":    {func(t *testing.T, path, content string) { t.Helper(); write(t, path, content[:len(content)-10]) }, 1},
		"BecameADirectory": {func(t *testing.T, path, _ string) {
			t.Helper()
			remove(t, path)
			if err := os.Mkdir(path, 0o700); err != nil {
				t.Fatal(err)
			}
		}, 5},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			config := spool.Config{Path: t.TempDir()}
			d, _ := open(t, config)
			want := records(0, 10)
			appendAll(t, d, want[:5])
			if lost := d.Check(); len(lost) > 0 {
				t.Fatalf("lost before anything happened: %v", lost)
			}
			path := segments(t, config.Path)[0]
			test.harm(t, path, read(t, path))
			if err := d.Append(want[5:]); err == nil {
				t.Error("records are acknowledged in a file that was replaced")
			}
			if lost := lostIn(d.Check()); lost != test.lost {
				t.Errorf("%d records are reported as lost, want %d", lost, test.lost)
			}
			appendAll(t, d, want[5:])
			if lost := lostIn(d.Check()); lost != 0 {
				t.Errorf("%d records are reported as lost again", lost)
			}
			shut(t, d)
			d, _ = open(t, config)
			got, bad := drain(t, d, 3)
			if kept := want[:5-test.lost]; len(bad) > 0 || cmp.Diff(slices.Concat(kept, want[5:]), got) != "" {
				t.Errorf("%d records and %d bad lines are left", len(got), len(bad))
			}
		})
	}
}

func TestReplacedByEmptyFile(t *testing.T) {
	t.Parallel()
	config := spool.Config{Path: t.TempDir()}
	d, _ := open(t, config)
	appendAll(t, d, records(0, 2))
	replaceBy(t, segments(t, config.Path)[0], "")
	if lost := lostIn(d.Check()); lost != 2 {
		t.Errorf("%d records are reported as lost, want 2", lost)
	}
	appendAll(t, d, records(2, 4))
	drain(t, d, 0)
	if left := segments(t, config.Path); len(left) > 0 {
		t.Errorf("the empty file is left: %v", left)
	}
}

// Only one line is left, of a record that was given: the other five are lost or given.
func TestReplacedByGivenRecord(t *testing.T) {
	t.Parallel()
	config, path := prepared(t, records(0, 6))
	d, _ := open(t, config)
	first := next(t, d, 2)
	line, _, _ := strings.Cut(read(t, path), "\n")
	replaceBy(t, path, line+"\n")
	lost := d.Check()
	if len(lost) != 1 {
		t.Fatalf("%d segments are reported, want 1", len(lost))
	}
	want := map[audit.EnvelopeClass]int64{audit.Safety: 1, audit.Cost: 1, audit.Performance: 1, audit.Unknown: 1}
	if diff := cmp.Diff(want, lost[0].Records); diff != "" {
		t.Errorf("lost (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[audit.EnvelopeClass]int64{audit.Safety: 1}, lost[0].Again); diff != "" {
		t.Errorf("given again (-want +got):\n%s", diff)
	}
	if !d.Stale(first) {
		t.Error("the batch is not stale")
	}
	done(t, d, first)
	drain(t, d, 0)
}

func lostIn(errs []*spool.UnreadableError) (lost int64) {
	for _, err := range errs {
		for _, n := range err.Records {
			lost += n
		}
		if lost > 0 && (!err.Gone || err.FirstAuditID == [16]byte{} || err.LastAuditID == [16]byte{}) {
			return -1
		}
	}
	return lost
}

func TestReplacedWhileRead(t *testing.T) {
	t.Parallel()
	config, path := prepared(t, records(0, 6))
	d, _ := open(t, config)
	first := next(t, d, 2)
	replaceBy(t, path, read(t, path))
	given := countedByClass(first.Records)
	var extra int64
	for {
		batch, err := d.Next(2)
		if gone, ok := errors.AsType[*spool.UnreadableError](err); ok {
			for _, n := range gone.Records {
				extra -= n
			}
			for _, n := range gone.Again {
				extra += n
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if batch == nil {
			break
		}
		for class, n := range countedByClass(batch.Records) {
			given[class] += n
		}
		done(t, d, batch)
	}
	done(t, d, first)
	var total int64
	for _, n := range given {
		total += n
	}
	if total != 6+extra || extra != 2 || len(segments(t, config.Path)) > 0 {
		t.Errorf("%d records were given, %d are reported beyond the count; left %v", total, extra, segments(t, config.Path))
	}
}

func TestChecksumFindsDamage(t *testing.T) {
	t.Parallel()
	want := records(0, 6)
	harms := map[string]func(line string) string{
		"AnotherDigit": func(line string) string {
			return strings.Replace(line, `"active_envelopes_count":2`, `"active_envelopes_count":3`, 1)
		},
		"AnotherTenant":       func(line string) string { return strings.Replace(line, `"acme"`, `"acne"`, 1) },
		"NoChecksum":          func(line string) string { return strings.TrimRight(line, " \t\n") + "\n" },
		"HalfAChecksum":       func(line string) string { return line[:len(line)-20] + "\n" },
		"AnotherChecksum":     func(line string) string { return line[:len(line)-33] + strings.Repeat(" ", 32) + "\n" },
		"AChecksumsFirstByte": func(line string) string { return line[:len(line)-34] + " " + line[len(line)-33:] },
	}
	for name, harm := range harms {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			config, path := prepared(t, want)
			lines := slices.Collect(strings.Lines(read(t, path)))
			if lines[2] == harm(lines[2]) {
				t.Fatal("nothing is harmed")
			}
			lines[2] = harm(lines[2])
			write(t, path, strings.Join(lines, ""))
			d, _ := open(t, config)
			batch := next(t, d, 0)
			if len(batch.Bad) != 1 || !strings.Contains(batch.Bad[0].Reason, "checksum") {
				t.Errorf("bad are %+v", batch.Bad)
			}
			if diff := cmp.Diff(slices.Delete(slices.Clone(want), 2, 3), batch.Records); diff != "" {
				t.Errorf("records (-want +got):\n%s", diff)
			}
			done(t, d, batch)
		})
	}
}

func TestSegmentsWithoutChecksums(t *testing.T) {
	t.Parallel()
	want := records(0, 6)
	config, path := prepared(t, want)
	write(t, path, withoutChecksums(read(t, path)))
	d, _ := open(t, config)
	if got, bad := drain(t, d, 0); cmp.Diff(want, got) != "" || len(bad) > 0 {
		t.Errorf("%d records, %d bad lines", len(got), len(bad))
	}
}

func TestDamagedGap(t *testing.T) {
	t.Parallel()
	config := spool.Config{Path: t.TempDir()}
	d, _ := open(t, config)
	saveAll(t, d, gap(5))
	shut(t, d)
	path := filepath.Join(config.Path, "gaps.jsonl")
	write(t, path, strings.Replace(read(t, path), `"SAFETY":5`, `"SAFETY":7`, 1))
	if _, found := open(t, config); len(found.Gaps) != 0 || len(found.Unreadable) != 1 {
		t.Errorf("found %+v", found)
	}
}

func TestSegmentWithTwoNames(t *testing.T) {
	t.Parallel()
	want := records(0, 3)
	config, path := prepared(t, want)
	appendTo(t, path, `{"torn`)
	if err := os.Link(path, filepath.Join(config.Path, "0000000002.jsonl")); err != nil {
		t.Fatal(err)
	}
	d, _ := open(t, config)
	if got, bad := drain(t, d, 0); cmp.Diff(slices.Concat(want, want), got) != "" || len(bad) > 0 {
		t.Errorf("%d records, %d bad lines", len(got), len(bad))
	}
}

func TestReplacedDirectory(t *testing.T) {
	t.Parallel()
	config := spool.Config{Path: filepath.Join(t.TempDir(), "spool")}
	d, _ := open(t, config)
	appendAll(t, d, records(0, 2))
	if err := os.Rename(config.Path, config.Path+".old"); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(config.Path, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := d.Append(records(2, 4)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Append() = %v, want ErrNotExist", err)
	}
	appendAll(t, d, records(2, 4))
	if lost := lostIn(d.Check()); lost != 2 {
		t.Errorf("%d records are reported as lost, want 2", lost)
	}
	if _, _, err := spool.Open(config); !errors.Is(err, audit.ErrDirectoryInUse) {
		t.Errorf("a second Open() = %v, want ErrDirectoryInUse", err)
	}
}

// Two processes must not use one directory, even if someone has replaced it.
func TestReplacedDirectoryInUse(t *testing.T) {
	t.Parallel()
	config := spool.Config{Path: filepath.Join(t.TempDir(), "spool")}
	d, _ := open(t, config)
	if err := os.Rename(config.Path, config.Path+".old"); err != nil {
		t.Fatal(err)
	}
	other, _ := open(t, config)
	if err := d.Append(records(0, 2)); !errors.Is(err, audit.ErrDirectoryInUse) {
		t.Errorf("Append() = %v, want ErrDirectoryInUse", err)
	}
	shut(t, other)
	appendAll(t, d, records(0, 2))
}

func TestFileModes(t *testing.T) {
	t.Parallel()
	config, path := prepared(t, records(0, 2))
	appendTo(t, path, `{"torn`)
	d, _ := open(t, config)
	saveAll(t, d, gap(1))
	rec := record(1)
	if err := d.Reject(&rec, "no", ""); err != nil {
		t.Fatal(err)
	}
	var files int
	err := filepath.WalkDir(config.Path, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || path == config.Path {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		want := fs.FileMode(0o600)
		if files++; entry.IsDir() {
			want = 0o700
		}
		if info.Mode().Perm() != want {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		return nil
	})
	if err != nil || files < 7 {
		t.Errorf("%d files, %v", files, err)
	}
}

func TestBatchBytes(t *testing.T) {
	t.Parallel()
	config := spool.Config{Path: t.TempDir(), SegmentBytes: 1 << 30}
	d, _ := open(t, config)
	const bound, size = 8 << 20, 60_000
	want := make([]audit.Record, 2*bound/size)
	for i := range want {
		want[i] = record(i)
		want[i].Reason = strings.Repeat("x", size)
	}
	appendAll(t, d, want)
	var got int
	for batch := next(t, d, 0); batch != nil; batch = next(t, d, 0) {
		if len(batch.Records)*size > bound+size || len(batch.Records) == 0 {
			t.Errorf("a batch has %d records of %d bytes", len(batch.Records), size)
		}
		got += len(batch.Records)
		done(t, d, batch)
	}
	if got != len(want) {
		t.Errorf("%d records of %d", got, len(want))
	}
}

// The file that replaced a segment may be torn itself. Its end is kept like any other.
func TestReplacedByTornFile(t *testing.T) {
	t.Parallel()
	config, path := prepared(t, records(0, 2))
	d, _ := open(t, config)
	replaceBy(t, path, read(t, path)+`{"torn`)
	if lost := d.Check(); len(lost) > 0 {
		t.Errorf("lost %v", lost)
	}
	if got, _ := drain(t, d, 0); len(got) != 2 {
		t.Errorf("%d records of 2", len(got))
	}
	if kept, err := filepath.Glob(filepath.Join(config.Path, "torn", "*")); err != nil || len(kept) != 1 || read(t, kept[0]) != `{"torn` {
		t.Errorf("kept are %v, %v", kept, err)
	}
}
