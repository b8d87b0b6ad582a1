package report

import (
	"math"
	"time"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/format"
)

// The sizes of the drawing in pixels. Widths are shares of the whole width.
const (
	plotTop    = 12
	plotHeight = 200
	plotBase   = plotTop + plotHeight

	// maxBars is how many bars a person can still distinguish.
	maxBars = 120
)

// timing is the chart of the decisions over time.
type timing struct {
	// Unit is the time that one bar covers: "hour", "day", "7 days".
	Unit    string
	Bars    []bar
	Grid    []gridLine
	Labels  []tick
	Classes []classTotal
	Cut     bool

	// Undrawn is how many records have a time that is not drawn.
	Undrawn int64
}

type classTotal struct {
	Class audit.EnvelopeClass
	Count int64
}

type bar struct {
	// Slot is the share of the width that the bar and the space around it take.
	Slot, SlotWidth string
	X, Width        string
	Name            string
	Total           int64
	ByClass         []classTotal
	Parts           []barPart
}

type barPart struct {
	Class     audit.EnvelopeClass
	Y, Height string
}

type gridLine struct{ Y, TextY, Text string }

// bin is what one bar counts.
type bin struct {
	from, to int64
	byClass  map[audit.EnvelopeClass]int64
	total    float64 // a float, because the sum of large counts must not overflow
}

func newTiming(data Data, s span) timing {
	unit, step := day, stepDays(s)
	if len(data.Hours) > 0 {
		unit, step = hour, 1
	}
	bins := makeBins(s, unit*step)
	totals := make(map[audit.EnvelopeClass]int64)
	var undrawn int64
	add := func(at time.Time, byClass map[audit.EnvelopeClass]int64) {
		if !isDrawn(at) {
			undrawn += audit.DayCount{ByClass: byClass}.Total()
			return
		}
		i := floorDiv(at.Unix()-bins[0].from, unit*step)
		i = min(max(i, 0), int64(len(bins)-1)) // an hour or a day may begin before the window
		for class, n := range byClass {
			bins[i].byClass[class] += n
			bins[i].total += float64(n)
			totals[class] += n
		}
	}
	if unit == hour {
		for _, count := range data.Hours {
			add(count.Hour, count.ByClass)
		}
	} else {
		for _, count := range data.Breakdown.ByDay {
			add(count.Day, count.ByClass)
		}
	}
	t := timing{Unit: unitName(unit, step), Cut: s.cut, Undrawn: undrawn}
	for _, class := range format.Classes(totals) {
		t.Classes = append(t.Classes, classTotal{class, totals[class]})
	}
	t.draw(bins, s, unit)
	return t
}

func stepDays(s span) int64 {
	first, last := floorDiv(s.from, day), floorDiv(s.to-1, day)
	for _, step := range []int64{1, 7, 30, 90, 365, 3650} {
		if (last-first)/step < maxBars {
			return step
		}
	}
	return 36500 // 9,999 years have 101 such bins
}

func makeBins(s span, size int64) []bin {
	align := min(size, day) // a bin of days begins at midnight
	var bins []bin
	for from := floorDiv(s.from, align) * align; from < s.to; from += size {
		bins = append(bins, bin{from: from, to: from + size, byClass: make(map[audit.EnvelopeClass]int64)})
	}
	return bins
}

// floorDiv divides and rounds down, also for years before 1970.
func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

func unitName(unit, step int64) string {
	switch {
	case unit == hour:
		return "hour"
	case step == 1:
		return "day"
	default:
		return format.Thousands(step) + " days"
	}
}

func (t *timing) draw(bins []bin, s span, unit int64) {
	var most float64
	for _, b := range bins {
		most = max(most, b.total)
	}
	step, top := niceScale(most)
	for i := range int(math.Round(top/step)) + 1 {
		value := float64(i) * step
		y := plotBase - plotHeight*value/top
		t.Grid = append(t.Grid, gridLine{pixels(y), pixels(y + 4), compact(value)})
	}
	slot := 1 / float64(len(bins))
	width := min(0.78*slot, 0.08)
	const wide, narrow = 10, 5
	every := (len(bins) + wide - 1) / wide
	for i, b := range bins {
		left := float64(i) * slot
		t.Bars = append(t.Bars, b.bar(left, slot, width, top, unit))
		if i%every == 0 {
			t.Labels = append(t.Labels, tick{
				X:      format.Length(left + slot/2),
				Text:   s.label(b.from),
				Anchor: "middle",
				Minor:  len(bins) > narrow*every && i/every%2 == 1,
			})
		}
	}
	if unit == hour {
		t.Labels = hourLabels(bins)
	}
}
