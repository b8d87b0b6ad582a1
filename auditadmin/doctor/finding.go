package doctor

import (
	"fmt"

	"github.com/hoc-analytics/coordaudit/audit"
)

// Severity is how much a finding matters.
type Severity string

// The severities, the worst first.
const (
	// Error means that records are or will be refused, lost, changed or unexplained.
	Error Severity = "error"

	// Unchecked means that the check could not be done.
	Unchecked Severity = "unchecked"

	// Warning means that the trail promises less than it could, or will fail if no one acts.
	Warning Severity = "warning"

	// Notice is worth knowing, and may be as it should be.
	Notice Severity = "notice"
)

// Severities lists the severities, the worst first.
func Severities() []Severity { return []Severity{Error, Unchecked, Warning, Notice} }

// Finding is one thing that a check found. Its texts are one line each and hold no value
// of a record.
type Finding struct {
	// Check is the name of the check. See [Checks].
	Check string

	Severity Severity

	// Object is what the finding is about, such as "index public.mine" or "role service".
	Object string

	// Evidence is what was found, and what it means.
	Evidence string

	// Repair is the command that repairs it, or the reason why none can.
	Repair string
}

// String returns one line.
func (f Finding) String() string {
	text := fmt.Sprintf("%s: %s: %s: %s", f.Severity, f.Check, f.Object, f.Evidence)
	if f.Repair != "" {
		text += ": " + f.Repair
	}
	return text
}

// printable escapes control characters in names, to protect terminals.
func (f Finding) printable() Finding {
	for _, text := range []*string{&f.Object, &f.Evidence, &f.Repair} {
		*text = audit.Printable(*text)
	}
	return f
}
