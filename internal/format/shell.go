package format

import (
	"regexp"
	"strings"

	"github.com/hoc-analytics/coordaudit/audit"
)

// ShellQuoted is a text in quotes, as one word for a shell.
func ShellQuoted(text string) string {
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}

// ScopeFlags is a scope as flags of a command.
func ScopeFlags(scope audit.Scope) string {
	switch {
	case scope.IsAllTenants():
		return "--all-tenants"
	case scope.TenantID() == "":
		return "--no-tenant"
	default:
		return "--tenant " + asWord(scope.TenantID())
	}
}

// asWord is an id as one word of a command line. An id that a shell or a terminal would read
// in another way becomes ID, for the reader to fill in.
func asWord(id string) string {
	if regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.:/@+-]*$`).MatchString(id) {
		return id
	}
	return "ID"
}
