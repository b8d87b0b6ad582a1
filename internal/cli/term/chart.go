package term

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/format"
)

// MaxDays is how many days a chart shows. They are the latest ones.
const MaxDays = 60

// DayChart has a bar for each day that has records. The bar consists of the first letters
// of the classes.
func DayChart(days []audit.DayCount, on Screen) string {
	omitted := len(days) - on.Limit(MaxDays, len(days))
	days = days[omitted:]
	highest := int64(0)
	for _, day := range days {
		highest = max(highest, day.Total())
	}
	columns := on.Columns
	if columns == 0 {
		columns = DefaultColumns // the numbers come after the bars
	}
	width := columns - len(time.DateOnly) - len(format.Thousands(highest)) - 2*len(ColumnGap)

	var text strings.Builder
	legend := make([]string, 0, len(audit.EnvelopeClasses()))
	for _, class := range audit.EnvelopeClasses() {
		legend = append(legend, string(class[:1])+" "+strings.ToLower(string(class)))
	}
	if slices.ContainsFunc(days, func(day audit.DayCount) bool { return otherClasses(day.ByClass) > 0 }) {
		legend = append(legend, otherLetter+" another class")
	}
	title := on.Hang(fmt.Sprintf("%-*s%s", len(time.DateOnly), "DAY (UTC)", ColumnGap), strings.Join(legend, ", "))
	for line := range strings.Lines(title) {
		text.WriteString(on.Paint(Bold, strings.TrimSuffix(line, "\n")) + "\n")
	}
	if omitted > 0 {
		fmt.Fprintf(&text, "(%s left out)\n", format.Plural(int64(omitted), "earlier day"))
	}
	for i, day := range days {
		if i > 0 {
			text.WriteString(gapText(days[i-1].Day, day.Day))
		}
		text.WriteString(fmt.Sprintf("%-*s", len(time.DateOnly), format.Day(day.Day)) + ColumnGap + bar(day, highest, width, on) + ColumnGap + format.Thousands(day.Total()) + "\n")
	}
	return text.String()
}

// gapText shows days without a decision, however many there are, in one line.
func gapText(before, after time.Time) string {
	days := (after.Unix()-before.Unix())/(24*60*60) - 1 // a time.Duration holds 292 years
	if days < 1 || audit.IsInfinite(before) || audit.IsInfinite(after) {
		return ""
	}
	return fmt.Sprintf("(%s without records)\n", format.Plural(days, "day"))
}

// bar gives each class that occurs at least one letter, because one UNKNOWN among a
// thousand others is what a person looks for. Rounding up takes the room of one letter a
// class.
func bar(day audit.DayCount, highest int64, width int, on Screen) string {
	room := max(int64(width-len(audit.EnvelopeClasses())-len(otherLetter)), 1)
	var text strings.Builder
	part := func(records int64, colour, letter string) {
		if highest > room {
			records = (records*room + highest - 1) / highest
		}
		if records > 0 {
			text.WriteString(on.Paint(colour, strings.Repeat(letter, int(records))))
		}
	}
	for _, class := range audit.EnvelopeClasses() {
		part(day.ByClass[class], ClassColour(class), string(class[:1]))
	}
	part(otherClasses(day.ByClass), Dim, otherLetter)
	return text.String()
}

// otherLetter stands for the classes that only adopted rows can have.
const otherLetter = "?"

func otherClasses(counts map[audit.EnvelopeClass]int64) (records int64) {
	for class, n := range counts {
		if !slices.Contains(audit.EnvelopeClasses(), class) {
			records += n
		}
	}
	return records
}
