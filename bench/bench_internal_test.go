package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/pglocal"
	"github.com/hoc-analytics/coordaudit/internal/test/baseline"
)

// onSite runs work with all contenders on a database with the given number of records.
func onSite(t *testing.T, records int, work func(s *site)) {
	t.Helper()
	err := withServer(t.Context(), serverSettings(), func(server *pglocal.Server) error {
		return withSite(t.Context(), server, records, 4, contenders(), func(s *site) error {
			work(s)
			return nil
		})
	})
	if err != nil {
		t.Error(err)
	}
}

func TestQuickRunMeasuresSealing(t *testing.T) {
	t.Parallel()
	out := t.TempDir()
	var log bytes.Buffer
	command := sealingCommand{Quick: true, Out: out}
	if err := command.Run(t.Context(), &log); err != nil {
		t.Fatalf("%v\n%s", err, &log)
	}
	text, err := os.ReadFile(filepath.Join(out, "docs", "benchmarks-sealing.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, wanted := range []string{"| 2,000 | ", "| insert, 16 callers | " + oneSealer + " | ", "| batch of 1000 | " + followersName(2) + " | ", "| delivered to a follower"} {
		if !bytes.Contains(text, []byte(wanted)) {
			t.Errorf("the page lacks %q:\n%s", wanted, text)
		}
	}
}

func TestQuickRunMeasuresAllWork(t *testing.T) {
	t.Parallel()
	out := files{t.TempDir()}
	var log bytes.Buffer
	command := compareCommand{Quick: true, Connections: 8, Root: "..", Out: out.dir}
	if err := command.Run(t.Context(), &log); err != nil {
		t.Fatalf("%v\n%s", err, &log)
	}
	got, err := readComparison(out.raw())
	if err != nil {
		t.Fatal(err)
	}
	all := []string{bare, "database/sql", "GORM", "GORM, tuned", ours, oursRecord, "River"}
	batching := []string{bare, "database/sql", "GORM", "GORM, tuned", ours, "River"}
	reading := []string{bare, "database/sql", "GORM", "GORM, tuned", ours}
	paging := []string{bare, bare + ", OFFSET", "database/sql", "GORM", "GORM, tuned", ours}
	var imported []string
	for _, r := range got.Results {
		if r.Work == "import of 2,000 lines" && len(r.Turns) == 1 && r.Turns[0].Seconds > 0 {
			imported = append(imported, r.Contender)
		}
	}
	if diff := cmp.Diff([]string{bare, "database/sql", "GORM", "GORM, tuned", ours}, imported); diff != "" {
		t.Errorf("the importing contenders differ (-want +got):\n%s", diff)
	}
	for work, contenders := range map[string][]string{
		insertName(1): all, insertName(8): all, insertName(16): all, insertName(64): all, insertInTx: batching,
		batchName(100): batching, batchName(1000): batching, batchName(10_000): batching,
		"get by id": reading, firstPage: paging, "timeline, first page": reading, "signals of 7 days": reading,
		"page 27 by tenant, of 25": paging,
	} {
		var measured []string
		for _, r := range got.Results {
			if r.Work == work && r.Records == 2000 && len(r.Turns) == 1 && r.Turns[0].Calls > 0 && r.Turns[0].P50 > 0 {
				measured = append(measured, r.Contender)
			}
		}
		if diff := cmp.Diff(contenders, measured); diff != "" {
			t.Errorf("%s: the measured contenders differ (-want +got):\n%s", work, diff)
		}
	}
	text, err := os.ReadFile(out.table())
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"## An empty table", "## A table of 2,000 records", "| batch of 10000 | 1.00 |", "mean nothing", "go1."} {
		if !strings.Contains(string(text), want) {
			t.Errorf("the table lacks %q", want)
		}
	}
	known, err := readRatios(out.ratios())
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range watched(2000) {
		if _, err := known.of(k); err != nil {
			t.Error(err)
		}
	}
}

func TestOnlyReplacesOneWork(t *testing.T) {
	t.Parallel()
	out := files{t.TempDir()}
	last := comparison{Results: []result{
		{Records: 2000, Work: firstPage, Contender: bare, Callers: 1, Turns: []turn{{Calls: 1, P50: 1}}},
		{Records: 2000, Work: firstPage, Contender: ours, Callers: 1, Turns: []turn{{Calls: 1, P50: 1}}},
		{Records: 0, Work: insertInTx, Contender: ours, Callers: 1, Turns: []turn{{Calls: 1, P50: 1}}},
	}}
	if err := writeJSON(out.raw(), &last); err != nil {
		t.Fatal(err)
	}
	again := comparison{Results: []result{
		{Records: 2000, Work: firstPage, Contender: bare, Callers: 1, Turns: []turn{{Calls: 2, P50: 2}}},
		{Records: 2000, Work: firstPage, Contender: ours, Callers: 1, Turns: []turn{{Calls: 3, P50: 3}}},
	}}
	if err := again.writeInto(out, io.Discard); err != nil {
		t.Fatal(err)
	}
	got, err := readComparison(out.raw())
	if err != nil {
		t.Fatal(err)
	}
	want := []result{again.Results[0], again.Results[1], last.Results[2]}
	if diff := cmp.Diff(want, got.Results); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	again.Results[0].Work = "another"
	if err := again.writeInto(out, io.Discard); err == nil {
		t.Error("writeInto accepted work that the last run did not measure")
	}
}

func TestImportsStoreTheSameRecords(t *testing.T) {
	t.Parallel()
	err := withServer(t.Context(), serverSettings(), func(server *pglocal.Server) error {
		im := importing{lines: 1500}
		if err := im.prepare(t.Context(), server, t.TempDir(), ".."); err != nil {
			return err
		}
		// coordaudit makes each import a source, and the bare COPY stores what it has stored.
		const origin = "source_id, source_seq"
		numbers := map[string]int{bare: im.lines, ours: im.lines}
		content, found := strings.CutSuffix(baseline.Columns, ", "+origin)
		if !found {
			t.Fatalf("the columns do not end in %s", origin)
		}
		stored := map[string]int64{}
		for _, by := range im.importers() {
			_, err := im.take(t.Context(), server, by, func(s *site) error {
				var sum int64 // over the columns that do not depend on the order of insertion
				var numbered, sources int
				err := s.admin.QueryRow(t.Context(), "SELECT sum(hashtext(("+content+")::text)), count(DISTINCT ("+origin+")) FILTER (WHERE source_seq IS NOT NULL), "+
					"count(DISTINCT source_id) FROM coordination_audit_records").Scan(&sum, &numbered, &sources)
				stored[by.name] = sum
				if want := numbers[by.name]; numbered != want || sources != min(want, 1) {
					t.Errorf("%s: %d ordinals of %d sources, want %d", by.name, numbered, sources, want)
				}
				return err
			})
			if err != nil {
				return err
			}
		}
		for name, sum := range stored {
			if sum != stored[bare] || len(stored) != 5 {
				t.Errorf("%s and a bare COPY store different records: %v", name, stored)
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func TestContendersStoreAlike(t *testing.T) {
	t.Parallel()
	onSite(t, 0, func(s *site) {
		for _, c := range s.contenders {
			if c.name == "River" {
				continue // River has a table of its own
			}
			for way, write := range map[string]func(context.Context, audit.Record) error{
				"insert": c.insert, "insertTx": c.insertTx, "insertMany": many(c),
			} {
				if write == nil {
					continue
				}
				rec, err := baseline.Record()
				if err != nil {
					t.Fatal(err)
				}
				if err := write(t.Context(), rec); err != nil {
					t.Errorf("%s, %s: %v", c.name, way, err)
					continue
				}
				rec.DecisionTimestamp = rec.DecisionTimestamp.Truncate(time.Microsecond)
				stored, err := scanRow(s.admin.QueryRow(t.Context(), getSQL, rec.AuditID))
				if err != nil {
					t.Errorf("%s, %s: reading it back: %v", c.name, way, err)
					continue
				}
				if c.name == oursRecord { // a Recorder is a source, and numbers what it accepts
					if stored.SourceID == nil || stored.SourceSeq == nil {
						t.Errorf("%s, %s stores no source", c.name, way)
					}
					stored.SourceID, stored.SourceSeq = nil, nil
				}
				if diff := cmp.Diff(rowOf(&rec), stored, cmpopts.IgnoreFields(row{}, "Seq", "StoredAt"), cmpopts.EquateApproxTime(0)); diff != "" {
					t.Errorf("%s, %s stores a different record (-want +got):\n%s", c.name, way, diff)
				}
			}
		}
	})
}

// many writes one record as a batch.
func many(c *contender) func(context.Context, audit.Record) error {
	if c.insertMany == nil {
		return nil
	}
	return func(ctx context.Context, rec audit.Record) error { return c.insertMany(ctx, []audit.Record{rec}) }
}

func TestBatchStoresEveryRecord(t *testing.T) {
	t.Parallel()
	onSite(t, 0, func(s *site) {
		for _, c := range s.contenders {
			if c.insertMany == nil {
				continue
			}
			count := "SELECT count(*) FROM coordination_audit_records"
			if c.name == "River" {
				count = "SELECT count(*) FROM river_job"
			}
			recs, err := baseline.Records(2*gormBatch + 1)
			if err != nil {
				t.Fatal(err)
			}
			var before, after int
			if err := errors.Join(
				s.admin.QueryRow(t.Context(), count).Scan(&before),
				c.insertMany(t.Context(), recs),
				s.admin.QueryRow(t.Context(), count).Scan(&after),
			); err != nil {
				t.Errorf("%s: %v", c.name, err)
			}
			if after-before != len(recs) {
				t.Errorf("%s stored %d of %d records", c.name, after-before, len(recs))
			}
		}
	})
}

func TestContendersReadAlike(t *testing.T) {
	t.Parallel()
	onSite(t, 20_000, func(s *site) {
		ctx, f := t.Context(), &s.facts
		answers := make(map[string]answer)
		same := func(c *contender, what string, got answer, err error) {
			t.Helper()
			want, known := answers[what]
			if err != nil || got.rows == 0 || known && got != want {
				t.Errorf("%s, %s: read %v (%v), the others read %v", c.name, what, got, err, want)
			}
			answers[what] = got
		}
		for _, c := range s.contenders {
			if c.page != nil {
				got, err := c.page(ctx, f.firstPage)
				same(c, "first page", got, err)
				got, err = c.page(ctx, f.deepPage)
				same(c, "deep page", got, err)
			}
			if c.get == nil {
				continue
			}
			got, err := c.get(ctx, f.ids[7])
			same(c, "get", got, err)
			got, err = c.timeline(ctx, envelope, 100)
			same(c, "timeline", got, err)
			got, err = c.signals(ctx, f.since, f.until)
			if c.name == ours { // its signals are defined differently
				same(c, "our signals", got, err)
				continue
			}
			same(c, "signals", got, err)
		}
	})
}

func TestCheckFailsOnSecondRegression(t *testing.T) {
	t.Parallel()
	keys := []ratioKey{{0, "a", ours}, {0, "b", ours}}
	committed := &ratios{Ratios: []ratio{{keys[0], 1}, {keys[1], 2}}}
	for name, test := range map[string]struct {
		ratios   map[string][]float64 // of each measurement, in turn
		measured int
		blames   string
	}{
		"as committed":            {map[string][]float64{"a": {1}, "b": {2}}, 2, ""},
		"within the tolerance":    {map[string][]float64{"a": {1.14}, "b": {2.29}}, 2, ""},
		"worse once":              {map[string][]float64{"a": {1.3, 1.1}, "b": {2}}, 3, ""},
		"worse twice":             {map[string][]float64{"a": {1}, "b": {2.4, 2.4}}, 3, "b"},
		"both worse once":         {map[string][]float64{"a": {1.2, 1}, "b": {2.4, 2}}, 4, ""},
		"slower machine, better!": {map[string][]float64{"a": {0.5}, "b": {0.5}}, 2, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			measured := make(map[string]int)
			err := judge(t.Context(), committed, keys, io.Discard, func(_ context.Context, k ratioKey) (float64, error) {
				measured[k.Work]++
				return test.ratios[k.Work][measured[k.Work]-1], nil
			})
			if failed := errors.Is(err, errWorse); failed != (test.blames != "") || failed && !strings.Contains(err.Error(), test.blames) {
				t.Errorf("judge = %v, want an error about %q", err, test.blames)
			}
			if n := measured["a"] + measured["b"]; n != test.measured {
				t.Errorf("judge made %d measurements, want %d", n, test.measured)
			}
		})
	}
}

func TestCheckNeedsCommittedRatios(t *testing.T) {
	t.Parallel()
	err := judge(t.Context(), &ratios{}, watched(1000), io.Discard, func(context.Context, ratioKey) (float64, error) { return 1, nil })
	if err == nil || errors.Is(err, errWorse) {
		t.Errorf("judge = %v, want an error about the missing ratio", err)
	}
}

func TestCommittedRatiosMatchTable(t *testing.T) {
	t.Parallel()
	committed := files{".."}
	known, err := readRatios(committed.ratios())
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(committed.table())
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasSuffix(string(text), howToRead) {
		t.Error("docs/benchmarks-compare.md was edited by hand: make bench-compare writes it")
	}
	records, err := known.smallestTable()
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range watched(records) {
		r, err := known.of(k)
		if err != nil {
			t.Errorf("make bench-check has nothing to compare with: %v", err)
			continue
		}
		_, section, _ := strings.Cut(string(text), "\n## "+title(k.Records)+"\n")
		_, details, _ := strings.Cut(section, "\n| work | rows before |")
		_, work, _ := strings.Cut(details, "\n| "+k.Work+" | ")
		_, line, _ := strings.Cut(work, " | "+k.Contender+" | ")
		line, _, _ = strings.Cut(line, "\n")
		if want := fmt.Sprintf("| **%.3f** |", r); !strings.Contains(line, want) {
			t.Errorf("%s: the table has %q, want %q as in bench/ratios.json", k, line, want)
		}
	}
}

func TestRatiosCompareSameRound(t *testing.T) {
	t.Parallel()
	// The machine is ten times slower in the second round.
	slow := result{Callers: 1, Turns: []turn{{P50: 110}, {P50: 1100}, {P50: 120}}}
	fast := result{Callers: 1, Turns: []turn{{P50: 100}, {P50: 1000}, {P50: 100}}}
	if diff := cmp.Diff(spread{1.1, 1.1, 1.2}, slow.ratios(&fast), cmp.AllowUnexported(spread{}), cmpopts.EquateApprox(0, 1e-9)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	crowd := result{Callers: 8, Turns: []turn{{Calls: 2000, Seconds: 1, P50: 4000}}}
	if got := crowd.costs().median; got != 500 {
		t.Errorf("2,000 calls in a second cost %v µs each", got)
	}
}
