// Package transaction holds the guarantees of the calls in a caller's transaction.
package transaction

import "github.com/hoc-analytics/coordaudit/internal/test/conformance/frame"

// Sections returns the guarantees in the order of docs/guarantees.md.
func Sections() []frame.Section {
	return []frame.Section{
		{Name: "Transaction", Guarantees: []frame.Guarantee{
			{Name: "RecordFollowsOutcome", Holds: recordFollowsOutcome},
			{Name: "RecordsAppearAtOnce", Holds: recordsAppearAtOnce},
			{Name: "ReplayWritesNothing", Holds: replayWritesNothing},
			{Name: "ExecModesWork", Holds: execModesWork},
			{Name: "ConcurrentCallersWork", Holds: concurrentCallersWork, Needs: frame.DefaultSettings},
			{Name: "SurvivesFailedRecord", Holds: survivesFailedRecord, Needs: frame.OneServer},
			{Name: "SurvivesLaterFailure", Holds: survivesLaterFailure},
			{Name: "UnusableIsReported", Holds: unusableIsReported},
			{Name: "IsolationLevelsWork", Holds: isolationLevelsWork},
			{Name: "ChangedTableFailsOnce", Holds: changedTableFailsOnce},
			{Name: "SurvivesConflict", Holds: survivesConflict},
			{Name: "SurvivesCancel", Holds: survivesCancel, Needs: frame.OneServer | frame.Timing},
			{Name: "SurvivesDeadlock", Holds: survivesDeadlock, Needs: frame.OneServer | frame.DefaultSettings},
			{Name: "SurvivesSerialization", Holds: survivesSerialization, Needs: frame.OneServer},
			{Name: "SurvivesUnreadableRow", Holds: survivesUnreadableRow, Needs: frame.LocalTable | frame.DefaultSettings},
			{Name: "UnreadableAnswerIsStored", Holds: unreadableAnswerIsStored, Needs: frame.LocalTable},
			{Name: "SurvivesUnsendableValue", Holds: survivesUnsendableValue},
			{Name: "MissingIsRefused", Holds: missingIsRefused},
			{Name: "FinishedInsideIsReported", Holds: finishedInsideIsReported},
			{Name: "UncachedPoolServes", Holds: uncachedPoolServes},
			{Name: "PersistTxIsOneRoundTrip", Holds: persistTxIsOneRoundTrip, Needs: frame.Direct | frame.DefaultSettings},
		}},
		{Name: "Statements", Guarantees: []frame.Guarantee{
			{Name: "SurvivesForgetting", Holds: survivesForgetting, Needs: frame.Direct | frame.DefaultSettings},
			{Name: "ForgetfulPoolServes", Holds: forgetfulPoolServes, Needs: frame.Direct},
			{Name: "SurvivesForgottenTable", Holds: survivesForgottenTable, Needs: frame.Direct | frame.Timing},
			{Name: "SurvivesOwnChange", Holds: survivesOwnChange, Needs: frame.LocalTable | frame.DefaultSettings},
		}},
	}
}
