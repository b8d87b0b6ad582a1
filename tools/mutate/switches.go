package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// switchVariable names the environment variable that turns one change on.
const switchVariable = "COORDAUDIT_MUTANT"

// switchSource is added to the package. It says which change is on.
const switchSource = `package %s

import (
	"os"
	"strconv"
)

var mutantChosen, _ = strconv.Atoi(os.Getenv("` + switchVariable + `"))

func mutantIs(id int) bool { return mutantChosen == id }
`

// program is a test program with every change built in.
type program struct{ path, dir string }

// buildSwitches builds the tests of each target once for all the changes that can be switches.
// Compiling a package for each change takes longer than testing it.
func (r *runner) buildSwitches(ctx context.Context, mutants []*mutant) error {
	replaced := map[string]string{}
	byFile := map[string][]*mutant{}
	for i, m := range mutants {
		if m.id = i + 1; m.kind != noSwitch {
			byFile[m.path] = append(byFile[m.path], m)
		}
	}
	for path, some := range byFile {
		source, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		changed := filepath.Join(r.dir, "switches_"+filepath.Base(path))
		if err := os.WriteFile(changed, []byte(withSwitches(source, some)), 0o600); err != nil {
			return err
		}
		replaced[path] = changed
		name, err := exec.CommandContext(ctx, "go", "list", "-f", "{{.Name}}", r.pkg).Output()
		if err != nil {
			return err
		}
		helper := filepath.Join(r.dir, "switches.go")
		if err := os.WriteFile(helper, fmt.Appendf(nil, switchSource, strings.TrimSpace(string(name))), 0o600); err != nil {
			return err
		}
		replaced[filepath.Join(filepath.Dir(path), "zz_mutants.go")] = helper
	}
	overlay := filepath.Join(r.dir, "switches.json")
	text, err := json.Marshal(map[string]map[string]string{"Replace": replaced})
	if err == nil {
		err = os.WriteFile(overlay, text, 0o600)
	}
	if err != nil {
		return err
	}
	r.programs = map[target]program{}
	for i, tests := range r.tests {
		built := program{path: filepath.Join(r.dir, fmt.Sprintf("tests%d", i))}
		if out, err := exec.CommandContext(ctx, "go", "test", "-c", "-vet=off", "-overlay", overlay, "-o", built.path, tests.pkg).CombinedOutput(); err != nil {
			return fmt.Errorf("%w\n%s", err, out)
		}
		dir, err := exec.CommandContext(ctx, "go", "list", "-f", "{{.Dir}}", tests.pkg).Output()
		if err != nil {
			return err
		}
		built.dir = strings.TrimSpace(string(dir))
		r.programs[tests] = built
	}
	return nil
}

// runSwitched runs the tests of one target with one change on.
func (r *runner) runSwitched(ctx context.Context, tests target, id int) error {
	timeout := r.timeouts[tests]
	ctx, cancel := context.WithTimeout(ctx, timeout+10*time.Second)
	defer cancel()
	args := []string{"-test.short", "-test.failfast", "-test.timeout", timeout.String()}
	if tests.run != "" {
		args = append(args, "-test.run", tests.run)
	}
	cmd := exec.CommandContext(ctx, r.programs[tests].path, args...)
	cmd.Dir = r.programs[tests].dir
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%d", switchVariable, id))
	endAll(cmd)
	return cmd.Run()
}

// withSwitches returns the source with the changes built in. They nest as the code does.
// Only one is ever on, so a changed version holds no others.
func withSwitches(source []byte, some []*mutant) string {
	some = slices.Clone(some)
	slices.SortStableFunc(some, func(a, b *mutant) int {
		return cmp.Or(a.switchFrom-b.switchFrom, b.switchTo-a.switchTo)
	})
	text, _ := render(source, 0, len(source), some)
	return text
}

func render(source []byte, from, to int, some []*mutant) (string, []*mutant) {
	var b strings.Builder
	for len(some) > 0 && some[0].switchFrom < to {
		m := some[0]
		b.Write(source[from:m.switchFrom])
		var inner string
		inner, some = render(source, m.switchFrom, m.switchTo, some[1:])
		if m.kind == switchStatement {
			fmt.Fprintf(&b, "if !mutantIs(%d) { %s }", m.id, inner)
		} else {
			fmt.Fprintf(&b, "(!mutantIs(%[1]d) && (%[2]s) || mutantIs(%[1]d) && (%[3]s))", m.id, inner, m.otherwise)
		}
		from = m.switchTo
	}
	b.Write(source[from:to])
	return b.String(), some
}
