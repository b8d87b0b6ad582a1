package migrate

import (
	"errors"
	"strings"

	"github.com/hoc-analytics/coordaudit/auditmigrate"
	"github.com/hoc-analytics/coordaudit/internal/cli"
)

type (
	statusCommand  struct{}
	versionCommand struct{}
)

type sqlCommand struct {
	Down bool   `name:"down" help:"Print the SQL that reverts the migrations instead."`
	From *int64 `name:"from" placeholder:"VERSION" help:"The version to start from. Default: 0, or with --down the newest."`
	To   *int64 `name:"to" placeholder:"VERSION" help:"The version to end at. Default: the newest, or with --down 0."`
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

// Run prints the versions. Without a database it prints only those of the program.
func (c *versionCommand) Run(a *app) error {
	version, _ := cli.Build()
	if a.databaseURL() == "" {
		target, err := auditmigrate.Newest()
		if err != nil {
			return err
		}
		return show(a, versionResult{Program: target, Build: version})
	}
	migrator, err := a.migrator(auditmigrate.Config{})
	if err != nil {
		return err
	}
	current, target, err := migrator.Version(a.ctx)
	if err != nil {
		return err
	}
	return show(a, versionResult{Database: &current, Program: target, Build: version})
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
		return cli.Usage(reading, errors.New("--from and --to contradict --down"), "swap them, or correct --down")
	}
	var text strings.Builder
	if err := auditmigrate.SQL(&text, from, to); err != nil {
		return err
	}
	sql := text.String()
	if name := a.grammar.Schema.name; name != "" {
		sql = auditmigrate.SetSchema(name) + sql
	}
	return show(a, sqlResult{SQL: sql})
}
