package coordaudit

import (
	"bytes"
	"compress/gzip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/google/go-cmp/cmp"

	"github.com/hoc-analytics/coordaudit/internal/cli"
	"github.com/hoc-analytics/coordaudit/internal/format"
	"github.com/hoc-analytics/coordaudit/internal/importer"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

func zipped(t *testing.T, texts ...string) string {
	t.Helper()
	var out bytes.Buffer
	for _, text := range texts {
		w := gzip.NewWriter(&out)
		if _, err := w.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return out.String()
}

func inDirectory(t *testing.T, files map[string]string) string {
	t.Helper()
	directory := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(directory, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return directory
}

func TestImportSeveralFiles(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	directory := inDirectory(t, map[string]string{
		"1.jsonl": lines(0, 3), "2.jsonl": line(3) + "\nno JSON\n", "3.jsonl.gz": zipped(t, lines(5, 8)), "1.jsonl.rejects.jsonl": oldRejects, "gaps.jsonl": "no record\n", "statements.jsonl": "no record\n",
	})
	path := func(name string) string { return filepath.Join(directory, name) }
	got := run(t, db.URL, line(9)+"\n", "import", "--json", path("1.jsonl"), path("1.jsonl.rejects.jsonl"), path("2.jsonl"), path("gaps.jsonl"), path("statements.jsonl"), "-", path("3.jsonl.gz"))
	got.mustExit(t, cli.ExitFailed)
	if diff := cmp.Diff(importer.Counts{Read: 9, Persisted: 8, Rejected: 1}, got.counts(t)); diff != "" {
		t.Errorf("summary (-want +got):\n%s", diff)
	}
	mustContain(t, got.stderr, path("2.jsonl")+": line 2: the line is not valid JSON", "coordaudit: importing 4 files: 1 line refused, see "+path("2.jsonl")+importer.RejectsSuffix+": ",
		path("1.jsonl.rejects.jsonl")+" is left out", path("gaps.jsonl")+" is left out: it holds the gaps of a Recorder", path("statements.jsonl")+" is left out: it holds the statements of a Recorder")
	all := rejectsIn(t, path("2.jsonl")+importer.RejectsSuffix)
	if len(all) != 1 || all[0].Line != 2 || all[0].File != path("2.jsonl") {
		t.Errorf("refused: %+v", all)
	}
}

func TestImportOneRejectsFile(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	directory := inDirectory(t, map[string]string{"a": "no\n", "b": line(1) + "\nno\n", "c": "no\n"})
	rejects := filepath.Join(directory, "refused")
	got := run(t, db.URL, "", "import", filepath.Join(directory, "a"), filepath.Join(directory, "b"), filepath.Join(directory, "c"), "--rejects", rejects)
	got.mustExit(t, cli.ExitFailed)
	var kept []string
	for _, rejected := range rejectsIn(t, rejects) {
		kept = append(kept, filepath.Base(rejected.File))
	}
	if diff := cmp.Diff([]string{"a", "b", "c"}, kept); diff != "" {
		t.Errorf("kept (-want +got):\n%s", diff)
	}
}

func TestImportStandardInputTwice(t *testing.T) {
	t.Parallel()
	got := run(t, "postgres://someone@host/db", "", "import", "-", "-")
	got.mustExit(t, cli.ExitUsage)
	mustContain(t, got.stderr, "can be read once")
}

func TestImportMissingFile(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	directory := inDirectory(t, map[string]string{"a": lines(0, 4)})
	got := run(t, db.URL, "", "import", filepath.Join(directory, "a"), filepath.Join(directory, "b"))
	got.mustExit(t, cli.ExitFailed)
	mustContain(t, got.stderr, "so far: 4 lines read, 4 persisted", "importing "+filepath.Join(directory, "b")+": ", "no such file")
}

func TestImportForms(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"Gzip":           zipped(t, lines(0, 5)),
		"Members":        zipped(t, lines(0, 2), "", lines(2, 5)),
		"ByteOrderMark":  "\uFEFF" + lines(0, 5),
		"WindowsLines":   strings.ReplaceAll(lines(0, 5), "\n", "\r\n"),
		"All":            zipped(t, "\uFEFF"+strings.ReplaceAll(lines(0, 5), "\n", "\r\n")),
		"NoEndOfTheLast": strings.TrimSuffix(lines(0, 5), "\n"),
	} {
		for _, stdin := range []bool{true, false} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				db := testdb.New(t)
				input := file(t, text)
				if stdin {
					input = "-"
				}
				got := run(t, db.URL, text, "import", "--json", input)
				got.mustExit(t, cli.ExitDone)
				if diff := cmp.Diff(importer.Counts{Read: 5, Persisted: 5}, got.counts(t)); diff != "" {
					t.Errorf("summary (-want +got):\n%s", diff)
				}
			})
		}
	}
}

func TestImportCutGzip(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	whole := zipped(t, lines(0, 3000))
	path := file(t, whole[:len(whole)*2/3])
	got := run(t, db.URL, "", "import", "--batch", "100", path)
	got.mustExit(t, cli.ExitFailed)
	n := stored(t, db.Pool)
	if n < 100 || n >= 3000 {
		t.Errorf("%d rows", n)
	}
	mustContain(t, got.stderr, "so far: "+format.Thousands(int64(n))+" lines read, ", "the gzip file is cut off: get the whole file")
}

func TestImportTrailingBytes(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	whole := zipped(t, lines(0, 20), lines(20, 30))
	for _, trailing := range []string{"x", "\x00\x00", "no gzip at all\n"} {
		got := run(t, db.URL, "", "import", file(t, whole+trailing))
		got.mustExit(t, cli.ExitFailed)
		mustContain(t, got.stderr, "bytes that are no gzip follow the end of the gzip file")
		if n := stored(t, db.Pool); n != 30 {
			t.Errorf("%d rows", n)
		}
	}
	got := run(t, db.URL, "", "import", file(t, whole+whole[:5]))
	mustContain(t, got.stderr, "the gzip file is cut off")
}

func inUTF16(text string, big bool) string {
	var out []byte
	for _, unit := range utf16.Encode([]rune(text)) {
		if big {
			out = append(out, byte(unit>>8), byte(unit))
		} else {
			out = append(out, byte(unit), byte(unit>>8))
		}
	}
	return string(out)
}

// A file that is not JSON Lines makes one message, not a thousand refused lines.
func TestImportForeignForms(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	text := lines(0, 41)
	tests := map[string]struct{ text, what, next string }{
		"UTF16LE":   {"\xff\xfe" + inUTF16(text, false), "it is UTF-16 text", "iconv -f UTF-16 -t UTF-8 "},
		"UTF16BE":   {"\xfe\xff" + inUTF16(text, true), "it is UTF-16 text", "iconv -f UTF-16 "},
		"UTF16Bare": {inUTF16(text, false), "it is UTF-16 text", "iconv -f UTF-16LE "},
		"UTF32LE":   {"\xff\xfe\x00\x00{\x00\x00\x00", "it is UTF-32 text", "iconv -f UTF-32 "},
		"UTF32BE":   {"\x00\x00\xfe\xff\x00\x00\x00{", "it is UTF-32 text", "iconv -f UTF-32 "},
		"Array":     {"[\n" + strings.ReplaceAll(strings.TrimSpace(text), "\n", ",\n") + "\n]\n", "it is a JSON array", "jq -c '.[]' "},
		"ArrayBOM":  {"\uFEFF [" + line(1) + "]", "it is a JSON array", "jq -c '.[]' "},
		"Empty":     {"[]", "it is a JSON array", "jq"},
		"Pretty":    {"{\n  \"audit_id\": 1\n}\n", "it is JSON over several lines", "jq -c . "},
		"Zip":       {"PK\x03\x04 more", "it is a zip archive", "unzip -p "},
		"Zstd":      {"\x28\xb5\x2f\xfd more", "it is compressed by zstd", "zstd -dc "},
		"XZ":        {"\xfd7zXZ\x00 more", "it is compressed by xz", "xz -dc "},
		"Bzip2":     {"BZh91AY more", "it is compressed by bzip2", "bzip2 -dc "},
		"TwiceGzip": {zipped(t, zipped(t, text)), "it is compressed by gzip twice", "gzip -dc "},
		"ArrayGzip": {zipped(t, "["+line(1)+"]"), "it is a JSON array", "jq"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := file(t, test.text)
			for _, input := range []string{path, "-"} {
				got := run(t, db.URL, test.text, "import", input)
				got.mustExit(t, cli.ExitFailed)
				mustContain(t, got.stderr, "importing "+input+": ", test.what, test.next, "so far: 0 lines read")
				if strings.Count(got.stderr, "\n") != 2 || rejectsIn(t, path+importer.RejectsSuffix) != nil {
					t.Errorf("stderr:\n%s", got.stderr)
				}
			}
		})
	}
	if n := stored(t, db.Pool); n != 0 {
		t.Errorf("%d rows", n)
	}
}
