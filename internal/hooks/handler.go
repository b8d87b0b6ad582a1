package hooks

import (
	"context"
	"log/slog"
)

// handler is a log handler that neither panics nor blocks.
type handler struct {
	to    slog.Handler
	guard *Guard
}

// NewLogger returns a logger that calls the handler of log through the guard. It drops a log
// record that the handler does not take.
func NewLogger(log *slog.Logger, guard *Guard) *slog.Logger {
	return slog.New(handler{to: log.Handler(), guard: guard})
}

// do reports whether the handler has returned without a panic.
func (h handler) do(call func()) bool {
	returned := false
	ended := h.guard.Do(func() {
		defer func() { _ = recover() }() // the handler that panics cannot log it
		call()
		returned = true
	})
	return ended && returned
}

// Enabled implements slog.Handler.
func (h handler) Enabled(ctx context.Context, level slog.Level) bool {
	var enabled bool
	return h.do(func() { enabled = h.to.Enabled(ctx, level) }) && enabled
}

// Handle implements slog.Handler.
func (h handler) Handle(ctx context.Context, record slog.Record) error {
	var err error
	if !h.do(func() { err = h.to.Handle(ctx, record) }) {
		return nil
	}
	return err
}

// WithAttrs implements slog.Handler.
func (h handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return h.with(func() slog.Handler { return h.to.WithAttrs(attrs) })
}

// WithGroup implements slog.Handler.
func (h handler) WithGroup(name string) slog.Handler {
	return h.with(func() slog.Handler { return h.to.WithGroup(name) })
}

func (h handler) with(derive func() slog.Handler) slog.Handler {
	var derived slog.Handler
	if !h.do(func() { derived = derive() }) || derived == nil {
		return h
	}
	return handler{to: derived, guard: h.guard}
}
