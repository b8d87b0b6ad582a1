package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
)

// flagVariables are what the flags' tags refer to.
func flagVariables() kong.Vars {
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
	}
}

// scopeFlags say whose records a command sees. There is no default.
type scopeFlags struct {
	Tenant     *string `xor:"scope" required:"" placeholder:"ID" help:"Look among this tenant's records."`
	NoTenant   bool    `xor:"scope" required:"" help:"Look among the records that belong to no tenant."`
	AllTenants bool    `xor:"scope" required:"" help:"Look among all records."`
}

func (f scopeFlags) scope() audit.Scope {
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
func (f scopeFlags) Validate() error {
	if f.Tenant != nil && *f.Tenant == "" {
		return errors.New("--tenant is empty; for records that belong to no tenant use --no-tenant")
	}
	return nil
}

// windowFlags bound the decisions' time, the first bound included, the second not.
// A command that bounds another time sets bounded.
type windowFlags struct {
	Since string `placeholder:"TIME" default:"${since_default}" help:"${bounded} from this time on: RFC 3339 with an offset, or how long ago, such as 24h or 7d.${since_note}"`
	Until string `placeholder:"TIME" help:"${bounded} before this time, given likewise."`
}

// weekFlags are windowFlags that look a week back unless told otherwise. A command
// that embeds them sets since_note, in words of its own: a tag holds one set.
type weekFlags struct {
	windowFlags `embed:"" set:"since_default=7d"`
}

// window reads the bounds. Both are reckoned from the same now.
func (f windowFlags) window(now time.Time) (audit.Window, error) {
	since, sinceErr := parseBound("--since", f.Since, now)
	until, untilErr := parseBound("--until", f.Until, now)
	if err := together(sinceErr, untilErr); err != nil {
		return audit.Window{}, usage("reading the window", err, "see --help")
	}
	if !since.IsZero() && !until.IsZero() && since.After(until) {
		return audit.Window{}, usage("reading the window", errors.New("--since lies after --until"), "exchange them")
	}
	return audit.Window{Since: since, Until: until}.Normalized(), nil
}

// together is all faults of a command line in one line; nil if there are none.
func together(errs ...error) error {
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

// pinned are the flags that stand for the same window at any later time; none for
// bounds that do so already.
func (f windowFlags) pinned(window audit.Window) []string {
	var flags []string
	if _, relative := parseAgo(f.Since); relative {
		flags = append(flags, "--since "+timeText(window.Since))
	}
	if _, relative := parseAgo(f.Until); relative {
		flags = append(flags, "--until "+timeText(window.Until))
	}
	return flags
}

// parseBound reads a time, or how long before now it was. Nothing is an open bound.
func parseBound(flag, text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if ago, ok := parseAgo(text); ok {
		return now.Add(-ago), nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil || at.IsZero() {
		return time.Time{}, fmt.Errorf("%s must be an RFC 3339 time with an offset, such as 2026-01-31T12:00:00Z, or how long ago, such as 24h or 7d", flag)
	}
	return at, nil
}

// parseAgo reads Go's durations and whole days, which Go leaves out because some
// have 23 hours. In UTC none has.
func parseAgo(text string) (time.Duration, bool) {
	const mostDays = 36_500
	if number, isDays := strings.CutSuffix(text, "d"); isDays {
		days, err := strconv.ParseUint(number, 10, 16)
		return time.Duration(days) * 24 * time.Hour, err == nil && days <= mostDays
	}
	ago, err := time.ParseDuration(text)
	return ago, err == nil && ago >= 0
}

// readFailed says a reading call's error as a person gets to see it.
func readFailed(tried string, err error) error {
	shown := &failure{tried: tried, cause: err}
	if cause := errors.Unwrap(err); cause != nil {
		shown.cause = cause // err itself begins with what was tried
	}
	invalid, isInvalid := errors.AsType[*audit.InvalidQueryError](err)
	switch {
	case isInvalid:
		shown.cause = errors.New(describeFaults(inFlags(invalid.Faults)))
		shown.code = exitUsage
	case errors.Is(err, audit.ErrUnavailable):
		shown.next = "check that the database runs and that its URL is right, and try again"
	}
	return shown
}

// inFlags names a query's faults by the flags that set its fields.
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
