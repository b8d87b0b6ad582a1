// Package faults holds the guarantees about calls that the network, the server or a timeout fails.
package faults

import "github.com/hoc-analytics/coordaudit/internal/test/conformance/frame"

// Sections returns the guarantees in the order of docs/guarantees.md.
func Sections() []frame.Section {
	return []frame.Section{
		{Name: "Faults", Guarantees: []frame.Guarantee{
			{Name: "UnreachableIsReported", Holds: unreachableIsReported},
			{Name: "DoubtIsReported", Holds: doubtIsReported, Needs: frame.Direct},
			{Name: "LostAnswerIsRetried", Holds: lostAnswerIsRetried, Needs: frame.Direct},
			{Name: "EndedSessionsLoseNothing", Holds: endedSessionsLoseNothing, Needs: frame.Direct},
			{Name: "DoubtOutlivesRetry", Holds: doubtOutlivesRetry, Needs: frame.Direct},
			{Name: "NoPoolServesTransactions", Holds: noPoolServesTransactions},
			{Name: "PersistOutlivesCancel", Holds: persistOutlivesCancel},
		}},
		{Name: "Connections", Guarantees: []frame.Guarantee{
			{Name: "LossBeforeSendIsRetried", Holds: lossBeforeSendIsRetried, Needs: frame.Direct | frame.Timing},
			{Name: "EndedSessionIsRetried", Holds: endedSessionIsRetried, Needs: frame.Direct | frame.Timing},
			{Name: "TransactionIsLost", Holds: transactionIsLost, Needs: frame.OneServer | frame.Direct | frame.Timing},
		}},
		{Name: "Retries", Guarantees: []frame.Guarantee{
			{Name: "PassingErrorIsRetried", Holds: passingErrorIsRetried},
			{Name: "LastingErrorIsFinal", Holds: lastingErrorIsFinal},
			{Name: "RetrySucceeds", Holds: retrySucceeds},
		}},
		{Name: "Timeouts", Guarantees: []frame.Guarantee{
			{Name: "LockedTableEndsCall", Holds: lockedTableEndsCall, Needs: frame.Timing},
			{Name: "LockSparesTransaction", Holds: lockSparesTransaction, Needs: frame.Timing},
			{Name: "CancelSparesTransaction", Holds: cancelSparesTransaction, Needs: frame.Direct | frame.Timing},
			{Name: "MuteServerEndsCall", Holds: muteServerEndsCall, Needs: frame.Timing},
			{Name: "SilenceLeavesDoubt", Holds: silenceLeavesDoubt, Needs: frame.Direct | frame.Timing},
			{Name: "SilenceLosesTransaction", Holds: silenceLosesTransaction, Needs: frame.Direct | frame.Timing},
			{Name: "ExhaustedPoolEndsCall", Holds: exhaustedPoolEndsCall, Needs: frame.Timing},
			{Name: "CancelStoresNothing", Holds: cancelStoresNothing, Needs: frame.Timing},
			{Name: "TimeoutCoversRetries", Holds: timeoutCoversRetries, Needs: frame.Timing},
			{Name: "SilenceEndsEveryCall", Holds: silenceEndsEveryCall, Needs: frame.Direct | frame.Timing},
			{Name: "NoConnectionIsReported", Holds: noConnectionIsReported, Needs: frame.Direct | frame.Timing},
			{Name: "CallerCancelIsIgnored", Holds: callerCancelIsIgnored, Needs: frame.Timing},
		}},
		{Name: "Close", Guarantees: []frame.Guarantee{
			{Name: "WaitsForCalls", Holds: waitsForCalls, Needs: frame.Timing},
			{Name: "RefusesAndCounts", Holds: refusesAndCounts, Needs: frame.Timing},
			{Name: "RefusalSparesTransaction", Holds: refusalSparesTransaction, Needs: frame.Timing},
			{Name: "EndsOnSilentServer", Holds: endsOnSilentServer, Needs: frame.Direct | frame.Timing},
		}},
	}
}
