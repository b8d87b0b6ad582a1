package migrate

import (
	"errors"
	"fmt"
	"strings"

	"github.com/hoc-analytics/coordaudit/auditadmin"
	"github.com/hoc-analytics/coordaudit/internal/cli"
	"github.com/hoc-analytics/coordaudit/internal/format"
)

type distributeCommand struct {
	locking
	Shards int `name:"shards" placeholder:"N" help:"The number of shards of each table. Default: 4 for each worker."`
}

// Run distributes the trail over the workers of a Citus cluster.
func (c *distributeCommand) Run(a *app) error {
	if err := c.check(); err != nil {
		return err
	}
	if c.Shards < 0 {
		return cli.Usage(reading, errors.New("--shards must be positive"), "leave it out for 4 shards for each worker")
	}
	migrator, err := a.migrator(c.config())
	if err != nil {
		return err
	}
	conn, err := migrator.Connect(a.ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(a.ctx) }() // it was committed
	tables, err := auditadmin.Distribute(a.ctx, conn, auditadmin.DistributeConfig{Shards: c.Shards, LockTimeout: c.LockTimeout})
	if errors.Is(err, auditadmin.ErrNoTrail) {
		return cli.WithCode(exitPending, err)
	}
	if err != nil {
		return err
	}
	return show(a, newDistributeResult(tables))
}

type distributeResult struct {
	Tables []distributedTable `json:"tables"`
}

type distributedTable struct {
	Name   string `json:"name"`
	Key    string `json:"key"`
	Shards int    `json:"shards"`
	Moved  int64  `json:"moved"`
	Now    bool   `json:"now"`
}

func newDistributeResult(tables []auditadmin.DistributedTable) distributeResult {
	result := distributeResult{Tables: make([]distributedTable, len(tables))}
	for i, t := range tables {
		result.Tables[i] = distributedTable(t)
	}
	return result
}

// String is a line for each table.
func (r distributeResult) String() string {
	var text strings.Builder
	for _, t := range r.Tables {
		verb := "stays       "
		if t.Now {
			verb = "distributed "
		}
		fmt.Fprintf(&text, "%s %s by %s, %s", verb, t.Name, t.Key, format.Plural(int64(t.Shards), "shard"))
		if t.Now {
			fmt.Fprintf(&text, ", %s moved", format.Plural(t.Moved, "row"))
		}
		text.WriteByte('\n')
	}
	return text.String()
}
