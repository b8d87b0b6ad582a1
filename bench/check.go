package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"time"

	"github.com/hoc-analytics/coordaudit/internal/pglocal"
)

// tolerance is how much worse than the committed ratio a ratio may be.
const tolerance = 1.15

// errWorse says that a ratio was worse twice in a row.
var errWorse = errors.New("more than 15 % slower against bare pgx, twice in a row")

// checkCommand compares the ratios that matter with the committed ones.
type checkCommand struct {
	Against     string        `default:"bench/ratios.json" help:"The committed ratios."`
	Turn        time.Duration `default:"300ms" help:"The length of one turn."`
	Rounds      int           `default:"9" help:"The number of turns per contender."`
	Connections int           `default:"8" help:"The pool size of each contender."`
}

// Run runs the command check.
func (c *checkCommand) Run(ctx context.Context, log io.Writer) error {
	p, err := paceOf(c.Turn, c.Rounds)
	if err != nil {
		return err
	}
	committed, err := readRatios(c.Against)
	if err != nil {
		return err
	}
	records, err := committed.smallestTable()
	if err != nil {
		return fmt.Errorf("checking against %s: %w", c.Against, err)
	}
	// Other load slows the Recorder's single connection more than the eight of bare pgx.
	fmt.Fprintf(log, "bench: load average %s on %d cores; run this check alone on the machine\n", load(), runtime.NumCPU())
	openings := []opening{openPgx, openStore, openRecorder}
	return withServer(ctx, serverSettings(), func(server *pglocal.Server) error {
		return withSite(ctx, server, 0, c.Connections, openings, func(empty *site) error {
			return withSite(ctx, server, records, c.Connections, openings, func(filled *site) error {
				return judge(ctx, committed, watched(records), log, func(ctx context.Context, k ratioKey) (float64, error) {
					if k.Records == 0 {
						return ratioNow(ctx, empty, k, p)
					}
					return ratioNow(ctx, filled, k, p)
				})
			})
		})
	})
}

// ratioNow measures one kind of work against the bare statement.
func ratioNow(ctx context.Context, s *site, k ratioKey, p pace) (float64, error) {
	for _, w := range append(writes(), reads(&s.facts)...) {
		if w.name != k.Work {
			continue
		}
		results, err := measureWork(ctx, w, s.with(bare, k.Contender), p)
		if err != nil {
			return 0, err
		}
		return ratioIn(results, k)
	}
	return 0, fmt.Errorf("measuring %s: there is no such work", k)
}

// judge measures every ratio, and a second time those that got worse. Noise rarely
// hits the same ratio twice.
func judge(ctx context.Context, committed *ratios, keys []ratioKey, log io.Writer, measure func(context.Context, ratioKey) (float64, error)) error {
	worse := keys
	for range 2 {
		var still []ratioKey
		for _, k := range worse {
			was, err := committed.of(k)
			if err != nil {
				return fmt.Errorf("reading the committed ratios: %w", err)
			}
			is, err := measure(ctx, k)
			if err != nil {
				return err
			}
			verdict := "as committed"
			if is > was*tolerance {
				verdict = "WORSE"
				still = append(still, k)
			}
			fmt.Fprintf(log, "bench: %s: %.3f times bare pgx, committed %.3f: %s\n", k, is, was, verdict)
		}
		worse = still
	}
	if len(worse) == 0 {
		return nil
	}
	names := make([]string, len(worse))
	for i, k := range worse {
		names[i] = k.String()
	}
	return fmt.Errorf("%s: %w", strings.Join(names, "; "), errWorse)
}
