package main

import (
	"cmp"
	"slices"

	"github.com/hoc-analytics/coordaudit/audit"
)

// mostLanes is how many lanes a drawing has. Where there are more envelopes, the
// last lane is that of all the others.
const mostLanes = 8

// laneKey is an envelope: their ids belong to a tenant.
type laneKey struct{ tenant, envelope string }

// lane is one envelope's, or that of all the others.
type lane struct {
	key     laneKey
	asked   bool // the timeline is this envelope's
	records int  // that name it
	first   int  // the first record that names it
}

// lanes are the columns of a drawing.
type lanes struct {
	shown  []lane
	number map[laneKey]int // of every envelope, also of those in the last lane
	others int             // how many envelopes share the last lane; 0 if none do
}

// lanesOf gives a lane of their own to the envelopes that most records name, the
// asked one first, and then in the order in which they come.
func lanesOf(envelope string, entries []audit.TimelineEntry) *lanes {
	var all []lane
	place := make(map[laneKey]int)
	for i, entry := range entries {
		for _, key := range keysOf(entry.Record) {
			at, known := place[key]
			if !known {
				at = len(all)
				place[key] = at
				all = append(all, lane{key: key, asked: key.envelope == envelope, first: i})
			}
			all[at].records++
		}
	}
	askedFirst := func(a, b lane) int {
		switch {
		case a.asked == b.asked:
			return 0
		case a.asked:
			return -1
		default:
			return 1
		}
	}
	l := &lanes{number: make(map[laneKey]int, len(all))}
	own := len(all)
	if own > mostLanes {
		own = mostLanes - 1
		l.others = len(all) - own
		slices.SortStableFunc(all, func(a, b lane) int { return cmp.Or(askedFirst(a, b), cmp.Compare(b.records, a.records)) })
	}
	l.shown = slices.Clone(all[:own])
	slices.SortStableFunc(l.shown, func(a, b lane) int { return cmp.Or(askedFirst(a, b), cmp.Compare(a.first, b.first)) })
	for i, one := range l.shown {
		l.number[one.key] = i
	}
	for _, one := range all[own:] {
		l.number[one.key] = own
	}
	return l
}

func (l *lanes) count() int { return len(l.shown) + min(l.others, 1) }

// keysOf are the envelopes that a record names, each once, its own first.
func keysOf(rec audit.Record) []laneKey {
	keys := []laneKey{{rec.TenantID, rec.EnvelopeID}}
	for _, id := range []string{rec.PreemptingEnvelopeID, rec.ConflictingEnvelopeID} {
		if key := (laneKey{rec.TenantID, id}); id != "" && !slices.Contains(keys, key) {
			keys = append(keys, key)
		}
	}
	return keys
}

// counterpartOf is the envelope to which a record's own one gave way, if it says.
func counterpartOf(rec audit.Record) (laneKey, bool) {
	id := cmp.Or(rec.PreemptingEnvelopeID, rec.ConflictingEnvelopeID)
	return laneKey{rec.TenantID, id}, id != ""
}

// activity says, by record and lane, where an envelope acts as far as the records
// tell. All that the asked envelope did is among them, so it acts from its APPLIED
// on until it is PREEMPTED. Of another one only those records are known that name
// the asked one: it acts between two of them that both say so.
func (l *lanes) activity(entries []audit.TimelineEntry) [][]bool {
	active := make([][]bool, len(entries))
	for i := range active {
		active[i] = make([]bool, l.count())
	}
	since := make(map[laneKey]int) // the last record that says that it acts
	fill := func(key laneKey, until int) {
		from, acts := since[key]
		for i := from; acts && i < until; i++ {
			active[i][l.number[key]] = true
		}
	}
	for i, entry := range entries {
		own := laneKey{entry.TenantID, entry.EnvelopeID}
		switch entry.Decision {
		case audit.Applied:
			fill(own, i)
			since[own] = i
		case audit.Preempted:
			fill(own, i)
			delete(since, own)
		case audit.Rejected: // says nothing of what its envelope did before
		}
		if other, named := counterpartOf(entry.Record); named {
			fill(other, i)
			since[other] = i
		}
	}
	for _, one := range l.shown {
		if one.asked {
			fill(one.key, len(entries))
		}
	}
	return active
}
