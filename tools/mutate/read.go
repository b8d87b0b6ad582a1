package main

import (
	"bufio"
	"fmt"
	"os"
	"path"
	"strings"
)

// block is a piece of code that a test may reach.
type block struct {
	fromLine, fromColumn, toLine, toColumn int
	reached                                bool
}

// readProfile adds the blocks of a coverage profile, by file.
func readProfile(profile string, covered map[string][]block) error {
	file, err := os.Open(profile)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		name, rest, ok := strings.Cut(lines.Text(), ".go:")
		if !ok {
			continue
		}
		var b block
		var statements, count int
		if _, err := fmt.Sscanf(rest, "%d.%d,%d.%d %d %d", &b.fromLine, &b.fromColumn, &b.toLine, &b.toColumn, &statements, &count); err != nil {
			return fmt.Errorf("reading the coverage profile: %q: %w", lines.Text(), err)
		}
		b.reached = count > 0
		name = path.Base(name) + ".go"
		covered[name] = append(covered[name], b)
	}
	return nil
}

// reached returns true for a mutant outside every block, such as one in the values of a case.
func reached(blocks []block, m *mutant) bool {
	inAny := false
	for _, b := range blocks {
		if m.line >= b.fromLine && m.line <= b.toLine {
			if b.reached {
				return true
			}
			inAny = true
		}
	}
	return !inAny
}

// readEquivalents reads lines with the key of a mutant, a number sign and the reason.
func readEquivalents(name string) (map[string]string, error) {
	known := map[string]string{}
	if name == "" {
		return known, nil
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		i := strings.LastIndex(line, " # ")
		if i < 0 {
			return nil, fmt.Errorf("%s: a line without a reason (… # why): %s", name, line)
		}
		known[line[:i]] = line[i+3:]
	}
	return known, nil
}
