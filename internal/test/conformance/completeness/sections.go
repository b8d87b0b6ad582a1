// Package completeness holds the guarantees about what is missing.
package completeness

import "github.com/hoc-analytics/coordaudit/internal/test/conformance/frame"

// Sections returns the guarantees in the order of docs/guarantees.md.
func Sections() []frame.Section {
	return []frame.Section{
		{Name: "Completeness", Guarantees: []frame.Guarantee{
			{Name: "AccountsForEachOrdinal", Holds: accountsForEachOrdinal},
			{Name: "OpenSourceHasLastBlock", Holds: openSourceHasLastBlock},
			{Name: "ExplainsWhatNeverComes", Holds: explainsWhatNeverComes},
			{Name: "LostAnswerIsPresent", Holds: lostAnswerIsPresent, Needs: frame.Direct},
			{Name: "RefusedAfterLostAnswer", Holds: refusedAfterLostAnswer, Needs: frame.Direct | frame.Superuser},
			{Name: "FindsDeletedRows", Holds: findsDeletedRows, Needs: frame.Superuser},
			{Name: "DatesWhatIsMissing", Holds: datesWhatIsMissing, Needs: frame.Superuser},
			{Name: "FindsContradictions", Holds: findsContradictions, Needs: frame.Superuser},
			{Name: "FindsMissingStatement", Holds: findsMissingStatement, Needs: frame.Superuser},
			{Name: "SpooledRecordsWait", Holds: spooledRecordsWait},
			{Name: "NextRecorderCarriesOn", Holds: nextRecorderCarriesOn},
			{Name: "FindsRemovedSegment", Holds: findsRemovedSegment},
			{Name: "LostSpoolIsExplained", Holds: lostSpoolIsExplained},
			{Name: "RefusedStatementsDelayNothing", Holds: refusedStatementsDelayNothing, Needs: frame.Superuser | frame.Direct},
			{Name: "BrokenStatementsDelayNothing", Holds: brokenStatementsDelayNothing},
			{Name: "UnsavedStatementsCostNothing", Holds: unsavedStatementsCostNothing},
			{Name: "LostMemoryIsFound", Holds: lostMemoryIsFound, Needs: frame.Timing},
			{Name: "KillAfterRejectIsExplained", Holds: killAfterRejectIsExplained},
			{Name: "ImportHidesNoSource", Holds: importHidesNoSource},
			{Name: "NumberingMayBeRepeated", Holds: numberingMayBeRepeated},
			{Name: "RecoveredSegmentExplains", Holds: recoveredSegmentExplains},
			{Name: "ClosingMayBeRepeated", Holds: closingMayBeRepeated},
			{Name: "LongStatementCountsAsAWhole", Holds: longStatementCountsAsAWhole},
			{Name: "OpeningIsNotLost", Holds: openingIsNotLost, Needs: frame.Direct},
			{Name: "RejectedAfterLostAnswer", Holds: rejectedAfterLostAnswer, Needs: frame.Direct | frame.Superuser},
			{Name: "OwnBatchesAreAccountedFor", Holds: ownBatchesAreAccountedFor},
			{Name: "FilesSourceIsElsewhere", Holds: filesSourceIsElsewhere},
			{Name: "OthersHaveNoNumber", Holds: othersHaveNoNumber},
			{Name: "WindowSelectsSources", Holds: windowSelectsSources},
			{Name: "ReaderMayAsk", Holds: readerMayAsk, Needs: frame.Superuser | frame.Direct},
			{Name: "HiddenRowsAreRefused", Holds: hiddenRowsAreRefused, Needs: frame.Superuser | frame.Direct},
		}},
	}
}
