package auditdriver

import (
	"encoding/binary"
	"io"
	"iter"
	"strings"
	"sync"
	"time"

	"github.com/hoc-analytics/coordaudit/audit"
)

// The statement is made here and not in queries/, because sqlc knows no COPY.
const copyTable = "coordination_audit_records"

func copyColumns() []string {
	return []string{
		"audit_id", "envelope_id", "envelope_class", "decision", "reason", "decision_timestamp", "conflicting_envelope_id",
		"preempting_envelope_id", "active_envelopes_count", "tenant_id", "target_subsystem", "target_parameter", "counterpart_class",
	}
}

func copyStatement() string {
	return "COPY " + copyTable + " (" + strings.Join(copyColumns(), ", ") + ") FROM STDIN (FORMAT binary)"
}

// copySource is the records in COPY's binary form, made while they are sent, so
// that it takes the memory of one piece. It encodes them itself: pgx takes a row as
// thirteen interfaces, and looks the types of the columns up for them.
type copySource struct {
	mu   sync.Mutex
	next func() (audit.Record, bool)
	stop func()
	buf  []byte
	left []byte // of buf, yet to be read
	done bool
}

// copyPiece and one more row of the usual size fit into what pgconn reads at once,
// 64 KiB; a little more would make every second message a tiny one.
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

// close ends the reading of the records.
func (s *copySource) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stop()
	s.left, s.done = nil, true
}

func appendCopyRow(buf []byte, rec *audit.Record) []byte {
	const columns = 13
	buf = binary.BigEndian.AppendUint16(buf, columns)
	buf = binary.BigEndian.AppendUint32(buf, uint32(len(rec.AuditID)))
	buf = append(buf, rec.AuditID[:]...)
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
	return appendOptional(buf, string(rec.CounterpartClass))
}

func appendText(buf []byte, text string) []byte {
	buf = binary.BigEndian.AppendUint32(buf, uint32(len(text)))
	return append(buf, text...)
}

func appendOptional(buf []byte, text string) []byte {
	if text == "" {
		return append(buf, 0xFF, 0xFF, 0xFF, 0xFF) // a length of -1 is NULL
	}
	return appendText(buf, text)
}

// appendTime writes microseconds since PostgreSQL's epoch.
func appendTime(buf []byte, at time.Time) []byte {
	const epoch = 946_684_800_000_000 // 2000-01-01 UTC
	buf = binary.BigEndian.AppendUint32(buf, 8)
	return binary.BigEndian.AppendUint64(buf, uint64(at.UnixMicro()-epoch))
}
