package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"github.com/hoc-analytics/coordaudit/internal/pglocal"
)

// sealingCommand measures sealing and following: their rates, how far they are behind, and
// what they cost the writers next to them.
type sealingCommand struct {
	Records   []int         `default:"1000000" help:"The number of records that are sealed, verified and proved in each run."`
	Turn      time.Duration `default:"2s" help:"The length of one turn of the writers."`
	Rounds    int           `default:"9" help:"The number of turns per neighbour of the writers."`
	Steady    time.Duration `default:"20s" help:"How long the lag of a sealer and of a follower is measured."`
	Followers int           `default:"10" help:"The number of followers next to the writers."`
	Out       string        `default:"." help:"The directory that receives docs/benchmarks-sealing.md."`
	Note      string        `help:"A remark about the machine."`
	Quick     bool          `help:"Run everything once with tiny numbers, to see that it works. The figures mean nothing."`
}

func (c *sealingCommand) quick() {
	c.Records, c.Turn, c.Rounds, c.Steady, c.Followers = []int{2000}, 50*time.Millisecond, 1, 200*time.Millisecond, 2
	c.Note = "A quick run: its figures mean nothing."
}

// sealingFigures are what docs/benchmarks-sealing.md shows.
type sealingFigures struct {
	conditions conditions
	trails     []trailFigures
	lag        lagFigures
	neighbours []result // the contender is the neighbour
	followers  int
}

// Run runs the command sealing.
func (c *sealingCommand) Run(ctx context.Context, log io.Writer) error {
	if c.Quick {
		c.quick()
	}
	p, err := paceOf(c.Turn, c.Rounds)
	if err != nil {
		return err
	}
	if c.Steady <= 0 || c.Followers < 1 {
		return errors.New("reading the pace: --steady and --followers must be positive")
	}
	figures := sealingFigures{conditions: conditionsOf(serverSettings(), p, sealingConnections, c.Note), followers: c.Followers}
	err = withServer(ctx, serverSettings(), func(server *pglocal.Server) error {
		if err := c.measure(ctx, server, p, &figures, log); err != nil {
			return fmt.Errorf("measuring sealing: %w", err)
		}
		return nil
	})
	if err != nil {
		return err
	}
	figures.conditions.LoadAtEnd = load()
	out := filepath.Join(c.Out, "docs", "benchmarks-sealing.md")
	if err := writeText(out, []byte(figures.String())); err != nil {
		return err
	}
	fmt.Fprintf(log, "bench: wrote %s\n", out)
	return nil
}

// sealingConnections is the size of each pool: as many as the callers that write.
const sealingConnections = 16

func (c *sealingCommand) measure(ctx context.Context, server *pglocal.Server, p pace, into *sealingFigures, log io.Writer) (err error) {
	fmt.Fprintln(log, "bench: the lag of a sealer and of a follower")
	if into.lag, err = measureLag(ctx, server, c.Steady); err != nil {
		return err
	}
	fmt.Fprintln(log, "bench: writers next to a sealer, to followers and to nothing")
	if into.neighbours, err = measureNeighbours(ctx, server, p, c.Followers, &into.conditions); err != nil {
		return err
	}
	for _, records := range c.Records {
		fmt.Fprintf(log, "bench: sealing, verifying, proving and following %d records\n", records)
		trail, err := measureTrail(ctx, server, records)
		if err != nil {
			return err
		}
		into.trails = append(into.trails, trail)
	}
	return nil
}
