package main

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"

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
func (c *versionCommand) Run(p *program) error {
	v := versions{Version: "unknown", Commit: "unknown", GoVersion: runtime.Version()}
	v.fromBuild()
	var err error
	if v.SchemaVersion, err = schemaVersion(migrations.FS()); err != nil {
		return &failure{tried: "reading the embedded migrations", cause: err}
	}
	if !c.JSON {
		return p.print(fmt.Sprintf("coordaudit  %s\ncommit      %s\nschema      %d\ngo          %s\n", v.Version, v.Commit, v.SchemaVersion, v.GoVersion))
	}
	text, err := json.Marshal(v)
	if err != nil {
		return &failure{tried: "showing the versions", cause: err}
	}
	return p.print(string(text) + "\n")
}

func (v *versions) fromBuild() {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return
	}
	v.Version = info.Main.Version
	dirty := false
	for _, setting := range info.Settings {
		switch setting.Key {
		case "vcs.revision":
			v.Commit = setting.Value
		case "vcs.modified":
			dirty = setting.Value == "true"
		}
	}
	if dirty {
		v.Commit += " (with changes)"
	}
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
