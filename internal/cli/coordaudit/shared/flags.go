package shared

import (
	"errors"
	"strconv"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
)

// FlagVariables are the values that the tags of the flags refer to.
func FlagVariables() kong.Vars {
	return kong.Vars{
		"max_batch":      strconv.Itoa(coordaudit.MaxBatch),
		"page_size":      strconv.Itoa(audit.DefaultPageSize),
		"max_page_size":  strconv.Itoa(audit.MaxPageSize),
		"min_records":    strconv.Itoa(audit.DefaultMinRecords),
		"min_cycles":     strconv.Itoa(audit.DefaultMinCycles),
		"min_conflicts":  strconv.Itoa(audit.DefaultMinConflicts),
		"min_rejections": strconv.Itoa(audit.DefaultMinRejections),
		"evidence":       strconv.Itoa(audit.DefaultMaxEvidence),
		"max_evidence":   strconv.Itoa(audit.MaxEvidence),
		"since_default":  "", // for windowFlags; a command may set its own
		"since_note":     "",
		"bounded":        "Decisions",
		"listed":         "records", // for limitFlag, likewise
		"proven":         "it",      // for ProofFlags, likewise
		"key_help":       keyHelp,
	}
}

// ScopeFlags say whose records a command sees. There is no default, so that no command
// shows more than was asked for.
type ScopeFlags struct {
	Tenant     *string `xor:"scope" required:"" placeholder:"ID" help:"The scope is the records of this tenant."`
	NoTenant   bool    `xor:"scope" required:"" help:"The scope is the records that belong to no tenant."`
	AllTenants bool    `xor:"scope" required:"" help:"The scope is all records."`
}

// Scope returns the scope that the flags name.
func (f ScopeFlags) Scope() audit.Scope {
	switch {
	case f.AllTenants:
		return audit.AllTenants()
	case f.NoTenant:
		return audit.NoTenant()
	default:
		return audit.Tenant(*f.Tenant)
	}
}

// Validate is called by the commands' own Validate.
func (f ScopeFlags) Validate() error {
	if f.Tenant != nil && *f.Tenant == "" {
		return errors.New("--tenant is empty; for records that belong to no tenant use --no-tenant")
	}
	return nil
}

// Together joins all faults of a command line into one line. It is nil if there are none.
func Together(errs ...error) error {
	var texts []string
	for _, err := range errs {
		if err != nil {
			texts = append(texts, err.Error())
		}
	}
	if texts == nil {
		return nil
	}
	return errors.New(strings.Join(texts, "; "))
}

// inFlags names the faults of a query by the flags that set its fields.
func inFlags(faults []audit.Fault) []audit.Fault {
	named := make([]audit.Fault, len(faults))
	for i, fault := range faults {
		field, _, _ := strings.Cut(fault.Field, "[") // in a list, such as envelope_ids[0]
		switch field {
		case "after":
			field = "--cursor"
		case "tenant_id":
			field = "--tenant"
		case "envelope_id":
			field = "the envelope's id"
		case "envelope_ids":
			field = "--envelope"
		case "conflicting_envelope_id":
			field = "--conflicting"
		case "preempting_envelope_id":
			field = "--preempting"
		case "target_subsystem":
			field = "--subsystem"
		case "target_parameter":
			field = "--parameter"
		case "reason_contains":
			field = "--reason"
		case "max_evidence":
			field = "--evidence"
		case "windows":
			field = "--trend"
		default: // since, until, limit, min_…
			field = "--" + strings.ReplaceAll(field, "_", "-")
		}
		named[i] = audit.Fault{Field: field, Reason: fault.Reason}
	}
	return named
}

// WideFlag is a flag of the commands that show tables.
type WideFlag struct {
	Wide bool `help:"Do not cut to the width of the terminal. In a pipe or a file nothing is ever cut."`
}

// keyHelp is the help of flags with a verifier key.
const keyHelp = "The public key of the log: the .pub file, or its text."
