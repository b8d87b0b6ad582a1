// Package following holds the guarantees of the calls that follow the trail.
package following

import "github.com/hoc-analytics/coordaudit/internal/test/conformance/frame"

// Sections returns the guarantees in the order of docs/guarantees.md.
func Sections() []frame.Section {
	return []frame.Section{
		{Name: "Follow", Guarantees: []frame.Guarantee{
			{Name: "EachRecordOnceInOrder", Holds: eachRecordOnceInOrder, Needs: frame.OneServer, EveryMode: true},
			{Name: "LateRecordsAreDelivered", Holds: lateRecordsAreDelivered, Needs: frame.OneServer, EveryMode: true},
			{Name: "BusyTrailIsFollowed", Holds: busyTrailIsFollowed, Needs: frame.OneServer},
			{Name: "ClusterNeedsASeal", Holds: clusterNeedsASeal, Needs: frame.Cluster},
			{Name: "NeedsReaderGrants", Holds: followNeedsReaderGrants, Needs: frame.OneServer | frame.Superuser | frame.Direct},
		}},
	}
}
