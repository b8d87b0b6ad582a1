package seal

import (
	"strconv"
)

// LeafVersion is the version of the leaf that new rows get. Older versions verify forever.
const LeafVersion = 1

// Kind is the table whose rows are sealed.
type Kind uint8

// The kinds.
const (
	Record    Kind = 1 // coordination_audit_records
	Gap       Kind = 2 // coordination_audit_gaps
	Statement Kind = 3 // coordination_audit_statements
	Event     Kind = 4 // coordination_audit_seal_events
)

// String returns "record", "gap", "statement" or "event". The leaf's label has this word.
func (k Kind) String() string {
	switch k {
	case Record:
		return "record"
	case Gap:
		return "gap"
	case Statement:
		return "statement"
	case Event:
		return "event"
	default:
		return "kind " + strconv.Itoa(int(k))
	}
}

// Type is the PostgreSQL type of a column. Text includes varchar.
type Type uint8

// The types.
const (
	UUID           Type = 1
	Text           Type = 2
	Timestamptz    Type = 3
	Int4           Type = 4
	Int8           Type = 5
	Bool           Type = 6
	Bytea          Type = 7
	JSONB          Type = 8
	Int8Multirange Type = 9
)

// String returns PostgreSQL's name of the type.
func (t Type) String() string {
	switch t {
	case UUID:
		return "uuid"
	case Text:
		return "text"
	case Timestamptz:
		return "timestamptz"
	case Int4:
		return "int4"
	case Int8:
		return "int8"
	case Bool:
		return "bool"
	case Bytea:
		return "bytea"
	case JSONB:
		return "jsonb"
	case Int8Multirange:
		return "int8multirange"
	default:
		return "type " + strconv.Itoa(int(t))
	}
}

// width is the length of the type's binary form, or 0 if it varies.
func (t Type) width() int {
	switch t {
	case UUID:
		return 16
	case Timestamptz, Int8:
		return 8
	case Int4:
		return 4
	case Bool:
		return 1
	default:
		return 0
	}
}

// Column is one column of a leaf.
type Column struct {
	Name string
	Type Type

	// Hashed: the leaf holds a hash instead of the value, so that the value can be erased
	// later and the leaf still proves. See [Row.Digest].
	Hashed bool
}

// Columns returns the columns of a leaf in their order. The first one is seq. It returns
// nil if the kind or the version is unknown. The caller owns the result.
func Columns(k Kind, version uint8) []Column {
	if version != LeafVersion {
		return nil
	}
	switch k {
	case Record:
		return recordColumns()
	case Gap:
		return gapColumns()
	case Statement:
		return statementColumns()
	case Event:
		return eventColumns()
	default:
		return nil
	}
}

// Columns of a record.
const (
	auditIDColumn   = 1
	reasonColumn    = 5
	createdAtColumn = 7
	detailsColumn   = 23
)

func recordColumns() []Column {
	return []Column{
		{Name: "seq", Type: Int8},
		{Name: "audit_id", Type: UUID},
		{Name: "envelope_id", Type: Text},
		{Name: "envelope_class", Type: Text},
		{Name: "decision", Type: Text},
		{Name: "reason", Type: Text, Hashed: true},
		{Name: "decision_timestamp", Type: Timestamptz},
		{Name: "created_at", Type: Timestamptz},
		{Name: "conflicting_envelope_id", Type: Text},
		{Name: "preempting_envelope_id", Type: Text},
		{Name: "active_envelopes_count", Type: Int4},
		{Name: "tenant_id", Type: Text},
		{Name: "target_subsystem", Type: Text},
		{Name: "target_parameter", Type: Text},
		{Name: "counterpart_class", Type: Text},
		{Name: "reason_code", Type: Text},
		{Name: "policy_version", Type: Text},
		{Name: "actor", Type: Text},
		{Name: "caused_by", Type: UUID},
		{Name: "corrects", Type: UUID},
		{Name: "correlation_id", Type: Text},
		{Name: "trace_id", Type: Bytea},
		{Name: "span_id", Type: Bytea},
		{Name: "details", Type: JSONB, Hashed: true},
		{Name: "source_id", Type: UUID},
		{Name: "source_seq", Type: Int8},
	}
}

func gapColumns() []Column {
	return []Column{
		{Name: "seq", Type: Int8},
		{Name: "gap_id", Type: UUID},
		{Name: "dropped_safety", Type: Int8},
		{Name: "dropped_reliability", Type: Int8},
		{Name: "dropped_cost", Type: Int8},
		{Name: "dropped_performance", Type: Int8},
		{Name: "dropped_unknown", Type: Int8},
		{Name: "first_audit_id", Type: UUID},
		{Name: "last_audit_id", Type: UUID},
		{Name: "lost_from", Type: Timestamptz},
		{Name: "lost_until", Type: Timestamptz},
		{Name: "cause", Type: Text},
		{Name: "recorded_at", Type: Timestamptz},
	}
}

func statementColumns() []Column {
	return []Column{
		{Name: "seq", Type: Int8},
		{Name: "source_id", Type: UUID},
		{Name: "statement_no", Type: Int8},
		{Name: "kind", Type: Text},
		{Name: "accepted_through", Type: Int8},
		{Name: "reserved_through", Type: Int8},
		{Name: "dropped", Type: Int8Multirange},
		{Name: "rejected", Type: Int8Multirange},
		{Name: "already_persisted", Type: Int8Multirange},
		{Name: "waiting", Type: Int8Multirange},
		{Name: "waiting_continues", Type: Bool},
		{Name: "label", Type: Text},
		{Name: "made_at", Type: Timestamptz},
	}
}

func eventColumns() []Column {
	return []Column{
		{Name: "seq", Type: Int8},
		{Name: "event_id", Type: UUID},
		{Name: "kind", Type: Text},
		{Name: "epoch", Type: Int8},
		{Name: "body", Type: Text},
		{Name: "made_at", Type: Timestamptz},
	}
}
