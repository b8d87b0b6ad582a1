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
	if columns, _, ok := sizeOf(terminal); ok && columns > 0 {
		return max(columns, MinColumns)
	}
	if columns, err := strconv.Atoi(variable); err == nil && columns > 0 {
		return max(columns, MinColumns)
	}
	return DefaultColumns
}

// Rows is the height that the terminal reports. It is 0 if it reports none.
func Rows(terminal any) int {
	_, rows, _ := sizeOf(terminal)
	return rows
}

// MinColumns is what it takes to show an audit id, and to say anything. On a narrower
// terminal, lines wrap.
const MinColumns = 40

// IsTerminal reports a terminal. It asks the standard library, for the reason that
// Progress gives.
func IsTerminal(w io.Writer) bool {
	_, _, ok := sizeOf(w)
	return ok
}

func sizeOf(stream any) (columns, rows int, isTerminal bool) {
	file, ok := stream.(*os.File)
	if !ok {
		return 0, 0, false
	}
	return windowSize(file)
}

// Paint colours a text if the screen has colours.
func (s Screen) Paint(colour, text string) string { return Painter(s.Colour)(colour, text) }

// Shorten cuts a text to the rest of a line, of which taken cells are used.
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

// Fits reports whether a person sees the whole text at once on a terminal of this size, with
// a line left for the prompt. Colours take no room.
func Fits(text string, columns, rows int) bool {
	lines := 1
	inLine, colour := 0, false
	for _, r := range text {
		switch {
		case r == '\x1b':
			colour = true
		case colour:
			colour = r != 'm'
		case r == '\n':
			lines, inLine = lines+1, 0
		case inLine+cellsOf(r) > columns:
			lines, inLine = lines+1, cellsOf(r)
		default:
			inLine += cellsOf(r)
		}
		if lines > rows {
			return false
		}
	}
	return true
}
