// Command bench measures coordaudit against the usual alternatives, on a private
// PostgreSQL that keeps what it commits.
//
//	bench compare    measure all contenders; write docs/benchmarks-compare.md, bench/ratios.json and raw turns
//	bench sealing    measure sealing and following; write docs/benchmarks-sealing.md
//	bench check      compare the ratios that matter with the committed ones
//	bench table      write docs/benchmarks-compare.md and bench/ratios.json again from the raw turns
//	bench profile    profile the CPU and the allocations of one path of coordaudit
//
// Run it from the root of the repository: make bench-compare, bench-check and profile do.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/alecthomas/kong"
)

type commandLine struct {
	Compare compareCommand `cmd:"" help:"Measure every contender; write docs/benchmarks-compare.md, bench/ratios.json and raw turns."`
	Sealing sealingCommand `cmd:"" help:"Measure sealing and following; write docs/benchmarks-sealing.md."`
	Check   checkCommand   `cmd:"" help:"Compare the ratios that matter with the committed ones."`
	Table   tableCommand   `cmd:"" help:"Write docs/benchmarks-compare.md and bench/ratios.json again from the raw turns."`
	Profile profileCommand `cmd:"" help:"Write CPU and allocation profiles of one path of coordaudit."`
}

func main() {
	var cli commandLine
	command := kong.Parse(&cli, kong.Description("Measures coordaudit against the usual alternatives."))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	command.BindTo(ctx, (*context.Context)(nil))
	command.BindTo(os.Stderr, (*io.Writer)(nil))
	err := command.Run()
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func paceOf(length time.Duration, rounds int) (pace, error) {
	if length <= 0 || rounds < 1 {
		return pace{}, fmt.Errorf("reading the pace: %d rounds of %s: both must be positive", rounds, length)
	}
	return pace{Turn: length, Rounds: rounds}, nil
}
