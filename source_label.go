package coordaudit

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
)

// maxLabelCharacters bounds a source's label, as the column does.
const maxLabelCharacters = 200

// sourceLabel says who a source is: host, process, program and its version. It names no user
// and no path.
func sourceLabel() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown host"
	}
	program := "unknown program"
	if len(os.Args) > 0 {
		program = filepath.Base(os.Args[0])
	}
	version := ""
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		version = " " + info.Main.Version
	}
	label := fmt.Sprintf("%s %s%s (process %d)", host, program, version, os.Getpid())
	return clipLabel(label)
}

// clipLabel makes a label that the database takes.
func clipLabel(label string) string {
	label = strings.ReplaceAll(strings.ToValidUTF8(label, "\uFFFD"), "\x00", "\uFFFD")
	if runes := []rune(label); len(runes) > maxLabelCharacters {
		label = string(runes[:maxLabelCharacters])
	}
	return label
}
