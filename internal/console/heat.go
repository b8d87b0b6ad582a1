package console

import (
	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/format"
)

// heat is the friction between the classes, as a table.
type heat struct {
	Columns []audit.EnvelopeClass
	Rows    []heatRow
}

type heatRow struct {
	Class audit.EnvelopeClass
	Cells []heatCell
}

type heatCell struct {
	audit.Friction

	// Level is 0 for no conflict, else 1 to 5 by the share of the largest.
	Level int
}

func newHeat(friction []audit.Friction) heat {
	type pair struct{ class, counterpart audit.EnvelopeClass }
	byPair, most := make(map[pair]audit.Friction), int64(0)
	isRow, isColumn := make(map[audit.EnvelopeClass]bool), make(map[audit.EnvelopeClass]bool)
	for _, f := range friction {
		byPair[pair{f.EnvelopeClass, f.CounterpartClass}] = f
		isRow[f.EnvelopeClass], isColumn[f.CounterpartClass] = true, true
		most = max(most, f.Conflicts)
	}
	h := heat{Columns: format.Classes(isColumn)}
	for _, class := range format.Classes(isRow) {
		row := heatRow{Class: class}
		for _, counterpart := range h.Columns {
			f := byPair[pair{class, counterpart}]
			level := 0
			if f.Conflicts > 0 {
				level = 1 + int(min(4, 5*f.Conflicts/max(most, 1)))
			}
			row.Cells = append(row.Cells, heatCell{f, level})
		}
		h.Rows = append(h.Rows, row)
	}
	return h
}
