package term

import (
	"io"
	"os"
	"strconv"
)

// DefaultColumns is the width of a terminal that does not report one.
const DefaultColumns = 100

// Screen is where a person reads a result.
type Screen struct {
	Columns int // 0 if nothing is cut: in a pipe, or with --wide
	Colour  bool
}

// Columns is the width that the terminal reports, or that of the variable COLUMNS, or
// DefaultColumns.
func Columns(terminal any, variable string) int {
	if file, ok := terminal.(*os.File); ok {
		if columns, ok := windowColumns(file); ok {
			return max(columns, minColumns)
		}
	}
	if columns, err := strconv.Atoi(variable); err == nil && columns > 0 {
		return max(columns, minColumns)
	}
	return DefaultColumns
}

// minColumns is what a table needs to say anything.
const minColumns = 60

// IsTerminal reports a terminal. It asks the standard library, for the reason that
// Progress gives.
func IsTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// Paint colours a text if the screen has colours.
func (s Screen) Paint(colour, text string) string { return Painter(s.Colour)(colour, text) }

// Shorten cuts a text to the rest of a line, of which taken characters are used.
func (s Screen) Shorten(text string, taken int) string {
	if s.Columns == 0 {
		return text
	}
	return Shorten(text, s.Columns-taken)
}

// Limit is how many of n entries are shown. If nothing is cut, all are.
func (s Screen) Limit(limit, n int) int {
	if s.Columns == 0 {
		return n
	}
	return min(limit, n)
}
