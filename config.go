package coordaudit

import (
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/hoc-analytics/coordaudit/audit"
)

// Config sets a store's policy. The zero value is ready for use.
type Config struct {
	// Logger gets these events: audit_persisted and audit_skipped_replay at debug level,
	// audit_durability_reduced, audit_failover_noticed, coordination_audit_follow_failed and
	// coordination_audit_follow_blocked at warn level, and audit_persistence_failed at error
	// level. No event holds a reason, a bound argument
	// or a password. Defaults to slog.Default().
	Logger *slog.Logger

	// Schema is the schema of the trail's tables. Set it if the search_path of the
	// service's role may change, or if one service writes several trails.
	//
	// Without it the store looks the trail up on first use. It takes the first permanent
	// table coordination_audit_records on the session's search_path or, if that was
	// changed after the connection began, on its default. If the two lead to different
	// schemas, the call is refused and the error names both. Every statement then names
	// the schema, so no later change to a session can lead it to other tables.
	// Defaults to the schema found.
	Schema string

	// Timeout bounds one persist call: waiting for a connection, all attempts and the
	// delays between them. The call returns at most 250 ms later. Defaults to 2 s.
	Timeout time.Duration

	// Retries is how often a call tries again after an error that goes away by
	// itself (lost connection, deadlock, shutdown). Inside a caller's transaction
	// nothing is retried. A negative value means never. Defaults to 1.
	Retries int

	// RetryDelay is how long a call waits before it tries again. Defaults to 100 ms.
	RetryDelay time.Duration

	// Observer is called once with the outcome of each record, for metrics. Defaults to
	// none.
	Observer audit.Observer

	// Tracer is set on the connections of a store made by [Open]. A pool given to [New]
	// has its own. [NewTraceLogger] is one. Defaults to none.
	Tracer pgx.QueryTracer
}

func (c Config) withDefaults() Config {
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	c.Logger = slog.New(printing{c.Logger.Handler()})
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
