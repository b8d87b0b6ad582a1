package term

import (
	"strings"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/format"
)

// Table is text in columns. To fit its screen, it cuts the columns that may be cut. If that
// is not enough, each row takes several lines: the columns that do not fit are below.
type Table struct {
	Columns []Column
	rows    [][]Cell
}

// Column is a column of a Table.
type Column struct {
	title string
	right bool                                // aligned
	cut   func(text string, width int) string // nil: never
	least int                                 // what it is cut to before the row takes another line
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
func IDColumn(title string) Column { return Column{title: title, cut: ShortenID, least: minID} }

// ProseColumn may be cut at the end.
func ProseColumn(title string) Column { return Column{title: title, cut: Shorten, least: minProse} }

// What a cut text keeps, so that a reader recognises it.
const (
	minID    = 8
	minProse = 16
)

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

// Text is the title and the rows, without blanks at the ends of their lines.
func (t *Table) Text(on Screen) string {
	parts := t.layout(on.Columns)
	titles := make([]Cell, len(t.Columns))
	for i, c := range t.Columns {
		titles[i] = Cell{Text: c.title, Colour: Bold}
	}
	var text strings.Builder
	for _, row := range append([][]Cell{titles}, t.rows...) {
		for i, part := range parts {
			line := t.line(row[part.from:part.to], part, on)
			if i > 0 && line == "" {
				continue
			}
			if i > 0 {
				text.WriteString(partIndent)
			}
			text.WriteString(line + "\n")
		}
	}
	return text.String()
}

// part is the columns that share a line.
type part struct {
	from, to int
	widths   []int // by column, counted from the first of the table
}

// partIndent sets the second line of a row off from the first.
const partIndent = "    "

// layout distributes the columns over as few lines as possible. Without a limit that is one.
func (t *Table) layout(limit int) []part {
	needed, least := t.needed(limit)
	if limit == 0 {
		return []part{{0, len(t.Columns), needed}}
	}
	var parts []part
	for from := 0; from < len(t.Columns); {
		room := limit
		if from > 0 {
			room -= len(partIndent)
		}
		to, total := from+1, least[from]
		for to < len(t.Columns) && total+len(ColumnGap)+least[to] <= room {
			total += len(ColumnGap) + least[to]
			to++
		}
		parts = append(parts, part{from, to, t.narrow(needed, least, from, to, room)})
		from = to
	}
	return parts
}

// needed are the widths that show everything, and least those to which the columns may be cut.
func (t *Table) needed(limit int) (needed, least []int) {
	needed, least = make([]int, len(t.Columns)), make([]int, len(t.Columns))
	for i, c := range t.Columns {
		needed[i] = Cells(c.title)
		for _, row := range t.rows {
			needed[i] = max(needed[i], Cells(row[i].Text))
		}
		if limit > 0 && c.cut != nil {
			needed[i] = min(needed[i], limit)
		}
		if least[i] = needed[i]; c.cut != nil {
			least[i] = min(needed[i], c.least)
		}
	}
	return needed, least
}

// narrow takes from the widest of the columns that may be cut until the line fits.
func (t *Table) narrow(needed, least []int, from, to, room int) []int {
	widths := append([]int(nil), needed...)
	total := len(ColumnGap) * (to - from - 1)
	for _, one := range widths[from:to] {
		total += one
	}
	for ; total > room; total-- {
		widest := -1
		for i := from; i < to; i++ {
			if widths[i] > least[i] && (widest < 0 || widths[i] >= widths[widest]) {
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

// line lays out the cells of one line. It adds colours after the padding, which must not
// count them.
func (t *Table) line(cells []Cell, of part, on Screen) string {
	last := len(cells) - 1
	for last >= 0 && cells[last].Text == "" {
		last--
	}
	var text strings.Builder
	for i, one := range cells[:last+1] {
		c, width, shown := t.Columns[of.from+i], of.widths[of.from+i], one.Text
		if c.cut != nil {
			shown = c.cut(shown, width)
		}
		blanks := strings.Repeat(" ", max(width-Cells(shown), 0))
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

// MaxRows is how many rows of an open-ended list a person sees.
const MaxRows = 20

// Left says how many rows were not shown. It is empty if all were.
func (s Screen) Left(indent string, all, shown int, noun string) string {
	if all <= shown {
		return ""
	}
	return s.Wrap(indent, "(and "+format.Plural(int64(all-shown), "more "+noun)+", all with --wide or --json)")
}
