package main

import (
	"fmt"
	"maps"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"
)

// conditions describe what the figures depend on.
type conditions struct {
	Date        string            `json:"date"`
	Machine     string            `json:"machine"`
	Cores       int               `json:"cores"`
	Load        string            `json:"load_average_at_start"`
	LoadAtEnd   string            `json:"load_average_at_end"`
	Note        string            `json:"note"`
	Go          string            `json:"go"`
	PostgreSQL  string            `json:"postgresql"`
	Server      map[string]string `json:"server_settings"`
	Modules     map[string]string `json:"modules"`
	Connections int               `json:"connections"`
	Turn        string            `json:"turn"`
	Rounds      int               `json:"rounds"`
	Settings    []setting         `json:"contenders"`
}

// setting describes how a contender was set up.
type setting struct {
	Contender string `json:"contender"`
	Text      string `json:"settings"`
}

func conditionsOf(server map[string]string, p pace, connections int, note string) conditions {
	settings := maps.Clone(server)
	settings["fsync"], settings["full_page_writes"], settings["synchronous_commit"] = "on", "on", "on"
	c := conditions{
		Date:        time.Now().UTC().Format(time.DateOnly),
		Machine:     machine(),
		Cores:       runtime.NumCPU(),
		Load:        load(),
		Note:        note,
		Go:          runtime.Version(),
		Server:      settings,
		Modules:     make(map[string]string),
		Connections: connections,
		Turn:        p.Turn.String(),
		Rounds:      p.Rounds,
	}
	info, ok := debug.ReadBuildInfo()
	if !ok { // built without modules
		return c
	}
	for _, module := range info.Deps {
		if slices.Contains(measured(), module.Path) {
			c.Modules[module.Path] = module.Version
		}
	}
	return c
}

// measured lists the modules whose versions the report names.
func measured() []string {
	return []string{
		"github.com/jackc/pgx/v5", "gorm.io/gorm", "gorm.io/driver/postgres",
		"github.com/riverqueue/river", "github.com/riverqueue/river/riverdriver/riverpgxv5",
	}
}

func machine() string {
	text, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return runtime.GOOS + "/" + runtime.GOARCH
	}
	for line := range strings.Lines(string(text)) {
		if name, model, found := strings.Cut(line, ":"); found && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(model)
		}
	}
	return runtime.GOOS + "/" + runtime.GOARCH
}

// load returns the load average of the last minute, where the system reports one.
func load() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	first, _, _ := strings.Cut(string(text), " ")
	return first
}

func (c *conditions) String() string {
	versions := make([]string, 0, len(c.Modules))
	for _, path := range slices.Sorted(maps.Keys(c.Modules)) {
		versions = append(versions, path+" "+c.Modules[path])
	}
	postgres, _, _ := strings.Cut(c.PostgreSQL, " ") // the packager's name follows
	return fmt.Sprintf(`- %s, %d cores; load average %s at the start, %s at the end; %s
- %s; PostgreSQL %s on a Unix socket, %s
- %s
- %d connections each; %d rounds, %s a turn
`, c.Machine, c.Cores, c.Load, c.LoadAtEnd, c.Date, c.Go, postgres, c.settingsText(), strings.Join(versions, ", "),
		c.Connections, c.Rounds, c.Turn)
}

func (c *conditions) settingsText() string {
	settings := make([]string, 0, len(c.Server))
	for _, name := range slices.Sorted(maps.Keys(c.Server)) {
		settings = append(settings, name+" "+c.Server[name])
	}
	return strings.Join(settings, ", ")
}
