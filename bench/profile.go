package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"time"

	"github.com/hoc-analytics/coordaudit/internal/pglocal"
)

// profileCommand writes profiles of one path. It takes a single path, because a profile
// does not separate the allocations of two.
type profileCommand struct {
	Path        string        `arg:"" enum:"persist,persist-tx,persist-many,record,list" help:"persist, persist-tx, persist-many, record or list."`
	Duration    time.Duration `default:"5s" help:"The length of the measurement."`
	Connections int           `default:"8" help:"The pool size."`
	Records     int           `default:"100000" help:"The number of records in the table that list reads."`
	Out         string        `default:"bin/profile" help:"The directory that receives PATH.cpu.pprof and PATH.allocs.pprof."`
}

// profiled is the work and the contender behind one path.
type profiled struct {
	work    func(f *facts) work
	open    opening
	records int
}

func (c *profileCommand) profiled() profiled {
	fixed := func(w work) func(*facts) work { return func(*facts) work { return w } }
	switch c.Path {
	case "persist-tx":
		return profiled{work: fixed(work{name: insertInTx, callers: 1, rows: 1, of: insertTx}), open: openStore}
	case "persist-many":
		return profiled{work: fixed(batches(1000)), open: openStore}
	case "record":
		return profiled{work: fixed(inserts(64)), open: openRecorder}
	case "list":
		return profiled{
			work:    func(f *facts) work { return work{name: firstPage, callers: 1, of: page(f.firstPage)} },
			open:    openStore,
			records: c.Records,
		}
	default:
		return profiled{work: fixed(inserts(1)), open: openStore}
	}
}

// Run runs the command profile.
func (c *profileCommand) Run(ctx context.Context, log io.Writer) error {
	runtime.MemProfileRate = 0                        // allocations before the work do not count
	if err := os.MkdirAll(c.Out, 0o755); err != nil { //nolint:gosec // profiles hold no secrets
		return fmt.Errorf("making the profiles' directory: %w", err)
	}
	path := c.profiled()
	return withServer(ctx, serverSettings(), func(server *pglocal.Server) error {
		return withSite(ctx, server, path.records, c.Connections, []opening{path.open}, func(s *site) error {
			w := path.work(&s.facts)
			prepare := w.of(s.contenders[0], &s.facts)
			if _, err := take(ctx, w.callers, c.Duration/10, prepare); err != nil {
				return err
			}
			t, err := c.sample(func() (turn, error) { return take(ctx, w.callers, c.Duration, prepare) })
			if err != nil {
				return err
			}
			fmt.Fprintf(log, "bench: %s: %d calls in %.1f s, %.0f µs each (median)\n", c.Path, t.Calls, t.Seconds, t.P50)
			return nil
		})
	})
}

// sample profiles the CPU first. The allocations get a run of their own, because their
// sampling would show up in the CPU profile.
func (c *profileCommand) sample(work func() (turn, error)) (t turn, err error) {
	err = c.file("cpu", func(w io.Writer) error {
		if err := pprof.StartCPUProfile(w); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
		t, err = work()
		return err
	})
	if err != nil {
		return t, err
	}
	runtime.MemProfileRate = 4096
	if _, err := work(); err != nil {
		return t, err
	}
	runtime.GC() // the profile shows the state at the last collection
	return t, c.file("allocs", func(w io.Writer) error { return pprof.Lookup("allocs").WriteTo(w, 0) })
}

func (c *profileCommand) file(kind string, write func(io.Writer) error) error {
	f, err := os.Create(filepath.Join(c.Out, c.Path+"."+kind+".pprof"))
	if err != nil {
		return fmt.Errorf("making a profile: %w", err)
	}
	if err := errors.Join(write(f), f.Close()); err != nil {
		return fmt.Errorf("writing %s: %w", f.Name(), err)
	}
	return nil
}
