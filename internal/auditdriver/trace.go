package auditdriver

import (
	"context"
	"log/slog"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// TraceLogger is a pgx tracer that logs each statement at debug level, with its name,
// duration, rows and SQLSTATE. It logs neither bound arguments nor a statement's text, which
// may hold literals.
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

// batchTrace reports to a connection's tracer a batch that goes past pgx. The tracer may change
// the batch, or end its context.
type batchTrace struct {
	ctx    context.Context //nolint:containedctx // the tracer's own
	conn   *pgx.Conn
	batch  *pgx.Batch
	tracer pgx.BatchTracer
	start  time.Time
}

func traceBatch(ctx context.Context, conn *pgx.Conn, batch *pgx.Batch) batchTrace {
	tracer := sendingOf(conn).tracer
	if tracer == nil {
		return batchTrace{ctx: ctx}
	}
	ctx = tracer.TraceBatchStart(ctx, conn, pgx.TraceBatchStartData{Batch: batch})
	return batchTrace{ctx: ctx, conn: conn, batch: batch, tracer: tracer, start: time.Now()}
}

// end reports the statements that were answered, and the one that failed.
func (b batchTrace) end(answers []*answer, err error) {
	if b.tracer == nil {
		return
	}
	for i, query := range b.batch.QueuedQueries {
		data := pgx.TraceBatchQueryData{SQL: query.SQL, Args: query.Arguments, ReadStartTime: b.start}
		switch {
		case i < len(answers):
			data.CommandTag = answers[i].tag
		case i == len(answers):
			data.Err = err
		default:
			continue
		}
		b.tracer.TraceBatchQuery(b.ctx, b.conn, data)
	}
	b.tracer.TraceBatchEnd(b.ctx, b.conn, pgx.TraceBatchEndData{Err: err})
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

// statementName returns the name that sqlc writes above a query. For other statements it
// returns the first word.
func statementName(sql string) string {
	if rest, ok := strings.CutPrefix(sql, "-- name: "); ok {
		name, _, _ := strings.Cut(rest, " ")
		return name
	}
	command, _, _ := strings.Cut(strings.TrimSpace(sql), " ")
	return strings.ToUpper(command)
}
