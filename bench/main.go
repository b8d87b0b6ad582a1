// Command bench measures coordaudit beside what people would use instead, on a
// private PostgreSQL that keeps what it commits.
//
//	bench compare    all contenders, all works; writes docs/benchmarks-compare.md and .json
//	bench indexes    what each index costs writes and saves reads; writes docs/index-diet.md and .json
//	bench check      the ratios that matter, held against the committed ones
//	bench table      writes docs/benchmarks-compare.md anew from the .json
//	bench profile    CPU and allocations of one of our paths
//
// Run it from the repository's root; make bench-compare, bench-check and profile do.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/alecthomas/kong"
)

type commandLine struct {
	Compare compareCommand `cmd:"" help:"Measure every contender and write docs/benchmarks-compare.md and .json."`
	Indexes indexesCommand `cmd:"" help:"Measure what indexes cost writes and save reads, and write docs/index-diet.md and .json."`
	Check   checkCommand   `cmd:"" help:"Hold the ratios that matter against the committed ones."`
	Table   tableCommand   `cmd:"" help:"Write docs/benchmarks-compare.md anew from the .json."`
	Profile profileCommand `cmd:"" help:"Write CPU and allocation profiles of one of our paths."`
}

func main() {
	var cli commandLine
	command := kong.Parse(&cli, kong.Description("Measures coordaudit beside what people would use instead."))
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

// jsonBeside is the raw turns' file.
func jsonBeside(table string) string {
	return strings.TrimSuffix(table, filepath.Ext(table)) + ".json"
}
