package auditmigrate

import "slices"

// The content columns are those that a writer sets, and in the tables of the seal those
// that a sealer sets. The database sets seq, created_at, recorded_at and made_at itself, so
// no grant of ours covers them.

// firstColumns are the content columns of version 1. A role with INSERT on each of
// them is a writer, and its grants are extended when a later version adds columns.
func firstColumns() []string {
	return []string{
		"audit_id", "envelope_id", "envelope_class", "decision", "reason", "decision_timestamp",
		"conflicting_envelope_id", "preempting_envelope_id", "active_envelopes_count", "tenant_id",
	}
}

func contentColumns(table string) []string {
	switch table {
	case recordsTable:
		return slices.Concat(firstColumns(), []string{
			"target_subsystem", "target_parameter", "counterpart_class",
			"reason_code", "policy_version", "actor", "caused_by", "corrects", "correlation_id",
			"trace_id", "span_id", "details", "source_id", "source_seq",
		})
	case gapsTable:
		return []string{
			"gap_id", "dropped_safety", "dropped_reliability", "dropped_cost", "dropped_performance", "dropped_unknown",
			"first_audit_id", "last_audit_id", "lost_from", "lost_until", "cause",
		}
	case statementsTable:
		return []string{
			"source_id", "statement_no", "kind", "accepted_through", "reserved_through",
			"dropped", "rejected", "already_persisted", "waiting", "waiting_continues", "label",
		}
	case sealTilesTable:
		return []string{"epoch", "level", "idx", "through", "late_from", "late_through", "root", "leaves", "hashes"}
	case sealCheckpointsTable:
		return []string{
			"epoch", "size", "previous_size", "root", "leaves", "marks",
			"records_through", "gaps_through", "statements_through", "events_through", "awaited", "note",
		}
	case sealEventsTable:
		return []string{"event_id", "kind", "epoch", "body"}
	case sealLeavesTable:
		return []string{"row_id", "row_no", "epoch", "leaf_index", "kind"}
	default:
		return nil
	}
}
