package auditdriver

import (
	"context"
	"encoding/binary"
	"io"
	"iter"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/hoc-analytics/coordaudit/audit"
)

// CopyMany stores normalized, valid records by one COPY. The COPY is a transaction of its
// own and stores all of them or none. A taken id refuses them all, with SQLSTATE 23505.
// [CopyRefused] reports whether COPY cannot be used at all. ctx bounds the call: see
// [Driver.bounded].
//
// COPY returns the number of rows that it stored and no rows. If it stored fewer, or a
// trigger may have changed them, each record is looked up. Otherwise the results have no
// seq.
func (d *Driver) CopyMany(ctx context.Context, recs []audit.Record) ([]Item, error) {
	var items []Item
	err := d.onPool(ctx, func(ctx context.Context, db located) error {
		db, err := d.storingIn(ctx, db)
		if err != nil {
			return err
		}
		n, err := copyRecords(ctx, db.own.conn.Conn(), db.trail.sql(copyStatement()), slices.Values(recs))
		if db.table.rewrites && sqlState(err) == stateProtocolViolation {
			// A column of another type cannot read the binary form of ours.
			return &StatementError{Kind: audit.ErrRefused, SQLState: stateProtocolViolation, cause: err}
		}
		if db.onShards() && sqlState(err) == stateInternalError {
			return &unclearCopyError{err}
		}
		if err != nil {
			return err
		}
		items, err = d.copied(ctx, db, recs, n)
		return err
	})
	return sent(items, err)
}

// copied returns the items of a COPY that was committed with n rows. It asks for the table
// and the settings after the commit, so it notices a trigger that was created just before.
func (d *Driver) copied(ctx context.Context, db located, recs []audit.Record, n int64) ([]Item, error) {
	items := make([]Item, len(recs))
	table, settings, err := d.tableNow(ctx, db)
	if err == nil {
		db.table, err = table, table.refusal
	}
	if err != nil {
		return items, &unconfirmedError{err}
	}
	if err := d.committedUnder(ctx, db, settings); err != nil {
		return items, err
	}
	for i := range recs {
		items[i].Result = audit.Result{AuditID: recs[i].AuditID, Outcome: audit.Persisted}
	}
	if !table.rewrites && n == int64(len(recs)) {
		return items, nil
	}
	return d.resolve(ctx, db, &resolution{recs: recs, items: items, verify: true, inserted: n})
}

// CopyRefused reports whether the server refuses every COPY for this role or table, as
// under row-level security.
func CopyRefused(err error) bool { return sqlState(err) == stateFeatureNotSupported }

// CopyRecords copies normalized, valid records on a connection and returns their number.
// The COPY is a transaction of its own only if the connection has none open. When it
// returns, it no longer reads recs.
func CopyRecords(ctx context.Context, conn *pgx.Conn, recs iter.Seq[audit.Record]) (int64, error) {
	return copyRecords(ctx, conn, copyStatement(), recs)
}

func copyRecords(ctx context.Context, conn *pgx.Conn, statement string, recs iter.Seq[audit.Record]) (int64, error) {
	tracer, _ := conn.Config().Tracer.(pgx.CopyFromTracer)
	if tracer != nil {
		ctx = tracer.TraceCopyFromStart(ctx, conn, pgx.TraceCopyFromStartData{
			TableName:   pgx.Identifier{copyTable},
			ColumnNames: copyColumns(),
		})
	}
	source := newCopySource(recs)
	tag, err := conn.PgConn().CopyFrom(ctx, source, statement)
	// If the server hangs up, pgconn leaves a goroutine behind that may still read.
	source.close()
	if tracer != nil {
		tracer.TraceCopyFromEnd(ctx, conn, pgx.TraceCopyFromEndData{CommandTag: tag, Err: err})
	}
	return tag.RowsAffected(), err
}

// The statement is made here and not in queries/, because sqlc does not know COPY.
const copyTable = "coordination_audit_records"

func copyColumns() []string {
	return []string{
		"audit_id", "envelope_id", "envelope_class", "decision", "reason", "decision_timestamp", "conflicting_envelope_id",
		"preempting_envelope_id", "active_envelopes_count", "tenant_id", "target_subsystem", "target_parameter", "counterpart_class",
		"reason_code", "policy_version", "actor", "caused_by", "corrects", "correlation_id", "trace_id", "span_id", "details", "source_id", "source_seq",
	}
}

func copyStatement() string {
	return "COPY " + copyTable + " (" + strings.Join(copyColumns(), ", ") + ") FROM STDIN (FORMAT binary)"
}

// copySource is the records in COPY's binary form. It encodes them while they are sent, so
// it needs the memory of one piece. pgx's own CopyFrom would take each row as 24
// interfaces and look up the types of the columns.
type copySource struct {
	mu   sync.Mutex
	next func() (audit.Record, bool)
	stop func()
	buf  []byte
	left []byte // of buf, yet to be read
	done bool
}

// copyPiece and one more row of the usual size fit into what pgconn reads at once, 64 KiB.
// A little more would make every second message a tiny one.
const copyPiece = 60 << 10

func newCopySource(recs iter.Seq[audit.Record]) *copySource {
	s := &copySource{}
	s.next, s.stop = iter.Pull(recs)
	s.buf = append(make([]byte, 0, copyPiece+4<<10), "PGCOPY\n\377\r\n\000"...)
	s.buf = append(s.buf, make([]byte, 8)...) // no flags, no extension
	s.left = s.buf
	return s
}

// Read implements [io.Reader].
func (s *copySource) Read(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.left) == 0 {
		if s.done {
			return 0, io.EOF
		}
		s.fill()
	}
	n := copy(p, s.left)
	s.left = s.left[n:]
	return n, nil
}

func (s *copySource) fill() {
	s.buf = s.buf[:0]
	for len(s.buf) < copyPiece && !s.done {
		if rec, ok := s.next(); ok {
			s.buf = appendCopyRow(s.buf, &rec)
		} else {
			s.buf = append(s.buf, 0xFF, 0xFF) // the trailer
			s.done = true
		}
	}
	s.left = s.buf
}

// close stops the reading of the records.
func (s *copySource) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stop()
	s.left, s.done = nil, true
}

func appendCopyRow(buf []byte, rec *audit.Record) []byte {
	const columns = 24
	buf = binary.BigEndian.AppendUint16(buf, columns)
	buf = appendBytes(buf, rec.AuditID[:])
	buf = appendText(buf, rec.EnvelopeID)
	buf = appendText(buf, string(rec.EnvelopeClass))
	buf = appendText(buf, string(rec.Decision))
	buf = appendText(buf, rec.Reason)
	buf = appendTime(buf, rec.DecisionTimestamp)
	buf = appendOptional(buf, rec.ConflictingEnvelopeID)
	buf = appendOptional(buf, rec.PreemptingEnvelopeID)
	buf = binary.BigEndian.AppendUint32(buf, 4)
	buf = binary.BigEndian.AppendUint32(buf, uint32(rec.ActiveEnvelopesCount))
	buf = appendOptional(buf, rec.TenantID)
	buf = appendOptional(buf, rec.TargetSubsystem)
	buf = appendOptional(buf, rec.TargetParameter)
	buf = appendOptional(buf, string(rec.CounterpartClass))
	buf = appendOptional(buf, rec.ReasonCode)
	buf = appendOptional(buf, rec.PolicyVersion)
	buf = appendOptional(buf, rec.Actor)
	buf = appendOptionalBytes(buf, rec.Links.CausedBy[:])
	buf = appendOptionalBytes(buf, rec.Links.Corrects[:])
	buf = appendOptional(buf, rec.Links.CorrelationID)
	buf = appendOptionalBytes(buf, rec.Origin.TraceID[:])
	buf = appendOptionalBytes(buf, rec.Origin.SpanID[:])
	buf = appendJSONB(buf, string(rec.Details))
	buf = appendOptionalBytes(buf, rec.Origin.SourceID[:])
	return appendOptionalNumber(buf, rec.Origin.SourceSeq)
}

func appendText(buf []byte, text string) []byte {
	buf = binary.BigEndian.AppendUint32(buf, uint32(len(text)))
	return append(buf, text...)
}

func appendOptional(buf []byte, text string) []byte {
	if text == "" {
		return appendNull(buf)
	}
	return appendText(buf, text)
}

func appendNull(buf []byte) []byte {
	return append(buf, 0xFF, 0xFF, 0xFF, 0xFF) // a length of -1
}

func appendBytes(buf, value []byte) []byte {
	buf = binary.BigEndian.AppendUint32(buf, uint32(len(value)))
	return append(buf, value...)
}

// appendOptionalBytes writes an id. All zeros are NULL.
func appendOptionalBytes(buf, id []byte) []byte {
	if optionalBytes(id) == nil {
		return appendNull(buf)
	}
	return appendBytes(buf, id)
}

func appendOptionalNumber(buf []byte, n int64) []byte {
	if n == 0 {
		return appendNull(buf)
	}
	buf = binary.BigEndian.AppendUint32(buf, 8)
	return binary.BigEndian.AppendUint64(buf, uint64(n))
}

// appendJSONB writes a text in the only version of jsonb's binary form.
func appendJSONB(buf []byte, text string) []byte {
	if text == "" {
		return appendNull(buf)
	}
	const version = 1
	buf = binary.BigEndian.AppendUint32(buf, uint32(len(text)+1))
	return append(append(buf, version), text...)
}

// appendTime writes microseconds since PostgreSQL's epoch.
func appendTime(buf []byte, at time.Time) []byte {
	const epoch = 946_684_800_000_000 // 2000-01-01 UTC
	buf = binary.BigEndian.AppendUint32(buf, 8)
	return binary.BigEndian.AppendUint64(buf, uint64(at.UnixMicro()-epoch))
}
