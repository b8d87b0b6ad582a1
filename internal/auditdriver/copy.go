package auditdriver

import (
	"context"
	"iter"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/hoc-analytics/coordaudit/audit"
)

// CopyMany stores normalized, valid records by one COPY, which is a transaction of
// its own: all of them or none. A taken id refuses them all, with SQLSTATE 23505,
// and [CopyRefused] says where COPY cannot be used at all. ctx bounds the call: see
// [Driver.bounded].
func (d *Driver) CopyMany(ctx context.Context, recs []audit.Record) error {
	return d.onConn(ctx, func(ctx context.Context, conn *pgxpool.Conn) error {
		_, err := CopyRecords(ctx, conn.Conn(), slices.Values(recs))
		return err
	})
}

// CopyRefused reports an answer to a COPY that another one would get as well: the
// server has none for this role or table (row-level security, say).
func CopyRefused(err error) bool { return sqlState(err) == stateFeatureNotSupported }

// CopyRecords copies normalized, valid records on a connection, and returns how many.
// It is a transaction of its own only if the connection has none open. The records
// are not read any more when it returns.
func CopyRecords(ctx context.Context, conn *pgx.Conn, recs iter.Seq[audit.Record]) (int64, error) {
	tracer, _ := conn.Config().Tracer.(pgx.CopyFromTracer)
	if tracer != nil {
		ctx = tracer.TraceCopyFromStart(ctx, conn, pgx.TraceCopyFromStartData{
			TableName:   pgx.Identifier{copyTable},
			ColumnNames: copyColumns(),
		})
	}
	source := newCopySource(recs)
	tag, err := conn.PgConn().CopyFrom(ctx, source, copyStatement())
	// Where the server hangs up, pgconn leaves a goroutine behind that may still read.
	source.close()
	if tracer != nil {
		tracer.TraceCopyFromEnd(ctx, conn, pgx.TraceCopyFromEndData{CommandTag: tag, Err: err})
	}
	return tag.RowsAffected(), err
}
