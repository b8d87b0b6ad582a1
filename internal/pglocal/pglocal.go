// Package pglocal runs a private PostgreSQL with the server programs installed on this
// machine, for the demo and the tests.
//
// A server has its own temporary directory and listens only on a Unix socket there. Stop
// ends it. If this process dies first, even by kill -9, a watchdog ends it. So no test needs
// a TestMain.
package pglocal

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Config is a server's configuration. The zero value makes a fast, temporary server for
// tests.
type Config struct {
	// Durable keeps fsync, full_page_writes and synchronous_commit on, so that a crash
	// loses nothing that was acknowledged. Defaults to false (fsync off).
	Durable bool
	// Settings are more postgresql.conf settings, by name. They cannot change the socket,
	// the port and listen_addresses. Defaults to none.
	Settings map[string]string
	// BinDir is the folder with initdb and postgres. Defaults to the result of [Find].
	BinDir string
}

// Replicating returns the settings that a server needs for standbys.
func Replicating() map[string]string {
	return map[string]string{
		"hot_standby":     "on",
		"max_wal_senders": "10",
		"wal_level":       "replica",
	}
}

// file returns the text of the server's postgresql.conf. It keeps what initdb found out
// about the machine.
func (c Config) file() string {
	settings := map[string]string{
		// These files are removed with the directory. In /dev/shm, a file that a killed
		// process had just made would stay.
		"dynamic_shared_memory_type": "mmap",

		"jit":             "off",
		"max_connections": "200",
		"max_wal_senders": "0", // wal_level=minimal refuses to start with any
		"shared_buffers":  "64MB",
		// Tests have it on, too. With off, one connection is hardly faster, eight are
		// slower, and kill -9 loses rows.
		"synchronous_commit": "on",
		"wal_level":          "minimal",
	}
	if !c.Durable {
		settings["fsync"], settings["full_page_writes"] = "off", "off"
	}
	maps.Copy(settings, c.Settings)
	escape := strings.NewReplacer(`\`, `\\`, `'`, `''`, "\n", `\n`)
	var text strings.Builder
	text.WriteString("include 'data/postgresql.conf'\n")
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		fmt.Fprintf(&text, "%s = '%s'\n", name, escape.Replace(settings[name]))
	}
	return text.String()
}
