package auditdriver

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/completeness"
	"github.com/hoc-analytics/coordaudit/internal/dbgen"
)

// ErrAtMoment means that a call was made on a driver of [Driver.AtMoment], which sees one
// moment of the trail forever.
const ErrAtMoment plainError = "it is read at one moment, in which nothing new appears"

// SeqID is a record's place in the order of insertion. seq is not unique if a sequence was
// set back, so the id is part of it.
type SeqID struct {
	Seq     int64
	AuditID uuid.UUID
}

// FollowFacts are what decides whether and how far a session can follow.
type FollowFacts struct {
	System, Database                      int64
	Timeline                              string // hexadecimal; empty on a standby
	InRecovery, Subscribed, ReadsSequence bool
	Cached                                int64 // values that the sequence hands out at a time

	Last     int64       // the sequence's last value, 0 if it has none
	Newest   int64       // the highest seq of a visible row
	Next     int64       // the lowest seq of a row after the place; 0 if there is none
	AtAnchor []uuid.UUID // the rows at the anchor's seq
}

// Follower is one connection of the pool for the duration of one look at the trail. All of a
// look must see one server.
type Follower struct {
	driver *Driver
	on     located
	failed error // of a statement, as pgx returned it

	onWorkers bool // its statements run on the workers of a cluster
}

// Following runs work on one connection. It classifies the errors of the follower's calls and
// returns those of work's own unchanged. Work may run twice.
func (d *Driver) Following(ctx context.Context, work func(*Follower) error) error {
	if d.moment != nil {
		return ErrAtMoment
	}
	var own error
	onWorkers := false
	err := d.asking(ctx, func(on located) error {
		f := &Follower{driver: d, on: on}
		own = work(f)
		onWorkers = f.onWorkers
		return f.failed
	})
	if onWorkers {
		err = workerLost(err)
	}
	switch {
	case err != nil:
		return err
	case own != nil && ctx.Err() != nil && errors.Is(own, context.Cause(ctx)): // work waited
		return readFailure(ctx, own)
	}
	return own
}

// fail remembers the error of a statement, which ends the work.
func (f *Follower) fail(err error) error {
	if err != nil && f.failed == nil {
		f.failed = err
	}
	return err
}

// planned is for statements whose plan depends on their values. The others are prepared where
// the pool's mode allows it, because planning them costs more than running them.
func (f *Follower) planned() dbgen.DBTX {
	return planned{DBTX: f.on, mode: f.driver.plannedMode}
}

// Distributed reports whether the rows of the trail are on the workers of a Citus cluster. The
// usual call asks the server nothing.
func (f *Follower) Distributed(ctx context.Context) (bool, error) {
	distributed, err := f.driver.distributed(ctx, f.on)
	return distributed, f.fail(err)
}

// Facts reads the facts for a follower at a place, and the rows at another seq.
func (f *Follower) Facts(ctx context.Context, at SeqID, anchor int64) (FollowFacts, error) {
	row, err := f.driver.queries.DescribeFollowing(ctx, f.on, dbgen.DescribeFollowingParams{
		Seq: at.Seq, AuditID: toPG(at.AuditID), Anchor: anchor,
	})
	if err != nil {
		return FollowFacts{}, f.fail(err)
	}
	facts := FollowFacts{
		System: row.SystemIdentifier, Database: row.DatabaseOid, Timeline: row.Timeline,
		InRecovery: row.InRecovery, Subscribed: row.Subscribed, ReadsSequence: row.ReadsSequence, Cached: row.Cached,
		Last: row.LastValue, Newest: row.Newest, Next: row.Next,
	}
	for _, id := range row.AtAnchor {
		facts.AtAnchor = append(facts.AtAnchor, id.Bytes)
	}
	return facts, nil
}

// Inserting lists the transactions that may have inserted a record which is not committed
// yet, by virtual id. The process id is 0 for a prepared transaction.
func (f *Follower) Inserting(ctx context.Context) (map[string]int32, error) {
	rows, err := f.driver.queries.ListInsertingRecords(ctx, f.on)
	if err != nil {
		return nil, f.fail(err)
	}
	found := make(map[string]int32, len(rows))
	for _, row := range rows {
		found[row.Transaction] = row.Pid
	}
	return found, nil
}

// Prepared names the prepared transactions among them, by virtual id.
func (f *Follower) Prepared(ctx context.Context) (map[string]string, error) {
	rows, err := f.driver.queries.ListPreparedInserting(ctx, f.planned())
	if err != nil {
		return nil, f.fail(err)
	}
	return PreparedNames(rows), nil
}

// PreparedNames are the names of prepared transactions by virtual id.
func PreparedNames(rows []dbgen.ListPreparedInsertingRow) map[string]string {
	names := make(map[string]string, len(rows))
	for _, row := range rows {
		if row.Gid != nil {
			names[row.Transaction] = *row.Gid
		}
	}
	return names
}

// Anchors returns the rows at some seqs.
func (f *Follower) Anchors(ctx context.Context, seqs []int64) ([]SeqID, error) {
	rows, err := f.driver.queries.ListAnchors(ctx, f.planned(), dbgen.ListAnchorsParams{Seqs: seqs})
	found := make([]SeqID, len(rows))
	for i, row := range rows {
		found[i] = SeqID{Seq: row.Seq, AuditID: row.AuditID.Bytes}
	}
	return found, f.fail(err)
}

// FirstSince returns the lowest seq of a record that was stored at a time or later; 0 if there
// is none.
func (f *Follower) FirstSince(ctx context.Context, since time.Time) (int64, error) {
	seq, err := f.driver.queries.FirstSeqSince(ctx, f.planned(), dbgen.FirstSeqSinceParams{Since: toPGTime(since)})
	return seq, f.fail(err)
}

// AtMoment runs work with calls that see one moment of the trail, which is after this call.
func (f *Follower) AtMoment(ctx context.Context, work func(*Follower) error) error {
	var own error
	err := f.driver.inMoment(ctx, f.on, func(on located) error {
		in := &Follower{driver: f.driver, on: on}
		own = work(in)
		return in.failed
	})
	if err != nil {
		return f.fail(err)
	}
	return own
}

// ErrNoCheckpoint means that nothing says how far a standby's rows are final.
const ErrNoCheckpoint plainError = "no checkpoint is stored"

// ErrCheckpointsHidden means that the role may not read the checkpoints.
const ErrCheckpointsHidden plainError = "the role may not read the checkpoints"

// Sealed returns how far the last checkpoint covers the records, and the seqs below that it
// awaits.
func (f *Follower) Sealed(ctx context.Context) (through int64, awaited completeness.Set, err error) {
	may, err := f.driver.queries.ReadsCheckpoints(ctx, f.planned())
	if sqlState(err) == stateUndefinedTable {
		return 0, nil, ErrNoCheckpoint
	}
	if err != nil {
		return 0, nil, f.fail(err)
	}
	if !may {
		return 0, nil, ErrCheckpointsHidden
	}
	rows, err := f.driver.queries.GetSealedThrough(ctx, f.planned())
	switch {
	case err != nil:
		return 0, nil, f.fail(err)
	case len(rows) == 0:
		return 0, nil, ErrNoCheckpoint
	}
	awaited, err = completeness.ParseSet(rows[0].Awaited)
	return rows[0].RecordsThrough, awaited, f.fail(err)
}

// Records lists the records of a query after a place, up to a seq.
func (f *Follower) Records(ctx context.Context, q *audit.Query, after SeqID, through int64, size int) ([]audit.Record, error) {
	if !f.Filters(q) {
		rows, err := f.driver.queries.ListFollowedRecords(ctx, f.planned(), dbgen.ListFollowedRecordsParams{
			AfterSeq: after.Seq, Through: through, AfterAuditID: toPG(after.AuditID), PageSize: int32(size),
		})
		return fromRows(rows), f.fail(err)
	}
	p := followFilter(q)
	rows, err := f.driver.queries.ListFollowedFilteredRecords(ctx, f.planned(), dbgen.ListFollowedFilteredRecordsParams{
		AllTenants: p.AllTenants, TenantID: p.TenantID, EnvelopeIDs: p.EnvelopeIDs, EnvelopeClasses: p.EnvelopeClasses,
		Decisions: p.Decisions, ConflictingEnvelopeID: p.ConflictingEnvelopeID, PreemptingEnvelopeID: p.PreemptingEnvelopeID,
		TargetSubsystem: p.TargetSubsystem, TargetParameter: p.TargetParameter, ReasonContains: p.ReasonContains,
		ReasonCode: p.ReasonCode, PolicyVersion: p.PolicyVersion, Actor: p.Actor, CausedBy: p.CausedBy, Corrects: p.Corrects,
		CorrelationID: p.CorrelationID, TraceID: p.TraceID, Since: p.Since, Last: p.Last,
		AfterSeq: after.Seq, Through: through, AfterAuditID: toPG(after.AuditID), PageSize: int32(size),
	})
	return fromRows(rows), f.fail(err)
}

// Filters reports whether a query leaves records out.
func (f *Follower) Filters(q *audit.Query) bool {
	return !q.Scope.IsAllTenants() || q.Window != (audit.Window{}) || isFiltered(q)
}

// Late lists the records of a query at some seqs.
func (f *Follower) Late(ctx context.Context, q *audit.Query, seqs []int64) ([]audit.Record, error) {
	p := followFilter(q)
	p.Seqs = seqs
	rows, err := f.driver.queries.ListLateRecords(ctx, f.planned(), p)
	return fromRows(rows), f.fail(err)
}

// Stored returns which of some seqs have a row, regardless of a query.
func (f *Follower) Stored(ctx context.Context, seqs completeness.Set) (stored completeness.Set, err error) {
	if len(seqs) == 0 {
		return nil, nil
	}
	firsts, lasts := seqs.Bounds()
	found, err := f.driver.queries.ListStoredSeqs(ctx, f.planned(), dbgen.ListStoredSeqsParams{Firsts: firsts, Lasts: lasts})
	slices.Sort(found)
	for _, seq := range found {
		stored.Add(seq, seq)
	}
	return stored, f.fail(err)
}

// LastThrough returns the last row of a range of seqs, regardless of a query.
func (f *Follower) LastThrough(ctx context.Context, first, through int64) (last SeqID, found bool, err error) {
	rows, err := f.driver.queries.LastRecordThrough(ctx, f.planned(), dbgen.LastRecordThroughParams{FromSeq: first, Through: through})
	if err != nil || len(rows) == 0 {
		return SeqID{}, false, f.fail(err)
	}
	return SeqID{Seq: rows[0].Seq, AuditID: rows[0].AuditID.Bytes}, true, nil
}

func followFilter(q *audit.Query) dbgen.ListLateRecordsParams {
	since, last := bounds(q.Window)
	return dbgen.ListLateRecordsParams{
		AllTenants:            q.Scope.IsAllTenants(),
		TenantID:              q.Scope.TenantID(),
		EnvelopeIDs:           texts(q.EnvelopeIDs),
		EnvelopeClasses:       texts(q.EnvelopeClasses),
		Decisions:             texts(q.Decisions),
		ConflictingEnvelopeID: q.ConflictingEnvelopeID,
		PreemptingEnvelopeID:  q.PreemptingEnvelopeID,
		TargetSubsystem:       q.TargetSubsystem,
		TargetParameter:       q.TargetParameter,
		ReasonContains:        q.ReasonContains,
		ReasonCode:            q.ReasonCode,
		PolicyVersion:         q.PolicyVersion,
		Actor:                 q.Actor,
		CausedBy:              toPG(q.CausedBy),
		Corrects:              toPG(q.Corrects),
		CorrelationID:         q.CorrelationID,
		TraceID:               traceFilter(q.TraceID),
		Since:                 toPGTime(since),
		Last:                  toPGTime(last),
	}
}

// Compare orders places as following does: by seq, then by id.
func (p SeqID) Compare(other SeqID) int {
	if p.Seq != other.Seq {
		return cmp.Compare(p.Seq, other.Seq)
	}
	return slices.Compare(p.AuditID[:], other.AuditID[:])
}
