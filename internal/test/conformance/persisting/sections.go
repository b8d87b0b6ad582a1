// Package persisting holds the guarantees of the calls that commit by themselves.
package persisting

import "github.com/hoc-analytics/coordaudit/internal/test/conformance/frame"

// Sections returns the guarantees in the order of docs/guarantees.md.
func Sections() []frame.Section {
	return append([]frame.Section{
		{Name: "Persist", Guarantees: []frame.Guarantee{
			{Name: "StoresRecord", Holds: storesRecord},
			{Name: "MakesMissingID", Holds: makesMissingID},
			{Name: "ReplayWritesNothing", Holds: persistReplayWritesNothing},
			{Name: "RefusedCommitFails", Holds: refusedCommitFails},
			{Name: "StoresEveryDecision", Holds: storesEveryDecision},
			{Name: "DatabaseSetsTimeAndSeq", Holds: databaseSetsTimeAndSeq},
			{Name: "IgnoresTimeZone", Holds: ignoresTimeZone},
			{Name: "CommitsBeforeReturn", Holds: commitsBeforeReturn},
		}},
		{Name: "Stored", Guarantees: []frame.Guarantee{
			{Name: "DiscardedRowFails", Holds: discardedRowFails},
			{Name: "DiscardedRowsAreNamed", Holds: discardedRowsAreNamed, Needs: frame.DefaultSettings},
			{Name: "ChangedRowConflicts", Holds: changedRowConflicts},
			{Name: "ChangedIDFails", Holds: changedIDFails},
			{Name: "DiscardedGapFails", Holds: discardedGapFails},
			{Name: "DiscardedStatementFails", Holds: discardedStatementFails},
			{Name: "ChangedTypeConflicts", Holds: changedTypeConflicts, Needs: frame.DefaultSettings},
			{Name: "PartitionTriggerIsSeen", Holds: partitionTriggerIsSeen, Needs: frame.LocalTable},
			{Name: "MisleadingTableIsRefused", Holds: misleadingTableIsRefused, Needs: frame.LocalTable},
			{Name: "NewChildEndsCopyInDoubt", Holds: newChildEndsCopyInDoubt, Needs: frame.LocalTable},
			{Name: "OpenTransactionIsRefused", Holds: openTransactionIsRefused, Needs: frame.Direct},
		}},
		{Name: "Durability", Guarantees: []frame.Guarantee{
			{Name: "LogsReductionOnce", Holds: logsReductionOnce, Needs: frame.Direct},
			{Name: "LeftoverLevelIsLogged", Holds: leftoverLevelIsLogged, Needs: frame.OneServer | frame.Direct},
			{Name: "UnloggedTableIsLogged", Holds: unloggedTableIsLogged},
			{Name: "OpenRaisesLevel", Holds: openRaisesLevel, Needs: frame.OneServer | frame.Direct},
			{Name: "ConfigurePoolKeepsHooks", Holds: configurePoolKeepsHooks, Needs: frame.Direct},
		}},
		{Name: "Idempotency", Guarantees: []frame.Guarantee{
			{Name: "RetryReturnsFirstResult", Holds: retryReturnsFirstResult},
			{Name: "ConflictNamesFields", Holds: conflictNamesFields},
			{Name: "DuplicateIsNoConflict", Holds: duplicateIsNoConflict},
			{Name: "ConcurrentCallsStoreOnce", Holds: concurrentCallsStoreOnce},
			{Name: "OverlappingBatchesStoreOnce", Holds: overlappingBatchesStoreOnce},
			{Name: "ComparesContentOnly", Holds: comparesContentOnly},
			{Name: "CallsAgree", Holds: callsAgree, EveryMode: true},
		}},
		{Name: "Input", Guarantees: []frame.Guarantee{
			{Name: "KeepsOrRefusesEach", Holds: keepsOrRefusesEach},
		}},
		{Name: "Context", Guarantees: []frame.Guarantee{
			{Name: "StoresContext", Holds: storesContext, EveryMode: true},
			{Name: "StoresEachPart", Holds: storesEachPart, EveryMode: true},
			{Name: "DifferenceConflicts", Holds: differenceConflicts},
			{Name: "OriginIsNotContent", Holds: originIsNotContent},
			{Name: "RefusesInvalid", Holds: refusesInvalid},
		}},
		{Name: "Refusals", Guarantees: []frame.Guarantee{
			{Name: "InvalidRecordIsNotSent", Holds: invalidRecordIsNotSent},
			{Name: "RefusalIsReported", Holds: refusalIsReported, Needs: frame.Superuser | frame.Direct},
			{Name: "HiddenRowIsRefused", Holds: hiddenRowIsRefused, Needs: frame.LocalTable | frame.Superuser | frame.Direct},
		}},
	}, batches()...)
}

func batches() []frame.Section {
	return []frame.Section{
		{Name: "PersistMany", Guarantees: []frame.Guarantee{
			{Name: "StoresInOrder", Holds: manyStoresInOrder},
			{Name: "JudgesEachRecord", Holds: manyJudgesEachRecord, EveryMode: true},
			{Name: "UnreadableIDFailsAlone", Holds: unreadableIDFailsAlone, Needs: frame.Superuser | frame.Direct},
			{Name: "BoundsBatch", Holds: boundsBatch},
		}},
		{Name: "PersistManyFast", Guarantees: []frame.Guarantee{
			{Name: "StoresInOrder", Holds: fastStoresInOrder},
			{Name: "JudgesEachRecord", Holds: fastJudgesEachRecord, EveryMode: true},
			{Name: "RetryCopiesOnce", Holds: retryCopiesOnce},
			{Name: "RetryUsesNoSeq", Holds: retryUsesNoSeq},
			{Name: "ObeysRowLevelSecurity", Holds: obeysRowLevelSecurity, Needs: frame.Superuser | frame.Direct},
			{Name: "RetryEndsDoubt", Holds: retryEndsDoubt, Needs: frame.Direct},
			{Name: "EndsAtTimeout", Holds: endsAtTimeout},
			{Name: "ReplayWritesNothing", Holds: fastReplayWritesNothing},
		}},
	}
}
