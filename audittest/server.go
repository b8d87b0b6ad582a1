package audittest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync"

	"github.com/hoc-analytics/coordaudit/internal/pglocal"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

const (
	urlVariable     = "COORDAUDIT_TEST_DATABASE_URL"
	imageVariable   = "COORDAUDIT_TEST_IMAGE"
	requireVariable = "COORDAUDIT_REQUIRE_CONTAINER"

	defaultImage = "postgres:17-alpine"

	waysToGetOne = `Any one of these gives the tests a server:
  a Docker engine that can pull ` + defaultImage + `   (its address in DOCKER_HOST, if it is not the usual one)
  export COORDAUDIT_TEST_IMAGE=image        (a PostgreSQL image that the engine has or can pull)
  export COORDAUDIT_TEST_DATABASE_URL=postgres://postgres:secret@localhost:5432/postgres
  apt-get install postgresql                (Debian, Ubuntu; it need not run)
  brew install postgresql@17                (macOS)
  export COORDAUDIT_PG_BIN=/path/to/bin     (the folder with initdb and postgres)`
)

// errNoContainer means that this machine cannot run the default container, so the next
// kind of server may be tried.
var errNoContainer = errors.New("no container")

// startShared starts the one server of this test process. A test has no other way to
// share it with tests that it does not know.
var startShared = sync.OnceValues(start) //nolint:gochecknoglobals // see above

func start() (*testdb.Host, error) {
	ctx := context.Background() // the server outlives the test that starts it
	required, err := containerRequired()
	if err != nil {
		return nil, err
	}
	if url := os.Getenv(urlVariable); url != "" {
		if required {
			return nil, fmt.Errorf("choosing a server: %s asks for a container and %s for another server; unset one of them", requireVariable, urlVariable)
		}
		return testdb.OnURL(url), nil
	}
	url, noContainer := startContainer(ctx)
	switch {
	case noContainer == nil:
		return testdb.OnURL(url), nil
	case required:
		return nil, fmt.Errorf("starting a container, as %s demands: %w\nUnset it to allow other servers.\n%s", requireVariable, noContainer, waysToGetOne)
	case !errors.Is(noContainer, errNoContainer):
		return nil, fmt.Errorf("starting a container: %w\n%s", noContainer, waysToGetOne)
	}
	return startInstalled(ctx, noContainer)
}

// startInstalled names the server on standard error, where people see it whether the
// tests pass or fail. A test's own log shows only if the test fails.
func startInstalled(ctx context.Context, noContainer error) (*testdb.Host, error) {
	server, err := pglocal.Start(ctx, pglocal.Config{})
	if errors.Is(err, pglocal.ErrNoPrograms) {
		return nil, fmt.Errorf("%w\nand no installed programs: %w\n%s", noContainer, pglocal.ErrNoPrograms, waysToGetOne)
	}
	if err != nil {
		return nil, fmt.Errorf("%w\nand starting the installed programs: %w", noContainer, err)
	}
	fmt.Fprintf(os.Stderr, "audittest: testing on installed PostgreSQL programs; %v\n", noContainer)
	return testdb.OnServer(server), nil
}

func containerRequired() (bool, error) {
	text := os.Getenv(requireVariable)
	if text == "" {
		return false, nil
	}
	required, err := strconv.ParseBool(text)
	if err != nil {
		return false, fmt.Errorf("reading %s: %q is neither 1 nor 0", requireVariable, text)
	}
	return required, nil
}
