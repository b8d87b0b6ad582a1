// Package audit is the vocabulary of the trail: what a [Record] is, which
// values it may hold, what became of an attempt to persist one, and which
// errors say why not.
//
// It imports the standard library and google/uuid alone, so a coordinator can
// build and check records without pulling in a database driver. Package
// coordaudit writes and reads them.
//
// # A record
//
// One record is one decision of the optimization coordinator about one
// envelope. It is written once and never changed:
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
// [Record.Validate] reports every fault at once, each by the field's name in
// SQL and JSON. The database refuses the same records by CHECK constraints.
//
// # A question
//
// [Query], [TimelineQuery], [BreakdownQuery], [SignalQuery] and [TrendQuery] say
// what to read, each under a [Scope]; [Page], [Timeline], [Breakdown], [Signals]
// and [WindowRates] are the answers. Queries are checked like records, all faults
// at once.
//
// # JSON
//
// A record's JSON form has the argument names of persist_audit_record, the
// Python function that this library succeeds, so its callers' payloads can be
// imported as they are. See [ParseRecord] for what is refused.
package audit
