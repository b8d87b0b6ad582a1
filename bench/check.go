package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/hoc-analytics/coordaudit/internal/pglocal"
)

// tolerated is how much worse than the committed ratio one may be.
const tolerated = 1.15

// errWorse says that a ratio got worse twice in a row.
var errWorse = errors.New("got worse beside bare pgx by more than 15 % twice in a row")

// checkCommand holds the ratios that matter against the committed ones.
type checkCommand struct {
	Against     string        `default:"docs/benchmarks-compare.json" help:"The committed results."`
	Turn        time.Duration `default:"300ms" help:"How long a contender's turn is."`
	Rounds      int           `default:"9" help:"How many turns each contender has."`
	Connections int           `default:"8" help:"Each contender's pool."`
}

// held is a ratio to bare pgx that must not get worse.
type held struct {
	records   int
	work      string
	contender string
}

func (h held) String() string {
	return fmt.Sprintf("%s, %s, %s records", h.contender, h.work, thousands(int64(h.records)))
}

// holding is what matters: writes into an empty table, and a page of one with records,
// in the order in which they were compared, so that the table is about as long.
func holding(records int) []held {
	return []held{
		{0, insertName(1), ours},
		{0, insertName(16), oursRecord},
		{0, insertInTx, ours},
		{0, batchName(1000), ours},
		{records, firstPage, ours},
	}
}

// Run is what the program does for `check`.
func (c *checkCommand) Run(ctx context.Context, log io.Writer) error {
	p, err := paceOf(c.Turn, c.Rounds)
	if err != nil {
		return err
	}
	committed, err := readJSON(c.Against)
	if err != nil {
		return err
	}
	records, err := smallest(committed)
	if err != nil {
		return fmt.Errorf("checking against %s: %w", c.Against, err)
	}
	// Others' work falls harder on the Recorder's one connection than on bare pgx's eight.
	fmt.Fprintf(log, "bench: load average %s on %d cores; a verdict wants a machine to itself\n", load(), runtime.NumCPU())
	openings := []opening{openPgx, openStore, openRecorder}
	return withServer(ctx, serverSettings(), func(server *pglocal.Server) error {
		return withSite(ctx, server, 0, c.Connections, openings, func(empty *site) error {
			return withSite(ctx, server, records, c.Connections, openings, func(filled *site) error {
				return judge(ctx, committed, holding(records), log, func(ctx context.Context, h held) (float64, error) {
					if h.records == 0 {
						return ratioNow(ctx, empty, h, p)
					}
					return ratioNow(ctx, filled, h, p)
				})
			})
		})
	})
}

// smallest is the shortest table of the committed results that has records.
func smallest(c *comparison) (int, error) {
	found := slices.DeleteFunc(sizes(c), func(records int) bool { return records == 0 })
	if len(found) == 0 {
		return 0, errors.New("it has no table with records, so no first page: run compare with --records 0,100000")
	}
	return slices.Min(found), nil
}

// ratioNow measures one work of one contender beside the bare statement.
func ratioNow(ctx context.Context, s *site, h held, p pace) (float64, error) {
	for _, w := range append(writes(), reads(&s.facts)...) {
		if w.name != h.work {
			continue
		}
		results, err := measureWork(ctx, w, s.with(bare, h.contender), p)
		if err != nil {
			return 0, err
		}
		return ratioIn(results, h)
	}
	return 0, fmt.Errorf("measuring %s: there is no such work", h)
}

func ratioIn(results []result, h held) (float64, error) {
	r, to := find(results, h.records, h.work, h.contender), find(results, h.records, h.work, bare)
	if r == nil || to == nil || len(r.Turns) == 0 {
		return 0, fmt.Errorf("comparing %s: it was not measured", h)
	}
	return r.ratios(to).median, nil
}

// judge measures all, and once more those that got worse: a noisy machine seldom
// hits the same one twice.
func judge(ctx context.Context, committed *comparison, all []held, log io.Writer, measure func(context.Context, held) (float64, error)) error {
	worse := all
	for range 2 {
		var still []held
		for _, h := range worse {
			was, err := ratioIn(committed.Results, h)
			if err != nil {
				return fmt.Errorf("reading the committed results: %w", err)
			}
			is, err := measure(ctx, h)
			if err != nil {
				return err
			}
			verdict := "as committed"
			if is > was*tolerated {
				verdict = "WORSE"
				still = append(still, h)
			}
			fmt.Fprintf(log, "bench: %s: %.3f times bare pgx, committed %.3f: %s\n", h, is, was, verdict)
		}
		worse = still
	}
	if len(worse) == 0 {
		return nil
	}
	names := make([]string, len(worse))
	for i, h := range worse {
		names[i] = h.String()
	}
	return fmt.Errorf("%s: %w", strings.Join(names, "; "), errWorse)
}
