package report

import (
	"math"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/format"
)

// heatLevels is the number of shades, without the one for no conflict.
const heatLevels = 6

// heatmap is the friction between the classes.
type heatmap struct {
	Columns []audit.EnvelopeClass
	Rows    []heatRow
	Most    int64
	Levels  []int

	// Unresolved means that there is a column of that name, which the page must explain.
	Unresolved bool
}

type heatRow struct {
	Class audit.EnvelopeClass
	Cells []heatCell
}

type heatCell struct {
	Friction audit.Friction

	// Level is 0 for no conflict, else 1 to heatLevels by the square root of the number.
	// Classes differ by orders of magnitude, and few conflicts must not look like none.
	Level int
}

func newHeatmap(friction []audit.Friction) heatmap {
	type pair struct{ class, counterpart audit.EnvelopeClass }
	rows, columns := make(map[audit.EnvelopeClass]bool), make(map[audit.EnvelopeClass]bool)
	for _, class := range audit.EnvelopeClasses() {
		if class != audit.Unknown {
			rows[class], columns[class] = true, true
		}
	}
	byPair := make(map[pair]audit.Friction)
	h := heatmap{}
	for _, f := range friction {
		byPair[pair{f.EnvelopeClass, f.CounterpartClass}] = f
		rows[f.EnvelopeClass], columns[f.CounterpartClass] = true, true
		h.Most = max(h.Most, f.Conflicts)
	}
	h.Columns, h.Unresolved = format.Classes(columns), columns[audit.Unresolved]
	for _, class := range format.Classes(rows) {
		row := heatRow{Class: class}
		for _, counterpart := range h.Columns {
			f, ok := byPair[pair{class, counterpart}]
			if !ok {
				f = audit.Friction{EnvelopeClass: class, CounterpartClass: counterpart}
			}
			row.Cells = append(row.Cells, heatCell{f, heatLevel(f.Conflicts, h.Most)})
		}
		h.Rows = append(h.Rows, row)
	}
	for level := range heatLevels {
		h.Levels = append(h.Levels, level+1)
	}
	return h
}

func heatLevel(n, most int64) int {
	if n <= 0 {
		return 0
	}
	level := int(math.Ceil(heatLevels * math.Sqrt(format.Ratio(n, most))))
	return min(max(level, 1), heatLevels)
}
