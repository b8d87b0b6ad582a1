package recorder

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/hoc-analytics/coordaudit/audit"
)

// Teller is told what becomes of records. It may be called from many goroutines.
type Teller interface {
	// Settled is told of each record's end, once: err is nil if it is stored. waited
	// is how long it was in the queue, zero for one that was dead-lettered.
	Settled(ctx context.Context, rec *audit.Record, receipt audit.Receipt, err error, waited time.Duration)

	// Flushed is told of each batch that was sent.
	Flushed(ctx context.Context, flush audit.Flush)
}

// hooks keeps a caller's observer that panics from ending the machine's goroutines,
// and with them the process.
type hooks struct {
	Teller
	log *slog.Logger
}

func (h hooks) settled(ctx context.Context, rec *audit.Record, receipt audit.Receipt, err error, waited time.Duration) {
	defer h.recover(ctx, "settled")
	h.Settled(ctx, rec, receipt, err, waited)
}

func (h hooks) flushed(ctx context.Context, flush audit.Flush) {
	defer h.recover(ctx, "flushed")
	h.Flushed(ctx, flush)
}

func (h hooks) recover(ctx context.Context, hook string) {
	if cause := recover(); cause != nil {
		h.log.LogAttrs(ctx, slog.LevelError, "audit_observer_panicked",
			slog.String("hook", hook), slog.String("type", fmt.Sprintf("%T", cause)), slog.String("stack", string(debug.Stack())))
	}
}

// calm is a log handler that does not panic: what its caller's one does, it drops.
type calm struct{ slog.Handler }

// Handle implements slog.Handler.
func (c calm) Handle(ctx context.Context, record slog.Record) (err error) {
	defer func() { _ = recover() }()
	return c.Handler.Handle(ctx, record)
}

// WithAttrs implements slog.Handler.
func (c calm) WithAttrs(attrs []slog.Attr) slog.Handler { return calm{c.Handler.WithAttrs(attrs)} }

// WithGroup implements slog.Handler.
func (c calm) WithGroup(name string) slog.Handler { return calm{c.Handler.WithGroup(name)} }
