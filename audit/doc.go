// Package audit is the vocabulary of the trail. It defines what a [Record] is and which
// values it may hold, how an attempt to persist one can end, and the errors.
//
// It imports only the standard library and google/uuid, so a coordinator can build and
// check records without a database driver. Package coordaudit writes and reads them.
//
// # A record
//
// An envelope is a bounded change proposal of an optimizer. It has a class, which says
// what it optimizes for ([Safety], [Reliability], [Cost], [Performance]), and may have a
// target, the parameter that it changes. The coordinator decides about each envelope:
//
//   - [Applied]: the envelope acts from now on.
//   - [Rejected]: the envelope may not act, usually because a conflicting envelope is
//     active.
//   - [Preempted]: the envelope was active and had to stop for another one. That other
//     envelope is its preemptor.
//
// The conflicting envelope or the preemptor is the counterpart in the record. One record
// is one decision about one envelope. It is written once and never changed:
//
//	rec := audit.Record{
//		EnvelopeID:           "retry-backoff-7",
//		EnvelopeClass:        audit.Reliability,
//		Decision:             audit.Applied,
//		Reason:               "applied, nothing stood in its way",
//		DecisionTimestamp:    time.Now(),
//		ActiveEnvelopesCount: 1,
//		TenantID:             "acme",
//	}
//
// [Record.Validate] reports every fault at once, each with the field's name in SQL and
// JSON. The database's CHECK constraints refuse the same records.
//
// # A question
//
// [Query], [TimelineQuery], [BreakdownQuery], [SignalQuery] and [TrendQuery] say what to
// read. Each has a [Scope], which says whose records it sees: those of one tenant, those
// of no tenant, or all. The answers are [Page], [Timeline], [Breakdown], [Signals] and
// [WindowRates]. A query is checked as a record is, and all faults are reported at once.
//
// Signals show where optimizers work against each other. A [RejectionRate] is a class's
// share of rejected decisions. An [Oscillation] is an envelope that is preempted and
// applied again, several times. [Friction] counts the conflicts between two classes. A
// [RepeatedRejection] is an envelope that keeps being rejected.
//
// # JSON
//
// A record's JSON form has the argument names of persist_audit_record, the Python
// function that this library replaces. So its callers' payloads can be imported
// unchanged. A record that states more than that function knew has further keys, and
// "format":2 if a reader must know them. [ParseRecord] says what is refused.
package audit
