package coordaudit

import (
	"context"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/hoc-analytics/coordaudit/internal/auditdriver"
	"github.com/hoc-analytics/coordaudit/internal/hooks"
)

// ConfigurePool prepares the configuration of a pool for [New]. Call it before the pool
// is made. [Open] does the same for its own pool.
//
// It installs a notice handler. When an administrator cancels a commit's wait for its
// standby, only a warning of the server says so. With the handler, such a commit ends in
// [audit.ErrOutcomeUnknown]; without it, the record counts as persisted. If
// client_min_messages hides warnings, each new connection raises it to warning, unless a
// pooler shares the connection. If it hides them later all the same, a second commit
// confirms each record. ConfigurePool also sets what pgx relies on: client_encoding to
// UTF8, DateStyle to ISO and standard_conforming_strings to on. It keeps all other
// settings. The configuration's own OnNotice and AfterConnect still run, before those of
// ConfigurePool.
func ConfigurePool(config *pgxpool.Config) { auditdriver.ConfigurePool(config) }

// Failovers returns how often the store met a new server that takes writes: another
// system, or another timeline of the same system after a promotion. Each failover is
// logged as audit_failover_noticed.
//
// If the standby was asynchronous, records that were acknowledged shortly before may be
// missing on the new server. No client can prevent that. Persisting them again with the
// same ids is safe.
func (s *Store) Failovers() int64 { return s.driver.Failovers() }

// events logs the driver's events. They occur in the middle of a call, so the log handler
// runs under the store's guard.
func (s *Store) events() auditdriver.Events {
	log := hooks.NewLogger(s.config.Logger, &s.hooks)
	return auditdriver.Events{
		DurabilityReduced: func(ctx context.Context, weakness auditdriver.Weakness) {
			log.LogAttrs(ctx, slog.LevelWarn, "audit_durability_reduced",
				slog.String("setting", weakness.Setting),
				slog.String("value", weakness.Value),
				slog.String("meaning", weakness.Meaning))
		},
		FailedOver: func(ctx context.Context, failover auditdriver.Failover) {
			attrs := []slog.Attr{
				slog.String("from", failover.From),
				slog.String("to", failover.To),
				slog.Time("noticed", failover.Noticed),
			}
			if !failover.LastAcknowledged.IsZero() {
				attrs = append(attrs, slog.Time("last_acknowledged", failover.LastAcknowledged),
					slog.Duration("window", failover.Noticed.Sub(failover.LastAcknowledged).Round(time.Millisecond)))
			}
			log.LogAttrs(ctx, slog.LevelWarn, "audit_failover_noticed", append(attrs, slog.String("meaning",
				"what was acknowledged shortly before last_acknowledged may be missing if the standby was asynchronous"))...)
		},
		ServerUnknown: func(ctx context.Context, err error) {
			log.LogAttrs(ctx, slog.LevelDebug, "audit_server_unknown", slog.String("error", auditdriver.Describe(err)))
		},
	}
}
