package main

import (
	"strings"
	"unicode/utf8"

	"github.com/hoc-analytics/coordaudit/audit"
)

// table is text in columns, which fits screenColumns as long as those columns
// that may be cut have something left to give.
type table struct {
	columns []column
	rows    [][]cell
}

type column struct {
	title string
	right bool                                // aligned
	cut   func(text string, width int) string // nil: never
}

type cell struct {
	text   string
	colour string // may be empty
}

// columnGap stands between two columns.
const columnGap = "  "

// The columns that most tables are made of.
func textColumn(title string) column   { return column{title: title} }
func numberColumn(title string) column { return column{title: title, right: true} }
func idColumn(title string) column     { return column{title: title, cut: shortenID} }
func proseColumn(title string) column  { return column{title: title, cut: shorten} }

func plain(text string) cell   { return cell{text: folded(text)} }
func counted(n int64) cell     { return cell{text: grouped(n)} }
func (t *table) add(r ...cell) { t.rows = append(t.rows, r) }

func classCell(class audit.EnvelopeClass) cell { return cell{string(class), classColour(class)} }

// text is the title line and the rows, with no blanks at their ends.
func (t *table) text(paint func(colour, text string) string) string {
	widths := t.widths()
	titles := make([]cell, len(t.columns))
	for i, c := range t.columns {
		titles[i] = cell{text: c.title}
	}
	plainly := painter(false)
	var text strings.Builder
	text.WriteString(paint(bold, t.line(titles, widths, plainly)) + "\n")
	for _, row := range t.rows {
		text.WriteString(t.line(row, widths, paint) + "\n")
	}
	return text.String()
}

// line lays out one row. Colours come after the padding, which cannot count them.
func (t *table) line(row []cell, widths []int, paint func(colour, text string) string) string {
	last := len(row) - 1
	for last > 0 && row[last].text == "" {
		last--
	}
	var text strings.Builder
	for i, one := range row[:last+1] {
		c, shown := t.columns[i], one.text
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
		if one.colour != "" {
			shown = paint(one.colour, shown)
		}
		if i > 0 {
			text.WriteString(columnGap)
		}
		text.WriteString(shown)
	}
	return text.String()
}

// widths gives each column what it needs, and then takes from the widest of those
// that may be cut until the line fits.
func (t *table) widths() []int {
	widths := make([]int, len(t.columns))
	total := len(columnGap) * (len(t.columns) - 1)
	for i, c := range t.columns {
		widths[i] = utf8.RuneCountInString(c.title)
		for _, row := range t.rows {
			widths[i] = max(widths[i], min(utf8.RuneCountInString(row[i].text), screenColumns))
		}
		total += widths[i]
	}
	for ; total > screenColumns; total-- {
		widest := -1
		for i, c := range t.columns {
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

// mostRows is how many rows of an open-ended list a person is shown.
const mostRows = 20

// left says how many rows were not shown; empty if none.
func left(all, shown int, noun string) string {
	if all <= shown {
		return ""
	}
	return "(and " + plural(int64(all-shown), "more "+noun) + ", all with --json)\n"
}
