package coordaudit

import (
	"os"
	"path/filepath"
	"testing"
)

// The last line of the demo must work when it is pasted.
func TestDemoNamesItsCommand(t *testing.T) {
	directory := t.TempDir()
	program := filepath.Join(directory, "coordaudit")
	if err := os.WriteFile(program, []byte("#!/bin/sh\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", "")
	for started, want := range map[string]string{
		filepath.Join(os.TempDir(), "go-build123", "b001", "exe", "coordaudit"): "go run ./cmd/coordaudit",
		"./bin/coordaudit": "./bin/coordaudit",
		program:            program,
	} {
		if got := ownCommand(started); got != want {
			t.Errorf("%s: %s, want %s", started, got, want)
		}
	}
	t.Setenv("PATH", directory)
	if got := ownCommand(program); got != "coordaudit" {
		t.Errorf("on PATH: %s", got)
	}
}
