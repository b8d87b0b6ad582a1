// Package trail holds the guarantees about the tables, and about how a session finds them.
package trail

import "github.com/hoc-analytics/coordaudit/internal/test/conformance/frame"

// Sections returns the guarantees in the order of docs/guarantees.md.
func Sections() []frame.Section {
	return []frame.Section{
		{Name: "Trail", Guarantees: []frame.Guarantee{
			{Name: "SessionMisleadsNoCall", Holds: sessionMisleadsNoCall, Needs: frame.Direct | frame.DefaultSettings},
			{Name: "TwoTrailsAreRefused", Holds: twoTrailsAreRefused, Needs: frame.Direct},
			{Name: "SearchPathIsFollowed", Holds: searchPathIsFollowed, Needs: frame.Direct | frame.DefaultSettings},
			{Name: "MissingTrailIsRefused", Holds: missingTrailIsRefused},
			{Name: "MovedTrailIsFound", Holds: movedTrailIsFound, Needs: frame.Direct},
			{Name: "CallersPoolDecidesNothing", Holds: callersPoolDecidesNothing, Needs: frame.Direct | frame.DefaultSettings},
			{Name: "DatabasesKeepTheirTrails", Holds: databasesKeepTheirTrails, Needs: frame.Direct},
		}},
		{Name: "Sessions", Guarantees: []frame.Guarantee{
			{Name: "EncodingKeepsText", Holds: encodingKeepsText, Needs: frame.Direct | frame.DefaultSettings},
			{Name: "SettingsAreRestored", Holds: settingsAreRestored, Needs: frame.Direct | frame.DefaultSettings},
			{Name: "PoolSettingsAreIgnored", Holds: poolSettingsAreIgnored, Needs: frame.Direct | frame.DefaultSettings},
			{Name: "OtherEncodingKeepsText", Holds: otherEncodingKeepsText, Needs: frame.Superuser | frame.Direct | frame.DefaultSettings},
		}},
		{Name: "Immutability", Guarantees: []frame.Guarantee{
			{Name: "RefusesEdits", Holds: refusesEdits, Needs: frame.Superuser},
			{Name: "ConstraintsNameFaults", Holds: constraintsNameFaults},
			{Name: "RefusesOwner", Holds: refusesOwner, Needs: frame.Superuser | frame.Direct},
			{Name: "EmptyEditPasses", Holds: emptyEditPasses},
			{Name: "WriterForgesNothing", Holds: writerForgesNothing, Needs: frame.Superuser | frame.Direct},
			{Name: "DatabaseTimesAreFinite", Holds: databaseTimesAreFinite},
		}},
	}
}
