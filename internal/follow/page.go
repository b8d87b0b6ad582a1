package follow

import (
	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/auditdriver"
	"github.com/hoc-analytics/coordaudit/internal/completeness"
)

// Page is what one look has found.
type Page struct {
	// After is the state after the page.
	After State

	// More means that there is more to read at once.
	More bool

	Lag audit.FollowLag

	late, fresh []audit.Record
	fingerprint Fingerprint

	before  State            // the page
	stored  completeness.Set // the holes with a row, up to the last late record if the page is full
	between State            // the late and the new records
	missing completeness.Set // the seqs between the new records that became holes

	cluster bool    // it was read by the log of the seal
	places  []int64 // then those of the new records
}

// Len returns the number of records.
func (p *Page) Len() int { return len(p.late) + len(p.fresh) }

// Record returns a record of the page.
func (p *Page) Record(i int) audit.Followed {
	cursor := func() audit.Cursor {
		state := p.stateAfter(i)
		return state.EncodeStored(p.fingerprint)
	}
	if i < len(p.late) {
		return audit.NewFollowed(p.late[i], true, false, cursor)
	}
	rec := p.fresh[i-len(p.late)]
	if p.cluster {
		return audit.NewFollowed(rec, false, p.places[i] < p.between.repeatedThrough, cursor)
	}
	return audit.NewFollowed(rec, false, rec.Seq <= p.between.repeatedThrough, cursor)
}

// stateAfter returns the state after a record of the page. After the last one it is the state
// after the page, which may be farther.
func (p *Page) stateAfter(i int) State {
	if i == p.Len()-1 {
		return p.After
	}
	if i < len(p.late) {
		state := p.before.clone()
		through := p.late[i].Seq
		if i+1 < len(p.late) && p.late[i+1].Seq == through {
			through-- // the other row with this seq is still to come
		}
		state.holes = state.holes.Minus(p.stored.And(completeness.Span(1, through)))
		return state
	}
	rec := &p.fresh[i-len(p.late)]
	state := p.between.clone()
	if p.cluster {
		state.passLeaf(p.places[i]+1, auditdriver.LeafID{Index: p.places[i], AuditID: rec.AuditID})
		return state
	}
	state.reading = true
	state.holes.AddAll(p.missing.And(completeness.Span(1, rec.Seq-1)))
	state.pass(placeOf(rec))
	return state
}
