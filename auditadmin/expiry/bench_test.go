package expiry_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/hoc-analytics/coordaudit/auditadmin/expiry"
	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
	"github.com/hoc-analytics/coordaudit/internal/test/seed"
)

// BenchmarkArchive measures what a record costs to archive and to check, where all of the trail
// expires, and where a class does, whose records are scattered. COORDAUDIT_BENCH_EXPIRY is the
// number of records in the trail.
//
//	go test -run '^$' -bench Archive/class/check -benchtime 3x -cpuprofile cpu.prof ./auditadmin/expiry
func BenchmarkArchive(b *testing.B) {
	records := fixture.Size(b, "COORDAUDIT_BENCH_EXPIRY", 200_000)
	tr := newTrail(b)
	if _, err := seed.Copy(b.Context(), tr.db.Pool, seed.Records(seed.Config{Records: records})); err != nil {
		b.Fatal(err)
	}
	tr.seal(b)
	config := tr.config(b)
	for name, filter := range map[string]expiry.Filter{"all": all(), "class": cost()} {
		b.Run(name, func(b *testing.B) {
			made, dir := 0, ""
			write := func(b *testing.B) int64 {
				b.Helper()
				made++
				dir = filepath.Join(tr.dir, name+strconv.Itoa(made))
				m, err := expiry.Archive(b.Context(), config, expiry.ArchiveConfig{Filter: filter, Dir: dir})
				if err != nil {
					b.Fatal(err)
				}
				return m.Records
			}
			write(b)
			b.Run("write", func(b *testing.B) {
				measure(b, func() int64 { return write(b) })
				reportSizes(b, dir)
			})
			b.Run("check", func(b *testing.B) {
				measure(b, func() int64 {
					m, err := expiry.CheckArchive(b.Context(), dir, tr.verifier, nil)
					if err != nil {
						b.Fatal(err)
					}
					return m.Records
				})
			})
		})
	}
}

// reportSizes reports the bytes that an archived record costs.
func reportSizes(b *testing.B, dir string) {
	b.Helper()
	var m expiry.Manifest
	text, err := os.ReadFile(filepath.Join(dir, expiry.ManifestFile))
	if err == nil {
		err = json.Unmarshal(text, &m)
	}
	if err != nil {
		b.Fatal(err)
	}
	for name, unit := range map[string]string{expiry.RecordsFile: "B/record", expiry.ProofsFile: "B/proof"} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(info.Size())/float64(m.Records), unit)
	}
}

// measure reports the time that work takes for each of the records that it returns.
func measure(b *testing.B, work func() (records int64)) {
	b.Helper()
	b.ReportAllocs()
	records := int64(0)
	for b.Loop() {
		records += work()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/1000/float64(records), "µs/record")
}
