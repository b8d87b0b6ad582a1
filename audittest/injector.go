package audittest

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"github.com/jackc/pgx/v5"
)

// injector is a tracer, as a tracer sees each statement before it is sent, and what
// it hands back is what pgx goes on with.
type injector struct {
	mu     sync.Mutex
	faults []*armedFault
}

type armedFault struct {
	Fault
	met, struck int
}

// strike returns the fault that is due for a statement, if any, and counts it.
func (i *injector) strike(sql string) (due Fault, ok bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, fault := range i.faults {
		if !fault.chooses(sql) {
			continue
		}
		fault.met++
		if !ok && fault.met > fault.After && (fault.Times == 0 || fault.struck < fault.Times) {
			fault.struck++
			due, ok = fault.Fault, true
		}
	}
	return due, ok
}

// chooses does not look for a part in the name: PersistAuditRecord is a part of
// PersistAuditRecords.
func (f Fault) chooses(sql string) bool {
	if rest, named := strings.CutPrefix(sql, "-- name: "); named {
		name, body, _ := strings.Cut(rest, " ")
		return name == f.Statement || strings.Contains(body, f.Statement)
	}
	return strings.Contains(sql, f.Statement)
}

func (i *injector) neverStruck() []armedFault {
	i.mu.Lock()
	defer i.mu.Unlock()
	var idle []armedFault
	for _, fault := range i.faults {
		if fault.struck == 0 {
			idle = append(idle, *fault)
		}
	}
	return idle
}

// TraceQueryStart implements [pgx.QueryTracer].
func (i *injector) TraceQueryStart(ctx context.Context, conn *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	fault, ok := i.strike(data.SQL)
	if !ok {
		return ctx
	}
	switch fault.Kind {
	case ConnectionLost:
		_ = conn.PgConn().Conn().Close() // the error would say that it is closed already
		return ctx
	case Refused:
		return refuse(ctx, conn, data, fault.SQLState)
	default:
		return failing(ctx, ErrNotSent)
	}
}

// TraceQueryEnd implements [pgx.QueryTracer].
func (i *injector) TraceQueryEnd(ctx context.Context, conn *pgx.Conn, _ pgx.TraceQueryEndData) {
	if name, ok := ctx.Value(shadowKey{}).(string); ok && !conn.IsClosed() {
		// It goes with the connection at the latest.
		_ = conn.Deallocate(context.WithoutCancel(ctx), name)
	}
}

// TraceBatchStart implements [pgx.BatchTracer].
func (i *injector) TraceBatchStart(ctx context.Context, conn *pgx.Conn, data pgx.TraceBatchStartData) context.Context {
	for _, query := range data.Batch.QueuedQueries {
		fault, ok := i.strike(query.SQL)
		if !ok {
			continue
		}
		switch fault.Kind {
		case ConnectionLost:
			_ = conn.PgConn().Conn().Close() // the error would say that it is closed already
			return ctx
		case Refused:
			query.SQL, query.Arguments = raise(fault.SQLState), nil
		default:
			return failing(ctx, ErrNotSent)
		}
	}
	return ctx
}

// TraceBatchQuery implements [pgx.BatchTracer].
func (i *injector) TraceBatchQuery(context.Context, *pgx.Conn, pgx.TraceBatchQueryData) {}

// TraceBatchEnd implements [pgx.BatchTracer].
func (i *injector) TraceBatchEnd(context.Context, *pgx.Conn, pgx.TraceBatchEndData) {}

// raise is a statement that the server refuses with this code. It has no
// parameters, as a DO block takes none.
func raise(sqlState string) string {
	return "DO $$ BEGIN RAISE EXCEPTION 'refused, as audittest was asked to' USING ERRCODE = '" + sqlState + "'; END $$"
}

type shadowKey struct{}

// refuse has another statement sent in the place of this one. One with arguments can
// be rewritten through them. One without cannot, but pgx prefers what the connection
// has prepared under the statement's own text.
func refuse(ctx context.Context, conn *pgx.Conn, data pgx.TraceQueryStartData, sqlState string) context.Context {
	if len(data.Args) > 0 {
		data.Args[0] = &rewriter{args: data.Args, first: data.Args[0], sql: raise(sqlState)}
		return ctx
	}
	if conn.PgConn().TxStatus() == 'E' {
		return ctx // it fails anyway, and nothing can be prepared
	}
	if _, err := conn.Prepare(ctx, data.SQL, raise(sqlState)); err != nil {
		return failing(ctx, fmt.Errorf("audittest: refusing a statement: %w", err))
	}
	return context.WithValue(ctx, shadowKey{}, data.SQL)
}

// rewriter stands in the first argument's place until pgx asks it.
type rewriter struct {
	args  []any
	first any
	sql   string
}

// RewriteQuery implements [pgx.QueryRewriter].
func (r *rewriter) RewriteQuery(context.Context, *pgx.Conn, string, []any) (newSQL string, newArgs []any, err error) {
	r.args[0] = r.first // the slice is the caller's
	return r.sql, nil, nil
}

// failing is a context that has ended with an error of our own: pgx sends nothing
// then, and a caller does not take it for its own cancellation.
func failing(ctx context.Context, err error) context.Context {
	done := make(chan struct{})
	close(done)
	return endedContext{Context: ctx, done: done, err: err}
}

type endedContext struct {
	context.Context //nolint:containedctx // it is one

	done chan struct{}
	err  error
}

// Done implements [context.Context].
func (c endedContext) Done() <-chan struct{} { return c.done }

// Err implements [context.Context].
func (c endedContext) Err() error { return c.err }
