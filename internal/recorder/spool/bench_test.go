package spool_test

import (
	"testing"

	"github.com/hoc-analytics/coordaudit/internal/recorder/spool"
)

func BenchmarkAppend1000(b *testing.B) {
	d, _, err := spool.Open(spool.Config{Path: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	recs := records(0, 1000)
	for b.Loop() {
		if err := d.Append(recs); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(len(recs)*b.N)/b.Elapsed().Seconds(), "rows/s")
	b.ReportMetric(float64(d.Bytes())/float64(len(recs)*b.N), "B/row")
	if err := d.Close(); err != nil {
		b.Fatal(err)
	}
}
