package migrate

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/hoc-analytics/coordaudit/auditadmin"
	"github.com/hoc-analytics/coordaudit/auditmigrate"
	"github.com/hoc-analytics/coordaudit/internal/cli"
	"github.com/hoc-analytics/coordaudit/internal/format"
)

type validateCommand struct{}

// Run reports by the exit code whether migrations are pending, or the schema differs from
// what they make.
func (c *validateCommand) Run(a *app) error {
	migrator, err := a.migrator(auditmigrate.Config{})
	if err != nil {
		return err
	}
	result, err := validate(a, migrator)
	if err != nil {
		return err
	}
	if err := show(a, result); err != nil {
		return err
	}
	return result.err()
}

func validate(a *app, migrator *auditmigrate.Migrator) (validateResult, error) {
	var none validateResult
	err := migrator.Validate(a.ctx)
	pending, isPending := errors.AsType[*auditmigrate.PendingError](err)
	if err != nil && !isPending && !isRefused(err) { // Check reports what this role may not see
		return none, err
	}
	conn, err := migrator.Connect(a.ctx)
	if err != nil {
		return none, err
	}
	defer func() { _ = conn.Close(a.ctx) }() // it only read
	found, err := auditadmin.Check(a.ctx, conn)
	if err != nil {
		return none, err
	}
	result := validateResult{Pending: []int64{}}
	if isPending {
		result.Pending = pending.Versions
		found = slices.DeleteFunc(found, func(d auditadmin.Difference) bool { return d.Repair == "migrate up" }) // the list of pending versions says that
	}
	result.Differences = newDifferences(found)
	result.Valid = !isPending && result.count(auditadmin.Error) == 0 && result.count(auditadmin.Unchecked) == 0
	return result, nil
}

func isRefused(err error) bool {
	pgErr, ok := errors.AsType[*pgconn.PgError](err)
	_, connecting := errors.AsType[*pgconn.ConnectError](err)
	return ok && !connecting && pgErr.Code == "42501"
}

type difference struct {
	Object    string              `json:"object"`
	Severity  auditadmin.Severity `json:"severity"`
	Want      string              `json:"want,omitempty"`
	Got       string              `json:"got"`
	Repair    string              `json:"repair,omitempty"`
	Automatic bool                `json:"automatic"`
}

func newDifferences(found []auditadmin.Difference) differences {
	list := make(differences, len(found))
	for i, d := range found {
		list[i] = difference{Object: d.Object, Severity: d.Severity, Want: d.Want, Got: d.Got, Repair: d.Repair, Automatic: d.Automatic}
	}
	return list
}

type differences []difference

func (l differences) count(severity auditadmin.Severity) int {
	n := 0
	for _, d := range l {
		if d.Severity == severity {
			n++
		}
	}
	return n
}

// String is a paragraph for each difference.
func (l differences) String() string {
	var text strings.Builder
	for _, d := range l {
		fmt.Fprintf(&text, "%s: %s\n  is      %s\n", d.Severity, d.Object, d.Got)
		if d.Want != "" {
			fmt.Fprintf(&text, "  want    %s\n", d.Want)
		}
		switch {
		case d.Automatic && d.Repair != repairCommandLine:
			fmt.Fprintf(&text, "  repair  %s, which runs: %s\n", repairCommandLine, d.Repair)
		case d.Repair != "":
			fmt.Fprintf(&text, "  repair  %s\n", d.Repair)
		}
	}
	return text.String()
}

const repairCommandLine = "migrate repair"

type validateResult struct {
	Valid       bool        `json:"valid"`
	Pending     []int64     `json:"pending"`
	Differences differences `json:"differences,omitempty"`
}

func (r validateResult) count(severity auditadmin.Severity) int { return r.Differences.count(severity) }

// String is the result in words.
func (r validateResult) String() string {
	var heads []string
	if len(r.Pending) > 0 {
		heads = append(heads, "pending "+strings.Trim(fmt.Sprint(r.Pending), "[]"))
	}
	if n := r.count(auditadmin.Error); n > 0 {
		heads = append(heads, format.Plural(int64(n), "difference"))
	}
	switch n := r.count(auditadmin.Unchecked); {
	case len(heads) > 0:
		return "not valid: " + strings.Join(heads, ", ") + "\n" + r.Differences.String()
	case n > 0:
		return "not known to be valid: this role cannot check " + format.Plural(int64(n), "object") + "\n" + r.Differences.String()
	default:
		return "valid: every migration is applied, and the schema and its guards are as the migrations make them\n" + r.Differences.String()
	}
}

// err decides on the exit code.
func (r validateResult) err() error {
	const doing = "validating the schema"
	switch errs, unchecked := r.count(auditadmin.Error), r.count(auditadmin.Unchecked); {
	case len(r.Pending) > 0:
		err := fmt.Errorf("%s: %w: run the migrations (migrate up)", doing, &auditmigrate.PendingError{Versions: r.Pending})
		return cli.WithCode(exitPending, err)
	case errs > 0:
		return cli.WithCode(exitDiffers, fmt.Errorf("%s: %w", doing, differsError(errs)))
	case unchecked > 0:
		return fmt.Errorf("%s: this role's rights are not enough to check %s: validate as the owner of the tables", doing, format.Plural(int64(unchecked), "object"))
	default:
		return nil
	}
}

// differsError is the number of differences.
type differsError int

func (n differsError) Error() string {
	verb := "differ"
	if n == 1 {
		verb = "differs"
	}
	return format.Plural(int64(n), "object") + " of the schema or its guards " + verb + " from what the migrations make: run " + repairCommandLine + ", and see the list for what it cannot repair"
}
