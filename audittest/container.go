package audittest

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/testcontainers/testcontainers-go"
	"github.com/testcontainers/testcontainers-go/modules/postgres"
)

const (
	engineTimeout = 10 * time.Second // for an answer of the engine
	pullTimeout   = 2 * time.Minute  // for an image of about 100 MB
	startTimeout  = 3 * time.Minute  // may include pulling Ryuk's image

	// label finds a container whose creator was killed before it could pass on the id.
	label = "coordaudit.audittest"
)

// startContainer returns the URL of a PostgreSQL in a new container. The container is
// removed when this process has ended.
func startContainer(ctx context.Context) (url string, err error) {
	engine, err := findEngine()
	if err != nil {
		return "", fmt.Errorf("%w, as no engine answers: %w", errNoContainer, err)
	}
	defer func() { _ = engine.Close() }()

	asked := os.Getenv(imageVariable)
	image := cmp.Or(asked, defaultImage)
	if err := haveImage(ctx, engine, image); err != nil {
		if asked != "" {
			return "", fmt.Errorf("getting image %s, as %s says: %w", image, imageVariable, err)
		}
		return "", fmt.Errorf("%w, as image %s is not there and cannot be pulled: %w", errNoContainer, image, err)
	}

	mark := rand.Text()
	if !testcontainers.ReadConfig().RyukDisabled {
		ryuk := testcontainers.ReaperDefaultImage //nolint:staticcheck // its new name is internal to testcontainers
		if err := haveImage(ctx, engine, ryuk); err != nil {
			return "", fmt.Errorf("%w, as Ryuk's image %s is not there and cannot be pulled; TESTCONTAINERS_RYUK_DISABLED=true does without it: %w", errNoContainer, ryuk, err)
		}
	} else if err := startWatchdog(label+"="+mark, engine.Client().DaemonHost()); err != nil { // before the container exists
		return "", fmt.Errorf("starting the watchdog, as Ryuk is disabled: %w", err)
	}
	return runContainer(ctx, image, mark)
}

// findEngine runs in the background, because testcontainers waits for an address that
// does not answer as long as the operating system does.
func findEngine() (*testcontainers.DockerProvider, error) {
	type answer struct {
		engine *testcontainers.DockerProvider
		err    error
	}
	answered := make(chan answer, 1)
	go func() {
		engine, err := testcontainers.NewDockerProvider()
		answered <- answer{engine, err}
	}()
	select {
	case found := <-answered:
		if found.err != nil {
			return nil, found.err
		}
		return found.engine, askedFor(found.engine)
	case <-time.After(engineTimeout):
		return nil, fmt.Errorf("asking for an engine: no answer in %v", engineTimeout)
	}
}

// askedFor refuses the engine at the usual address if DOCKER_HOST names another one.
// testcontainers silently uses the usual one if the other does not answer.
func askedFor(engine *testcontainers.DockerProvider) error {
	asked, settings := os.Getenv("DOCKER_HOST"), testcontainers.ReadConfig().Config
	if asked == "" || asked == engine.Client().DaemonHost() || settings.TestcontainersHost != "" || settings.Host != "" && settings.Host != asked {
		return nil
	}
	return fmt.Errorf("asking for an engine at DOCKER_HOST=%s: no answer", asked)
}

// haveImage pulls only a missing image. Without a reachable registry, the pull ends
// with the first refusal, or else after pullTimeout.
func haveImage(ctx context.Context, engine *testcontainers.DockerProvider, image string) error {
	if testcontainers.ReadConfig().Config.HubImageNamePrefix != "" {
		return nil // the image has another name there, which testcontainers works out
	}
	ctx, cancel := context.WithTimeout(ctx, pullTimeout)
	defer cancel()
	if _, err := engine.Client().ImageInspect(ctx, image); err == nil {
		return nil
	}
	if err := engine.PullImage(ctx, image); err != nil {
		return err
	}
	// The engine reports later failures in a stream that PullImage does not read.
	_, err := engine.Client().ImageInspect(ctx, image)
	return err
}

func runContainer(ctx context.Context, image, mark string) (url string, err error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	container, err := postgres.Run(ctx, image,
		postgres.WithPassword(rand.Text()), // the engine publishes the port on all addresses of the machine
		postgres.BasicWaitStrategies(),
		testcontainers.WithEnv(map[string]string{"POSTGRES_INITDB_ARGS": "--no-sync"}),
		testcontainers.WithLabels(map[string]string{label: mark}),
		testcontainers.WithCmd("postgres", "-c", "fsync=off", "-c", "full_page_writes=off", "-c", "jit=off", "-c", "max_connections=200"),
	)
	if err == nil {
		url, err = container.ConnectionString(ctx, "sslmode=disable")
	}
	if err != nil {
		if _, statErr := os.Stat("/.dockerenv"); statErr == nil && errors.Is(err, context.DeadlineExceeded) {
			err = fmt.Errorf("%w\n/.dockerenv makes testcontainers look for the server from inside a container; "+
				"if this machine is none, export TESTCONTAINERS_HOST_OVERRIDE=localhost", err)
		}
		return "", errors.Join(fmt.Errorf("running %s: %w", image, err), testcontainers.TerminateContainer(container))
	}
	return url, nil
}
