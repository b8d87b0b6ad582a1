package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// outcome is the result of the tests on a mutant.
type outcome string

const (
	killed     outcome = "killed"
	survived   outcome = "survived"
	unreached  outcome = "survived, reached by no test"
	equivalent outcome = "equivalent"
	notBuilt   outcome = "not built"
	notTried   outcome = "not tried"
)

type runner struct {
	*options
	dir         string
	equivalents map[string]string
	covered     map[string][]block // by file
	timeouts    map[target]time.Duration
	programs    map[target]program // nil: each change is compiled on its own
}

// prepare runs the tests on the unchanged package. They must pass. Their coverage profile
// says which lines they reach, and their time bounds later runs.
func (r *runner) prepare(ctx context.Context, mutants []*mutant) error {
	fmt.Fprintf(os.Stderr, "mutate: %d mutants of %s; testing the unchanged package\n", len(mutants), r.pkg)
	r.covered, r.timeouts = map[string][]block{}, map[target]time.Duration{}
	for i, tests := range r.tests {
		profile := filepath.Join(r.dir, fmt.Sprintf("cover%d", i))
		start := time.Now()
		out, err := r.goTest(ctx, tests, 30*time.Minute, "-coverpkg", r.pkg, "-coverprofile", profile)
		if err != nil {
			return fmt.Errorf("the tests of %s fail on the unchanged package: %w\n%s", tests.pkg, err, out)
		}
		took := time.Since(start)
		fmt.Fprintf(os.Stderr, "mutate: %s %s: %.1f s\n", tests.pkg, tests.run, took.Seconds())
		if r.timeouts[tests] = r.timeout; r.timeout == 0 {
			r.timeouts[tests] = 3*took + 20*time.Second
		}
		if err := readProfile(profile, r.covered); err != nil {
			return err
		}
	}
	if err := r.buildSwitches(ctx, mutants); err != nil {
		fmt.Fprintf(os.Stderr, "mutate: the changes cannot be built in together, so each is compiled on its own: %v\n", err)
		r.programs = nil
	}
	return ctx.Err()
}

func (r *runner) goTest(ctx context.Context, tests target, timeout time.Duration, more ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout+time.Minute) // a minute to build
	defer cancel()
	args := append([]string{"test", "-vet=off", "-count=1", "-short", "-failfast", "-timeout", timeout.String()}, more...)
	if tests.run != "" {
		args = append(args, "-run", tests.run)
	}
	cmd := exec.CommandContext(ctx, "go", append(args, tests.pkg)...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	endAll(cmd)
	err := cmd.Run()
	return out.Bytes(), err
}

// endAll ends the whole process group, since a test program is a child of go test and has children of its own.
func endAll(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 10 * time.Second
}

type result struct {
	mutant  *mutant
	outcome outcome
	reason  string
}

type report struct{ results []result }

func (r *runner) runAll(ctx context.Context, mutants []*mutant) *report {
	results := make([]result, len(mutants))
	queue := make(chan int)
	var all sync.WaitGroup
	var done sync.Mutex
	finished, start := 0, time.Now()
	for worker := range r.workers {
		all.Go(func() {
			for i := range queue {
				results[i] = r.try(ctx, mutants[i], worker)
				done.Lock()
				finished++
				fmt.Fprintf(os.Stderr, "mutate: %d/%d %s: %s\n", finished, len(mutants), results[i].outcome, mutants[i])
				done.Unlock()
			}
		})
	}
	for i, m := range mutants {
		results[i] = result{mutant: m, outcome: notTried}
		if ctx.Err() == nil && (r.budget == 0 || time.Since(start) < r.budget) {
			queue <- i
		}
	}
	close(queue)
	all.Wait()
	return &report{results}
}

func (r *runner) try(ctx context.Context, m *mutant, worker int) result {
	if reason, ok := r.equivalents[m.key()]; ok {
		return result{m, equivalent, reason}
	}
	if !reached(r.covered[filepath.Base(m.path)], m) {
		return result{mutant: m, outcome: unreached}
	}
	if r.programs != nil && m.kind != noSwitch {
		return r.trySwitched(ctx, m)
	}
	overlay, err := r.overlay(m, worker)
	if err != nil {
		return result{m, notTried, err.Error()}
	}
	for _, tests := range r.tests {
		out, err := r.goTest(ctx, tests, r.timeouts[tests], "-overlay", overlay)
		exit, failed := errors.AsType[*exec.ExitError](err)
		switch {
		case ctx.Err() != nil:
			return result{m, notTried, "interrupted"}
		case err == nil:
		case bytes.Contains(out, []byte("[build failed]")), bytes.Contains(out, []byte("[setup failed]")):
			return result{m, notBuilt, firstError(out)}
		case failed && exit.ExitCode() > 1:
			return result{m, notBuilt, firstError(out)}
		default: // a test failed or ran out of time
			return result{mutant: m, outcome: killed}
		}
	}
	return result{mutant: m, outcome: survived}
}

func (r *runner) trySwitched(ctx context.Context, m *mutant) result {
	for _, tests := range r.tests {
		err := r.runSwitched(ctx, tests, m.id)
		switch {
		case ctx.Err() != nil:
			return result{m, notTried, "interrupted"}
		case err != nil:
			return result{mutant: m, outcome: killed}
		}
	}
	return result{mutant: m, outcome: survived}
}

func firstError(out []byte) string {
	for line := range strings.Lines(string(out)) {
		if !strings.HasPrefix(line, "#") {
			return strings.TrimSpace(line)
		}
	}
	return ""
}

// overlay writes the changed file of a worker and go's overlay file for it.
func (r *runner) overlay(m *mutant, worker int) (string, error) {
	source, err := os.ReadFile(m.path)
	if err != nil {
		return "", err
	}
	changed := filepath.Join(r.dir, fmt.Sprintf("worker%d.go", worker))
	text := string(source[:m.start]) + m.text + string(source[m.end:])
	if err := os.WriteFile(changed, []byte(text), 0o600); err != nil {
		return "", err
	}
	overlay := filepath.Join(r.dir, fmt.Sprintf("worker%d.json", worker))
	replaced, err := json.Marshal(map[string]map[string]string{"Replace": {m.path: changed}})
	if err != nil {
		return "", err
	}
	return overlay, os.WriteFile(overlay, replaced, 0o600)
}

// score returns the share of killed mutants among those that can be killed, in percent.
func (r *report) score() (float64, bool) {
	n := r.counts()
	viable := n[killed] + n[survived] + n[unreached]
	if viable == 0 {
		return 0, false
	}
	return 100 * float64(n[killed]) / float64(viable), true
}

func (r *report) counts() map[outcome]int {
	n := map[outcome]int{}
	for _, res := range r.results {
		n[res.outcome]++
	}
	return n
}

func (r *report) print(w io.Writer) {
	for _, o := range []outcome{survived, unreached, equivalent, notTried} {
		for _, res := range r.results {
			if res.outcome == o {
				_, _ = fmt.Fprintln(w, strings.TrimSuffix(fmt.Sprintf("%s: %s # %s", o, res.mutant, res.reason), " # "))
			}
		}
	}
	n := r.counts()
	score, _ := r.score()
	_, _ = fmt.Fprintf(w, "score %.1f %%: %d killed, %d survived (%d of them reached by no test); left out: %d equivalent, %d that do not compile, %d not tried\n",
		score, n[killed], n[survived]+n[unreached], n[unreached], n[equivalent], n[notBuilt], n[notTried])
}
