package suppression_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
)

const childVariable = "COORDAUDIT_TEST_SUPPRESSION_CHILD"

// TestMain makes the test binary its own child, a process that can be killed.
func TestMain(m *testing.M) {
	if text := os.Getenv(childVariable); text != "" {
		if err := runChild(text); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// life is one process with one Recorder, and so one source.
type life struct {
	name    string
	command *exec.Cmd
	config  childConfig
}

// childConfig is what a process gets.
type childConfig struct {
	URL, SpoolDir, Answers   string
	Records                  int
	Pause                    time.Duration // every tenth record
	Queue                    int
	SpoolBytes, SegmentBytes int64
	PoisonEvery              int
	Close                    bool // at the end; otherwise it waits to be killed
}

// runChild enqueues records, and writes one character for each answer: + for accepted, - for
// dropped.
func runChild(text string) error {
	var c childConfig
	if err := json.Unmarshal([]byte(text), &c); err != nil {
		return err
	}
	ctx := context.Background()
	store, err := coordaudit.Open(ctx, c.URL, coordaudit.Config{Logger: slog.New(slog.DiscardHandler), Timeout: 500 * time.Millisecond})
	if err != nil {
		return err
	}
	defer store.Close()
	recorder, err := store.NewRecorder(coordaudit.RecorderConfig{
		SpoolDir: c.SpoolDir, MaxQueuedRecords: c.Queue, MaxSpoolBytes: c.SpoolBytes, SegmentBytes: c.SegmentBytes,
		RetryBudget: 100 * time.Millisecond, MaxRetryDelay: 200 * time.Millisecond,
	})
	if err != nil {
		return err
	}
	answers, err := os.Create(c.Answers)
	if err != nil {
		return err
	}
	if err := enqueue(&c, recorder, answers); err != nil {
		return err
	}
	if !c.Close {
		time.Sleep(time.Hour)
	}
	return closeEmpty(ctx, recorder)
}

func enqueue(c *childConfig, recorder *coordaudit.Recorder, answers *os.File) error {
	for i := range c.Records {
		rec := fixture.NewRecord()
		if c.PoisonEvery > 0 && i%c.PoisonEvery == 1 {
			rec.EnvelopeID = "poison"
		}
		answer := "+"
		switch err := recorder.Enqueue(rec); {
		case errors.Is(err, audit.ErrDropped):
			answer = "-"
		case err != nil:
			return err
		}
		if _, err := answers.WriteString(answer); err != nil {
			return err
		}
		if i%10 == 9 {
			time.Sleep(c.Pause)
		}
	}
	return nil
}

// closeEmpty closes the Recorder once its spool is empty.
func closeEmpty(ctx context.Context, recorder *coordaudit.Recorder) error {
	for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if total := recorder.Stats().Total(); total.Queued+total.Spooled == 0 {
			break
		}
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	return recorder.Close(ctx)
}

// start starts a process.
func (s *scene) start(name string, config childConfig) *life {
	s.t.Helper()
	config.URL, config.Answers = s.url, filepath.Join(s.dir, name+".answers")
	text, err := json.Marshal(config)
	if err != nil {
		s.t.Fatal(err)
	}
	command := exec.CommandContext(s.t.Context(), os.Args[0])
	command.Env = append(os.Environ(), childVariable+"="+string(text))
	command.Stderr = os.Stderr
	if err := command.Start(); err != nil {
		s.t.Fatal(err)
	}
	l := &life{name: name, command: command, config: config}
	s.lives = append(s.lives, l)
	return l
}

// given returns the answers so far. A killed process may have given one more ordinal.
func (l *life) given(t *testing.T) []byte {
	t.Helper()
	answers, err := os.ReadFile(l.config.Answers)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return answers
}

func (l *life) awaitGiven(t *testing.T, n int) {
	t.Helper()
	fixture.EventuallyWithin(t, 2*time.Minute, func() bool { return len(l.given(t)) >= n })
}

func (l *life) end(t *testing.T) {
	t.Helper()
	if err := l.command.Wait(); err != nil {
		t.Fatalf("%s: %v", l.name, err)
	}
}

func (l *life) kill(t *testing.T) {
	t.Helper()
	if err := l.command.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = l.command.Wait() // it was killed
}
