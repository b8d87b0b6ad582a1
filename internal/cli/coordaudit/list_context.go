package coordaudit

import (
	"fmt"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/format"
)

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
	return together(
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
