package term

import "strings"

// Wrap breaks a line at its blanks, so that it fits the screen. Each line begins with
// indent, and those after the first with two blanks more. A word that is too long is cut.
// Where nothing is cut, the text stays one line.
func (s Screen) Wrap(indent, text string) string {
	if s.Columns == 0 {
		return indent + text + "\n"
	}
	broken := breaker{columns: s.Columns, indent: indent + "  ", line: indent, empty: true}
	for word := range strings.FieldsSeq(text) {
		broken.fit(word)
		broken.add(Shorten(word, s.Columns-Cells(broken.line)))
	}
	return broken.text.String() + broken.line + "\n"
}

// Hang breaks a text that follows a label, and indents its further lines to the place where
// it begins. It cuts nothing: a word that is too long for a line is broken.
func (s Screen) Hang(label, text string) string {
	indent := strings.Repeat(" ", Cells(label))
	if s.Columns == 0 {
		return label + strings.ReplaceAll(text, "\n", "\n"+indent) + "\n"
	}
	broken := breaker{columns: s.Columns, indent: indent, line: label, empty: true}
	for i, line := range strings.Split(text, "\n") {
		if i > 0 {
			broken.next()
		}
		if Cells(broken.line)+Cells(line) <= s.Columns {
			broken.add(line)
			continue
		}
		for word := range strings.FieldsSeq(line) {
			broken.fit(word)
			broken.addBroken(word)
		}
	}
	return broken.text.String() + strings.TrimRight(broken.line, " ") + "\n"
}

// breaker fills lines with words.
type breaker struct {
	text    strings.Builder
	columns int
	indent  string // of the lines after the first
	line    string
	empty   bool // the line has no word yet
}

// fit begins a new line if the word does not fit this one.
func (b *breaker) fit(word string) {
	if !b.empty && Cells(b.line)+1+Cells(word) > b.columns {
		b.next()
	}
}

func (b *breaker) next() {
	b.text.WriteString(strings.TrimRight(b.line, " ") + "\n")
	b.line, b.empty = b.indent, true
}

func (b *breaker) add(word string) {
	if !b.empty {
		b.line += " "
	}
	b.line += word
	b.empty = false
}

// addBroken breaks a word that is too long for a line.
func (b *breaker) addBroken(word string) {
	b.add("")
	for Cells(b.line)+Cells(word) > b.columns {
		first := head(word, b.columns-Cells(b.line))
		if first == "" && b.line == b.indent { // not even one character fits
			break
		}
		b.line += first
		b.next()
		word = word[len(first):]
	}
	b.line += word
	b.empty = false
}
