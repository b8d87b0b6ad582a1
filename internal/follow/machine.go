package follow

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"time"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/auditdriver"
	"github.com/hoc-analytics/coordaudit/internal/fence"
)

// Machine follows the trail for one query. It holds no state between two looks.
type Machine struct {
	Driver      *auditdriver.Driver
	Query       audit.Query // normalized and valid
	Fingerprint Fingerprint
	Start       audit.Start // where a follower without a state begins
	Patience    time.Duration
	Limit       int
}

// look is one look at the trail.
type look struct {
	*Machine
	on    *auditdriver.Follower
	facts auditdriver.FollowFacts
	state State
}

// Look reads the next page after a state, or from the start if that is nil. It leaves the
// state as it is.
func (m *Machine) Look(ctx context.Context, from *State) (page *Page, err error) {
	err = m.Driver.Following(ctx, func(on *auditdriver.Follower) error {
		page, err = m.look(ctx, on, from)
		return err
	})
	if errors.Is(err, auditdriver.ErrAtMoment) {
		err = cannot(err.Error() + ": follow with the store itself")
	}
	if err != nil {
		return nil, err
	}
	return page, nil
}

func (m *Machine) look(ctx context.Context, on *auditdriver.Follower, from *State) (*Page, error) {
	l := look{Machine: m, on: on}
	if from != nil {
		l.state = from.clone()
	}
	// Asked first: on a cluster, the facts may not be answered.
	distributed, err := on.Distributed(ctx)
	if err != nil {
		return nil, fmt.Errorf("looking at the trail: %w", err)
	}
	if distributed {
		return l.onCluster(ctx)
	}
	if err := l.readFacts(ctx); err != nil {
		return nil, err
	}
	if from == nil {
		if err := l.begin(ctx); err != nil {
			return nil, err
		}
		if err := l.readFacts(ctx); err != nil { // of the place
			return nil, err
		}
	}
	if err := l.checkTrail(ctx); err != nil {
		return nil, err
	}
	l.state.system, l.state.database = l.facts.System, l.facts.Database
	if l.state.standby != l.facts.InRecovery {
		l.state.renew()
		l.state.standby = l.facts.InRecovery
	}
	if l.facts.InRecovery {
		return l.onStandby(ctx)
	}
	l.state.timeline = l.facts.Timeline
	return l.onPrimary(ctx)
}

func (l *look) readFacts(ctx context.Context) (err error) {
	newest, _ := l.state.newestAnchor()
	if l.facts, err = l.on.Facts(ctx, l.state.place, newest.seq); err != nil {
		return fmt.Errorf("looking at the trail: %w", err)
	}
	return l.checkFacts()
}

// checkFacts refuses what would let rows appear below the fence.
func (l *look) checkFacts() error {
	switch facts := l.facts; {
	case facts.Subscribed:
		return cannot("it is filled by a logical subscription, so its sequence does not show how far it has come: follow the publisher")
	case facts.InRecovery:
		return nil // the checkpoints decide
	case !facts.ReadsSequence:
		return cannot("this role must read the sequence of coordination_audit_records: " + auditdriver.ReaderRights().Command)
	case facts.Cached != 1:
		return cannot("the sequence of coordination_audit_records hands out " + strconv.FormatInt(facts.Cached, 10) +
			" values at a time, so a seq may be used long after a higher one: ALTER SEQUENCE … CACHE 1, or migrate repair")
	case facts.Newest > facts.Last:
		return cannot("its sequence is behind its rows, as after a restore of rows alone: migrate repair")
	}
	return nil
}

func cannot(reason string) error { return fmt.Errorf("%w: %s", audit.ErrCannotFollow, reason) }

// roundSeqs bounds the seqs of a round, so that late records come between two rounds of a
// follower that catches up.
const roundSeqs = 65_536

func (l *look) onPrimary(ctx context.Context) (*Page, error) {
	if !l.state.reading {
		begun, err := l.beginRound(ctx)
		if err != nil {
			return nil, err
		}
		if !begun {
			return l.finish(ctx, &Page{}), nil
		}
	}
	page := &Page{}
	work := func(on *auditdriver.Follower) error { return l.read(ctx, on, page) }
	var err error
	if l.state.late || len(l.state.around) > 0 && l.on.Filters(&l.Query) { // several statements
		err = l.on.AtMoment(ctx, work)
	} else {
		err = work(l.on)
	}
	if err != nil {
		return nil, err
	}
	return l.finish(ctx, page), nil
}

// beginRound moves the fence if there is something to read. The fence is the seq of a row that
// is visible, which is at most the sequence's value. The value itself may be higher, and a
// crash may take it back: then the server gives seqs again that it had not made durable.
func (l *look) beginRound(ctx context.Context) (begun bool, err error) {
	s := &l.state
	f := fence.Fence{Source: l.on, Patience: l.Patience, Around: s.around}
	ended := s.late || len(s.around) == 0
	switch {
	case l.facts.Next != 0, len(s.holes) > 0 && len(s.around) == 0:
		left, err := f.Wait(ctx)
		if err != nil {
			return false, err
		}
		s.fence = max(s.place.Seq, min(l.facts.Newest, l.facts.Next+roundSeqs-1))
		ended = f.Saw(left) || ended
		if len(s.holes) == 0 {
			f.Finished()
		}
		switch {
		case len(left) > 0:
			f.GoAround(s.fence, left)
		case len(s.holes) > 0:
			f.Around = []fence.Set{{Through: s.fence}} // has ended
		}
	case len(s.around) > 0:
		lookEnded, err := f.Look(ctx)
		if err != nil {
			return false, err
		}
		ended = ended || lookEnded
	default:
		return false, nil
	}
	s.around, s.late = f.Around, ended && len(s.holes) > 0
	if s.reading = s.late || l.facts.Next != 0; !s.reading {
		if len(s.holes) == 0 {
			f.Finished()
			s.around = f.Around
		}
		return false, nil
	}
	return true, nil
}

// finish completes a page with the state after it.
func (l *look) finish(ctx context.Context, page *Page) *Page {
	s := &l.state
	page.Lag = l.lag(ctx) // before the state is copied, which it completes
	page.After, page.fingerprint = *s, l.Fingerprint
	page.More = s.reading || !l.facts.InRecovery && l.facts.Next != 0 && s.fence < l.facts.Newest
	return page
}

func (l *look) lag(ctx context.Context) audit.FollowLag {
	s := &l.state
	newest := l.facts.Newest
	if l.facts.InRecovery {
		newest = s.place.Seq
		if s.reading {
			newest = s.fence
		}
	}
	lag := audit.FollowLag{Records: s.holes.Count() + max(0, newest-s.place.Seq)}
	now := time.Now()
	if lag.Records == 0 || s.current.IsZero() {
		s.current = now
	}
	lag.Since = max(0, now.Sub(s.current))
	by := map[string]int32{}
	for _, set := range s.around {
		maps.Copy(by, set.By)
	}
	if len(by) > 0 {
		f := fence.Fence{Source: l.on}
		lag.BlockedBy, lag.BlockedSince = f.Names(ctx, by), s.around[0].Since
	}
	return lag
}
