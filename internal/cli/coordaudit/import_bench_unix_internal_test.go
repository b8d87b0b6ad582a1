//go:build unix

package coordaudit

import (
	"bufio"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/hoc-analytics/coordaudit/internal/test/baseline"
	"github.com/hoc-analytics/coordaudit/internal/test/seed"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

// importLinesVariable says how many lines are imported. Defaults to 50,000.
const importLinesVariable = "COORDAUDIT_BENCH_IMPORT_LINES"

// BenchmarkImport compares an import, by the program in a process of its own, with a bare
// COPY of the same records from a file in the server's binary form. They run in turn, each
// into an empty table with all its indexes, on a server that keeps what it commits. The
// last look at the program's peak of resident memory is a few milliseconds before its
// end.
func BenchmarkImport(b *testing.B) {
	count := benchLines(b)
	host := testdb.OnServer(testdb.Durable(b))
	program := buildProgram(b)
	lines, rows := filepath.Join(b.TempDir(), "trail.jsonl"), filepath.Join(b.TempDir(), "trail.copy")
	writeBenchLines(b, lines, count)
	inFreshDatabase(b, host, func(db *testdb.DB) {
		importFile(b, program, db, lines)
		copyOut(b, db.Pool, rows)
	})

	var bare, ours []time.Duration
	var peak int64
	importing := func() {
		inFreshDatabase(b, host, func(db *testdb.DB) {
			start := time.Now()
			peak = max(peak, importFile(b, program, db, lines))
			ours = append(ours, time.Since(start))
		})
	}
	for oursFirst := false; b.Loop(); oursFirst = !oursFirst {
		if oursFirst {
			importing()
		}
		inFreshDatabase(b, host, func(db *testdb.DB) {
			start := time.Now()
			copyIn(b, db.Pool, rows)
			bare = append(bare, time.Since(start))
		})
		if !oursFirst {
			importing()
		}
	}
	reportRounds(b, count, bare, ours)
	b.ReportMetric(float64(peak)/(1<<20), "peak-MiB")
}

// reportRounds reports the medians of the rounds' speeds and of their ratios, and its spread.
func reportRounds(b *testing.B, count int, bare, ours []time.Duration) {
	b.Helper()
	var bareSpeeds, ourSpeeds, ratios []float64
	for i := range bare {
		bareSpeeds = append(bareSpeeds, float64(count)/bare[i].Seconds())
		ourSpeeds = append(ourSpeeds, float64(count)/ours[i].Seconds())
		ratios = append(ratios, bare[i].Seconds()/ours[i].Seconds())
	}
	for _, values := range [][]float64{bareSpeeds, ourSpeeds, ratios} {
		slices.Sort(values)
	}
	middle := len(ratios) / 2
	b.ReportMetric(0, "ns/op") // of both together, which means nothing
	b.ReportMetric(bareSpeeds[middle], "bare-rows/s")
	b.ReportMetric(ourSpeeds[middle], "import-lines/s")
	b.ReportMetric(ratios[middle], "times-bare")
	b.ReportMetric(ratios[0], "times-bare-lowest")
	b.ReportMetric(ratios[len(ratios)-1], "times-bare-highest")
}

func benchLines(b *testing.B) int {
	b.Helper()
	text := os.Getenv(importLinesVariable)
	if text == "" {
		return 50_000
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		b.Fatal(err)
	}
	return n
}

func writeBenchLines(b *testing.B, path string, count int) {
	b.Helper()
	file, err := os.Create(path)
	if err != nil {
		b.Fatal(err)
	}
	out := bufio.NewWriter(file)
	encoder := json.NewEncoder(out)
	for rec := range seed.Records(seed.Config{Records: count, Seed: 1}) {
		if err := encoder.Encode(rec); err != nil {
			b.Fatal(err)
		}
	}
	if err := out.Flush(); err != nil {
		b.Fatal(err)
	}
	if err := file.Close(); err != nil {
		b.Fatal(err)
	}
}

// inFreshDatabase leaves no database behind: a million records take a gigabyte.
func inFreshDatabase(b *testing.B, host *testdb.Host, work func(*testdb.DB)) {
	b.Helper()
	db, drop, err := host.Clone(context.Background())
	if err != nil {
		b.Fatal(err)
	}
	defer drop()
	work(db)
}

// importFile returns the peak of the process's resident memory.
func importFile(b *testing.B, program string, db *testdb.DB, path string) (peak int64) {
	b.Helper()
	p := startFile(b, program, db.URL, "import", path, "--json")
	ended := make(chan error, 1)
	go func() { ended <- p.Wait() }()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case err := <-ended:
			if err != nil {
				b.Fatalf("%v\n%s", err, p.stderr.String())
			}
			return peak
		case <-tick.C:
			if now, ok := highWater(p.Process.Pid); ok {
				peak = now
			}
		}
	}
}

func copyOut(b *testing.B, pool *pgxpool.Pool, path string) {
	b.Helper()
	file, err := os.Create(path)
	if err != nil {
		b.Fatal(err)
	}
	withConn(b, pool, func(ctx context.Context, conn *pgxpool.Conn) error {
		_, err := conn.Conn().PgConn().CopyTo(ctx, file, "COPY (SELECT "+baseline.Columns+" FROM coordination_audit_records ORDER BY seq) TO STDOUT (FORMAT binary)")
		return err
	})
	if err := file.Close(); err != nil {
		b.Fatal(err)
	}
}

func copyIn(b *testing.B, pool *pgxpool.Pool, path string) {
	b.Helper()
	file, err := os.Open(path)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	withConn(b, pool, func(ctx context.Context, conn *pgxpool.Conn) error {
		_, err := conn.Conn().PgConn().CopyFrom(ctx, file, "COPY coordination_audit_records ("+baseline.Columns+") FROM STDIN (FORMAT binary)")
		return err
	})
}

func withConn(b *testing.B, pool *pgxpool.Pool, work func(context.Context, *pgxpool.Conn) error) {
	b.Helper()
	ctx := context.Background()
	conn, err := pool.Acquire(ctx)
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Release()
	if err := work(ctx, conn); err != nil {
		b.Fatal(err)
	}
}
