//go:build unix

package audittest_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/testcontainers/testcontainers-go"

	"github.com/hoc-analytics/coordaudit/audittest"
	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
)

const childVariable = "COORDAUDIT_AUDITTEST_CHILD"

// nowhere is an address without an engine, also for the docker program.
const nowhere = "DOCKER_HOST=tcp://127.0.0.1:1"

// TestChild is the test of a child process, because a process chooses its server only
// once. It prints its server and waits to be killed.
func TestChild(t *testing.T) { //nolint:paralleltest // it is a process of its own
	if os.Getenv(childVariable) == "" {
		t.Skip("run by the other tests")
	}
	db := audittest.New(t)
	var version, address string
	if err := db.Pool.QueryRow(t.Context(), "SELECT current_setting('unix_socket_directories'), coalesce(host(inet_server_addr()), 'socket')").Scan(&version, &address); err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(os.Stdout, "\nserver: "+version+" "+address+"\n")
	if os.Getenv(childVariable) == "wait" {
		_, _ = io.Copy(io.Discard, os.Stdin)
	}
}

// child is a test process with other settings. It inherits none of ours.
func child(t *testing.T, mode string, settings ...string) *exec.Cmd {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, os.Args[0], "-test.run=^TestChild$", "-test.count=1")
	for _, entry := range os.Environ() {
		if !strings.HasPrefix(entry, "COORDAUDIT_") {
			cmd.Env = append(cmd.Env, entry)
		}
	}
	cmd.Env = append(append(cmd.Env, childVariable+"="+mode), settings...)
	return cmd
}

func TestInstalledPrograms(t *testing.T) {
	t.Parallel()
	cmd := child(t, "once", nowhere)
	var said strings.Builder
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil && strings.Contains(string(out), "and no installed programs") {
		t.Skip("none are installed here")
	}
	if err != nil || !strings.Contains(string(out), "socket") {
		t.Fatalf("%v: %s", err, out)
	}
	if got := said.String(); strings.Count(got, "audittest: testing on installed PostgreSQL programs; no container, as no engine answers: ") != 1 {
		t.Errorf("said %q, want the reason, once", got)
	}
}

func TestWrongSettings(t *testing.T) {
	t.Parallel()
	engine := haveEngine(t)
	for name, test := range map[string]struct {
		settings    []string
		say         []string
		needsEngine bool
	}{
		"a container is required, and no engine is there": {
			settings: []string{nowhere, "COORDAUDIT_REQUIRE_CONTAINER=1"},
			say: []string{
				"no engine answers", "as COORDAUDIT_REQUIRE_CONTAINER demands", "a Docker engine", "COORDAUDIT_TEST_IMAGE=", "COORDAUDIT_TEST_DATABASE_URL=",
				"apt-get install postgresql", "COORDAUDIT_PG_BIN=",
			},
		},
		"required, in other words": {
			settings: []string{nowhere, "COORDAUDIT_REQUIRE_CONTAINER=yes"},
			say:      []string{`"yes" is neither 1 nor 0`},
		},
		"a container and a URL": {
			settings: []string{"COORDAUDIT_REQUIRE_CONTAINER=1", "COORDAUDIT_TEST_DATABASE_URL=postgres://localhost/postgres"},
			say:      []string{"unset one of them"},
		},
		"a URL that nothing answers at": {
			settings: []string{"COORDAUDIT_TEST_DATABASE_URL=postgres://127.0.0.1:1/postgres"},
			say:      []string{"making a test database", "connection refused"},
		},
		"a folder without programs": {
			settings: []string{nowhere, "COORDAUDIT_PG_BIN=/nowhere"},
			say:      []string{"COORDAUDIT_PG_BIN", "/nowhere"},
		},
		"an image that cannot be had": {
			settings:    []string{"COORDAUDIT_TEST_IMAGE=127.0.0.1:1/no/such:image"},
			say:         []string{"getting image 127.0.0.1:1/no/such:image, as COORDAUDIT_TEST_IMAGE says"},
			needsEngine: true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if test.needsEngine && engine != nil {
				t.Skip("no engine answers: ", engine)
			}
			start := time.Now()
			out, err := child(t, "once", test.settings...).CombinedOutput()
			if _, failed := errors.AsType[*exec.ExitError](err); !failed {
				t.Fatalf("ended with %v: %s", err, out)
			}
			for _, part := range test.say {
				if !strings.Contains(string(out), part) {
					t.Errorf("%q is not in:\n%s", part, out)
				}
			}
			if took := time.Since(start); took > 30*time.Second {
				t.Errorf("it took %v to fail", took)
			}
		})
	}
}

func haveEngine(t *testing.T) error {
	t.Helper()
	engine, err := testcontainers.NewDockerProvider()
	if err == nil {
		_ = engine.Close()
	}
	return err
}

func TestKilledProcessContainer(t *testing.T) {
	t.Parallel()
	image := os.Getenv("COORDAUDIT_TEST_IMAGE")
	if err := haveEngine(t); err != nil || image == "" {
		t.Skipf("needs an engine (%v) and COORDAUDIT_TEST_IMAGE, an image that it has", err)
	}
	for _, when := range []string{"serving", "starting"} {
		t.Run(when, func(t *testing.T) {
			t.Parallel()
			session := uuid.NewString()
			cmd := child(t, "wait", "TESTCONTAINERS_SESSION_ID="+session, "TESTCONTAINERS_RYUK_DISABLED=true", "COORDAUDIT_REQUIRE_CONTAINER=1", "COORDAUDIT_TEST_IMAGE="+image)
			stdin, err := cmd.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = stdin.Close() }()
			stdout, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			start := time.Now()
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			if when == "serving" {
				waitForServer(t, stdout)
				t.Logf("a container and a database in it after %v", time.Since(start))
			} else {
				eventually(t, func() bool { return len(containers(t, session)) > 0 }) // PostgreSQL needs another second
			}
			if got := containers(t, session); len(got) != 1 {
				t.Fatalf("containers %q, want the child's one", got)
			}
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
			eventually(t, func() bool { return len(containers(t, session)) == 0 })
		})
	}
}

func waitForServer(t *testing.T, stdout io.Reader) {
	t.Helper()
	var said strings.Builder
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		if strings.HasPrefix(lines.Text(), "server: ") {
			return
		}
		said.WriteString(lines.Text() + "\n")
	}
	t.Fatalf("the child ended: %s", said.String())
}

func containers(t *testing.T, session string) []string {
	t.Helper()
	out, err := exec.Command("docker", "ps", "--all", "--quiet", "--filter", "label=org.testcontainers.sessionId="+session).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.Fields(string(out))
}

func eventually(t *testing.T, holds func() bool) {
	t.Helper()
	fixture.EventuallyWithin(t, 30*time.Second, holds)
}
