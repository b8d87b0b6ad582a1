// Package auditotel reports the outcome of audit records to OpenTelemetry. It has an
// [Observer] for the store and its recorder, [RegisterRecorder] for a recorder's counts,
// [Completeness] for what is missing from a trail, [RegisterSealer] for what is not sealed,
// [RegisterFollower] for what is not delivered, and [Fill] for the trace of a record.
//
//	observer, err := auditotel.NewObserver(auditotel.Config{})
//	…
//	store := coordaudit.New(pool, coordaudit.Config{Observer: observer})
//	registration, err := auditotel.RegisterRecorder(nil, recorder)
//
// # Which to use when
//
// The Observer measures every record once, when it ends, by class and outcome, with
// the kind of its error and its duration. Every service needs it.
//
// RegisterRecorder reads a recorder's Stats at each collection of metrics. It adds
// what observations do not show: what is waiting, and whether the counts add up. A
// service with a recorder needs both. A record that a recorder has finished is then in
// coordination_audit_records and in coordaudit.recorder.finished.records. These are
// two views of the same record, so never add them up.
//
// Completeness is for one process that asks a store now and then what is missing. It
// needs no recorder.
//
// RegisterSealer is for the process that seals a trail. It reads the sealer's Stats at each
// collection.
//
// RegisterFollower is for a process that follows a trail. It gets the lag from the follower.
//
// A store's Stats need no such function, because the Observer measures all that they
// count.
//
// # Cardinality
//
// Metrics have bounded attributes only: class, outcome, kind of error, source. They
// have no tenant, envelope, id or reason. All 80 series of the two counters exist from
// the beginning, with value zero, so that a first failure shows as an increase.
//
// # Spans
//
// A span is created after the fact, as a child of a span that records. Without such a
// parent there is none, so a service that does not trace pays only for a look into the
// context. One parent gets at most [Config.SpansPerParent] spans of stored records,
// and as many of failed ones. A batch of ten thousand, or an import in one span,
// therefore leaves a sample and its failures. What a recorder stores later has no
// parent and no span.
//
// Spans hold the record's id and class, the outcome, the number of attempts, the kind
// of the error and the SQLSTATE. They hold no error text, which may quote values, and
// nothing else of the record.
//
// # From a record to its trace
//
// [Fill] puts the ids of the current trace and span into a record. Who reads the record
// later finds the request that led to it, also if a recorder stored it afterwards, and
// also if the trace was not sampled.
package auditotel
