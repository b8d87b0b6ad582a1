package coordaudit

import (
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/hoc-analytics/coordaudit/audit"
)

// Config sets a store's policy. The zero value is ready for use.
type Config struct {
	// Logger gets audit_persisted and audit_skipped_replay at debug level and
	// audit_persistence_failed at error level. No event holds a reason, a bound
	// argument or a password. Defaults to slog.Default().
	Logger *slog.Logger

	// Timeout bounds one call: waiting for a connection, all attempts and the delays
	// between them. The call returns at most 250 ms later. Defaults to 2 s.
	Timeout time.Duration

	// Retries is how often a call tries again after an error that goes away by
	// itself (lost connection, deadlock, shutdown). Inside a caller's transaction
	// nothing is retried. Negative means never. Defaults to 1.
	Retries int

	// RetryDelay is how long a call waits before it tries again. Defaults to 100 ms.
	RetryDelay time.Duration

	// Observer is told what became of every record, for metrics. Defaults to none.
	Observer audit.Observer

	// Tracer is set on the connections of a store made by [Open]; a pool given to
	// [New] brings its own. [NewTraceLogger] is one. Defaults to none.
	Tracer pgx.QueryTracer
}

func (c Config) withDefaults() Config {
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.Timeout <= 0 {
		c.Timeout = 2 * time.Second
	}
	if c.Retries == 0 {
		c.Retries = 1
	}
	if c.RetryDelay <= 0 {
		c.RetryDelay = 100 * time.Millisecond
	}
	return c
}
