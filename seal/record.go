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
	record := audit.Record{
		EnvelopeID:            d.text("envelope_id"),
		EnvelopeClass:         audit.EnvelopeClass(d.text("envelope_class")),
		Decision:              audit.Decision(d.text("decision")),
		Reason:                d.text("reason"),
		DecisionTimestamp:     d.time("decision_timestamp"),
		ConflictingEnvelopeID: d.text("conflicting_envelope_id"),
		PreemptingEnvelopeID:  d.text("preempting_envelope_id"),
		ActiveEnvelopesCount:  int32(d.integer("active_envelopes_count")),
		TenantID:              d.text("tenant_id"),
		TargetSubsystem:       d.text("target_subsystem"),
		TargetParameter:       d.text("target_parameter"),
		CounterpartClass:      audit.EnvelopeClass(d.text("counterpart_class")),
		ReasonCode:            d.text("reason_code"),
		PolicyVersion:         d.text("policy_version"),
		Actor:                 d.text("actor"),
		Links:                 audit.Links{CorrelationID: d.text("correlation_id")},
		Origin:                audit.Origin{SourceSeq: d.integer("source_seq")},
		Details:               audit.Details(d.text("details")),
		Seq:                   d.integer("seq"),
		CreatedAt:             d.time("created_at"),
	}
	d.bytes(record.AuditID[:], "audit_id")
	d.bytes(record.Links.CausedBy[:], "caused_by")
	d.bytes(record.Links.Corrects[:], "corrects")
	d.bytes(record.Origin.TraceID[:], "trace_id")
	d.bytes(record.Origin.SpanID[:], "span_id")
	d.bytes(record.Origin.SourceID[:], "source_id")
	if d.err != nil {
		return audit.Record{}, d.err
	}
	if i := columnNamed(columns, "reason"); r.erased(i) {
		record.Reason = audit.ErasedReason(r.Digests[i])
	}
	if i := columnNamed(columns, "details"); r.erased(i) {
		record.Details = audit.ErasedDetails(r.Digests[i])
	}
	return record, nil
}

// decoder reads the values of a row that was checked. err is the first fault.
type decoder struct {
	row     Row
	columns []Column
	err     error
}

func (d *decoder) value(name string) ([]byte, Type) {
	i := columnNamed(d.columns, name)
	return d.row.Values[i], d.columns[i].Type
}

func (d *decoder) text(name string) string {
	value, kind := d.value(name)
	if kind == JSONB && value != nil {
		value = value[1:]
	}
	return string(value)
}

func (d *decoder) integer(name string) int64 {
	switch value, _ := d.value(name); len(value) {
	case 4:
		return int64(int32(binary.BigEndian.Uint32(value)))
	case 8:
		return int64(binary.BigEndian.Uint64(value))
	default:
		return 0 // NULL
	}
}

func (d *decoder) bytes(dst []byte, name string) {
	value, _ := d.value(name)
	if value != nil && len(value) != len(dst) && d.err == nil {
		d.err = fmt.Errorf("decoding %s of a record: it has %d bytes and needs %d: %w", name, len(value), len(dst), ErrRow)
	}
	copy(dst, value)
}

// time reads microseconds since 2000-01-01. NULL is the zero time.
func (d *decoder) time(name string) time.Time {
	value, _ := d.value(name)
	if value == nil {
		return time.Time{}
	}
	at, ok := timeOf(int64(binary.BigEndian.Uint64(value)))
	if !ok && d.err == nil {
		d.err = fmt.Errorf("decoding %s of a record: PostgreSQL holds no such time: %w", name, ErrRow)
	}
	return at
}
