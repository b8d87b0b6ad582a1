// Command mutate changes one operator, statement or element of a package at a time and
// runs tests on each change. A change that no test notices is a guarantee without a
// test. Run it through scripts/mutate.sh (make mutate).
//
// It never touches the tree: go test -overlay replaces the changed file.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"time"
)

type options struct {
	pkg         string
	files       *regexp.Regexp
	only        *regexp.Regexp
	tests       []target
	workers     int
	timeout     time.Duration
	budget      time.Duration
	sample      int
	seed        uint64
	least       float64
	equivalents string
	list        bool
}

// target is all or some of the tests of a package.
type target struct{ pkg, run string }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "mutate:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	opts, err := parse(args)
	if err != nil {
		return err
	}
	mutants, err := mutantsOf(ctx, opts.pkg, opts.files)
	if err != nil {
		return err
	}
	mutants = slices.DeleteFunc(mutants, func(m *mutant) bool { return !opts.only.MatchString(m.String()) })
	total := len(mutants)
	mutants = sample(mutants, opts.sample, opts.seed)
	known, err := readEquivalents(opts.equivalents)
	if err != nil {
		return err
	}
	if opts.list {
		for _, m := range mutants {
			fmt.Println(m)
		}
		fmt.Printf("%d mutants of %d\n", len(mutants), total)
		return nil
	}
	dir, err := os.MkdirTemp("", "coordaudit-mutate-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	runner := &runner{options: opts, dir: dir, equivalents: known}
	if err := runner.prepare(ctx, mutants); err != nil {
		return err
	}
	report := runner.runAll(ctx, mutants)
	report.print(os.Stdout)
	if len(mutants) < total {
		fmt.Printf("a sample: %d mutants of %d, seed %d\n", len(mutants), total, opts.seed)
	}
	if score, ok := report.score(); ok && score < opts.least {
		return fmt.Errorf("the score is %.1f %%, want at least %.1f %%", score, opts.least)
	}
	return nil
}

func parse(args []string) (*options, error) {
	opts := &options{}
	flags := flag.NewFlagSet("mutate", flag.ContinueOnError)
	flags.StringVar(&opts.pkg, "pkg", "", "the package to change, such as ./audit")
	files := flags.String("files", "", "a regular expression for the names of its files; default: all")
	only := flags.String("only", "", "a regular expression for the mutants as -list shows them; default: all")
	flags.Func("test", "tests that must notice, as PACKAGE or PACKAGE=RUN, tried in order; may be repeated", func(text string) error {
		pkg, run, _ := strings.Cut(text, "=")
		opts.tests = append(opts.tests, target{pkg, run})
		return nil
	})
	flags.IntVar(&opts.workers, "workers", max(1, runtime.NumCPU()/2), "the number of mutants to test at once")
	flags.DurationVar(&opts.timeout, "timeout", 0, "the bound of one test run; default: three times the run without a change, plus 20 s")
	flags.DurationVar(&opts.budget, "budget", 0, "start no mutant after this time, and report how many are left; default: no bound")
	flags.IntVar(&opts.sample, "sample", 0, "test only this number of mutants, chosen at random; default: all")
	flags.Uint64Var(&opts.seed, "seed", 1, "repeats a sample")
	flags.Float64Var(&opts.least, "min", 0, "exit with 1 if the score in percent is lower")
	flags.StringVar(&opts.equivalents, "equivalents", "", "a file of mutants that change nothing, each with its reason")
	flags.BoolVar(&opts.list, "list", false, "only list the mutants")
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	var err error
	if opts.files, err = regexp.Compile(*files); err != nil {
		return nil, err
	}
	if opts.only, err = regexp.Compile(*only); err != nil {
		return nil, err
	}
	if opts.pkg == "" || len(opts.tests) == 0 && !opts.list {
		return nil, errors.New("-pkg and -test are required")
	}
	return opts, nil
}
