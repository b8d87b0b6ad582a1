package follow

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/auditdriver"
	"github.com/hoc-analytics/coordaudit/internal/completeness"
)

// checkTrail refuses a trail that is not the one that the state was made on.
func (l *look) checkTrail(ctx context.Context) error {
	s, facts := &l.state, &l.facts
	newest, anchored := s.newestAnchor()
	switch {
	case s.system == 0:
		return nil // it begins here
	case s.system != facts.System || s.database != facts.Database:
		return l.fork(ctx, "it is in another database, as after a restore into a new one")
	case s.epoch != 0:
		return l.fork(ctx, "it was on a Citus cluster, where it was followed in the order of sealing")
	case s.timeline != "" && facts.Timeline != "" && s.timeline != facts.Timeline:
		return l.fork(ctx, "the server is on timeline "+timeline(facts.Timeline)+" and was on "+timeline(s.timeline)+
			", as after a failover or a restore to a point in time")
	case facts.InRecovery:
		return nil // see onStandby
	case anchored && !newest.stands(facts.AtAnchor):
		return l.fork(ctx, "the last record that was read, with seq "+strconv.FormatInt(newest.seq, 10)+
			", is not there any more, as after a restore, a crash of a server that acknowledges early, or an expiry")
	}
	return nil
}

// timeline shows a timeline as PostgreSQL's functions do.
func timeline(hexadecimal string) string {
	number, err := strconv.ParseUint(hexadecimal, 16, 32)
	if err != nil {
		return strconv.Quote(hexadecimal)
	}
	return strconv.FormatUint(number, 10)
}

// fork makes the error with a state that begins after the newest anchor that is still there.
func (l *look) fork(ctx context.Context, reason string) error {
	forked := &audit.CursorForkedError{Reason: reason}
	standing, found, err := l.standing(ctx)
	if err != nil {
		return fmt.Errorf("looking for records that were read: %w", err)
	}
	if !found {
		return forked
	}
	before := l.state
	l.state = State{
		system: l.facts.System, database: l.facts.Database, timeline: l.facts.Timeline,
		place: standing, standby: l.facts.InRecovery, current: time.Now(),
		holes:           slices.Clone(before.holes.And(completeness.Span(1, standing.Seq-1))),
		repeatedThrough: max(before.repeatedThrough, before.place.Seq),
		anchors:         slices.DeleteFunc(slices.Clone(before.anchors), func(a anchor) bool { return a.seq > standing.Seq }),
	}
	if before.place.Compare(standing) < 0 { // it had fallen back
		l.state.place = before.place
	}
	// A transaction that was prepared before the cut may commit what was rolled back after it.
	var open map[string]int32
	if !l.facts.InRecovery {
		if open, err = l.on.Inserting(ctx); err != nil {
			return fmt.Errorf("looking for open transactions: %w", err)
		}
	}
	if err := l.awaitBelow(ctx, open); err != nil {
		return err
	}
	forked.Resume, forked.ResumeAfter = l.state.EncodeStored(l.Fingerprint), standing.AuditID
	return forked
}

// standing returns the newest anchor that is still there.
func (l *look) standing(ctx context.Context) (row auditdriver.SeqID, found bool, err error) {
	if l.state.epoch != 0 {
		return auditdriver.SeqID{}, false, nil
	}
	anchors := l.state.anchors
	seqs := make([]int64, len(anchors))
	for i, a := range anchors {
		seqs[i] = a.seq
	}
	rows, err := l.on.Anchors(ctx, seqs)
	if err != nil {
		return auditdriver.SeqID{}, false, err
	}
	for _, a := range slices.Backward(anchors) {
		for _, row := range rows {
			if row.Seq == a.seq && a.stands([]uuid.UUID{row.AuditID}) {
				return row, true, nil
			}
		}
	}
	return auditdriver.SeqID{}, false, nil
}
