package format

import "strings"

// ShellQuoted is a text in quotes, as one word for a shell.
func ShellQuoted(text string) string {
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}
