package coordaudit

import (
	"context"
	"log/slog"
	"unicode/utf8"

	"github.com/hoc-analytics/coordaudit/audit"
)

func (s *Store) logOutcome(ctx context.Context, rec *audit.Record, result audit.Result) {
	if !s.config.Logger.Enabled(ctx, slog.LevelDebug) {
		return
	}
	if result.Outcome == audit.Skipped {
		s.config.Logger.LogAttrs(ctx, slog.LevelDebug, "audit_skipped_replay", identity(rec)...)
		return
	}
	attrs := append(identity(rec), slog.String("outcome", string(result.Outcome)))
	if result.Seq != 0 { // COPY returns none
		attrs = append(attrs, slog.Int64("seq", result.Seq))
	}
	s.config.Logger.LogAttrs(ctx, slog.LevelDebug, "audit_persisted", attrs...)
}

func (s *Store) logFailure(ctx context.Context, rec *audit.Record, err *audit.PersistError) {
	s.config.Logger.LogAttrs(ctx, slog.LevelError, "audit_persistence_failed", append(identity(rec),
		slog.String("sqlstate", err.SQLState),
		slog.Int("attempt", err.Attempts),
		slog.String("error", err.Err.Error()))...)
}

// identity is all of a record that goes into a log.
func identity(rec *audit.Record) []slog.Attr {
	return []slog.Attr{
		slog.String("audit_id", rec.AuditID.String()),
		slog.String("envelope_id", clip(rec.EnvelopeID)),
		slog.String("decision", clip(string(rec.Decision))),
		slog.String("tenant_id", clip(rec.TenantID)),
	}
}

// clip keeps megabytes of an invalid record out of logs and errors.
func clip(text string) string {
	const maxBytes = 4 * audit.MaxIDCharacters
	if len(text) > maxBytes {
		end := maxBytes
		for end > maxBytes-utf8.UTFMax && !utf8.RuneStart(text[end]) {
			end--
		}
		text = text[:end] + "…"
	}
	return text
}

// printing escapes the characters in an event's texts that do not print. Not every log
// handler does, and a tenant's id or a server's message may hold any character.
type printing struct{ slog.Handler }

// unwrapped returns the caller's own handler.
func unwrapped(handler slog.Handler) slog.Handler {
	if p, ok := handler.(printing); ok {
		return p.Handler
	}
	return handler
}

// Handle implements slog.Handler.
func (p printing) Handle(ctx context.Context, record slog.Record) error {
	prints := true
	record.Attrs(func(attr slog.Attr) bool {
		prints = printable(attr).Equal(attr)
		return prints
	})
	if prints {
		return p.Handler.Handle(ctx, record)
	}
	printed := slog.NewRecord(record.Time, record.Level, record.Message, record.PC)
	record.Attrs(func(attr slog.Attr) bool {
		printed.AddAttrs(printable(attr))
		return true
	})
	return p.Handler.Handle(ctx, printed)
}

func printable(attr slog.Attr) slog.Attr {
	// A stack consists of lines, and of code rather than data.
	if attr.Value.Kind() == slog.KindString && attr.Key != "stack" {
		attr.Value = slog.StringValue(audit.Printable(attr.Value.String()))
	}
	return attr
}

// WithAttrs implements slog.Handler.
func (p printing) WithAttrs(attrs []slog.Attr) slog.Handler {
	return printing{p.Handler.WithAttrs(attrs)}
}

// WithGroup implements slog.Handler.
func (p printing) WithGroup(name string) slog.Handler { return printing{p.Handler.WithGroup(name)} }
