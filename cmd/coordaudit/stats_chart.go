package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/hoc-analytics/coordaudit/audit"
)

// mostDays is how many days a chart shows, the latest ones.
const mostDays = 60

// dayChart has a bar for each day that has records, stacked of the classes'
// first letters.
func dayChart(days []audit.DayCount, paint func(colour, text string) string) string {
	omitted := max(len(days)-mostDays, 0)
	days = days[omitted:]
	most := int64(0)
	for _, day := range days {
		most = max(most, day.Total())
	}
	width := screenColumns - len(time.DateOnly) - len(grouped(most)) - 2*len(columnGap)

	var text strings.Builder
	legend := make([]string, 0, len(audit.EnvelopeClasses()))
	for _, class := range audit.EnvelopeClasses() {
		legend = append(legend, string(class[:1])+" "+strings.ToLower(string(class)))
	}
	title := fmt.Sprintf("%-*s%s%s", len(time.DateOnly), "DAY (UTC)", columnGap, strings.Join(legend, ", "))
	text.WriteString(paint(bold, title) + "\n")
	if omitted > 0 {
		fmt.Fprintf(&text, "(%s left out)\n", plural(int64(omitted), "earlier day"))
	}
	for i, day := range days {
		if i > 0 {
			text.WriteString(gapText(days[i-1].Day, day.Day))
		}
		text.WriteString(day.Day.Format(time.DateOnly) + columnGap + bar(day, most, width, paint) + columnGap + grouped(day.Total()) + "\n")
	}
	return text.String()
}

// gapText: a day without a decision is news, years of them are one line.
func gapText(before, after time.Time) string {
	days := int64(after.Sub(before)/(24*time.Hour)) - 1
	if days < 1 {
		return ""
	}
	return fmt.Sprintf("(%s without records)\n", plural(days, "day"))
}

// bar gives each class that occurs at least one letter: an UNKNOWN among a
// thousand others is what one looks for. Rounding up takes the room of one letter
// a class.
func bar(day audit.DayCount, most int64, width int, paint func(colour, text string) string) string {
	room := int64(width - len(audit.EnvelopeClasses()))
	var text strings.Builder
	for _, class := range audit.EnvelopeClasses() {
		letters := day.ByClass[class]
		if most > room {
			letters = (letters*room + most - 1) / most
		}
		if letters > 0 {
			text.WriteString(paint(classColour(class), strings.Repeat(string(class[:1]), int(letters))))
		}
	}
	return text.String()
}
