package spool_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/completeness"
	"github.com/hoc-analytics/coordaudit/internal/recorder/spool"
)

// prepared returns a closed spool with one segment of these records.
func prepared(t *testing.T, recs []audit.Record) (config spool.Config, segment string) {
	t.Helper()
	config = spool.Config{Path: t.TempDir()}
	d, _ := open(t, config)
	appendAll(t, d, recs)
	shut(t, d)
	return config, segments(t, config.Path)[0]
}

func TestTornEnd(t *testing.T) {
	t.Parallel()
	line, err := json.Marshal(record(99))
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]string{
		"HalfALine":         string(line[:len(line)/2]),
		"AllButTheLineEnd":  string(line),
		"Zeros":             strings.Repeat("\x00", 5000),
		"HalfALineAndZeros": string(line[:20]) + strings.Repeat("\x00", 100),
		"ManyTimesALine":    strings.Repeat("x", 3<<20),
		"OneByte":           "{",
	}
	for name, torn := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want := records(0, 10)
			config, path := prepared(t, want)
			whole := read(t, path)
			appendTo(t, path, torn)

			d, found := open(t, config)
			if len(found.Torn) != 1 || len(found.Unreadable) > 0 {
				t.Fatalf("found %+v", found)
			}
			kept := found.Torn[0]
			if kept.Bytes != int64(len(torn)) || read(t, kept.Path) != torn || filepath.Dir(kept.Path) != filepath.Join(config.Path, "torn") {
				t.Errorf("set aside: %+v", kept)
			}
			if read(t, path) != whole || d.Bytes() != int64(len(whole)) {
				t.Errorf("the segment's whole lines have changed; Bytes() = %d", d.Bytes())
			}
			if diff := cmp.Diff(countedByClass(want), found.Records); diff != "" {
				t.Errorf("found (-want +got):\n%s", diff)
			}
			got, bad := drain(t, d, 0)
			if diff := cmp.Diff(want, got); diff != "" || len(bad) > 0 {
				t.Errorf("records (-want +got), bad %v:\n%s", bad, diff)
			}
			shut(t, d)
			if _, found = open(t, config); len(found.Torn) > 0 {
				t.Errorf("reported twice: %+v", found.Torn)
			}
		})
	}
}

func TestCutOffAnywhere(t *testing.T) {
	t.Parallel()
	want := records(0, 3)
	config, path := prepared(t, want)
	whole := read(t, path)
	var records, torn int
	for at := 0; at <= len(whole); at += 11 {
		cut := whole[:at]
		if at%2 == 1 {
			cut += strings.Repeat("\x00", len(whole)-at)
		}
		records += strings.Count(cut, "\n")
		if cut != "" && !strings.HasSuffix(cut, "\n") {
			torn++
		}
		write(t, filepath.Join(config.Path, fmt.Sprintf("%010d.jsonl", at+1)), cut)
	}
	d, found := open(t, config)
	if len(found.Torn) != torn || len(found.Unreadable) > 0 {
		t.Errorf("%d torn ends of %d, unreadable %v", len(found.Torn), torn, found.Unreadable)
	}
	got, bad := drain(t, d, 0)
	if len(got) != records || len(bad) > 0 {
		t.Errorf("%d records of %d, bad %v", len(got), records, bad)
	}
	for _, rec := range got {
		if !slices.Contains(want, rec) {
			t.Errorf("a record that was never appended: %+v", rec)
		}
	}
}

func TestTornFilesStay(t *testing.T) {
	t.Parallel()
	config := spool.Config{Path: t.TempDir()}
	var kept []string
	for _, torn := range []string{"one", "two", "three"} {
		// Each process crashes in its first Append.
		d, _ := open(t, config)
		appendAll(t, d, records(0, 1))
		path := segments(t, config.Path)[0]
		shut(t, d)
		write(t, path, torn)
		d, found := open(t, config)
		if len(found.Torn) != 1 || len(segments(t, config.Path)) > 0 {
			t.Fatalf("found %+v, segments %v", found, segments(t, config.Path))
		}
		kept = append(kept, found.Torn[0].Path)
		shut(t, d)
	}
	if read(t, kept[0])+read(t, kept[1])+read(t, kept[2]) != "onetwothree" {
		t.Errorf("kept in %v", kept)
	}
}

// The name of a torn end may be taken, by other content that begins in the same way.
func TestTornNameTaken(t *testing.T) {
	t.Parallel()
	config := spool.Config{Path: t.TempDir()}
	aside := filepath.Join(config.Path, "torn")
	if err := os.Mkdir(aside, 0o700); err != nil {
		t.Fatal(err)
	}
	taken := map[string]string{"0000000001-0.jsonl": "{\"tear", "0000000001-0.2.jsonl": "{\"torn ends here"}
	for name, content := range taken {
		write(t, filepath.Join(aside, name), content)
	}
	write(t, filepath.Join(config.Path, "0000000001.jsonl"), `{"torn ends`)
	_, found := open(t, config)
	if len(found.Torn) != 1 || read(t, found.Torn[0].Path) != `{"torn ends` {
		t.Fatalf("found %+v", found)
	}
	for name, content := range taken {
		if got := read(t, filepath.Join(aside, name)); got != content {
			t.Errorf("%s holds %q, want %q", name, got, content)
		}
	}
}

// A crash may have left half of the copy.
func TestHalfACopy(t *testing.T) {
	t.Parallel()
	config := spool.Config{Path: t.TempDir()}
	half := filepath.Join(config.Path, "torn", "0000000001-0.jsonl")
	if err := os.Mkdir(filepath.Dir(half), 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, half, `{"to`)
	write(t, filepath.Join(config.Path, "0000000001.jsonl"), `{"torn`)
	if _, found := open(t, config); len(found.Torn) != 1 || found.Torn[0].Path != half || read(t, half) != `{"torn` {
		t.Errorf("found %+v, the copy holds %q", found, read(t, half))
	}
}

func TestDamagedLines(t *testing.T) {
	t.Parallel()
	want := records(0, 6)
	config, path := prepared(t, want)
	lines := slices.Collect(strings.Lines(read(t, path)))
	lines[2] = strings.Replace(lines[2], `"decision"`, `"decisiom"`, 1)
	foreign := []string{
		strings.Repeat("\x00", 100) + "\n", "\n", "\xff\xfe\n", strings.Repeat("y", 2<<20) + "\n",
		strings.Replace(lines[0], `{`, `{"emit_traces":false,`, 1),
	}
	write(t, path, strings.Join(lines[:4], "")+strings.Join(foreign, "")+strings.Join(lines[4:], ""))

	d, found := open(t, config)
	counted := countedByClass(want)
	counted[audit.Unknown] += 4
	counted[want[0].EnvelopeClass]++ // the replay
	if diff := cmp.Diff(counted, found.Records); diff != "" {
		t.Errorf("found (-want +got):\n%s", diff)
	}
	batch := next(t, d, 0)
	if diff := cmp.Diff(slices.Delete(slices.Clone(want), 2, 3), batch.Records); diff != "" {
		t.Errorf("records (-want +got):\n%s", diff)
	}
	given := countedByClass(batch.Records)
	for _, bad := range batch.Bad {
		if given[bad.Class]++; bad.Reason == "" {
			t.Error("a bad line without a reason")
		}
		if err := d.RejectLine(bad); err != nil {
			t.Error(err)
		}
	}
	if diff := cmp.Diff(counted, given); diff != "" || batch.Miscounted != nil {
		t.Errorf("the classes given are not those found (-found +given), miscounted %v:\n%s", batch.Miscounted, diff)
	}
	if kept, _ := filepath.Glob(filepath.Join(config.Path, "torn", "*")); len(kept) != 1 || read(t, kept[0]) != foreign[3] {
		t.Errorf("the line that is too long for a batch is kept in %v", kept)
	}
	done(t, d, batch)
}

// withoutChecksums returns a segment as earlier releases wrote it.
func withoutChecksums(content string) string {
	var plain strings.Builder
	for line := range strings.Lines(content) {
		plain.WriteString(strings.TrimRight(line, " \t\n") + "\n")
	}
	return plain.String()
}

func TestMiscountedLines(t *testing.T) {
	t.Parallel()
	config, path := prepared(t, records(0, 4)) // SAFETY, RELIABILITY, COST, PERFORMANCE
	write(t, path, withoutChecksums(read(t, path)))
	d, _ := open(t, config)
	lines := slices.Collect(strings.Lines(read(t, path)))
	lines[0] = strings.Replace(lines[0], `"envelope_class":"SAFETY"`, `"envelope_class": "cost" `, 1)
	lines[1] = strings.Replace(lines[1], "\n", " ", 1) // joined with the third
	write(t, path, strings.Join(lines, ""))
	var miscounted []map[audit.EnvelopeClass]int64
	for batch := next(t, d, 1); batch != nil; batch = next(t, d, 1) {
		if batch.Miscounted != nil {
			miscounted = append(miscounted, batch.Miscounted)
		}
		done(t, d, batch)
	}
	want := []map[audit.EnvelopeClass]int64{{audit.Safety: -1}}
	if diff := cmp.Diff(want, miscounted); diff != "" {
		t.Errorf("miscounted (-want +got):\n%s", diff)
	}
}

func TestUnreadableFiles(t *testing.T) {
	t.Parallel()
	want := records(0, 3)
	config, path := prepared(t, want)
	dir := config.Path
	if err := os.Mkdir(filepath.Join(dir, "0000000007.jsonl"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(path, filepath.Join(dir, "0000000008.jsonl")); err != nil {
		t.Fatal(err)
	}
	foreign := []string{"notes.txt", "7.jsonl", "0000000000.jsonl", "0000000009.jsonl.bak", "9223372036854775807.jsonl"}
	for _, name := range foreign {
		write(t, filepath.Join(dir, name), "half a line")
	}
	write(t, filepath.Join(dir, "torn"), "a file")
	write(t, filepath.Join(dir, "rejected"), "a file")
	write(t, filepath.Join(dir, "later"), "a file")

	d, found := open(t, config)
	var unreadable []string
	for _, err := range found.Unreadable {
		what, ok := errors.AsType[*spool.UnreadableError](err)
		if !ok {
			t.Fatalf("%T: %v", err, err)
		}
		unreadable = append(unreadable, filepath.Base(what.Path))
	}
	if diff := cmp.Diff([]string{"0000000007.jsonl", "0000000008.jsonl", "torn", "later", "rejected"}, unreadable); diff != "" {
		t.Errorf("unreadable (-want +got):\n%s", diff)
	}
	appendAll(t, d, records(3, 4))
	if _, err := os.Stat(filepath.Join(dir, "0000000009.jsonl")); err != nil {
		t.Errorf("the next number is not beyond those in use: %v", err)
	}
	rec := record(1)
	if err := d.Reject(&rec, "no", ""); err == nil {
		t.Error("a record is kept in a directory that is a file")
	}
	var got []audit.Record
	for batch := next(t, d, 0); batch != nil; batch = next(t, d, 0) {
		got = append(got, batch.Records...)
		done(t, d, batch)
	}
	if diff := cmp.Diff(want, got[:len(want)]); diff != "" || len(got) != len(want)+1 || !d.Empty() {
		t.Errorf("records (-want +got), %d, Empty() = %v:\n%s", len(got), d.Empty(), diff)
	}
	for _, name := range foreign {
		if read(t, filepath.Join(dir, name)) != "half a line" {
			t.Errorf("%s was changed", name)
		}
	}
}

func TestSegmentGoneWhileOpen(t *testing.T) {
	t.Parallel()
	config := spool.Config{Path: t.TempDir(), SegmentBytes: 1}
	d, _ := open(t, config)
	want := records(0, 15)
	for group := range slices.Chunk(want, 5) {
		appendAll(t, d, group)
	}
	paths := segments(t, config.Path)
	content := read(t, paths[0])
	write(t, paths[0], content[:len(content)/2])
	if err := os.Remove(paths[1]); err != nil {
		t.Fatal(err)
	}
	var got []audit.Record
	var lost []map[audit.EnvelopeClass]int64
	for !d.Empty() {
		batch, err := d.Next(0)
		if err != nil {
			what, ok := errors.AsType[*spool.UnreadableError](err)
			if !ok || len(lost) > 2 {
				t.Fatal(err)
			}
			if !what.Gone {
				t.Errorf("records that are gone are not reported as gone: %v", what)
			}
			lost = append(lost, what.Records)
			continue
		}
		got = append(got, batch.Records...)
		done(t, d, batch)
	}
	if diff := cmp.Diff([]map[audit.EnvelopeClass]int64{countedByClass(want[2:5]), countedByClass(want[5:10])}, lost); diff != "" {
		t.Errorf("not given (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(append(want[:2:2], want[10:]...), got); diff != "" {
		t.Errorf("records (-want +got):\n%s", diff)
	}
	if left := segments(t, config.Path); len(left) != 1 || left[0] != paths[0] {
		t.Errorf("left are %v", left)
	}
}

// The file descriptor would still take records, and no reader would find them.
func TestAppendToRemovedSegment(t *testing.T) {
	t.Parallel()
	config := spool.Config{Path: t.TempDir()}
	d, _ := open(t, config)
	want := records(0, 6)
	appendAll(t, d, want[:2])
	if err := os.Remove(segments(t, config.Path)[0]); err != nil {
		t.Fatal(err)
	}
	if err := d.Append(want[2:4]); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Append() = %v, want ErrNotExist", err)
	}
	appendAll(t, d, want[4:])
	if _, err := d.Next(0); err == nil {
		t.Error("the loss was not reported")
	}
	got, _ := drain(t, d, 0)
	if diff := cmp.Diff(want[4:], got); diff != "" {
		t.Errorf("records (-want +got):\n%s", diff)
	}
}

// A torn end, and the half of a copy that a crash left, may be larger than any buffer.
func TestLongTornEnd(t *testing.T) {
	t.Parallel()
	torn := strings.Repeat("0123456789abcdef", 10_000)
	tests := map[string]struct {
		found string // under the name of the copy
		other bool   // which is something else
	}{
		"HalfACopy":            {torn[:len(torn)-1000], false},
		"AWholeCopy":           {torn, false},
		"LongerThanTheEnd":     {torn + "0", true},
		"AnotherLastByte":      {torn[:len(torn)-1] + "x", true},
		"AnotherByteInBetween": {torn[:70_000] + "x" + torn[70_001:], true},
		"AnotherFirstByte":     {"x" + torn[1:], true},
		"AnotherHalf":          {torn[:100_000] + "x", true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			config := spool.Config{Path: t.TempDir()}
			taken := filepath.Join(config.Path, "torn", "0000000001-0.jsonl")
			if err := os.Mkdir(filepath.Dir(taken), 0o700); err != nil {
				t.Fatal(err)
			}
			write(t, taken, test.found)
			write(t, filepath.Join(config.Path, "0000000001.jsonl"), torn)
			_, found := open(t, config)
			if len(found.Torn) != 1 || read(t, found.Torn[0].Path) != torn || (found.Torn[0].Path != taken) != test.other {
				t.Errorf("found %+v", found)
			}
			if test.other && read(t, taken) != test.found {
				t.Error("another file was overwritten")
			}
		})
	}
}

// notices are the two ways in which a process learns that a file has changed under it.
func notices() map[string]func(d *spool.Directory) *spool.UnreadableError {
	return map[string]func(d *spool.Directory) *spool.UnreadableError{
		"Next": func(d *spool.Directory) *spool.UnreadableError {
			_, err := d.Next(0)
			gone, _ := errors.AsType[*spool.UnreadableError](err)
			return gone
		},
		"Check": func(d *spool.Directory) *spool.UnreadableError {
			for _, gone := range d.Check() {
				return gone
			}
			return nil
		},
	}
}

// Who reads the report of a lost segment learns where the loss begins and where it ends.
func TestLostSegmentNamesItsRecords(t *testing.T) {
	t.Parallel()
	want := records(0, 5)
	source := uuid.New()
	for i := range want {
		want[i].Origin.SourceID, want[i].Origin.SourceSeq = source, int64(i+1)
	}
	appended := func(t *testing.T) (*spool.Directory, string) {
		t.Helper()
		config := spool.Config{Path: t.TempDir()}
		d, _ := open(t, config)
		appendAll(t, d, want[:2])
		appendAll(t, d, want[2:])
		return d, segments(t, config.Path)[0]
	}
	found := func(t *testing.T) (*spool.Directory, string) {
		t.Helper()
		config, path := prepared(t, want)
		d, _ := open(t, config)
		return d, path
	}
	for name, notice := range notices() {
		requireLoss := func(t *testing.T, d *spool.Directory, path string) {
			t.Helper()
			done(t, d, next(t, d, 2))
			remove(t, path)
			gone := notice(d)
			if gone == nil || !gone.Gone || gone.Path != path || !errors.Is(gone, fs.ErrNotExist) || gone.FirstAuditID != want[0].AuditID || gone.LastAuditID != want[4].AuditID {
				t.Fatalf("lost %+v", gone)
			}
			if diff := cmp.Diff(countedByClass(want[2:]), gone.Records); diff != "" {
				t.Errorf("records (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(map[uuid.UUID]completeness.Set{source: completeness.SetOf(3, 4, 5)}, gone.Ordinals); diff != "" {
				t.Errorf("ordinals (-want +got):\n%s", diff)
			}
			if again := d.Check(); len(again) > 0 {
				t.Errorf("reported again: %v", again)
			}
			if d.Bytes() != 0 || !d.Empty() {
				t.Errorf("Bytes() = %d, Empty() = %v without a file", d.Bytes(), d.Empty())
			}
		}
		t.Run(name+"OfAppended", func(t *testing.T) {
			t.Parallel()
			d, path := appended(t)
			requireLoss(t, d, path)
		})
		t.Run(name+"OfFound", func(t *testing.T) {
			t.Parallel()
			d, path := found(t)
			requireLoss(t, d, path)
		})
	}
}

// Only the records that a replaced file no longer has are lost.
func TestReplacedFileKeepsItsOrdinals(t *testing.T) {
	t.Parallel()
	recs, source := records(0, 4), uuid.New()
	for i := range recs {
		recs[i].Origin.SourceID, recs[i].Origin.SourceSeq = source, int64(i+1)
	}
	for name, notice := range notices() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			config, path := prepared(t, recs)
			d, _ := open(t, config)
			lines := slices.Collect(strings.Lines(read(t, path)))
			replaceBy(t, path, lines[0]+lines[2])
			lost := notice(d)
			if lost == nil || len(lost.Again) > 0 {
				t.Fatalf("lost %+v", lost)
			}
			if diff := cmp.Diff(map[uuid.UUID]completeness.Set{source: completeness.SetOf(2, 4)}, lost.Ordinals); diff != "" {
				t.Errorf("ordinals (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(map[uuid.UUID]completeness.Set{source: completeness.SetOf(1, 3)}, d.Ordinals()); diff != "" {
				t.Errorf("left (-want +got):\n%s", diff)
			}
		})
	}
}

// A copy of the file, as a restored backup brings it, gives again what was given. That is
// reported, so that the counts add up.
func TestGivenAgain(t *testing.T) {
	t.Parallel()
	for name, notice := range notices() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			config, path := prepared(t, records(0, 2))
			d, _ := open(t, config)
			next(t, d, 1)
			replaceBy(t, path, read(t, path))
			again := notice(d)
			if again == nil || len(again.Records) > 0 || cmp.Diff(map[audit.EnvelopeClass]int64{audit.Safety: 1}, again.Again) != "" {
				t.Fatalf("reported %+v, want one record again", again)
			}
			if got, _ := drain(t, d, 0); len(got) != 2 {
				t.Errorf("%d records of 2", len(got))
			}
		})
	}
}

// A line of 1 MiB is read as a whole. A longer one is not, and its own file keeps it.
func TestLongestLine(t *testing.T) {
	t.Parallel()
	config, path := prepared(t, records(0, 1))
	longest := strings.Repeat("y", 1<<20)
	write(t, path, longest+"\n"+longest+"z\n")
	d, _ := open(t, config)
	batch := next(t, d, 0)
	if len(batch.Bad) != 2 {
		t.Fatalf("%d bad lines, want 2", len(batch.Bad))
	}
	if reason := batch.Bad[0].Reason; strings.Contains(reason, "are allowed") {
		t.Errorf("a line of 1 MiB: %s", reason)
	}
	if reason := batch.Bad[1].Reason; !strings.Contains(reason, "is 1048577 bytes long") {
		t.Errorf("a longer one: %s", reason)
	}
	if kept, err := filepath.Glob(filepath.Join(config.Path, "torn", "*")); err != nil || len(kept) != 1 || read(t, kept[0]) != longest+"z\n" {
		t.Errorf("kept in %v, %v", kept, err)
	}
	done(t, d, batch)
}

// unwritableDisk opens no existing file for writing, as one that belongs to someone else.
type unwritableDisk struct{ spool.OSDisk }

func (d unwritableDisk) OpenFile(path string, flag int, perm fs.FileMode) (spool.File, error) {
	if flag == os.O_RDWR {
		return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrPermission}
	}
	return d.OSDisk.OpenFile(path, flag, perm)
}

// The lines before a torn end that cannot be cut off are given all the same.
func TestTornEndStays(t *testing.T) {
	t.Parallel()
	config, path := prepared(t, records(0, 3))
	appendTo(t, path, `{"torn`)
	d, found, err := spool.OpenOn(unwritableDisk{}, config)
	if err != nil {
		t.Fatal(err)
	}
	if len(found.Torn) > 0 || len(found.Unreadable) != 1 || !errors.Is(found.Unreadable[0], fs.ErrPermission) {
		t.Errorf("found %+v", found)
	}
	batch := next(t, d, 0)
	if len(batch.Records) != 3 || len(batch.Bad) > 0 {
		t.Errorf("%d records of 3, bad %v", len(batch.Records), batch.Bad)
	}
	if err := d.Done(batch); !errors.Is(err, fs.ErrPermission) || !strings.HasSuffix(read(t, path), `{"torn`) {
		t.Errorf("Done() = %v, and the torn end must stay", err)
	}
	if err := d.Close(); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("Close() = %v, want the removal that failed", err)
	}
}

// A file that ends between two lines has lost the others, and they are not in it any more.
func TestCutOffBetweenLines(t *testing.T) {
	t.Parallel()
	want := records(0, 4)
	config, path := prepared(t, want)
	d, _ := open(t, config)
	lines := slices.Collect(strings.Lines(read(t, path)))
	write(t, path, lines[0]+lines[1])
	if batch := next(t, d, 0); len(batch.Records) != 2 {
		t.Errorf("%d records are given, want the two that are left", len(batch.Records))
	}
	_, err := d.Next(0)
	gone, ok := errors.AsType[*spool.UnreadableError](err)
	if !ok || !gone.Gone {
		t.Fatalf("Next() = %v, want that the rest is gone", err)
	}
	if diff := cmp.Diff(countedByClass(want[2:]), gone.Records); diff != "" {
		t.Errorf("gone (-want +got):\n%s", diff)
	}
}

// A record that asks for a replay is none to store, also in a file without checksums.
func TestReplayIsNotGiven(t *testing.T) {
	t.Parallel()
	want := records(0, 2)
	config, path := prepared(t, want)
	lines := slices.Collect(strings.Lines(withoutChecksums(read(t, path))))
	write(t, path, lines[0]+strings.Replace(lines[1], `{`, `{"emit_traces":false,`, 1))
	d, _ := open(t, config)
	batch := next(t, d, 0)
	if len(batch.Records) != 1 || len(batch.Bad) != 1 || !strings.Contains(batch.Bad[0].Reason, "replay") {
		t.Errorf("%d records, bad %+v", len(batch.Records), batch.Bad)
	}
	done(t, d, batch)
}
