// Package auditotel tells OpenTelemetry what becomes of audit records: an
// [Observer] for the store and its recorder, and [RegisterRecorder] for what a
// recorder counts.
//
//	observer, err := auditotel.NewObserver(auditotel.Config{})
//	…
//	store := coordaudit.New(pool, coordaudit.Config{Observer: observer})
//	registration, err := auditotel.RegisterRecorder(nil, recorder)
//
// # Which to use when
//
// The Observer measures every record once, when it ends: by class and outcome,
// with the kind of its error and how long it took. Every service wants it.
//
// RegisterRecorder reads a recorder's Stats whenever metrics are collected. It
// adds what no observation tells: what is waiting, and whether the counts add up.
// A service with a recorder wants both. A record that a recorder has settled is
// then in coordination_audit_records and in coordaudit.recorder.settled.records.
// They are two views of one record, so never add them up.
//
// A store's Stats need no such function: the Observer measures all that they count.
//
// # Cardinality
//
// Metrics have bounded attributes only: class, outcome, kind of error, source. No
// tenant, no envelope, no id, no reason. The whole set of the two counters, 80
// series, is there from the beginning with zeros, so that a first failure is seen
// as an increase.
//
// # Spans
//
// A span is made after the fact, as a child of a span that records, and else not
// at all: a service that does not trace pays for a look into the context. One
// parent gets at most [Config.SpansPerParent] of stored records and as many of
// failed ones, so that a batch of ten thousand, or an import in one span, leaves a
// sample and its failures. What a recorder stores later has no parent and no span.
//
// Spans hold the record's id and class, the outcome, the number of attempts, the
// kind of the error and the SQLSTATE. They hold no error text, which may quote
// what the database was given, and nothing else of the record.
package auditotel
