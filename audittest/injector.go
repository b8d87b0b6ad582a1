package audittest

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"unicode"

	"github.com/jackc/pgx/v5"
)

// injector is a tracer. A tracer sees each statement before it is sent, and pgx
// continues with the context that it returns.
type injector struct {
	mu     sync.Mutex
	faults []*armedFault
}

type armedFault struct {
	Fault
	met, struck int
}

// strike returns the fault that is due for a statement, if any, and counts the
// statement.
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

// chooses compares whole names, because PersistAuditRecord is a part of
// PersistAuditRecords. It ignores the schema that the library puts before its tables'
// names.
func (f Fault) chooses(sql string) bool {
	sql = unqualified(sql)
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
		_ = conn.PgConn().Conn().Close() // the error would only say that it is closed already
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
		// The connection's end drops it at the latest.
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
			_ = conn.PgConn().Conn().Close() // the error would only say that it is closed already
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

// raise returns a statement that the server refuses with this code. It has no
// parameters, because a DO block accepts none.
func raise(sqlState string) string {
	return "DO $$ BEGIN RAISE EXCEPTION 'refused, as audittest was asked to' USING ERRCODE = '" + sqlState + "'; END $$"
}

type shadowKey struct{}

// refuse makes pgx send another statement instead of this one. If the statement has
// arguments, they can rewrite it. If it has none, pgx uses what the connection has
// prepared under the statement's own text.
func refuse(ctx context.Context, conn *pgx.Conn, data pgx.TraceQueryStartData, sqlState string) context.Context {
	if len(data.Args) > 0 {
		data.Args[0] = &rewriter{args: data.Args, first: data.Args[0], sql: raise(sqlState)}
		return ctx
	}
	if conn.PgConn().TxStatus() == 'E' {
		return ctx // the statement fails anyway, and nothing can be prepared
	}
	if _, err := conn.Prepare(ctx, data.SQL, raise(sqlState)); err != nil {
		return failing(ctx, fmt.Errorf("audittest: refusing a statement: %w", err))
	}
	return context.WithValue(ctx, shadowKey{}, data.SQL)
}

// rewriter takes the place of the first argument until pgx calls it.
type rewriter struct {
	args  []any
	first any
	sql   string
}

// RewriteQuery implements [pgx.QueryRewriter].
func (r *rewriter) RewriteQuery(context.Context, *pgx.Conn, string, []any) (newSQL string, newArgs []any, err error) {
	r.args[0] = r.first // the slice belongs to the caller
	return r.sql, nil, nil
}

// failing is a context that has ended with our own error. pgx then sends nothing, and
// a caller does not mistake it for its own cancellation.
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

// unqualified returns a statement without the schemas of the trail's tables.
func unqualified(sql string) string {
	const table = ".coordination_audit_"
	for {
		at := strings.Index(sql, table)
		if at < 0 {
			return sql
		}
		sql = sql[:identifierBefore(sql[:at])] + sql[at+1:]
	}
}

// identifierBefore returns where the identifier at the end of a text begins.
func identifierBefore(text string) int {
	if !strings.HasSuffix(text, `"`) {
		return strings.LastIndexFunc(text, func(r rune) bool { return r != '_' && !unicode.IsLetter(r) && !unicode.IsDigit(r) }) + 1
	}
	at := len(text) - 2
	for ; at >= 0; at-- {
		if text[at] != '"' {
			continue
		}
		if at == 0 || text[at-1] != '"' { // a doubled quote is part of the name
			return at
		}
		at--
	}
	return 0
}
