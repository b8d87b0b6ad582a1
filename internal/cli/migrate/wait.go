package migrate

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/hoc-analytics/coordaudit/auditadmin"
	"github.com/hoc-analytics/coordaudit/auditmigrate"
	"github.com/hoc-analytics/coordaudit/internal/cli"
)

const (
	schemaPoll  = time.Second
	reasonEvery = 3 * time.Second
)

type waitCommand struct {
	Timeout time.Duration `name:"timeout" default:"30s" help:"How long to wait. 0 waits without end."`
	Schema  bool          `kong:"-"` // also wait until no migration is pending and the guards are in place: see schemaFlag
}

// Run waits for the database, and with --schema for its schema.
func (c *waitCommand) Run(a *app) error {
	if c.Timeout < 0 {
		return cli.Usage(reading, errors.New("--timeout must not be negative"), "give a duration such as 30s")
	}
	migrator, err := a.migrator(auditmigrate.Config{})
	if err != nil {
		return err
	}
	ctx := a.ctx
	if c.Timeout > 0 {
		timedOut, cancel := context.WithTimeoutCause(ctx, c.Timeout, fmt.Errorf("%v have passed", c.Timeout))
		defer cancel()
		ctx = timedOut
	}
	w := &waiting{app: a, start: time.Now(), said: time.Now()}
	if c.Schema {
		err = w.forSchema(ctx, migrator)
	} else {
		err = migrator.WaitReporting(ctx, w.because)
	}
	if err != nil {
		return err
	}
	return show(a, waitResult{Ready: true, schema: c.Schema})
}

// waiting reports every few seconds why it still waits. It reports at once what waiting
// alone does not change.
type waiting struct {
	app    *app
	start  time.Time
	reason string
	said   time.Time
}

func (w *waiting) because(reason error) {
	text := reason.Error()
	_, differs := errors.AsType[*differsNowError](reason)
	early := (differs || isRefused(reason)) && text != w.reason
	if early || time.Since(w.said) >= reasonEvery {
		w.reason, w.said = text, time.Now()
		w.say("still waiting", text)
	}
}

func (w *waiting) say(what, text string) {
	if w.app.grammar.JSON {
		w.app.logger().LogAttrs(w.app.ctx, slog.LevelWarn, "audit_migration_waiting", slog.String("state", what), slog.String("reason", text))
		return
	}
	w.app.program.Warn("migrate: %s after %v: %s", what, time.Since(w.start).Round(time.Second), text) // no error: waiting goes on even if it cannot be reported
}

// forSchema waits until the schema is complete. Until then migrations may be
// missing, a repair, or this role's right to look.
func (w *waiting) forSchema(ctx context.Context, migrator *auditmigrate.Migrator) error {
	var last error // the error of the last attempt that was not cut short
	report := func(reason error) {
		if !cutShort(ctx) {
			last = nil // now the database is the reason to wait
		}
		w.because(reason)
	}
	for {
		if err := migrator.WaitReporting(ctx, report); err != nil {
			if last != nil && ctx.Err() != nil {
				return fmt.Errorf("waiting for the schema: %w; the last try: %w", context.Cause(ctx), last)
			}
			return err
		}
		err := w.schemaStands(ctx, migrator)
		if err == nil {
			return nil
		}
		if last == nil || !cutShort(ctx) {
			last = err
			w.because(err)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for the schema: %w; the last try: %w", context.Cause(ctx), last)
		case <-time.After(schemaPoll):
		}
	}
}

// cutShort reports that the time is up, so that the error of a failed attempt says nothing.
func cutShort(ctx context.Context) bool {
	deadline, ok := ctx.Deadline()
	return ctx.Err() != nil || (ok && !time.Now().Before(deadline))
}

// schemaStands returns why the schema differs from what the migrations make. A service may
// start even if its role cannot see everything.
func (w *waiting) schemaStands(ctx context.Context, migrator *auditmigrate.Migrator) error {
	if err := migrator.Validate(ctx); err != nil {
		return err
	}
	conn, err := migrator.Connect(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }() // it only read
	found, err := auditadmin.Check(ctx, conn)
	if err != nil {
		return err
	}
	if errs := auditadmin.Errors(found); len(errs) > 0 {
		return &differsNowError{strings.Join(names(errs, true), "; ")}
	}
	if len(found) > 0 {
		if unchecked := names(found, false); len(unchecked) > 0 {
			w.say("done", "this role's rights are not enough to check "+strings.Join(unchecked, ", "))
		}
	}
	return nil
}

// differsNowError says how the schema differs from what the migrations make.
type differsNowError struct{ text string }

func (e *differsNowError) Error() string {
	return "validating the schema: " + e.text + ": waiting alone does not repair this: run " + repairCommandLine + " as the owner of the tables"
}

// names lists the differences with what was found. Without got it lists only the objects
// that could not be checked.
func names(found []auditadmin.Difference, got bool) []string {
	var list []string
	for _, d := range found {
		switch {
		case got:
			list = append(list, d.Object+": "+d.Got)
		case d.Severity == auditadmin.Unchecked:
			list = append(list, d.Object)
		}
	}
	return list
}

type waitResult struct {
	Ready  bool `json:"ready"`
	schema bool
}

// String says what is ready.
func (r waitResult) String() string {
	if r.schema {
		return "the database answers, the guards of its schema are in place, and it has every migration"
	}
	return "the database answers"
}
