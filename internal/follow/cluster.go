package follow

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/auditdriver"
)

// On a cluster the place is one in the log of the seal: place.Seq is the number of leaves that
// were passed, and the seq of an anchor is its leaf's index, plus 1. The log is read up to its
// first leaf that is not listed, so that nothing is passed that a worker has not committed yet.

// onCluster reads a page of a distributed trail.
func (l *look) onCluster(ctx context.Context) (*Page, error) {
	facts, err := l.on.ClusterFacts(ctx)
	if err != nil {
		return nil, fmt.Errorf("looking at the trail: %w", err)
	}
	if err := checkCluster(&facts); err != nil {
		return nil, err
	}
	c := &clusterLook{look: l, facts: facts}
	s := &l.state
	if s.system == 0 {
		err = c.begin(ctx)
	} else {
		err = c.checkTrail(ctx)
	}
	if err != nil {
		return nil, err
	}
	s.system, s.database, s.timeline, s.epoch = facts.System, facts.Database, facts.Timeline, facts.Epoch
	return c.read(ctx)
}

// checkCluster refuses a trail that nothing can be read of in this way.
func checkCluster(facts *auditdriver.ClusterFacts) error {
	switch {
	case facts.InRecovery:
		return cannot("it is distributed over a Citus cluster, and this coordinator is a standby: follow the primary")
	case !facts.HasLeaves:
		return cannot("it is distributed over a Citus cluster, and the table of what is sealed is missing there: migrate distribute (docs/citus.md)")
	case !facts.ReadsSeal:
		return cannot("it is distributed over a Citus cluster, where it is followed in the order of sealing, and this role may not read the tables of the seal: " + auditdriver.ReaderRights().Command)
	case facts.Epoch == 0:
		return cannot("it is distributed over a Citus cluster, where it is followed in the order of sealing, and nothing is sealed: coordaudit seal (docs/citus.md)")
	}
	return nil
}

// clusterLook is one look at a distributed trail.
type clusterLook struct {
	*look
	facts auditdriver.ClusterFacts
}

// begin makes the state of the start.
func (c *clusterLook) begin(ctx context.Context) error {
	c.state = State{current: time.Now()}
	if since, ok := c.Start.Time(); ok {
		return c.standBefore(ctx, func() (int64, error) { return c.on.LeafSince(ctx, c.facts.Epoch, since) })
	}
	if c.Start.IsNow() {
		return c.standAt(ctx, c.facts.Size)
	}
	return nil
}

// standBefore sets the place before a leaf that is looked for, or to the end of the log.
func (c *clusterLook) standBefore(ctx context.Context, find func() (int64, error)) error {
	listed, err := c.on.Listed(ctx, c.facts.Epoch, c.facts.Size)
	if err != nil {
		return fmt.Errorf("looking for the start: %w", err)
	}
	if !listed {
		return fmt.Errorf("looking for the start: %w: not every leaf of the log is listed yet, as while the sealer lists those from before the distribution, or after a worker was lost: see that coordaudit seal runs, and try again", audit.ErrUnavailable)
	}
	index, err := find()
	if err != nil {
		return fmt.Errorf("looking for the start: %w", err)
	}
	if index < 0 {
		index = c.facts.Size
	}
	return c.standAt(ctx, index)
}

// standAt sets the place, with the record before it as the anchor.
func (c *clusterLook) standAt(ctx context.Context, place int64) error {
	c.state.place = auditdriver.SeqID{Seq: place}
	before := max(0, place-leavesBefore)
	if place == 0 {
		return nil
	}
	_, last, err := c.on.LeavesUpTo(ctx, c.facts.Epoch, before, place)
	if err != nil {
		return fmt.Errorf("looking for the start: %w", err)
	}
	if last.AuditID != uuid.Nil {
		c.state.anchors = withAnchor(c.state.anchors, anchorOf(last))
	}
	return nil
}

// leavesBefore bounds how far before a place an anchor is looked for.
const leavesBefore = 256

func anchorOf(of auditdriver.LeafID) anchor {
	return anchor{seq: of.Index + 1, hash: hashOf(of.AuditID)}
}

// checkTrail refuses a trail that is not the one that the state was made on.
func (c *clusterLook) checkTrail(ctx context.Context) error {
	s, facts := &c.state, &c.facts
	switch {
	case s.system != facts.System || s.database != facts.Database:
		return c.forkCluster(ctx, "it is in another database, as after a restore into a new one")
	case s.timeline != "" && s.timeline != facts.Timeline:
		return c.forkCluster(ctx, "the coordinator is on timeline "+timeline(facts.Timeline)+" and was on "+timeline(s.timeline)+
			", as after a failover or a restore to a point in time")
	case s.epoch == 0:
		return c.forkCluster(ctx, "it was distributed over a Citus cluster since, where it is followed in the order of sealing")
	case s.epoch != facts.Epoch:
		return c.forkCluster(ctx, fmt.Sprintf("its log is of epoch %d and was of epoch %d", facts.Epoch, s.epoch))
	case s.place.Seq > facts.Size:
		return c.forkCluster(ctx, fmt.Sprintf("its log has %d leaves and had %d, as after a restore", facts.Size, s.place.Seq))
	}
	newest, anchored := s.newestAnchor()
	if !anchored {
		return nil
	}
	standing, err := c.on.Leaves(ctx, facts.Epoch, []int64{newest.seq - 1})
	if err != nil {
		return fmt.Errorf("looking at the trail: %w", err)
	}
	for _, of := range standing {
		if newest.stands([]uuid.UUID{of.AuditID}) {
			return nil
		}
	}
	return c.forkCluster(ctx, fmt.Sprintf("the last record that was read, leaf %d, is not there any more, as after a restore", newest.seq-1))
}

// forkCluster makes the error, with a state that begins before the first record that was not
// passed, as far as the cursor remembers.
func (c *clusterLook) forkCluster(ctx context.Context, reason string) error {
	forked := &audit.CursorForkedError{Reason: reason}
	before := c.state
	c.state = State{system: c.facts.System, database: c.facts.Database, timeline: c.facts.Timeline, epoch: c.facts.Epoch, current: time.Now()}
	var err error
	switch {
	case before.epoch == 0 && before.place.Seq > 0:
		// A follower may not have known of the distribution for its first minute.
		seq := before.place.Seq - lookBack
		if len(before.holes) > 0 {
			seq = min(seq, before.holes[0].First)
		}
		err = c.standBefore(ctx, func() (int64, error) { return c.on.LeafFromSeq(ctx, c.facts.Epoch, seq) })
	case before.epoch == c.facts.Epoch:
		err = c.standAtStanding(ctx, before.anchors)
	case before.epoch > 0 && before.epoch < c.facts.Epoch:
		err = c.standBefore(ctx, func() (int64, error) {
			return c.on.LeafAfter(ctx, c.facts.Epoch, before.epoch, before.place.Seq)
		})
	}
	if err != nil {
		return err
	}
	newest, anchored := c.state.newestAnchor()
	if !anchored {
		return forked
	}
	after, err := c.on.Leaves(ctx, c.facts.Epoch, []int64{newest.seq - 1})
	if err != nil {
		return fmt.Errorf("looking for records that were read: %w", err)
	}
	if len(after) > 0 {
		c.state.repeatedThrough = c.facts.Size // of another order, so any of them may have been delivered
		forked.Resume, forked.ResumeAfter = c.state.EncodeStored(c.Fingerprint), after[0].AuditID
	}
	return forked
}

// standAtStanding sets the place after the newest anchor that is still there.
func (c *clusterLook) standAtStanding(ctx context.Context, anchors []anchor) error {
	indexes := make([]int64, len(anchors))
	for i, a := range anchors {
		indexes[i] = a.seq - 1
	}
	leaves, err := c.on.Leaves(ctx, c.facts.Epoch, indexes)
	if err != nil {
		return fmt.Errorf("looking for records that were read: %w", err)
	}
	best := auditdriver.LeafID{Index: -1}
	for _, a := range anchors {
		for _, of := range leaves {
			if of.Index == a.seq-1 && a.stands([]uuid.UUID{of.AuditID}) && of.Index > best.Index {
				best = of
			}
		}
	}
	if best.Index < 0 {
		return nil
	}
	c.state.place = auditdriver.SeqID{Seq: best.Index + 1, AuditID: best.AuditID}
	c.state.anchors = withAnchor(nil, anchorOf(best))
	return nil
}

const (
	firstLeaves = 256
	mostLeaves  = 65_536
)

// read reads a page from the place on. It goes by windows of leaves, and by larger ones as long
// as few records match.
func (c *clusterLook) read(ctx context.Context) (*Page, error) {
	s := &c.state
	s.around, s.holes, s.late = nil, nil, false
	page := &Page{cluster: true, between: s.clone()}
	blocked := false
	for window := int64(firstLeaves); s.place.Seq < c.facts.Size && len(page.fresh) < c.Limit && !blocked; window = min(2*window, mostLeaves) {
		first := s.place.Seq
		before := min(first+max(window, int64(c.Limit)), c.facts.Size)
		end, last, err := c.on.LeavesUpTo(ctx, c.facts.Epoch, first, before)
		if err != nil {
			return nil, fmt.Errorf("looking for new records: %w", err)
		}
		blocked = end < before
		if end == first {
			break
		}
		recs, places, err := c.on.SealedRecords(ctx, &c.Query, c.facts.Epoch, first, end, c.Limit-len(page.fresh))
		if err != nil {
			return nil, fmt.Errorf("reading new records: %w", err)
		}
		page.fresh, page.places = append(page.fresh, recs...), append(page.places, places...)
		if len(page.fresh) == c.Limit {
			end = places[len(places)-1] + 1
			last = auditdriver.LeafID{Index: end - 1, AuditID: recs[len(recs)-1].AuditID}
		}
		s.passLeaf(end, last)
	}
	return c.finish(page, blocked), nil
}

// passLeaf moves the place, and the anchor to the last record before it.
func (s *State) passLeaf(end int64, last auditdriver.LeafID) {
	s.place = auditdriver.SeqID{Seq: end, AuditID: last.AuditID}
	s.fence = end
	if end >= s.repeatedThrough {
		s.repeatedThrough = 0
	}
	if last.AuditID != uuid.Nil {
		s.anchors = withAnchor(s.anchors, anchorOf(last))
	}
}

// finish completes a page with the state after it.
func (c *clusterLook) finish(page *Page, blocked bool) *Page {
	s := &c.state
	now := time.Now()
	page.Lag = audit.FollowLag{Records: c.facts.Size - s.place.Seq}
	if page.Lag.Records == 0 || s.current.IsZero() {
		s.current = now
	}
	page.Lag.Since = max(0, now.Sub(s.current))
	if blocked {
		page.Lag.BlockedBy = []string{fmt.Sprintf("leaf %d, which a worker has not committed yet", s.place.Seq)}
		page.Lag.BlockedSince = s.current
	}
	page.More = page.Lag.Records > 0 && !blocked
	page.After, page.fingerprint = s.clone(), c.Fingerprint
	return page
}
