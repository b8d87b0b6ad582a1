package term

import (
	"strings"
	"unicode/utf8"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/format"
)

// Table is text in columns. It fits its screen as long as there is something left to cut
// in the columns that may be cut.
type Table struct {
	Columns []Column
	rows    [][]Cell
}

// Column is a column of a Table.
type Column struct {
	title string
	right bool                                // aligned
	cut   func(text string, width int) string // nil: never
}

// Cell is a text in a Table.
type Cell struct {
	Text   string
	Colour string // may be empty
}

// ColumnGap separates two columns.
const ColumnGap = "  "

// TextColumn is never cut.
func TextColumn(title string) Column { return Column{title: title} }

// NumberColumn is aligned to the right and never cut.
func NumberColumn(title string) Column { return Column{title: title, right: true} }

// IDColumn may be cut in the middle.
func IDColumn(title string) Column { return Column{title: title, cut: ShortenID} }

// ProseColumn may be cut at the end.
func ProseColumn(title string) Column { return Column{title: title, cut: Shorten} }

// Plain is a cell with a text of the trail.
func Plain(text string) Cell { return Cell{Text: format.Folded(text)} }

// Count is a cell with a number.
func Count(n int64) Cell { return Cell{Text: format.Thousands(n)} }

// Add adds a row.
func (t *Table) Add(r ...Cell) { t.rows = append(t.rows, r) }

// ClassCell shows an envelope's class in its colour.
func ClassCell(class audit.EnvelopeClass) Cell { return Cell{string(class), ClassColour(class)} }

// DecisionCell shows a decision in its colour.
func DecisionCell(decision audit.Decision) Cell {
	return Cell{string(decision), DecisionColour(decision)}
}

// Text is the title line and the rows, without blanks at their ends.
func (t *Table) Text(on Screen) string {
	widths := t.widths(on.Columns)
	titles := make([]Cell, len(t.Columns))
	for i, c := range t.Columns {
		titles[i] = Cell{Text: c.title}
	}
	plainly := Screen{}
	var text strings.Builder
	text.WriteString(on.Paint(Bold, t.line(titles, widths, plainly)) + "\n")
	for _, row := range t.rows {
		text.WriteString(t.line(row, widths, on) + "\n")
	}
	return text.String()
}

// line lays out one row. It adds colours after the padding, which must not count them.
func (t *Table) line(row []Cell, widths []int, on Screen) string {
	last := len(row) - 1
	for last > 0 && row[last].Text == "" {
		last--
	}
	var text strings.Builder
	for i, one := range row[:last+1] {
		c, shown := t.Columns[i], one.Text
		if c.cut != nil {
			shown = c.cut(shown, widths[i])
		}
		blanks := strings.Repeat(" ", max(widths[i]-utf8.RuneCountInString(shown), 0))
		switch {
		case c.right:
			shown = blanks + shown
		case i < last:
			shown += blanks
		default:
			shown = strings.TrimRight(shown, " ")
		}
		if one.Colour != "" {
			shown = on.Paint(one.Colour, shown)
		}
		if i > 0 {
			text.WriteString(ColumnGap)
		}
		text.WriteString(shown)
	}
	return text.String()
}

// widths gives each column the width that it needs. Then it narrows the widest of the
// columns that may be cut until the line fits. Without a limit it narrows nothing.
func (t *Table) widths(limit int) []int {
	widths := make([]int, len(t.Columns))
	total := len(ColumnGap) * (len(t.Columns) - 1)
	for i, c := range t.Columns {
		widths[i] = utf8.RuneCountInString(c.title)
		for _, row := range t.rows {
			needed := utf8.RuneCountInString(row[i].Text)
			if limit > 0 {
				needed = min(needed, limit)
			}
			widths[i] = max(widths[i], needed)
		}
		total += widths[i]
	}
	for ; limit > 0 && total > limit; total-- {
		widest := -1
		for i, c := range t.Columns {
			if c.cut != nil && widths[i] > 1 && (widest < 0 || widths[i] >= widths[widest]) {
				widest = i
			}
		}
		if widest < 0 {
			break
		}
		widths[widest]--
	}
	return widths
}

// MaxRows is how many rows of an open-ended list a person sees.
const MaxRows = 20

// Left says how many rows were not shown. It is empty if all were.
func Left(all, shown int, noun string) string {
	if all <= shown {
		return ""
	}
	return "(and " + format.Plural(int64(all-shown), "more "+noun) + ", all with --wide or --json)\n"
}
