package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/hoc-analytics/coordaudit/auditmigrate"
)

// show prints a result to stdout, for people or for machines.
func show[T fmt.Stringer](a *app, result T) error {
	var err error
	if a.grammar.JSON {
		encoder := json.NewEncoder(a.stdout)
		encoder.SetEscapeHTML(false)
		err = encoder.Encode(result)
	} else {
		_, err = fmt.Fprintln(a.stdout, strings.TrimRight(result.String(), "\n"))
	}
	if err != nil {
		return fmt.Errorf("printing the result: %w", err)
	}
	return nil
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
	Database int64  `json:"database_version"`
	Program  int64  `json:"program_version"`
	Build    string `json:"build"`
}

// String is a line for each version.
func (r versionResult) String() string {
	return fmt.Sprintf("database schema  %d\nprogram schema   %d\nprogram build    %s", r.Database, r.Program, r.Build)
}

type validateResult struct {
	Valid   bool    `json:"valid"`
	Pending []int64 `json:"pending"`
}

// String says the same in words.
func (r validateResult) String() string {
	if r.Valid {
		return "valid: every migration is applied"
	}
	return "not valid: pending " + strings.Trim(fmt.Sprint(r.Pending), "[]")
}

type waitResult struct {
	Ready  bool `json:"ready"`
	schema bool
}

// String says what was waited for.
func (r waitResult) String() string {
	if r.schema {
		return "the database answers and has every migration"
	}
	return "the database answers"
}

type sqlResult struct {
	SQL string `json:"sql"`
}

// String is the SQL itself.
func (r sqlResult) String() string { return r.SQL }
