package migrate

import (
	"fmt"
	"strings"
	"time"

	"github.com/hoc-analytics/coordaudit/auditmigrate"
	"github.com/hoc-analytics/coordaudit/internal/cli/term"
)

// show prints a result to the standard output, for people or for machines.
func show[T fmt.Stringer](a *app, result T) error {
	if a.grammar.JSON {
		return a.program.PrintJSON("printing the result", result)
	}
	text := result.String()
	if laid, ok := any(result).(layout); ok {
		text = laid.on(a.program.Screen(false))
	}
	return a.program.Page(strings.TrimRight(text, "\n") + "\n")
}

// layout is a result whose lines are broken where a terminal is too narrow for them.
type layout interface {
	on(screen term.Screen) string
}

type changesResult struct {
	Changes []change `json:"changes"`
}

type change struct {
	Version    int64                  `json:"version"`
	Name       string                 `json:"name"`
	Direction  auditmigrate.Direction `json:"direction"`
	DurationMS int64                  `json:"duration_ms"`
}

func newChangesResult(changes []auditmigrate.Change) changesResult {
	result := changesResult{Changes: make([]change, len(changes))}
	for i, c := range changes {
		result.Changes[i] = change{Version: c.Version, Name: c.Name, Direction: c.Direction, DurationMS: c.Duration.Milliseconds()}
	}
	return result
}

// String is a line for each migration.
func (r changesResult) String() string {
	if len(r.Changes) == 0 {
		return "nothing to do"
	}
	var text strings.Builder
	for _, c := range r.Changes {
		fmt.Fprintf(&text, "%-4s %s (%d ms)\n", c.Direction, c.Name, c.DurationMS)
	}
	return text.String()
}

type statusResult struct {
	Migrations []migration `json:"migrations"`
}

type migration struct {
	Version   int64      `json:"version"`
	Name      string     `json:"name"`
	AppliedAt *time.Time `json:"applied_at"`
}

func newStatusResult(list []auditmigrate.Migration) statusResult {
	result := statusResult{Migrations: make([]migration, len(list))}
	for i, m := range list {
		result.Migrations[i] = migration{Version: m.Version, Name: m.Name}
		if !m.AppliedAt.IsZero() {
			result.Migrations[i].AppliedAt = &list[i].AppliedAt
		}
	}
	return result
}

// String is a line for each migration.
func (r statusResult) String() string {
	var text strings.Builder
	for _, m := range r.Migrations {
		state := "pending"
		if m.AppliedAt != nil {
			state = m.AppliedAt.Format(time.RFC3339)
		}
		fmt.Fprintf(&text, "%-20s  %s\n", state, m.Name)
	}
	return text.String()
}

type versionResult struct {
	Database *int64 `json:"database_version"` // nil: no database was given
	Program  int64  `json:"program_version"`
	Build    string `json:"build"`
}

// String is a line for each version.
func (r versionResult) String() string {
	text := fmt.Sprintf("program schema   %d\nprogram build    %s", r.Program, r.Build)
	if r.Database != nil {
		text = fmt.Sprintf("database schema  %d\n", *r.Database) + text
	}
	return text
}

type sqlResult struct {
	SQL string `json:"sql"`
}

// String is the SQL itself.
func (r sqlResult) String() string { return r.SQL }
