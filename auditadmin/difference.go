package auditadmin

import (
	"fmt"
	"strings"
	"unicode"
)

// Severity is how much a difference matters.
type Severity string

// The severities.
const (
	// Notice means that the trail keeps its guarantees, such as with a foreign index
	// or a CHECK that rows from before the adoption violate.
	Notice Severity = "notice"

	// Error means that a guard is missing or disabled, or that records are or will be
	// refused or lost.
	Error Severity = "error"

	// Unchecked means that this role may not see the object.
	Unchecked Severity = "unchecked"
)

// Difference is a difference between what the migrations create and what a database
// has.
type Difference struct {
	// Object is the kind and name of an object, with its schema, such as "trigger
	// coordination_audit_refuse_truncate on public.coordination_audit_records".
	Object string

	Severity Severity

	// Want is what the migrations create. Got is what the database has.
	Want, Got string

	// Repair is the SQL or the command that repairs it, or the reason why none can.
	Repair string

	// Automatic means that [Repair] repairs it.
	Automatic bool

	steps []step
}

// String returns one line: the difference, and what to do about it.
func (d Difference) String() string {
	text := d.Object + ": " + d.Got
	if d.Want != "" {
		text += ", want " + d.Want
	}
	if d.Repair != "" {
		text += ": " + d.Repair
	}
	return text
}

// Errors returns the differences of severity [Error].
func Errors(differences []Difference) []Difference { return withSeverity(differences, Error) }

func withSeverity(differences []Difference, severity Severity) []Difference {
	var list []Difference
	for _, d := range differences {
		if d.Severity == severity {
			list = append(list, d)
		}
	}
	return list
}

// order is the position of a step in a repair. Guards come first, long steps last.
type order int

const (
	orderFunction order = iota
	orderTable
	orderTrigger
	orderColumn
	orderKey
	orderPersistence
	orderSequence
	orderCheck
	orderIndex
	orderVersions
)

// step is one action of Repair. Its statements are one transaction, unless PostgreSQL
// does not allow them in one.
type step struct {
	order      order
	statements []string
	concurrent bool      // each statement on its own, outside a transaction
	index      halfBuilt // what a failure leaves behind
	rows       string    // the explanation if rows prevent the step
	rights     string    // the explanation if the role may not, where the owner of the tables may not either
}

// halfBuilt is the index of a concurrent step, and its table.
type halfBuilt struct{ name, table string }

// sql returns the step as an operator would run it.
func (s step) sql() string {
	text := strings.Join(s.statements, "; ") + ";"
	if !s.concurrent && len(s.statements) > 1 {
		text = "BEGIN; " + text + " COMMIT;"
	}
	return text
}

// repairedBy marks a difference as one that Repair fixes.
func (d Difference) repairedBy(steps ...step) Difference {
	texts := make([]string, len(steps))
	for i, s := range steps {
		texts[i] = s.sql()
	}
	d.Repair, d.Automatic, d.steps = strings.Join(texts, " "), true, steps
	if strings.ContainsFunc(d.Repair, hidden) { // a body or an expression with line breaks
		d.Repair = "migrate repair"
	}
	return d
}

// printable escapes control and formatting characters in foreign names, to protect
// terminals.
func (d Difference) printable() Difference {
	for _, text := range []*string{&d.Object, &d.Want, &d.Got, &d.Repair} {
		*text = printable(*text)
	}
	return d
}

func printable(text string) string {
	if !strings.ContainsFunc(text, hidden) {
		return text
	}
	var b strings.Builder
	for _, r := range text {
		if hidden(r) {
			fmt.Fprintf(&b, `\u%04x`, r)
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}

func hidden(r rune) bool {
	return unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == '\u2028' || r == '\u2029'
}
