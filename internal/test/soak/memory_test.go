package soak_test

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hoc-analytics/coordaudit/internal/test/race"
)

// outageVariable makes the outage longer than a test may take.
const outageVariable = "COORDAUDIT_OUTAGE"

const (
	mib         = 1 << 20
	memorySlack = 32 * mib // beyond the queue's bytes
)

// The outage lasts 5 s by default. A slow machine may then offer fewer records, and drop some
// if it counts them. COORDAUDIT_OUTAGE=60s is the measurement of docs/benchmarks.md, in which
// no record may be dropped.
func TestOutageMemory(t *testing.T) {
	t.Parallel()
	lasts, measuring := lengthOfOutage(t)
	settings := outageSettings{Dir: t.TempDir(), Lasts: lasts, Rate: 50_000, MaxQueuedBytes: 64 * mib}
	result := runOutage(t, settings)
	requireBounded(t, settings, result)

	lines, size := spooledRecords(t, settings.Dir)
	if lines != result.Counts.Spooled {
		t.Errorf("%d counted as spooled, %d in the spool", result.Counts.Spooled, lines)
	}
	if measuring && result.Counts.Dropped > 0 {
		t.Errorf("%d records were dropped because the spool did not keep pace", result.Counts.Dropped)
	}
	micros := func(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e3 }
	t.Log("offered/s | accepted | spooled | dropped | peak MiB above idle | spooled records, MiB | Enqueue p50, p99, p99.9, longest, µs")
	t.Logf("%.0f | %d | %d | %d | %.1f | %.0f | %.1f, %.1f, %.1f, %.0f",
		float64(result.Offered)/result.Took.Seconds(), result.Counts.Accepted, result.Counts.Spooled, result.Counts.Dropped,
		float64(max(result.PeakHeap, result.PeakResident))/mib, float64(size)/mib, micros(result.P50), micros(result.P99), micros(result.P999), micros(result.Longest))
}

func lengthOfOutage(t *testing.T) (lasts time.Duration, measuring bool) {
	t.Helper()
	text := os.Getenv(outageVariable)
	if text == "" {
		return 5 * time.Second, false
	}
	lasts, err := time.ParseDuration(text)
	if err != nil {
		t.Fatalf("%s: %v", outageVariable, err)
	}
	return lasts, true
}

func runOutage(t *testing.T, settings outageSettings) outageResult {
	t.Helper()
	encoded, err := json.Marshal(settings)
	if err != nil {
		t.Fatal(err)
	}
	child := exec.CommandContext(t.Context(), os.Args[0])
	child.Env = append(os.Environ(), outageChild+"="+string(encoded))
	var stderr strings.Builder
	child.Stderr = &stderr
	printed, err := child.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, stderr.String())
	}
	var result outageResult
	if err := json.Unmarshal(printed, &result); err != nil {
		t.Fatal(err)
	}
	return result
}

func requireBounded(t *testing.T, settings outageSettings, result outageResult) {
	t.Helper()
	t.Logf("above idle: heap %.1f MiB, resident %.1f MiB; queue at most %.1f MiB of %.0f; %+v", float64(result.PeakHeap)/mib,
		float64(result.PeakResident)/mib, float64(result.PeakQueue)/mib, float64(settings.MaxQueuedBytes)/mib, result.Counts)
	bound := settings.MaxQueuedBytes + memorySlack
	if beyond := result.PeakHeap > bound || result.PeakResident > bound; beyond && !race.Detector {
		t.Errorf("the peak exceeds the bound of %d MiB above idle", bound/mib)
	}
	if result.Offered == 0 || result.Counts.Accepted != result.Offered {
		t.Errorf("%d offered, %d accepted", result.Offered, result.Counts.Accepted)
	}
	if !result.AlwaysAddedUp || result.Counts.Accepted != result.Counts.AccountedFor() || result.Counts.Queued != 0 {
		t.Errorf("the counts do not add up: %+v, %t throughout", result.Counts, result.AlwaysAddedUp)
	}
}

// spooledRecords counts the lines of all segments, and their bytes.
func spooledRecords(t *testing.T, dir string) (lines, size int64) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "0*.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	buffer := make([]byte, mib)
	for _, path := range paths {
		in, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		for err == nil {
			var n int
			n, err = in.Read(buffer)
			lines += int64(bytes.Count(buffer[:n], []byte{'\n'}))
			size += int64(n)
		}
		if err != io.EOF { //nolint:errorlint // Read returns it as it is
			t.Fatal(err)
		}
		_ = in.Close() // it was only read
	}
	return lines, size
}

// No record leaves the queue while the spool is full too, for as long as the outage lasts.
func TestOutageMemoryWithFullSpool(t *testing.T) {
	t.Parallel()
	lasts, _ := lengthOfOutage(t)
	settings := outageSettings{Dir: t.TempDir(), Lasts: lasts, Rate: 50_000, MaxQueuedBytes: 64 * mib, MaxDirBytes: 1}
	result := runOutage(t, settings)
	requireBounded(t, settings, result)
	if result.Counts.Dropped != result.Counts.Accepted {
		t.Errorf("%d accepted and %d dropped, want all of them because there is no room", result.Counts.Accepted, result.Counts.Dropped)
	}
}
