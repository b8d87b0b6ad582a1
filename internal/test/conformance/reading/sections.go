// Package reading holds the guarantees of the calls that read the trail.
package reading

import "github.com/hoc-analytics/coordaudit/internal/test/conformance/frame"

// Sections returns the guarantees in the order of docs/guarantees.md.
func Sections() []frame.Section {
	return []frame.Section{
		{Name: "Scope", Guarantees: []frame.Guarantee{
			{Name: "GetSeesItsScope", Holds: getSeesItsScope},
			{Name: "ReadsSeeTheirScope", Holds: readsSeeTheirScope},
			{Name: "EmptyTenantIsNone", Holds: emptyTenantIsNone},
		}},
		{Name: "Read", Guarantees: []frame.Guarantee{
			{Name: "GetManyReportsMissing", Holds: getManyReportsMissing},
			{Name: "ShowsAnyRow", Holds: readShowsAnyRow},
			{Name: "OpenWindowHoldsInfinity", Holds: openWindowHoldsInfinity},
			{Name: "EmptyTrailReadsEmpty", Holds: emptyTrailReadsEmpty},
			{Name: "RefusesBadQueries", Holds: readRefusesBadQueries},
			{Name: "NeedsSelectOnly", Holds: readNeedsSelectOnly, Needs: frame.Superuser | frame.Direct},
			{Name: "AtOneMomentAddsUp", Holds: atOneMomentAddsUp},
			{Name: "FailsAsDocumented", Holds: readFailsAsDocumented, Needs: frame.Direct},
			{Name: "ExecModesAgree", Holds: execModesAgree},
		}},
		{Name: "List", Guarantees: []frame.Guarantee{
			{Name: "PagesHoldEachRecordOnce", Holds: pagesHoldEachRecordOnce},
			{Name: "EqualTimesKeepOrder", Holds: equalTimesKeepOrder},
			{Name: "EqualSeqKeepsOrder", Holds: listEqualSeqKeepsOrder},
			{Name: "ResetSequenceHidesNothing", Holds: resetSequenceHidesNothing},
			{Name: "InsertsHideNothing", Holds: insertsHideNothing},
			{Name: "FiltersMatch", Holds: filtersMatch, EveryMode: true},
			{Name: "WindowIsHalfOpen", Holds: windowIsHalfOpen},
			{Name: "AllReadsEveryPage", Holds: allReadsEveryPage},
			{Name: "CursorFitsOneQuery", Holds: cursorFitsOneQuery},
		}},
		{Name: "Timeline", Guarantees: []frame.Guarantee{
			{Name: "HoldsEachRecordOnce", Holds: holdsEachRecordOnce, EveryMode: true},
		}},
		{Name: "Explain", Guarantees: []frame.Guarantee{
			{Name: "SeesItsScope", Holds: explainSeesItsScope, EveryMode: true},
			{Name: "FindsCounterpart", Holds: explainFindsCounterpart, EveryMode: true},
			{Name: "FollowsCausesToTheirEnd", Holds: explainFollowsCauses},
			{Name: "TellsWhatCameAfter", Holds: explainTellsWhatCameAfter},
			{Name: "ShowsNearbyLosses", Holds: explainShowsLosses, EveryMode: true, Needs: frame.Superuser | frame.Direct},
			{Name: "IsOfOneMoment", Holds: explainIsOfOneMoment},
		}},
		{Name: "Signals", Guarantees: []frame.Guarantee{
			{Name: "BreakdownAddsUp", Holds: breakdownAddsUp, EveryMode: true},
			{Name: "BreakdownCountsCodes", Holds: breakdownCountsCodes, EveryMode: true},
			{Name: "BreakdownCountsAnyRow", Holds: breakdownCountsAnyRow},
			{Name: "EqualSeqFollowsIDs", Holds: equalSeqFollowsIDs},
			{Name: "CycleNeedsReturn", Holds: cycleNeedsReturn},
			{Name: "FrictionNamesClasses", Holds: frictionNamesClasses, EveryMode: true},
			{Name: "ClassStartsUnknown", Holds: classStartsUnknown},
			{Name: "ClassIsPerTenant", Holds: classIsPerTenant},
			{Name: "ClassIsKnownAtAnyAge", Holds: classIsKnownAtAnyAge, EveryMode: true},
			{Name: "SelfConflictIsNoFriction", Holds: selfConflictIsNoFriction},
			{Name: "RejectionsCountPerTenant", Holds: rejectionsCountPerTenant, EveryMode: true},
			{Name: "GroupsNameTopCode", Holds: groupsNameTopCode, EveryMode: true},
			{Name: "EmptyCodeIsNone", Holds: emptyCodeIsNone},
			{Name: "CyclesNameTheirPreemptions", Holds: cyclesNameTheirPreemptions, EveryMode: true},
			{Name: "ThresholdsAndCapsApply", Holds: thresholdsAndCapsApply},
			{Name: "TrendWindowsAreDisjoint", Holds: trendWindowsAreDisjoint},
		}},
		{Name: "Gaps", Guarantees: []frame.Guarantee{
			{Name: "ReadsAsRecorded", Holds: readsAsRecorded, EveryMode: true},
			{Name: "RetryStoresOnce", Holds: retryStoresOnce},
			{Name: "RefusesEdits", Holds: refusesEdits, Needs: frame.Superuser | frame.Direct},
			{Name: "ConstraintsNameFaults", Holds: constraintsNameFaults},
			{Name: "WindowSelectsLosses", Holds: windowSelectsLosses},
			{Name: "ListsNewestFirst", Holds: listsNewestFirst},
			{Name: "EqualSeqKeepsOrder", Holds: gapsEqualSeqKeepsOrder},
			{Name: "ShowsAnyRow", Holds: gapsShowsAnyRow},
			{Name: "RefusesBadQueries", Holds: gapsRefusesBadQueries},
			{Name: "FailsAsDocumented", Holds: gapsFailsAsDocumented, Needs: frame.Superuser | frame.Direct},
			{Name: "NeedsSelectOnly", Holds: gapsNeedsSelectOnly, Needs: frame.Superuser | frame.Direct},
		}},
	}
}
