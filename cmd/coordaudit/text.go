package main

import (
	"strings"
	"time"
	"unicode/utf8"

	"github.com/hoc-analytics/coordaudit/audit"
)

// screenColumns: what a person is shown fits lines of so many characters.
const screenColumns = 100

// The colours, as parameters of the terminal's SGR sequence.
const (
	bold    = "1"
	dim     = "2"
	red     = "31"
	green   = "32"
	yellow  = "33"
	blue    = "34"
	magenta = "35"
	cyan    = "36"
)

func decisionColour(decision audit.Decision) string {
	switch decision {
	case audit.Applied:
		return green
	case audit.Rejected:
		return red
	default:
		return yellow
	}
}

// classColour leaves green and red to the decisions.
func classColour(class audit.EnvelopeClass) string {
	switch class {
	case audit.Safety:
		return magenta
	case audit.Reliability:
		return blue
	case audit.Cost:
		return cyan
	case audit.Performance:
		return yellow
	default:
		return dim
	}
}

func painter(colour bool) func(colour, text string) string {
	if !colour {
		return func(_, text string) string { return text }
	}
	return func(colour, text string) string { return "\x1b[" + colour + "m" + text + "\x1b[0m" }
}

// colourful: on a terminal that can, unless https://no-color.org is asked for.
func (p *program) colourful() bool {
	return isTerminal(p.stdout) && p.env("NO_COLOR") == "" && p.env("TERM") != "dumb"
}

// folded is a record's text for one line of a terminal.
func folded(text string) string {
	return printable(strings.NewReplacer("\r\n", " ", "\n", " ", "\r", " ", "\t", " ").Replace(text))
}

// shorten cuts a text's end, to so many characters.
func shorten(text string, width int) string {
	if utf8.RuneCountInString(text) <= width {
		return text
	}
	return string([]rune(text)[:max(width-1, 0)]) + "…"
}

// shortenID cuts an id's middle: what tells ids apart often stands at their end.
func shortenID(id string, width int) string {
	runes := []rune(id)
	if len(runes) <= width {
		return id
	}
	end := max(width-1, 0) / 2
	return string(runes[:max(width-1, 0)-end]) + "…" + string(runes[len(runes)-end:])
}

// secondText is a time in a table, whose title says that it is UTC.
func secondText(at time.Time) string { return at.UTC().Format(time.DateTime) }

// windowText says which decisions a command looked at.
func windowText(w audit.Window) string {
	switch {
	case w.Since.IsZero() && w.Until.IsZero():
		return "of any time"
	case w.Until.IsZero():
		return "since " + timeText(w.Since)
	case w.Since.IsZero():
		return "before " + timeText(w.Until)
	default:
		return "from " + timeText(w.Since) + " to " + timeText(w.Until)
	}
}
