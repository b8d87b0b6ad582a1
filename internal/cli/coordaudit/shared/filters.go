package shared

import (
	"fmt"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/cli"
	"github.com/hoc-analytics/coordaudit/internal/format"
)

// FilterFlags are the filters of records.
type FilterFlags struct {
	Envelope    []string     `sep:"none" placeholder:"ID" help:"Only decisions about this envelope. May be repeated."`
	Class       []string     `placeholder:"CLASS" help:"Only envelopes of this class, in upper or lower case. May be repeated."`
	Decision    []string     `placeholder:"DECISION" help:"Only this decision, in upper or lower case. May be repeated."`
	Conflicting *string      `placeholder:"ID" help:"Only records in which this envelope stood in the way of the rejected one."`
	Preempting  *string      `placeholder:"ID" help:"Only records in which this envelope is the preemptor."`
	Subsystem   *string      `placeholder:"NAME" help:"Only records that state this target subsystem."`
	Parameter   *string      `placeholder:"NAME" help:"Only records that state this target parameter."`
	Reason      *string      `placeholder:"TEXT" help:"Only records whose reason contains exactly this text. No index speeds this up."`
	Context     contextFlags `embed:""`
}

// Validate is called by the commands' own Validate. An empty filter would let all records
// pass, which is not what the user means.
func (f FilterFlags) Validate() error {
	errs := emptyFilters([]filterFlag{
		{"--conflicting", f.Conflicting},
		{"--preempting", f.Preempting},
		{"--subsystem", f.Subsystem},
		{"--parameter", f.Parameter},
		{"--reason", f.Reason},
	})
	return Together(append(errs, emptyFilters(f.Context.flags())...)...)
}

// Set sets the filters of a query.
func (f FilterFlags) Set(q *audit.Query) (err error) {
	var classErr, decisionErr error
	q.EnvelopeIDs = f.Envelope
	q.EnvelopeClasses, classErr = ParseWords("--class", f.Class, audit.ParseEnvelopeClass)
	q.Decisions, decisionErr = ParseWords("--decision", f.Decision, audit.ParseDecision)
	q.ConflictingEnvelopeID, q.PreemptingEnvelopeID = textOf(f.Conflicting), textOf(f.Preempting)
	q.TargetSubsystem, q.TargetParameter, q.ReasonContains = textOf(f.Subsystem), textOf(f.Parameter), textOf(f.Reason)
	if err := Together(classErr, decisionErr, f.Context.filter(q)); err != nil {
		return cli.Misused("reading the filters", err)
	}
	return nil
}

func textOf(flag *string) string {
	if flag == nil {
		return ""
	}
	return *flag
}

// ParseWords reads the values of a flag that may be repeated.
func ParseWords[T any](flag string, texts []string, parse func(text string) (T, error)) ([]T, error) {
	words := make([]T, len(texts))
	for i, text := range texts {
		word, err := parse(text)
		if err != nil {
			return nil, fmt.Errorf("%s %s", flag, format.FaultsOf(err)[0].Reason)
		}
		words[i] = word
	}
	return words, nil
}

// contextFlags filter by the context of a record.
type contextFlags struct {
	ReasonCode    *string `placeholder:"CODE" help:"Only records that state this reason code."`
	PolicyVersion *string `placeholder:"VERSION" help:"Only records that state this version of the rules."`
	Actor         *string `placeholder:"NAME" help:"Only records that state this actor."`
	CausedBy      *string `placeholder:"ID" help:"Only records that this record caused. ID is its audit id."`
	Corrects      *string `placeholder:"ID" help:"Only records that correct this record. ID is its audit id."`
	CorrelationID *string `name:"correlation-id" placeholder:"ID" help:"Only records of the action with this id."`
	TraceID       *string `name:"trace-id" placeholder:"ID" help:"Only records of this trace. ID is 32 lower-case hexadecimal digits."`
}

// filterFlag is a flag that matches one text.
type filterFlag struct {
	name  string
	value *string
}

func (f contextFlags) flags() []filterFlag {
	return []filterFlag{
		{"--reason-code", f.ReasonCode},
		{"--policy-version", f.PolicyVersion},
		{"--actor", f.Actor},
		{"--caused-by", f.CausedBy},
		{"--corrects", f.Corrects},
		{"--correlation-id", f.CorrelationID},
		{"--trace-id", f.TraceID},
	}
}

// emptyFilters returns an error for each filter that is set and empty.
func emptyFilters(filters []filterFlag) (errs []error) {
	for _, filter := range filters {
		if filter.value != nil && *filter.value == "" {
			errs = append(errs, fmt.Errorf("%s is empty; leave it out to see all records", filter.name))
		}
	}
	return errs
}

// filter sets the filters of a query.
func (f contextFlags) filter(q *audit.Query) error {
	q.ReasonCode, q.PolicyVersion, q.Actor = textOf(f.ReasonCode), textOf(f.PolicyVersion), textOf(f.Actor)
	q.CorrelationID = textOf(f.CorrelationID)
	return Together(
		parseFlag("--caused-by", f.CausedBy, audit.ParseAuditID, &q.CausedBy),
		parseFlag("--corrects", f.Corrects, audit.ParseAuditID, &q.Corrects),
		parseFlag("--trace-id", f.TraceID, audit.ParseTraceID, &q.TraceID))
}

// parseFlag reads the value of a flag that is set.
func parseFlag[T any](flag string, text *string, parse func(string) (T, error), into *T) (err error) {
	if text == nil {
		return nil
	}
	if *into, err = parse(*text); err != nil {
		return fmt.Errorf("%s %s", flag, format.FaultsOf(err)[0].Reason)
	}
	return nil
}
