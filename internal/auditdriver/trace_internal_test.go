package auditdriver

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// traced returns what a call to a tracer logs at debug.
func traced(t *testing.T, call func(ctx context.Context, l *TraceLogger)) (events []map[string]any) {
	t.Helper()
	var out bytes.Buffer
	call(t.Context(), NewTraceLogger(slog.New(slog.NewJSONHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug}))))
	for line := range strings.Lines(out.String()) {
		var event map[string]any
		if err := json.Unmarshal([]byte(line), &event); err != nil {
			t.Fatal(err)
		}
		if event["level"] != "DEBUG" || event["msg"] != "audit_statement" || event["duration"] == nil {
			t.Errorf("logged is %s", line)
		}
		for _, key := range []string{"level", "msg", "time", "duration"} {
			delete(event, key)
		}
		events = append(events, event)
	}
	return events
}

// Each statement is logged once it has ended, by its name, with its rows or its failure, and
// without its arguments.
func TestStatementIsTraced(t *testing.T) {
	t.Parallel()
	refused := &pgconn.PgError{Code: "23514", Message: "violates a check"}
	const named = "-- name: PersistAuditRecord :one\nINSERT INTO coordination_audit_records"
	for name, test := range map[string]struct {
		call func(ctx context.Context, l *TraceLogger)
		want []map[string]any
	}{
		"Query": {func(ctx context.Context, l *TraceLogger) {
			ctx = l.TraceQueryStart(ctx, nil, pgx.TraceQueryStartData{SQL: named, Args: []any{"secret"}})
			l.TraceQueryEnd(ctx, nil, pgx.TraceQueryEndData{CommandTag: pgconn.NewCommandTag("INSERT 0 3")})
		}, []map[string]any{{"statement": "PersistAuditRecord", "rows": 3.0}}},
		"RefusedQuery": {func(ctx context.Context, l *TraceLogger) {
			ctx = l.TraceQueryStart(ctx, nil, pgx.TraceQueryStartData{SQL: " set local x = 1"})
			l.TraceQueryEnd(ctx, nil, pgx.TraceQueryEndData{Err: refused})
		}, []map[string]any{{"statement": "SET", "rows": 0.0, "error": "violates a check (SQLSTATE 23514)", "sqlstate": "23514"}}},
		"LostQuery": {func(ctx context.Context, l *TraceLogger) {
			ctx = l.TraceQueryStart(ctx, nil, pgx.TraceQueryStartData{SQL: "commit"})
			l.TraceQueryEnd(ctx, nil, pgx.TraceQueryEndData{Err: context.Canceled})
		}, []map[string]any{{"statement": "COMMIT", "rows": 0.0, "error": "context canceled"}}},
		"Batch": {func(ctx context.Context, l *TraceLogger) {
			ctx = l.TraceBatchStart(ctx, nil, pgx.TraceBatchStartData{})
			l.TraceBatchQuery(ctx, nil, pgx.TraceBatchQueryData{SQL: named, CommandTag: pgconn.NewCommandTag("INSERT 0 1")})
			l.TraceBatchEnd(ctx, nil, pgx.TraceBatchEndData{Err: refused})
		}, []map[string]any{
			{"statement": "PersistAuditRecord", "rows": 1.0},
			{"statement": "BATCH", "rows": 0.0, "error": "violates a check (SQLSTATE 23514)", "sqlstate": "23514"},
		}},
		"Copy": {func(ctx context.Context, l *TraceLogger) {
			ctx = l.TraceCopyFromStart(ctx, nil, pgx.TraceCopyFromStartData{})
			l.TraceCopyFromEnd(ctx, nil, pgx.TraceCopyFromEndData{CommandTag: pgconn.NewCommandTag("COPY 5")})
		}, []map[string]any{{"statement": "COPY", "rows": 5.0}}},
		"NotBegun": {func(ctx context.Context, l *TraceLogger) { l.TraceQueryEnd(ctx, nil, pgx.TraceQueryEndData{}) }, nil},
	} {
		if diff := cmp.Diff(test.want, traced(t, test.call)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// A logger that does not take debug events costs nothing.
func TestTraceCostsNothingUnheard(t *testing.T) {
	t.Parallel()
	l := NewTraceLogger(slog.New(slog.NewTextHandler(&bytes.Buffer{}, nil)))
	if ctx := l.TraceQueryStart(t.Context(), nil, pgx.TraceQueryStartData{SQL: "SELECT"}); ctx != t.Context() {
		t.Error("a context is made for an event that no one hears")
	}
}

// batches is a tracer that keeps what it gets.
type batches struct {
	queries []pgx.TraceBatchQueryData
	ends    []error
}

func (*batches) TraceBatchStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceBatchStartData) context.Context {
	return ctx
}

func (b *batches) TraceBatchQuery(_ context.Context, _ *pgx.Conn, data pgx.TraceBatchQueryData) {
	b.queries = append(b.queries, data)
}

func (b *batches) TraceBatchEnd(_ context.Context, _ *pgx.Conn, data pgx.TraceBatchEndData) {
	b.ends = append(b.ends, data.Err)
}

// A tracer sees of a batch what pgx would have shown it: the statements that were answered, the
// one that failed, and the end.
func TestBatchIsTracedAsByPgx(t *testing.T) {
	t.Parallel()
	var batch pgx.Batch
	for _, sql := range []string{"one", "two", "three"} {
		batch.Queue(sql, sql+"'s argument")
	}
	failure := errors.New("no")
	tag := pgconn.NewCommandTag("INSERT 0 1")
	for answered := range 4 {
		seen := &batches{}
		var err error
		if answered < 3 {
			err = failure
		}
		answers := []*answer{{tag: tag}, {tag: tag}, {tag: tag}}[:answered]
		batchTrace{ctx: t.Context(), batch: &batch, tracer: seen}.end(answers, err)
		if len(seen.queries) != min(3, answered+1) || len(seen.ends) != 1 || !errors.Is(seen.ends[0], err) {
			t.Fatalf("%d answered: %d statements and %v are traced", answered, len(seen.queries), seen.ends)
		}
		for i, query := range seen.queries {
			failed := i == answered
			if query.SQL != batch.QueuedQueries[i].SQL || len(query.Args) != 1 || (query.Err != nil) != failed || (query.CommandTag == tag) == failed {
				t.Errorf("%d answered: statement %d is traced as %+v", answered, i, query)
			}
		}
	}
	batchTrace{ctx: t.Context()}.end(nil, failure) // without a tracer
}
