package auditdriver

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/dbgen"
)

// A trail on a cluster is followed by the places of its records in the log of the seal, because
// no seq says there how far it is final.

// ClusterFacts are what decides whether a session can follow a distributed trail.
type ClusterFacts struct {
	System, Database                 int64
	Timeline                         string // hexadecimal; empty on a standby
	InRecovery, HasLeaves, ReadsSeal bool

	Epoch, Size int64 // of the log; 0 if nothing is sealed
}

// ClusterFacts reads the facts.
func (f *Follower) ClusterFacts(ctx context.Context) (ClusterFacts, error) {
	f.onWorkers = true
	row, err := f.driver.queries.DescribeClusterFollowing(ctx, f.on)
	if err != nil {
		return ClusterFacts{}, f.fail(err)
	}
	facts := ClusterFacts{
		System: row.SystemIdentifier, Database: row.DatabaseOid, Timeline: row.Timeline,
		InRecovery: row.InRecovery, HasLeaves: row.HasLeaves, ReadsSeal: row.ReadsSeal,
	}
	if !row.HasLeaves || !row.ReadsSeal {
		return facts, nil
	}
	sizes, err := f.driver.queries.GetLogSize(ctx, f.planned())
	if err == nil && len(sizes) > 0 {
		facts.Epoch, facts.Size = sizes[0].Epoch, sizes[0].Size
	}
	return facts, f.fail(err)
}

// workerLost says that a statement goes well once a worker is back: a coordinator passes on what
// a dying one says as XX000, which a single server says when it is broken.
func workerLost(err error) error {
	if failed, named := errors.AsType[*StatementError](err); named && failed.SQLState == stateInternalError {
		failed.Kind = audit.ErrUnavailable
	}
	return err
}

// LeafID is the place of a record in the log.
type LeafID struct {
	Index   int64
	AuditID uuid.UUID
}

// LeavesUpTo returns how many leaves from first on are listed without a hole, up to before, as
// the index after the last one, and the last record among them. What is in doubt on a worker,
// and all that is behind it, does not count yet.
func (f *Follower) LeavesUpTo(ctx context.Context, epoch, first, before int64) (end int64, last LeafID, err error) {
	rows, err := f.driver.queries.ListLeaves(ctx, f.planned(), dbgen.ListLeavesParams{Epoch: epoch, First: first, Before: before, Most: 2 * (before - first)})
	end = first
	for _, row := range rows {
		if row.LeafIndex > end {
			break
		}
		end = row.LeafIndex + 1
		if row.Kind == kindRecord {
			last = LeafID{Index: row.LeafIndex, AuditID: row.RowID.Bytes}
		}
	}
	return end, last, f.fail(err)
}

// kindRecord is the kind of a record's leaf.
const kindRecord = 1

// Leaves returns the records at some places.
func (f *Follower) Leaves(ctx context.Context, epoch int64, indexes []int64) ([]LeafID, error) {
	rows, err := f.driver.queries.ListLeafRecords(ctx, f.planned(), dbgen.ListLeafRecordsParams{Epoch: epoch, LeafIndexes: indexes})
	found := make([]LeafID, len(rows))
	for i, row := range rows {
		found[i] = LeafID{Index: row.LeafIndex, AuditID: row.RowID.Bytes}
	}
	return found, f.fail(err)
}

// Listed reports whether every leaf of a log is listed.
func (f *Follower) Listed(ctx context.Context, epoch, size int64) (bool, error) {
	count, err := f.driver.queries.CountLeaves(ctx, f.planned(), dbgen.CountLeavesParams{Epoch: epoch, Before: size})
	return count >= size, f.fail(err)
}

// LeafSince returns the first place of a record that was stored at a time or later; -1 if there
// is none.
func (f *Follower) LeafSince(ctx context.Context, epoch int64, since time.Time) (int64, error) {
	index, err := f.driver.queries.FirstLeafSince(ctx, f.planned(), dbgen.FirstLeafSinceParams{Epoch: epoch, Since: toPGTime(since)})
	return index, f.fail(err)
}

// LeafFromSeq returns the first place of a record with a seq from one on; -1 if there is none.
func (f *Follower) LeafFromSeq(ctx context.Context, epoch, seq int64) (int64, error) {
	index, err := f.driver.queries.FirstLeafFromSeq(ctx, f.planned(), dbgen.FirstLeafFromSeqParams{Epoch: epoch, Seq: seq})
	return index, f.fail(err)
}

// LeafAfter returns the first place of a record that another log has from a place on, or not at
// all; -1 if there is none.
func (f *Follower) LeafAfter(ctx context.Context, epoch, otherEpoch, place int64) (int64, error) {
	index, err := f.driver.queries.FirstLeafAfterEpoch(ctx, f.planned(), dbgen.FirstLeafAfterEpochParams{Epoch: epoch, BeforeEpoch: otherEpoch, Place: place})
	return index, f.fail(err)
}

// SealedRecords lists the records of a query at the places from first to before-1, and their places.
func (f *Follower) SealedRecords(ctx context.Context, q *audit.Query, epoch, first, before int64, size int) (recs []audit.Record, places []int64, err error) {
	p := followFilter(q)
	rows, err := f.driver.queries.ListFollowedLeaves(ctx, f.planned(), dbgen.ListFollowedLeavesParams{
		Epoch: epoch, First: first, Before: before,
		AllTenants: p.AllTenants, TenantID: p.TenantID, EnvelopeIDs: p.EnvelopeIDs, EnvelopeClasses: p.EnvelopeClasses,
		Decisions: p.Decisions, ConflictingEnvelopeID: p.ConflictingEnvelopeID, PreemptingEnvelopeID: p.PreemptingEnvelopeID,
		TargetSubsystem: p.TargetSubsystem, TargetParameter: p.TargetParameter, ReasonContains: p.ReasonContains,
		ReasonCode: p.ReasonCode, PolicyVersion: p.PolicyVersion, Actor: p.Actor, CausedBy: p.CausedBy, Corrects: p.Corrects,
		CorrelationID: p.CorrelationID, TraceID: p.TraceID, Since: p.Since, Last: p.Last, PageSize: int32(size),
	})
	for i := range rows {
		recs = append(recs, fromRow(&rows[i].AuditRecord))
		places = append(places, rows[i].LeafIndex)
	}
	return recs, places, f.fail(err)
}
