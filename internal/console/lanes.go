package console

import (
	"fmt"
	"slices"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/format"
)

// The measures of a drawing, in pixels. Places along the time are shares of its width.
const (
	laneHeight = 46
	railY      = 30 // within a lane
	axisHeight = 26
	maxLanes   = 12
	maxLabel   = 34
)

// drawing shows who met the envelope, and when: a lane for it, and one for each envelope that
// it met most.
type drawing struct {
	Height, AxisY int
	Lanes         []drawnLane
	Segments      []segment
	Meetings      []meeting
	Marks         []mark
	Ticks         []tick
	Others        int    // envelopes without a lane
	Text          string // for those who do not see it
}

type drawnLane struct {
	Envelope, Label string
	Tenant          string
	Class           audit.EnvelopeClass
	Own             bool
	LabelY, RailY   int
}

// segment is a time in which the envelope was active.
type segment struct {
	X, Width string
	Y        int
	Class    audit.EnvelopeClass

	// Open segments have no record at one end.
	Open bool
	Text string
}

// mark is a decision at its time, on the lane of the envelope that it is about.
type mark struct {
	X        string
	Y        int
	Decision audit.Decision
	Row      string // the id of its row in the table
	Text     string
}

// Path draws each decision in a shape of its own, so that it does not depend on its colour.
func (m mark) Path() string {
	switch m.Decision {
	case audit.Applied:
		return "M-5 -6L5 0L-5 6Z"
	case audit.Preempted:
		return "M-6 -5H6L0 6Z"
	default:
		return "M-5 -5L5 5M5 -5L-5 5"
	}
}

// meeting joins the two lanes of a conflict.
type meeting struct {
	X        string
	Y1, Y2   int
	Decision audit.Decision
}

type tick struct{ X, Text, Anchor string }

type laneKey struct{ tenant, envelope string }

// newDrawing draws a page of a timeline. after says that there is a next page.
func newDrawing(envelope string, entries []audit.TimelineEntry, after bool) *drawing {
	d := &drawing{}
	order := d.addLanes(envelope, entries)
	s := spanOf(entries)
	for i := range entries {
		d.add(&entries[i], order, s)
	}
	for key, lane := range order {
		if key.envelope == envelope {
			d.activity(entries, key, lane, s, after)
		}
	}
	slices.SortFunc(d.Segments, func(a, b segment) int { return a.Y - b.Y })
	d.AxisY = len(d.Lanes)*laneHeight + 18
	d.Height = len(d.Lanes)*laneHeight + axisHeight
	d.Ticks = s.ticks()
	d.Text = fmt.Sprintf("%d decisions in %d lanes, from %s to %s UTC. The table below has each of them.",
		len(entries), len(d.Lanes), stamp(entries[0].DecisionTimestamp), stamp(entries[len(entries)-1].DecisionTimestamp))
	return d
}

// addLanes gives a lane to the envelope, and to those that meet it most, in order of
// appearance.
func (d *drawing) addLanes(envelope string, entries []audit.TimelineEntry) map[laneKey]int {
	counts, classes := make(map[laneKey]int), make(map[laneKey]audit.EnvelopeClass)
	var keys []laneKey
	for i := range entries {
		rec := &entries[i].Record
		for _, of := range []struct {
			id    string
			class audit.EnvelopeClass
		}{{rec.EnvelopeID, rec.EnvelopeClass}, {otherEnvelope(*rec), rec.CounterpartClass}} {
			if of.id == "" {
				continue
			}
			key := laneKey{rec.TenantID, of.id}
			if counts[key]++; counts[key] == 1 {
				keys = append(keys, key)
			}
			if of.class.OrUnknown() != audit.Unknown {
				classes[key] = of.class
			}
		}
	}
	own := func(key laneKey) int {
		if key.envelope == envelope {
			return 0
		}
		return 1
	}
	first := slices.Clone(keys)
	slices.SortStableFunc(first, func(a, b laneKey) int {
		if o := own(a) - own(b); o != 0 {
			return o
		}
		return counts[b] - counts[a]
	})
	first = first[:min(len(first), maxLanes)]
	d.Others = len(keys) - len(first)
	slices.SortStableFunc(keys, func(a, b laneKey) int { return own(a) - own(b) })
	order := make(map[laneKey]int)
	for _, key := range keys {
		if !slices.Contains(first, key) {
			continue
		}
		order[key] = len(d.Lanes)
		top := len(d.Lanes) * laneHeight
		d.Lanes = append(d.Lanes, drawnLane{
			Envelope: key.envelope, Label: clipTo(key.envelope, maxLabel), Tenant: key.tenant, Class: classes[key].OrUnknown(), Own: key.envelope == envelope,
			LabelY: top + 15, RailY: top + railY,
		})
	}
	return order
}

func (d *drawing) add(entry *audit.TimelineEntry, order map[laneKey]int, s span) {
	rec := &entry.Record
	x := format.Length(s.at(rec.DecisionTimestamp))
	lane, drawn := order[laneKey{rec.TenantID, rec.EnvelopeID}]
	other, met := order[laneKey{rec.TenantID, otherEnvelope(*rec)}]
	if !drawn {
		if met { // the envelope has no lane; its meeting is drawn on the other one
			d.Marks = append(d.Marks, mark{x, d.Lanes[other].RailY, rec.Decision, rec.AuditID.String(), markText(*rec)})
		}
		return
	}
	if met && other != lane {
		d.Meetings = append(d.Meetings, meeting{x, d.Lanes[lane].RailY, d.Lanes[other].RailY, rec.Decision})
	}
	d.Marks = append(d.Marks, mark{x, d.Lanes[lane].RailY, rec.Decision, rec.AuditID.String(), markText(*rec)})
}

func markText(rec audit.Record) string {
	text := fmt.Sprintf("%s UTC: %s %s", stamp(rec.DecisionTimestamp), rec.EnvelopeID, rec.Decision)
	switch {
	case rec.PreemptingEnvelopeID != "":
		text += " by " + rec.PreemptingEnvelopeID
	case rec.ConflictingEnvelopeID != "":
		text += ", in conflict with " + rec.ConflictingEnvelopeID
	}
	return text
}

// activity draws when the envelope was active: from an APPLIED record to the next PREEMPTED.
func (d *drawing) activity(entries []audit.TimelineEntry, key laneKey, lane int, s span, after bool) {
	begin, active, known := 0.0, false, false
	segmentTo := func(end float64, open bool, text string) {
		const visible = 0.002
		d.Segments = append(d.Segments, segment{
			X: format.Length(begin), Width: format.Length(max(end-begin, visible)), Y: d.Lanes[lane].RailY - 4,
			Class: d.Lanes[lane].Class, Open: open, Text: text,
		})
	}
	for i := range entries {
		rec := &entries[i].Record
		if (laneKey{rec.TenantID, rec.EnvelopeID}) != key || rec.Decision == audit.Rejected {
			continue
		}
		at := s.at(rec.DecisionTimestamp)
		switch {
		case rec.Decision == audit.Applied && !active:
			begin, active = at, true
		case rec.Decision == audit.Preempted && active:
			segmentTo(at, false, "active until "+stamp(rec.DecisionTimestamp)+" UTC")
			active = false
		case rec.Decision == audit.Preempted && !known:
			segmentTo(at, true, "active before "+stamp(rec.DecisionTimestamp)+" UTC, applied earlier than what is drawn")
		}
		known = true
	}
	if active {
		text := "active, no record of its end"
		if after {
			text = "active, the next page may show its end"
		}
		segmentTo(1, true, text)
	}
}
