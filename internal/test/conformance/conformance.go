// Package conformance states the guarantees of docs/guarantees.md as tests that run on any
// PostgreSQL from version 13 on: local programs, a container, another version or engine.
//
// Each section is a subtest, and each guarantee is a subtest of its section, so
// -run TestConformance/Recorder runs one section. A guarantee declares what it needs of a
// database, so that the same suite runs directly, through a pooler, and in databases with
// foreign settings.
//
// To add an engine, call [Run] with a function that opens a migrated database on it. Its role
// must be a superuser. Connections must reach the server without TLS, because package
// faultproxy reads the messages that it interrupts.
//
// To add a guarantee, add a line to sections.go of the package of its section. A guarantee that
// kills a server or a process has its test in the root package.
package conformance

import (
	"slices"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/hoc-analytics/coordaudit/internal/test/conformance/completeness"
	"github.com/hoc-analytics/coordaudit/internal/test/conformance/faults"
	"github.com/hoc-analytics/coordaudit/internal/test/conformance/following"
	"github.com/hoc-analytics/coordaudit/internal/test/conformance/frame"
	"github.com/hoc-analytics/coordaudit/internal/test/conformance/persisting"
	"github.com/hoc-analytics/coordaudit/internal/test/conformance/reading"
	"github.com/hoc-analytics/coordaudit/internal/test/conformance/recorder"
	"github.com/hoc-analytics/coordaudit/internal/test/conformance/reporting"
	"github.com/hoc-analytics/coordaudit/internal/test/conformance/trail"
	"github.com/hoc-analytics/coordaudit/internal/test/conformance/transaction"
)

// Database is a migrated database of one test's own.
type Database = frame.Database

// Run states every guarantee, in parallel, each on a database of its own.
func Run(t *testing.T, open func(t *testing.T) Database) {
	t.Helper()
	engine{modes: frame.AllModes()[:1], lacks: frame.Cluster, open: func(t *testing.T, _ pgx.QueryExecMode) Database {
		t.Helper()
		return open(t)
	}}.run(t)
}

// RunDistributed states the guarantees on databases whose trail is distributed over the workers
// of a Citus cluster. Those that need the rows on one server are the carve-outs of
// docs/guarantees.md, and are left out by name.
func RunDistributed(t *testing.T, open func(t *testing.T) Database) {
	t.Helper()
	engine{modes: frame.AllModes()[:1], lacks: frame.OneServer | frame.LocalTable, open: func(t *testing.T, _ pgx.QueryExecMode) Database {
		t.Helper()
		return open(t)
	}}.run(t)
}

// RunThroughPooler states the guarantees on databases behind a pooler that shares a server
// connection between clients, a transaction at a time. Guarantees that need a session of
// their own are left out. open gets one of modes, which are those that the pooler supports.
func RunThroughPooler(t *testing.T, modes []pgx.QueryExecMode, open func(t *testing.T, mode pgx.QueryExecMode) Database) {
	t.Helper()
	engine{modes: modes, lacks: frame.Direct | frame.Cluster, open: open}.run(t)
}

// engine is one kind of database to run guarantees on.
type engine struct {
	open  func(t *testing.T, mode pgx.QueryExecMode) Database
	modes []pgx.QueryExecMode // all guarantees run in the first
	lacks frame.Need
}

func (e engine) run(t *testing.T) {
	t.Helper()
	for _, section := range sections() {
		guarantees := slices.DeleteFunc(section.Guarantees, func(g frame.Guarantee) bool { return g.Needs&e.lacks != 0 })
		if len(guarantees) == 0 {
			continue
		}
		t.Run(section.Name, func(t *testing.T) {
			t.Parallel()
			for _, g := range guarantees {
				e.runGuarantee(t, g)
			}
		})
	}
}

// runGuarantee runs a guarantee under its name in the first mode and under name/mode in each
// other one.
func (e engine) runGuarantee(t *testing.T, g frame.Guarantee) {
	t.Helper()
	for i, mode := range e.modes {
		name := g.Name
		if i > 0 {
			name += "/" + mode.String()
		}
		if i > 0 && !g.EveryMode {
			return
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g.Holds(t, frame.Open(t, func(t *testing.T) Database {
				t.Helper()
				return e.open(t, mode)
			}))
		})
	}
}

// sections are in the order of docs/guarantees.md. A comment that says "row" means a row of
// the tables of faults that the predecessor had.
func sections() []frame.Section {
	return slices.Concat(
		persisting.Sections(), reading.Sections(), following.Sections(), faults.Sections(), transaction.Sections(),
		trail.Sections(), reporting.Sections(), recorder.Sections(), completeness.Sections(),
	)
}
