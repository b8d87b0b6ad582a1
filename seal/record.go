package seal

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/hoc-analytics/coordaudit/audit"
)

// Record decodes a row of [Record] for showing. An erased text reads as the table has it:
// [audit.ErasedReason], [audit.ErasedDetails]. The infinities are [audit.InfinitePast] and
// [audit.InfiniteFuture]. The result is not validated: it is what the table holds. The
// error matches [ErrRow].
func (r Row) Record() (audit.Record, error) {
	columns := recordColumns()
	if r.Kind != Record || r.Version != LeafVersion {
		return audit.Record{}, fmt.Errorf("decoding a record: the row is a %s, version %d: %w", r.Kind, r.Version, ErrRow)
	}
	if err := r.check(columns); err != nil {
		return audit.Record{}, err
	}
	d := decoder{row: r, columns: columns}
	record := audit.Record{Seq: d.integer()}
	d.bytes(record.AuditID[:])
	record.EnvelopeID = d.text()
	record.EnvelopeClass = audit.EnvelopeClass(d.text())
	record.Decision = audit.Decision(d.text())
	record.Reason = d.text()
	record.DecisionTimestamp = d.time()
	record.CreatedAt = d.time()
	record.ConflictingEnvelopeID = d.text()
	record.PreemptingEnvelopeID = d.text()
	record.ActiveEnvelopesCount = int32(d.integer())
	record.TenantID = d.text()
	record.TargetSubsystem = d.text()
	record.TargetParameter = d.text()
	record.CounterpartClass = audit.EnvelopeClass(d.text())
	record.ReasonCode = d.text()
	record.PolicyVersion = d.text()
	record.Actor = d.text()
	d.bytes(record.Links.CausedBy[:])
	d.bytes(record.Links.Corrects[:])
	record.Links.CorrelationID = d.text()
	d.bytes(record.Origin.TraceID[:])
	d.bytes(record.Origin.SpanID[:])
	record.Details = audit.Details(d.text())
	d.bytes(record.Origin.SourceID[:])
	record.Origin.SourceSeq = d.integer()
	if d.err != nil {
		return audit.Record{}, d.err
	}
	if r.erased(reasonColumn) {
		record.Reason = audit.ErasedReason(r.Digests[reasonColumn])
	}
	if r.erased(detailsColumn) {
		record.Details = audit.ErasedDetails(r.Digests[detailsColumn])
	}
	return record, nil
}

// decoder reads the values of a row that was checked, in the order of its columns. err is the first
// fault.
type decoder struct {
	row     Row
	columns []Column
	next    int
	err     error
}

func (d *decoder) value() (value []byte, column *Column) {
	value, column = d.row.Values[d.next], &d.columns[d.next]
	d.next++
	return value, column
}

func (d *decoder) text() string {
	value, column := d.value()
	if column.Type == JSONB && value != nil {
		value = value[1:]
	}
	return string(value)
}

func (d *decoder) integer() int64 {
	switch value, _ := d.value(); len(value) {
	case 4:
		return int64(int32(binary.BigEndian.Uint32(value)))
	case 8:
		return int64(binary.BigEndian.Uint64(value))
	default:
		return 0 // NULL
	}
}

func (d *decoder) bytes(dst []byte) {
	value, column := d.value()
	if value != nil && len(value) != len(dst) && d.err == nil {
		d.err = fmt.Errorf("decoding %s of a record: it has %d bytes and needs %d: %w", column.Name, len(value), len(dst), ErrRow)
	}
	copy(dst, value)
}

// time reads microseconds since 2000-01-01. NULL is the zero time.
func (d *decoder) time() time.Time {
	value, column := d.value()
	if value == nil {
		return time.Time{}
	}
	at, ok := timeOf(int64(binary.BigEndian.Uint64(value)))
	if !ok && d.err == nil {
		d.err = fmt.Errorf("decoding %s of a record: PostgreSQL holds no such time: %w", column.Name, ErrRow)
	}
	return at
}
