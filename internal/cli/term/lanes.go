package term

import (
	"cmp"
	"slices"

	"github.com/hoc-analytics/coordaudit/audit"
)

// maxLanes is how many lanes a drawing has on a screen with room for them. If there are more
// envelopes, the others share the last lane.
const maxLanes = 8

// laneKey identifies an envelope. An envelope's id belongs to a tenant.
type laneKey struct{ tenant, envelope string }

// lane belongs to one envelope.
type lane struct {
	key     laneKey
	asked   bool // the timeline is about this envelope
	records int  // that name it
	first   int  // the first record that names it
}

// lanes are the columns of a drawing.
type lanes struct {
	shown  []lane
	number map[laneKey]int // by envelope, also for those that share the last lane
	others int             // how many envelopes share the last lane
}

// lanesOf gives a lane to each of the envelopes that most records name. The asked envelope
// comes first, the others follow in order of appearance.
func lanesOf(envelope string, entries []audit.TimelineEntry, limit int) *lanes {
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
	if own > limit {
		own = limit - 1
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

// keysOf returns the envelopes that a record names, each once, its own first.
func keysOf(rec audit.Record) []laneKey {
	keys := []laneKey{{rec.TenantID, rec.EnvelopeID}}
	for _, id := range []string{rec.PreemptingEnvelopeID, rec.ConflictingEnvelopeID} {
		if key := (laneKey{rec.TenantID, id}); id != "" && !slices.Contains(keys, key) {
			keys = append(keys, key)
		}
	}
	return keys
}

// counterpartOf returns the envelope that preempted or blocked the record's own one, if
// the record names it.
func counterpartOf(rec audit.Record) (laneKey, bool) {
	id := cmp.Or(rec.PreemptingEnvelopeID, rec.ConflictingEnvelopeID)
	return laneKey{rec.TenantID, id}, id != ""
}

// activity reports, by record and lane, where an envelope is active as far as the records
// show. They include everything that the asked envelope did, so it is active from APPLIED
// until PREEMPTED. Of another envelope they include only what names the asked one, so it
// is active between two records that both show it active.
//
// The lanes of the HTML report are computed by internal/report. They share no code with
// these: there, each lane has all records of its own envelope and spans of time, also
// before the first record, while these have a row for each record and what a record shows
// about its counterpart.
func (l *lanes) activity(entries []audit.TimelineEntry) [][]bool {
	active := make([][]bool, len(entries))
	for i := range active {
		active[i] = make([]bool, l.count())
	}
	since := make(map[laneKey]int) // the last record that shows it active
	fill := func(key laneKey, until int) {
		from, known := since[key]
		for i := from; known && i < until; i++ {
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
		case audit.Rejected: // shows nothing about the past of its envelope
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
