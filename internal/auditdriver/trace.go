package auditdriver

import (
	"context"
	"log/slog"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// TraceLogger is a pgx tracer that logs each statement at debug level: its name,
// duration, rows and SQLSTATE. It never logs bound arguments, nor the text of a
// statement, which may hold literals.
type TraceLogger struct {
	log *slog.Logger
}

var (
	_ pgx.QueryTracer    = (*TraceLogger)(nil)
	_ pgx.BatchTracer    = (*TraceLogger)(nil)
	_ pgx.CopyFromTracer = (*TraceLogger)(nil)
)

// NewTraceLogger returns a tracer that logs to log.
func NewTraceLogger(log *slog.Logger) *TraceLogger { return &TraceLogger{log: log} }

type traceKey struct{}

type trace struct {
	statement string
	start     time.Time
}

// TraceQueryStart implements [pgx.QueryTracer].
func (l *TraceLogger) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	return l.begin(ctx, data.SQL)
}

// TraceQueryEnd implements [pgx.QueryTracer].
func (l *TraceLogger) TraceQueryEnd(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryEndData) {
	l.end(ctx, "", data.CommandTag.RowsAffected(), data.Err)
}

// TraceBatchStart implements [pgx.BatchTracer].
func (l *TraceLogger) TraceBatchStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceBatchStartData) context.Context {
	return l.begin(ctx, "batch")
}

// TraceBatchQuery implements [pgx.BatchTracer].
func (l *TraceLogger) TraceBatchQuery(ctx context.Context, _ *pgx.Conn, data pgx.TraceBatchQueryData) {
	l.end(ctx, statementName(data.SQL), data.CommandTag.RowsAffected(), data.Err)
}

// TraceBatchEnd implements [pgx.BatchTracer].
func (l *TraceLogger) TraceBatchEnd(ctx context.Context, _ *pgx.Conn, data pgx.TraceBatchEndData) {
	l.end(ctx, "", 0, data.Err)
}

// TraceCopyFromStart implements [pgx.CopyFromTracer].
func (l *TraceLogger) TraceCopyFromStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceCopyFromStartData) context.Context {
	return l.begin(ctx, "COPY")
}

// TraceCopyFromEnd implements [pgx.CopyFromTracer].
func (l *TraceLogger) TraceCopyFromEnd(ctx context.Context, _ *pgx.Conn, data pgx.TraceCopyFromEndData) {
	l.end(ctx, "", data.CommandTag.RowsAffected(), data.Err)
}

func (l *TraceLogger) begin(ctx context.Context, sql string) context.Context {
	if !l.log.Enabled(ctx, slog.LevelDebug) {
		return ctx
	}
	return context.WithValue(ctx, traceKey{}, trace{statement: statementName(sql), start: time.Now()})
}

func (l *TraceLogger) end(ctx context.Context, statement string, rows int64, err error) {
	begun, ok := ctx.Value(traceKey{}).(trace)
	if !ok {
		return
	}
	if statement == "" {
		statement = begun.statement
	}
	attrs := []slog.Attr{
		slog.String("statement", statement),
		slog.Duration("duration", time.Since(begun.start)),
		slog.Int64("rows", rows),
	}
	if err != nil {
		attrs = append(attrs, slog.String("error", describe(err)))
	}
	if state := sqlState(err); state != "" {
		attrs = append(attrs, slog.String("sqlstate", state))
	}
	l.log.LogAttrs(ctx, slog.LevelDebug, "audit_statement", attrs...)
}

// statementName is the name that sqlc writes over a query, or else the command's
// first word.
func statementName(sql string) string {
	if rest, ok := strings.CutPrefix(sql, "-- name: "); ok {
		name, _, _ := strings.Cut(rest, " ")
		return name
	}
	command, _, _ := strings.Cut(strings.TrimSpace(sql), " ")
	return strings.ToUpper(command)
}
