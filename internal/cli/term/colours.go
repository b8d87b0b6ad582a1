package term

import (
	"github.com/hoc-analytics/coordaudit/audit"
)

// The colours, as parameters of the terminal's SGR sequence.
const (
	Bold    = "1"
	Dim     = "2"
	Red     = "31"
	Green   = "32"
	Yellow  = "33"
	Blue    = "34"
	Magenta = "35"
	Cyan    = "36"
)

// DecisionColour is the colour of a decision.
func DecisionColour(decision audit.Decision) string {
	switch decision {
	case audit.Applied:
		return Green
	case audit.Rejected:
		return Red
	default:
		return Yellow
	}
}

// ClassColour is the colour of an envelope's class. Green and red belong to decisions.
func ClassColour(class audit.EnvelopeClass) string {
	switch class {
	case audit.Safety:
		return Magenta
	case audit.Reliability:
		return Blue
	case audit.Cost:
		return Cyan
	case audit.Performance:
		return Yellow
	default:
		return Dim
	}
}

// Painter returns a function that colours text, or that returns it unchanged.
func Painter(colour bool) func(colour, text string) string {
	if !colour {
		return func(_, text string) string { return text }
	}
	return func(colour, text string) string { return "\x1b[" + colour + "m" + text + "\x1b[0m" }
}
