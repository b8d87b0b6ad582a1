package hooks

import (
	"context"
	"fmt"
	"log/slog"
)

// Drops reports that a log handler takes no record of this level, if that can be asked
// without a guard: it is one of the standard library, whose Enabled compares two numbers.
// A caller that has nothing to log saves the hand-over to a goroutine, which wakes a
// thread where the process is idle.
func Drops(ctx context.Context, handler slog.Handler, level slog.Level) (drops bool) {
	switch handler.(type) {
	case *slog.TextHandler, *slog.JSONHandler:
	default:
		if handler != slog.DiscardHandler && fmt.Sprintf("%T", handler) != "*slog.defaultHandler" {
			return false
		}
	}
	defer func() { _ = recover() }() // from a Leveler of the caller's
	return !handler.Enabled(ctx, level)
}
