// Package recorder holds the guarantees of a Recorder.
package recorder

import "github.com/hoc-analytics/coordaudit/internal/test/conformance/frame"

// Sections returns the guarantees in the order of docs/guarantees.md.
func Sections() []frame.Section {
	return []frame.Section{
		{Name: "Recorder", Guarantees: []frame.Guarantee{
			{Name: "RecordStores", Holds: recorderRecordStores, EveryMode: true},
			{Name: "CallersShareCommit", Holds: callersShareCommit},
			{Name: "EnqueueKeepsOrder", Holds: enqueueKeepsOrder},
			{Name: "EmitWaitsForClasses", Holds: emitWaitsForClasses},
			{Name: "EmitDoesNotPanic", Holds: emitDoesNotPanic},
			{Name: "RefusesInvalidRecord", Holds: refusesInvalidRecord},
			{Name: "ReplaySkips", Holds: replaySkips},
			{Name: "RefusesAfterClose", Holds: refusesAfterClose},
			{Name: "NeedsDirectoryAndPool", Holds: needsDirectoryAndPool},
			{Name: "LocksDirectory", Holds: locksDirectory},
			{Name: "ObserverSeesEachRecord", Holds: observerSeesEachRecord},
			{Name: "BoundsBytes", Holds: boundsBytes},
			{Name: "SplitsSlowBatch", Holds: splitsSlowBatch},
			{Name: "FlushReportsPending", Holds: flushReportsPending},
		}},
		{Name: "RecorderFaults", Guarantees: []frame.Guarantee{
			{Name: "LockLosesNothing", Holds: lockLosesNothing},
			{Name: "TimeoutLosesNothing", Holds: timeoutLosesNothing, Needs: frame.Direct},
			{Name: "ExhaustedPoolLosesNothing", Holds: exhaustedPoolLosesNothing},
			{Name: "SerializationLosesNothing", Holds: serializationLosesNothing},
			{Name: "EndedSessionsLoseNothing", Holds: endedSessionsLoseNothing, Needs: frame.Direct},
			{Name: "CutConnectionsLoseNothing", Holds: cutConnectionsLoseNothing, Needs: frame.Direct},
			{Name: "SilenceLosesNothing", Holds: silenceLosesNothing, Needs: frame.Direct},
		}},
		{Name: "RecorderRefusals", Guarantees: []frame.Guarantee{
			{Name: "BadRecordDelaysNoBatch", Holds: badRecordDelaysNoBatch},
			{Name: "MissingRightBlamesNoRecord", Holds: missingRightBlamesNoRecord, Needs: frame.Superuser | frame.Direct},
			{Name: "PolicyRejectsRecords", Holds: policyRejectsRecords, Needs: frame.Superuser | frame.Direct},
			{Name: "LostStatementBlamesNoRecord", Holds: lostStatementBlamesNoRecord, Needs: frame.LocalTable},
			{Name: "TableFaultBlamesNoRecord", Holds: tableFaultBlamesNoRecord},
			{Name: "ShardFaultBlamesNoRecord", Holds: shardFaultBlamesNoRecord, Needs: frame.Cluster | frame.Superuser},
			{Name: "BadRecordIsRejectedAlone", Holds: badRecordIsRejectedAlone},
			{Name: "LoneRecordWaits", Holds: loneRecordWaits},
			{Name: "SpooledRecordDelaysNone", Holds: spooledRecordDelaysNone},
			{Name: "PassingFaultRejectsNone", Holds: passingFaultRejectsNone},
			{Name: "OwnConstraintNeedsProof", Holds: ownConstraintNeedsProof},
			{Name: "DiscardedRecordsWait", Holds: discardedRecordsWait},
			{Name: "ConflictsDelayNone", Holds: conflictsDelayNone},
		}},
		{Name: "Spool", Guarantees: []frame.Guarantee{
			{Name: "NextRecorderDrains", Holds: nextRecorderDrains},
			{Name: "DamagedLineIsSetAside", Holds: damagedLineIsSetAside},
			{Name: "ChangedLineIsSetAside", Holds: changedLineIsSetAside},
			{Name: "NewerLineWaits", Holds: newerLineWaits},
			{Name: "LostSegmentIsReported", Holds: lostSegmentIsReported},
			{Name: "DropLeavesGap", Holds: dropLeavesGap},
			{Name: "NextRecorderStoresGap", Holds: nextRecorderStoresGap},
			{Name: "RefusedGapDelaysNothing", Holds: refusedGapDelaysNothing, Needs: frame.Superuser | frame.Direct},
			{Name: "ClosedStoreLosesNothing", Holds: closedStoreLosesNothing},
			{Name: "UnkeptRecordLeavesGap", Holds: unkeptRecordLeavesGap},
			{Name: "UnmovableRecordStays", Holds: unmovableRecordStays},
		}},
	}
}
