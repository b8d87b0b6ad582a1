package coordaudit

import (
	"fmt"
	"io/fs"
	"runtime"
	"strconv"
	"strings"

	"github.com/hoc-analytics/coordaudit/internal/cli"
	"github.com/hoc-analytics/coordaudit/migrations"
)

type versionCommand struct {
	JSON bool `name:"json" help:"Print the versions as one JSON object."`
}

type versions struct {
	Version       string `json:"version"`
	Commit        string `json:"commit"`
	SchemaVersion int64  `json:"schema_version"`
	GoVersion     string `json:"go_version"`
}

// Run is called by kong.
func (c *versionCommand) Run(p *cli.Program) error {
	v := versions{GoVersion: runtime.Version()}
	v.Version, v.Commit = cli.Build()
	var err error
	if v.SchemaVersion, err = schemaVersion(migrations.FS()); err != nil {
		return &cli.ShownError{Tried: "reading the embedded migrations", Cause: err}
	}
	if !c.JSON {
		return p.Print(fmt.Sprintf("coordaudit  %s\ncommit      %s\nschema      %d\ngo          %s\n", v.Version, v.Commit, v.SchemaVersion, v.GoVersion))
	}
	return p.PrintJSON("showing the versions", v)
}

// schemaVersion is the number of the last migration.
func schemaVersion(files fs.FS) (last int64, err error) {
	names, err := fs.Glob(files, "*.sql")
	if err != nil {
		return 0, err
	}
	for _, name := range names {
		number, _, _ := strings.Cut(name, "_")
		version, err := strconv.ParseInt(number, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("%s has no version: %w", name, err)
		}
		last = max(last, version)
	}
	return last, nil
}
