package auditotel

import (
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/hoc-analytics/coordaudit/audit"
)

// The attributes of metrics and spans. Those that OpenTelemetry's conventions name
// have that name.
const (
	classKey       = attribute.Key("coordaudit.class")
	outcomeKey     = attribute.Key("coordaudit.outcome")
	auditIDKey     = attribute.Key("coordaudit.audit_id")
	attemptsKey    = attribute.Key("coordaudit.attempts")
	flushSourceKey = attribute.Key("coordaudit.flush.source")
	batchSizeKey   = attribute.Key("coordaudit.batch.size")
)

// failedOutcome is the outcome of a record without one.
const failedOutcome = "failed"

// ending is a way in which a record can end, with the options of its measurements. The
// options are created once, so that an observation does not allocate.
type ending struct {
	record     []metric.AddOption
	failure    []metric.AddOption // nil unless it failed
	duration   []metric.RecordOption
	attributes []attribute.KeyValue // of its span
	errorType  string
}

type classEndings struct {
	succeeded map[audit.Outcome]ending
	failed    []ending // by kind of error
}

type endings struct {
	kinds   []errorKind
	byClass map[audit.EnvelopeClass]classEndings
}

func newEndings() endings {
	all := endings{kinds: errorKinds(), byClass: map[audit.EnvelopeClass]classEndings{}}
	for _, class := range audit.EnvelopeClasses() {
		of := classEndings{succeeded: map[audit.Outcome]ending{}}
		for _, outcome := range []audit.Outcome{audit.Persisted, audit.AlreadyPersisted, audit.Skipped} {
			of.succeeded[outcome] = succeeded(class, outcome)
		}
		for _, kind := range all.kinds {
			of.failed = append(of.failed, failed(class, kind))
		}
		all.byClass[class] = of
	}
	return all
}

func succeeded(class audit.EnvelopeClass, outcome audit.Outcome) ending {
	attributes := []attribute.KeyValue{classKey.String(string(class)), outcomeKey.String(string(outcome))}
	set := metric.WithAttributeSet(attribute.NewSet(attributes...))
	return ending{
		record:     []metric.AddOption{set},
		duration:   []metric.RecordOption{set},
		attributes: attributes,
	}
}

func failed(class audit.EnvelopeClass, kind errorKind) ending {
	declared, outcome, errorType := classKey.String(string(class)), outcomeKey.String(failedOutcome), semconv.ErrorTypeKey.String(kind.name)
	all := []attribute.KeyValue{declared, outcome, errorType}
	return ending{
		record:     []metric.AddOption{metric.WithAttributeSet(attribute.NewSet(declared, outcome))},
		failure:    []metric.AddOption{metric.WithAttributeSet(attribute.NewSet(declared, errorType))},
		duration:   []metric.RecordOption{metric.WithAttributeSet(attribute.NewSet(all...))},
		attributes: all,
		errorType:  kind.name,
	}
}

// of returns how the observed record ended. Like the store, it counts an unknown class
// as UNKNOWN and an unknown outcome as failed, so that callers cannot create series.
func (e endings) of(observation audit.Observation) ending {
	class, known := e.byClass[observation.EnvelopeClass]
	if !known {
		class = e.byClass[audit.Unknown]
	}
	if end, ok := class.succeeded[observation.Outcome]; ok {
		return end
	}
	return class.failed[kindOf(e.kinds, observation.Err)]
}

// flushSet are the attributes of one kind of batch.
type flushSet struct {
	measured   []metric.RecordOption
	attributes []attribute.KeyValue
	errorType  string
}

type flushSets struct {
	kinds []errorKind

	// stored and failed belong to the queue and to the spool. failed is by kind of
	// error.
	stored [2]flushSet
	failed [2][]flushSet
}

func newFlushSets() flushSets {
	sets := flushSets{kinds: errorKinds()}
	for i, name := range []string{"queue", "spool"} {
		source := flushSourceKey.String(name)
		sets.stored[i] = newFlushSet("", source)
		for _, kind := range sets.kinds {
			sets.failed[i] = append(sets.failed[i], newFlushSet(kind.name, source, semconv.ErrorTypeKey.String(kind.name)))
		}
	}
	return sets
}

func newFlushSet(errorType string, attributes ...attribute.KeyValue) flushSet {
	set := metric.WithAttributeSet(attribute.NewSet(attributes...))
	return flushSet{measured: []metric.RecordOption{set}, attributes: attributes, errorType: errorType}
}

func (s *flushSets) of(flush audit.Flush) flushSet {
	source := 0
	if flush.FromSpool {
		source = 1
	}
	if flush.Err == nil {
		return s.stored[source]
	}
	return s.failed[source][kindOf(s.kinds, flush.Err)]
}
