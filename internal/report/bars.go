package report

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/hoc-analytics/coordaudit/internal/format"
)

func (b bin) bar(left, slot, width, top float64, unit int64) bar {
	drawn := bar{
		Slot:      format.Length(left),
		SlotWidth: format.Length(slot),
		X:         format.Length(left + (slot-width)/2),
		Width:     format.Length(width),
		Name:      b.name(unit),
	}
	y := float64(plotBase)
	for _, class := range format.Classes(b.byClass) {
		n := b.byClass[class]
		height := plotHeight * float64(n) / top
		y -= height
		drawn.Total += n
		drawn.ByClass = append(drawn.ByClass, classTotal{class, n})
		drawn.Parts = append(drawn.Parts, barPart{class, pixels(y), pixels(height)})
	}
	return drawn
}

func (b bin) name(unit int64) string {
	from, to := time.Unix(b.from, 0).UTC(), time.Unix(b.to, 0).UTC()
	switch {
	case unit == hour:
		return from.Format("2006-01-02 15:04") + " to " + to.Format("15:04")
	case b.to-b.from == day:
		return from.Format(time.DateOnly)
	default:
		return from.Format(time.DateOnly) + " to " + to.AddDate(0, 0, -1).Format(time.DateOnly)
	}
}

// Tooltip has the numbers of the bar.
func (b bar) Tooltip() string {
	parts := make([]string, len(b.ByClass))
	for i, of := range b.ByClass {
		parts[i] = fmt.Sprintf("%s %s", of.Class, format.Thousands(of.Count))
	}
	return b.Name + ": " + format.Plural(b.Total, "decision") + "\n" + strings.Join(parts, "\n")
}

// niceScale returns the distance between the lines of the grid and the highest line, which
// is at or above the highest value. The distance is 1, 2 or 5 times a power of ten, for
// about four lines.
func niceScale(most float64) (step, top float64) {
	most = max(most, 1)
	power := math.Pow(10, math.Floor(math.Log10(most/4)))
	step = 10 * power
	for _, factor := range []float64{1, 2, 5} {
		if factor*power*5 >= most {
			step = factor * power
			break
		}
	}
	step = max(step, 1) // there are no parts of a record
	return step, step * math.Ceil(most/step)
}

func pixels(y float64) string { return strconv.FormatFloat(y, 'f', 2, 64) }

// hourLabels name a day at its beginning, and hours in between.
func hourLabels(bins []bin) []tick {
	every := max(1, (len(bins)+7)/8)
	for _, round := range []int{1, 2, 3, 6, 12} {
		if round >= every {
			every = round
			break
		}
	}
	var labels []tick
	for i, b := range bins {
		at := time.Unix(b.from, 0).UTC()
		if at.Hour()%every != 0 {
			continue
		}
		layout := "15:04"
		if at.Hour() == 0 {
			layout = "Jan 2"
		}
		labels = append(labels, tick{
			X:      format.Length((float64(i) + 0.5) / float64(len(bins))),
			Text:   at.Format(layout),
			Anchor: "middle",
			Minor:  at.Hour()/every%2 == 1,
		})
	}
	return labels
}
