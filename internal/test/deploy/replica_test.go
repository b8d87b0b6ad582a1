package deploy_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// replica is one process of cmd/migrate.
type replica struct {
	name           string // its application_name in the server
	cmd            *exec.Cmd
	stdout, stderr bytes.Buffer
	ended          chan struct{}
	err            error // after it has ended
}

// run starts the program.
func run(t *testing.T, name, url string, args ...string) *replica {
	t.Helper()
	r := &replica{name: name, cmd: exec.CommandContext(t.Context(), os.Getenv(programVariable), args...), ended: make(chan struct{})}
	r.cmd.Env = append(os.Environ(), "DATABASE_URL="+url+"&application_name="+name)
	r.cmd.Stdout, r.cmd.Stderr = &r.stdout, &r.stderr
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		r.err = r.cmd.Wait()
		close(r.ended)
	}()
	return r
}

// mustEnd waits for the program and fails unless it exits with 0.
func (r *replica) mustEnd(t *testing.T) {
	t.Helper()
	<-r.ended
	if r.err != nil {
		t.Errorf("%s: %v: %s", r.name, r.err, r.stderr.String())
	}
}

func (r *replica) hasEnded() bool {
	select {
	case <-r.ended:
		return true
	default:
		return false
	}
}

// runThree starts the three replicas of a deploy at once.
func runThree(t *testing.T, url string) []*replica {
	t.Helper()
	var replicas []*replica
	for i := range 3 {
		replicas = append(replicas, run(t, "replica-"+strconv.Itoa(i), url, "up", "--json"))
	}
	return replicas
}

// mustMigrate runs the program to its end.
func mustMigrate(t *testing.T, url string, args ...string) {
	t.Helper()
	run(t, args[0], url, args...).mustEnd(t)
}

// applied returns the versions that the replicas report as applied.
func applied(t *testing.T, replicas []*replica) []int64 {
	t.Helper()
	var versions []int64
	for _, r := range replicas {
		<-r.ended
		var result struct {
			Changes []struct {
				Version   int64
				Direction string
			}
		}
		if err := json.Unmarshal(r.stdout.Bytes(), &result); err != nil {
			t.Errorf("%s says %q: %v", r.name, r.stdout.String(), err)
		}
		for _, change := range result.Changes {
			if change.Direction != "up" {
				t.Errorf("%s went %s", r.name, change.Direction)
			}
			versions = append(versions, change.Version)
		}
	}
	slices.Sort(versions)
	return versions
}

// mustDeploy runs three replicas to the end of a deploy. Each must exit with 0, and exactly one must
// have applied each pending migration.
func mustDeploy(t *testing.T, url string, pending []int64) {
	t.Helper()
	replicas := runThree(t, url)
	var all sync.WaitGroup
	for _, r := range replicas {
		all.Go(func() { r.mustEnd(t) })
	}
	all.Wait()
	if diff := cmp.Diff(pending, applied(t, replicas)); diff != "" {
		t.Errorf("migrations applied (-pending +applied):\n%s", diff)
	}
	mustMigrate(t, url, "validate")
}
