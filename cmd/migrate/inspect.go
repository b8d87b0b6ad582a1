package main

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
	"time"

	"github.com/hoc-analytics/coordaudit/auditmigrate"
)

const schemaPoll = time.Second

type (
	statusCommand   struct{}
	versionCommand  struct{}
	validateCommand struct{}
)

type sqlCommand struct {
	Down bool   `name:"down" help:"Print what reverts the migrations instead."`
	From *int64 `name:"from" placeholder:"VERSION" help:"The version to begin at. Default: 0; with --down, the newest."`
	To   *int64 `name:"to" placeholder:"VERSION" help:"The version to end at. Default: the newest; with --down, 0."`
}

type waitCommand struct {
	Timeout time.Duration `name:"timeout" default:"30s" help:"When to give up; 0 is never."`
	Schema  bool          `name:"schema" help:"Wait also until no migration is pending. For a service's start, beside a job that runs migrate up."`
}

// Run lists the migrations.
func (c *statusCommand) Run(a *app) error {
	migrator, err := a.migrator(auditmigrate.Config{})
	if err != nil {
		return err
	}
	list, err := migrator.Status(a.ctx)
	if err != nil {
		return err
	}
	return show(a, newStatusResult(list))
}

// Run prints the versions.
func (c *versionCommand) Run(a *app) error {
	migrator, err := a.migrator(auditmigrate.Config{})
	if err != nil {
		return err
	}
	current, target, err := migrator.Version(a.ctx)
	if err != nil {
		return err
	}
	return show(a, versionResult{Database: current, Program: target, Build: build()})
}

// build is the program's own version: a tag or a commit, if it was built from one.
func build() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "unknown"
	}
	return info.Main.Version
}

// Run tells by the exit code whether migrations are pending.
func (c *validateCommand) Run(a *app) error {
	migrator, err := a.migrator(auditmigrate.Config{})
	if err != nil {
		return err
	}
	err = migrator.Validate(a.ctx)
	pending, ok := errors.AsType[*auditmigrate.PendingError](err)
	if err != nil && !ok {
		return err
	}
	result := validateResult{Valid: true, Pending: []int64{}}
	if ok {
		result = validateResult{Pending: pending.Versions}
		err = &notValidError{err}
	}
	if printErr := show(a, result); printErr != nil {
		return printErr
	}
	return err
}

// Run prints the SQL.
func (c *sqlCommand) Run(a *app) error {
	from, to := int64(0), auditmigrate.Latest
	if c.Down {
		from, to = to, from
	}
	if c.From != nil {
		from = *c.From
	}
	if c.To != nil {
		to = *c.To
	}
	if c.Down != (from > to) && from != to {
		return &usageError{errors.New("reading the command line: --from and --to lead the other way than --down says: swap them, or mend --down")}
	}
	var text strings.Builder
	if err := auditmigrate.SQL(&text, from, to); err != nil {
		return err
	}
	return show(a, sqlResult{SQL: text.String()})
}

// Run waits for the database, and for its schema if asked to.
func (c *waitCommand) Run(a *app) error {
	if c.Timeout < 0 {
		return &usageError{errors.New("reading the command line: --timeout must not be negative: give a duration such as 30s")}
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
	if c.Schema {
		err = waitForSchema(ctx, migrator)
	} else {
		err = migrator.Wait(ctx)
	}
	if err != nil {
		return err
	}
	return show(a, waitResult{Ready: true, schema: c.Schema})
}

// waitForSchema waits out every answer about the schema: not only the migrations
// may be yet to come, but also this role's right to look.
func waitForSchema(ctx context.Context, migrator *auditmigrate.Migrator) error {
	for {
		if err := migrator.Wait(ctx); err != nil {
			return err
		}
		err := migrator.Validate(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for the schema: %w; the last try: %w", context.Cause(ctx), err)
		case <-time.After(schemaPoll):
		}
	}
}
