package migrate

import (
	"errors"
	"fmt"
	"strings"

	"github.com/hoc-analytics/coordaudit/auditadmin"
	"github.com/hoc-analytics/coordaudit/internal/cli"
	"github.com/hoc-analytics/coordaudit/internal/format"
)

type repairCommand struct {
	locking
	DryRun bool `name:"dry-run" help:"Print the SQL without running it. It does not include repairs that become necessary only after others."`
}

// Run repairs what it can repair without changing a row.
func (c *repairCommand) Run(a *app) error {
	if c.LockTimeout <= 0 {
		return errLockTimeout()
	}
	migrator, err := a.migrator(c.config())
	if err != nil {
		return err
	}
	conn, err := migrator.Connect(a.ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(a.ctx) }() // each action was committed on its own
	result := repairResult{Actions: []action{}, dryRun: c.DryRun}
	config := auditadmin.RepairConfig{LockTimeout: c.LockTimeout, DryRun: c.DryRun}
	var printErr error
	config.Report = func(done auditadmin.Action) {
		next := newAction(done, c.DryRun)
		result.Actions = append(result.Actions, next)
		if !a.grammar.JSON { // an index takes a while, so each action is printed when it is done
			printErr = errors.Join(printErr, a.program.Print(next.String()+"\n"))
		}
	}
	left, err := auditadmin.Repair(a.ctx, conn, config)
	if printErr != nil {
		return printErr
	}
	noTrail := errors.Is(err, auditadmin.ErrNoTrail)
	if err != nil && !noTrail {
		if a.grammar.JSON && len(result.Actions) > 0 {
			err = errors.Join(err, show(a, result))
		}
		return err
	}
	result.Differences = newDifferences(left)
	result.Repaired = result.Differences.count(auditadmin.Error) == 0
	if err := show(a, result); err != nil {
		return err
	}
	return result.err(noTrail)
}

func errLockTimeout() error {
	return cli.Usage(reading, errors.New("--lock-timeout must be positive"), "give a duration such as 30s")
}

type action struct {
	Object string `json:"object"`
	SQL    string `json:"sql"`
	Done   bool   `json:"done"`
	Error  string `json:"error,omitempty"`
	dryRun bool
}

func newAction(a auditadmin.Action, dryRun bool) action {
	next := action{Object: a.Object, SQL: a.SQL, Done: a.Err == nil && !dryRun, dryRun: dryRun}
	if a.Err != nil {
		next.Error = strings.ReplaceAll(a.Err.Error(), "\n", "; ")
	}
	return next
}

// String says what was done. For a dry run it is SQL.
func (a action) String() string {
	switch {
	case a.dryRun:
		return "-- " + a.Object + "\n" + a.SQL
	case a.Error != "":
		return "not done: " + a.Object + ": " + a.Error
	default:
		return "repaired: " + a.Object
	}
}

type repairResult struct {
	Repaired    bool        `json:"repaired"`
	Actions     []action    `json:"actions"`
	Differences differences `json:"differences,omitempty"`
	dryRun      bool
}

// String says what is left. The actions are already printed.
func (r repairResult) String() string {
	var text strings.Builder
	for line := range strings.Lines(r.Differences.String()) {
		if r.dryRun {
			text.WriteString("-- ")
		}
		text.WriteString(line)
	}
	n := r.Differences.count(auditadmin.Error)
	switch {
	case r.dryRun && n > 0:
		return fmt.Sprintf("-- nothing was changed; left as it is: %s\n%s", format.Plural(int64(n), "difference"), text.String())
	case n > 0:
		return fmt.Sprintf("not repaired: %s left\n%s", format.Plural(int64(n), "difference"), text.String())
	case len(r.Actions) == 0:
		return "nothing to repair\n" + text.String()
	default:
		return "repaired: the schema and its guards are as the migrations make them\n" + text.String()
	}
}

func (r repairResult) err(noTrail bool) error {
	const doing = "repairing the schema"
	if noTrail {
		return cli.WithCode(exitPending, fmt.Errorf("%s: %w: run migrate up, or see the list", doing, auditadmin.ErrNoTrail))
	}
	n := r.Differences.count(auditadmin.Error)
	switch {
	case n == 0:
		return nil
	case r.dryRun:
		return cli.WithCode(exitDiffers, fmt.Errorf("%s: %w", doing, differsError(n)))
	default:
		return cli.WithCode(exitDiffers, fmt.Errorf("%s: %s cannot be repaired by this command: do what the list says, and run it again", doing, format.Plural(int64(n), "difference")))
	}
}
