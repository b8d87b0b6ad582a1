package migrate

import (
	"context"
	"errors"
	"time"

	"github.com/hoc-analytics/coordaudit/auditmigrate"
	"github.com/hoc-analytics/coordaudit/internal/cli"
)

// locking is for the commands that change the schema.
type locking struct {
	LockTimeout time.Duration `name:"lock-timeout" default:"1m" help:"How long to wait for another process that migrates, and for a table that others use."`
}

// reverting is for the commands that may drop a table.
type reverting struct {
	locking
	AllowDataLoss bool `name:"allow-data-loss" help:"Also drop tables or columns that hold data of records. The data is lost."`
}

type upCommand struct{ locking }

type upToCommand struct {
	locking
	Version int64 `arg:"" help:"The version to end at."`
}

type downCommand struct{ reverting }

type downToCommand struct {
	reverting
	Version int64 `arg:"" help:"The version to end at."`
}

type redoCommand struct{ reverting }

// Run applies the pending migrations.
func (c *upCommand) Run(a *app) error {
	return a.migrate(c.config(), (*auditmigrate.Migrator).Up)
}

// Run applies the pending migrations up to a version.
func (c *upToCommand) Run(a *app) error {
	return a.migrate(c.config(), func(m *auditmigrate.Migrator, ctx context.Context) ([]auditmigrate.Change, error) {
		return m.UpTo(ctx, c.Version)
	})
}

// Run reverts the last migration.
func (c *downCommand) Run(a *app) error {
	return a.migrate(c.config(), (*auditmigrate.Migrator).Down)
}

// Run reverts the migrations above a version.
func (c *downToCommand) Run(a *app) error {
	return a.migrate(c.config(), func(m *auditmigrate.Migrator, ctx context.Context) ([]auditmigrate.Change, error) {
		return m.DownTo(ctx, c.Version)
	})
}

// Run reverts the last migration and applies it again.
func (c *redoCommand) Run(a *app) error {
	return a.migrate(c.config(), (*auditmigrate.Migrator).Redo)
}

func (c locking) config() auditmigrate.Config {
	return auditmigrate.Config{LockTimeout: c.LockTimeout}
}

func (c reverting) config() auditmigrate.Config {
	config := c.locking.config()
	config.AllowDataLoss = c.AllowDataLoss
	return config
}

func (c locking) check() error {
	if c.LockTimeout <= 0 {
		return cli.Usage(reading, errors.New("--lock-timeout must be positive"), "give a duration such as 30s")
	}
	return nil
}

// migrate prints what was done, even if the rest failed.
func (a *app) migrate(config auditmigrate.Config, do func(*auditmigrate.Migrator, context.Context) ([]auditmigrate.Change, error)) error {
	if err := (locking{config.LockTimeout}).check(); err != nil {
		return err
	}
	migrator, err := a.migrator(config)
	if err != nil {
		return err
	}
	changes, err := do(migrator, a.ctx)
	if err != nil && len(changes) == 0 {
		return err
	}
	if printErr := show(a, newChangesResult(changes)); err == nil {
		err = printErr
	}
	return err
}
