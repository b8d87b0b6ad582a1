// Package reporting holds the guarantees about errors, logs and observers.
package reporting

import "github.com/hoc-analytics/coordaudit/internal/test/conformance/frame"

// Sections returns the guarantees in the order of docs/guarantees.md.
func Sections() []frame.Section {
	return []frame.Section{
		{Name: "Logging", Guarantees: []frame.Guarantee{
			{Name: "EventsNameRecord", Holds: eventsNameRecord},
			{Name: "EventsStaySmall", Holds: eventsStaySmall},
			{Name: "TraceHidesArguments", Holds: traceHidesArguments},
			{Name: "ObserverSeesEachRecord", Holds: observerSeesEachRecord},
			{Name: "EventsQuoteNoRow", Holds: eventsQuoteNoRow},
			{Name: "EventsHidePassword", Holds: eventsHidePassword},
		}},
		{Name: "Errors", Guarantees: []frame.Guarantee{
			{Name: "TextsArePrintable", Holds: textsArePrintable, Needs: frame.Direct},
			{Name: "MissingRightIsNamed", Holds: missingRightIsNamed, Needs: frame.Superuser | frame.Direct},
			{Name: "LimitIsNoOutage", Holds: limitIsNoOutage, Needs: frame.LocalTable | frame.Superuser | frame.Direct},
			{Name: "ConnectionErrorIsShort", Holds: connectionErrorIsShort},
			{Name: "ClientErrorNamesCause", Holds: clientErrorNamesCause},
		}},
		{Name: "Hooks", Guarantees: []frame.Guarantee{
			{Name: "PanicHarmsNothing", Holds: panicHarmsNothing},
			{Name: "BlockedHookIsLeftBehind", Holds: blockedHookIsLeftBehind},
		}},
	}
}
