// Package pglocal runs a private PostgreSQL from the server programs installed on
// this machine, for the demo and for the tests.
//
// A server lives in a temporary directory of its own and listens on a Unix socket
// there, nowhere else. Stop ends it. Should this process die first, even by kill -9,
// a watchdog ends it instead, so that no test needs a TestMain for it.
package pglocal

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Config of a server; the zero value is a fast, temporary one for tests.
type Config struct {
	// Durable keeps fsync, full_page_writes and synchronous_commit on, so that a kill
	// -9 loses nothing acknowledged. Default false (fsync off).
	Durable bool
	// Settings are further postgresql.conf settings (name → value). The socket, the
	// port and listen_addresses stay as they are. Default none.
	Settings map[string]string
	// BinDir is the folder with initdb and postgres. Default: searched for (newest
	// major first).
	BinDir string
}

// file is the text of the server's postgresql.conf; what initdb found out about the
// machine is kept.
func (c Config) file() string {
	settings := map[string]string{
		// Files that go with the directory; in /dev/shm, what a killed process had just
		// made would stay for good.
		"dynamic_shared_memory_type": "mmap",

		"jit":             "off",
		"max_connections": "200",
		"max_wal_senders": "0", // wal_level=minimal refuses to start with any
		"shared_buffers":  "64MB",
		// On for tests too: off gains little on one connection, costs throughput on
		// eight, and makes kill -9 lose rows.
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
