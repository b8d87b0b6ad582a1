package transfer

import (
	"encoding/json"
	"io"

	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/cli/term"
	"github.com/hoc-analytics/coordaudit/internal/events"
	"github.com/hoc-analytics/coordaudit/internal/format"
	"github.com/hoc-analytics/coordaudit/internal/jsonl"
)

// The formats of an export.
const (
	formatLines  = "jsonl"
	formatCSV    = "csv"
	formatEvents = "cloudevents"
)

// exportForm is how an export writes records.
type exportForm struct {
	name   string
	kind   jsonl.Kind
	header []byte
	line   func(*audit.Record) ([]byte, error)
}

func (c *Export) form(stdout io.Writer) exportForm {
	switch c.Format {
	case formatCSV:
		return csvForm(c.Out == "-" && term.IsTerminal(stdout))
	case formatEvents:
		return exportForm{name: formatEvents, kind: jsonl.Events, line: func(rec *audit.Record) ([]byte, error) {
			followed := audit.NewFollowed(*rec, false, false, nil)
			return jsonLine(events.CloudEvent(&followed, c.Source))
		}}
	default: // as import reads it
		return exportForm{name: formatLines, kind: jsonl.Records, line: func(rec *audit.Record) ([]byte, error) { return jsonLine(json.Marshal(*rec)) }}
	}
}

func jsonLine(object []byte, err error) ([]byte, error) {
	return append(format.EscapeJSON(object), '\n'), err
}

// csvForm keeps every byte of a text, but on a terminal, which would act on some of them.
func csvForm(onTerminal bool) exportForm {
	return exportForm{name: formatCSV, kind: jsonl.Table, header: events.CSVHeader(), line: func(rec *audit.Record) ([]byte, error) {
		line := events.CSV(rec)
		if onTerminal {
			line = append([]byte(format.Folded(string(line))), '\n')
		}
		return line, nil
	}}
}

// filtersOf are the filters of a query by the names of its fields, for a manifest. It is nil if
// there are none.
func filtersOf(q audit.Query) map[string]any {
	set := map[string]any{}
	list := func(name string, n int, values any) {
		if n > 0 {
			set[name] = values
		}
	}
	list("envelope_ids", len(q.EnvelopeIDs), q.EnvelopeIDs)
	list("envelope_classes", len(q.EnvelopeClasses), q.EnvelopeClasses)
	list("decisions", len(q.Decisions), q.Decisions)
	for name, value := range map[string]string{
		"conflicting_envelope_id": q.ConflictingEnvelopeID, "preempting_envelope_id": q.PreemptingEnvelopeID,
		"target_subsystem": q.TargetSubsystem, "target_parameter": q.TargetParameter, "reason_contains": q.ReasonContains,
		"reason_code": q.ReasonCode, "policy_version": q.PolicyVersion, "actor": q.Actor, "correlation_id": q.CorrelationID,
		"trace_id": q.TraceID.String(),
	} {
		list(name, len(value), value)
	}
	for name, id := range map[string]uuid.UUID{"caused_by": q.CausedBy, "corrects": q.Corrects} {
		if id != uuid.Nil {
			set[name] = id
		}
	}
	if len(set) == 0 {
		return nil
	}
	return set
}
