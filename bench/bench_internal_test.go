package main

import (
	"bytes"
	"context"
	"errors"
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
	"github.com/hoc-analytics/coordaudit/internal/yardstick"
)

// onSite gives a test all contenders on a database of so many records.
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

func TestAQuickRunMeasuresEveryWorkOfEveryContender(t *testing.T) {
	t.Parallel()
	table := filepath.Join(t.TempDir(), "compare.md")
	var log bytes.Buffer
	command := compareCommand{Quick: true, Connections: 8, Root: "..", Out: table}
	if err := command.Run(t.Context(), &log); err != nil {
		t.Fatalf("%v\n%s", err, &log)
	}
	got, err := readJSON(jsonBeside(table))
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
		t.Errorf("imports are measured of other contenders (-want +got):\n%s", diff)
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
			t.Errorf("%s is measured of other contenders (-want +got):\n%s", work, diff)
		}
	}
	text, err := os.ReadFile(table)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"## An empty table", "## A table of 2,000 records", "| batch of 10000 | 1.00 |", "say nothing", "go1."} {
		if !strings.Contains(string(text), want) {
			t.Errorf("the table lacks %q", want)
		}
	}
}

func TestOneWorkCanBeMeasuredAnew(t *testing.T) {
	t.Parallel()
	table := filepath.Join(t.TempDir(), "compare.md")
	standing := comparison{Results: []result{
		{Records: 2000, Work: firstPage, Contender: bare, Turns: []turn{{Calls: 1}}},
		{Records: 2000, Work: firstPage, Contender: ours, Turns: []turn{{Calls: 1}}},
		{Records: 0, Work: insertInTx, Contender: ours, Turns: []turn{{Calls: 1}}},
	}}
	if err := writeJSON(jsonBeside(table), &standing); err != nil {
		t.Fatal(err)
	}
	anew := comparison{Results: []result{
		{Records: 2000, Work: firstPage, Contender: bare, Turns: []turn{{Calls: 2}}},
		{Records: 2000, Work: firstPage, Contender: ours, Turns: []turn{{Calls: 3}}},
	}}
	if err := anew.writeInto(table, io.Discard); err != nil {
		t.Fatal(err)
	}
	got, err := readJSON(jsonBeside(table))
	if err != nil {
		t.Fatal(err)
	}
	want := []result{anew.Results[0], anew.Results[1], standing.Results[2]}
	if diff := cmp.Diff(want, got.Results); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	anew.Results[0].Work = "another"
	if err := anew.writeInto(table, io.Discard); err == nil {
		t.Error("a work that was never measured was put into the results")
	}
}

func TestEveryContenderImportsTheSameRecords(t *testing.T) {
	t.Parallel()
	err := withServer(t.Context(), serverSettings(), func(server *pglocal.Server) error {
		im := importing{lines: 1500}
		if err := im.prepare(t.Context(), server, t.TempDir(), ".."); err != nil {
			return err
		}
		stored := map[string]int64{}
		for _, by := range im.importers() {
			_, err := im.take(t.Context(), server, by, func(s *site) error {
				var sum int64 // of what does not depend on the order of insertion
				err := s.admin.QueryRow(t.Context(), "SELECT sum(hashtext(("+yardstick.Columns+")::text)) FROM coordination_audit_records").Scan(&sum)
				stored[by.name] = sum
				return err
			})
			if err != nil {
				return err
			}
		}
		for name, sum := range stored {
			if sum != stored[bare] || len(stored) != 5 {
				t.Errorf("%s stores other records than a bare COPY does: %v", name, stored)
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func TestAQuickRunMeasuresEveryIndex(t *testing.T) {
	t.Parallel()
	table := filepath.Join(t.TempDir(), "diet.md")
	command := indexesCommand{Quick: true, Predecessor: "../auditmigrate/testdata/predecessor.sql", Locale: "en-US", Out: table}
	var log bytes.Buffer
	if err := command.Run(t.Context(), &log); err != nil {
		t.Fatalf("%v\n%s", err, &log)
	}
	text, err := os.ReadFile(table)
	if err != nil {
		t.Fatal(err)
	}
	writing, reading, _ := strings.Cut(string(text), "### Reading")
	for _, s := range shapes() {
		if !strings.Contains(writing, "| "+s.name+" | ") {
			t.Errorf("no line says what a table costs %s", s.name)
		}
	}
	for _, w := range writers() {
		if !strings.Contains(writing, "| "+w.name+" | ") {
			t.Errorf("no line says what writing with %q costs", w.name)
		}
	}
	for _, r := range readers() {
		if r.question == deepPageOfTenant || r.question == pageOfOneMoment || r.question == recordsOfRare {
			continue // so few records have no answer to it
		}
		_, of, _ := strings.Cut(reading, "| "+r.question+" | ")
		if !strings.Contains("|  | "+of, " | "+r.indexes[0]+" | ") {
			t.Errorf("no line says what reading %s with %q costs", r.question, r.indexes[0])
		}
	}
}

func TestEveryContenderStoresTheSameRecord(t *testing.T) {
	t.Parallel()
	onSite(t, 0, func(s *site) {
		for _, c := range s.contenders {
			if c.name == "River" {
				continue // its table is its own
			}
			for way, write := range map[string]func(context.Context, audit.Record) error{
				"insert": c.insert, "insertTx": c.insertTx, "insertMany": many(c),
			} {
				if write == nil {
					continue
				}
				rec, err := yardstick.Record()
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
				if diff := cmp.Diff(rowOf(&rec), stored, cmpopts.IgnoreFields(row{}, "Seq", "StoredAt"), cmpopts.EquateApproxTime(0)); diff != "" {
					t.Errorf("%s, %s stores another record (-want +got):\n%s", c.name, way, diff)
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

func TestABatchStoresAllOfItsRecords(t *testing.T) {
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
			recs, err := yardstick.Records(2*gormBatch + 1)
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

func TestEveryContenderReadsTheSame(t *testing.T) {
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
			if c.name == ours { // its signals are others
				same(c, "our signals", got, err)
				continue
			}
			same(c, "signals", got, err)
		}
	})
}

func TestACheckFailsWhatGotWorseTwiceAndNothingElse(t *testing.T) {
	t.Parallel()
	turns := func(cost float64) []turn { return []turn{{Calls: 1, P50: cost}} }
	all := []held{{0, "a", ours}, {0, "b", ours}}
	committed := &comparison{Results: []result{
		{Work: "a", Contender: bare, Callers: 1, Turns: turns(100)},
		{Work: "a", Contender: ours, Callers: 1, Turns: turns(100)},
		{Work: "b", Contender: bare, Callers: 1, Turns: turns(100)},
		{Work: "b", Contender: ours, Callers: 1, Turns: turns(200)},
	}}
	for name, test := range map[string]struct {
		ratios   map[string][]float64 // of each measurement, in turn
		measured int
		blames   string
	}{
		"as committed":            {map[string][]float64{"a": {1}, "b": {2}}, 2, ""},
		"within what is borne":    {map[string][]float64{"a": {1.14}, "b": {2.29}}, 2, ""},
		"worse once":              {map[string][]float64{"a": {1.3, 1.1}, "b": {2}}, 3, ""},
		"worse twice":             {map[string][]float64{"a": {1}, "b": {2.4, 2.4}}, 3, "b"},
		"worse once, one by one":  {map[string][]float64{"a": {1.2, 1}, "b": {2.4, 2}}, 4, ""},
		"slower machine, better!": {map[string][]float64{"a": {0.5}, "b": {0.5}}, 2, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			measured := make(map[string]int)
			err := judge(t.Context(), committed, all, io.Discard, func(_ context.Context, h held) (float64, error) {
				measured[h.work]++
				return test.ratios[h.work][measured[h.work]-1], nil
			})
			if failed := errors.Is(err, errWorse); failed != (test.blames != "") || failed && !strings.Contains(err.Error(), test.blames) {
				t.Errorf("the verdict is %v, blaming %q was expected", err, test.blames)
			}
			if n := measured["a"] + measured["b"]; n != test.measured {
				t.Errorf("%d measurements were made, %d were expected", n, test.measured)
			}
		})
	}
}

func TestACheckOfWhatWasNeverCommittedFails(t *testing.T) {
	t.Parallel()
	err := judge(t.Context(), &comparison{}, holding(1000), io.Discard, func(context.Context, held) (float64, error) { return 1, nil })
	if err == nil || errors.Is(err, errWorse) {
		t.Errorf("the verdict is %v", err)
	}
}

func TestTheCommittedTableIsThatOfTheCommittedResults(t *testing.T) {
	t.Parallel()
	const table = "../docs/benchmarks-compare.md"
	results, err := readJSON(jsonBeside(table))
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(table)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(report(results), string(text)); diff != "" {
		t.Errorf("make bench-compare, or bin/bench table, brings it up to date (-want +got):\n%s", diff)
	}
	records, err := smallest(results)
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range holding(records) {
		if _, err := ratioIn(results.Results, h); err != nil {
			t.Errorf("make bench-check has nothing to hold: %v", err)
		}
	}
}

func TestRatiosAreOfTheSameRound(t *testing.T) {
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
