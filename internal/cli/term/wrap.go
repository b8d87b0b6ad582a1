package term

import (
	"strings"
	"unicode/utf8"
)

// Wrap breaks a line at its blanks, so that it fits the screen. Each line begins with
// indent, and those after the first with two blanks more. A word that is too long is cut.
// Where nothing is cut, the text stays one line.
func (s Screen) Wrap(indent, text string) string {
	if s.Columns == 0 {
		return indent + text + "\n"
	}
	var lines strings.Builder
	line := indent
	empty := true
	for word := range strings.FieldsSeq(text) {
		if !empty && utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > s.Columns {
			lines.WriteString(line + "\n")
			line, empty = indent+"  ", true
		}
		if !empty {
			line += " "
		}
		line += Shorten(word, s.Columns-utf8.RuneCountInString(line))
		empty = false
	}
	return lines.String() + line + "\n"
}
