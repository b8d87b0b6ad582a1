package hooks_test

import (
	"bytes"
	"log/slog"
	"testing"

	"github.com/hoc-analytics/coordaudit/internal/hooks"
)

type panickingLevel struct{}

func (panickingLevel) Level() slog.Level { panic("level") }

// foreign is a handler of which nothing is known: it may block in Enabled.
type foreign struct{ slog.Handler }

func TestDrops(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		handler slog.Handler
		level   slog.Level
		drops   bool
	}{
		"text at info, debug":       {slog.NewTextHandler(new(bytes.Buffer), nil), slog.LevelDebug, true},
		"text at info, info":        {slog.NewTextHandler(new(bytes.Buffer), nil), slog.LevelInfo, false},
		"JSON at debug, debug":      {slog.NewJSONHandler(new(bytes.Buffer), &slog.HandlerOptions{Level: slog.LevelDebug}), slog.LevelDebug, false},
		"the default, debug":        {slog.Default().Handler(), slog.LevelDebug, true},
		"discard, error":            {slog.DiscardHandler, slog.LevelError, true},
		"a level that panics":       {slog.NewTextHandler(new(bytes.Buffer), &slog.HandlerOptions{Level: panickingLevel{}}), slog.LevelDebug, false},
		"a foreign handler at info": {foreign{slog.NewTextHandler(new(bytes.Buffer), nil)}, slog.LevelDebug, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := hooks.Drops(t.Context(), c.handler, c.level); got != c.drops {
				t.Errorf("Drops() = %t, want %t", got, c.drops)
			}
		})
	}
}
