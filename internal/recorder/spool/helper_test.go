package spool_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/recorder/spool"
)

// record returns a valid record. Its texts contain the key that classOf looks for.
func record(n int) audit.Record {
	classes := audit.EnvelopeClasses()
	return audit.Record{
		AuditID:              uuid.Must(uuid.NewV7()),
		EnvelopeID:           fmt.Sprintf(`"envelope_class":"COST" %06d`, n),
		EnvelopeClass:        classes[n%len(classes)],
		Decision:             audit.Applied,
		Reason:               `nothing stood in "its" way: "envelope_class":"SAFETY", ` + "\u2028\n🚀",
		DecisionTimestamp:    time.Date(2026, 1, 1, 0, 0, 0, n*1000, time.UTC),
		ActiveEnvelopesCount: int32(n),
		TenantID:             "acme",
	}
}

func records(from, to int) []audit.Record {
	var recs []audit.Record
	for n := from; n < to; n++ {
		recs = append(recs, record(n))
	}
	return recs
}

func open(t *testing.T, config spool.Config) (*spool.Directory, spool.Found) {
	t.Helper()
	if config.Path == "" {
		config.Path = t.TempDir()
	}
	d, found, err := spool.Open(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { shut(t, d) })
	return d, found
}

func shut(t *testing.T, d *spool.Directory) {
	t.Helper()
	if err := d.Close(); err != nil {
		t.Error(err)
	}
}

func appendAll(t *testing.T, d *spool.Directory, recs []audit.Record) {
	t.Helper()
	if err := d.Append(recs); err != nil {
		t.Fatal(err)
	}
}

// next returns nil if nothing is left.
func next(t *testing.T, d *spool.Directory, limit int) *spool.Batch {
	t.Helper()
	batch, err := d.Next(limit)
	if err != nil {
		t.Fatal(err)
	}
	return batch
}

func done(t *testing.T, d *spool.Directory, batch *spool.Batch) {
	t.Helper()
	if err := d.Done(batch); err != nil {
		t.Fatal(err)
	}
}

// drain takes everything and marks it as done.
func drain(t *testing.T, d *spool.Directory, limit int) (recs []audit.Record, bad []spool.BadLine) {
	t.Helper()
	for batch := next(t, d, limit); batch != nil; batch = next(t, d, limit) {
		if len(batch.Records)+len(batch.Bad) == 0 || limit > 0 && len(batch.Records)+len(batch.Bad) > limit {
			t.Fatalf("a batch of %d records and %d bad lines, the limit is %d", len(batch.Records), len(batch.Bad), limit)
		}
		recs, bad = append(recs, batch.Records...), append(bad, batch.Bad...)
		done(t, d, batch)
	}
	if !d.Empty() || d.Bytes() != 0 {
		t.Errorf("after all was done: Empty() = %v, Bytes() = %d", d.Empty(), d.Bytes())
	}
	return recs, bad
}

// segments returns the paths of the segments, in order.
func segments(t *testing.T, dir string) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "[0-9]*.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	return paths
}

func read(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func appendTo(t *testing.T, path, content string) {
	t.Helper()
	write(t, path, read(t, path)+content)
}

// countedByClass counts records as Found does.
func countedByClass(recs []audit.Record) map[audit.EnvelopeClass]int64 {
	counts := map[audit.EnvelopeClass]int64{}
	for _, rec := range recs {
		counts[rec.EnvelopeClass]++
	}
	return counts
}

func remove(t *testing.T, path string) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}
