package report

import (
	"slices"
	"strings"
	"time"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/format"
)

// laneView is a lane as it is drawn.
type laneView struct {
	Lane
	Class       audit.EnvelopeClass
	Segments    []segment
	Marks       []mark
	PreemptedBy string

	// Unseen is the part before the records that are drawn. It may be empty.
	Unseen string
}

// segment is a span of time in which the envelope was active.
type segment struct {
	X, Width string

	// Open segments have no record at one end: the envelope was active before the window,
	// or no record shows its end.
	Open bool
	Text string
}

// mark is a decision at its time.
type mark struct {
	X        string
	Decision audit.Decision
	Text     string
}

// Path draws a triangle over the segments or a cross under them, so that the marks do not
// depend on their colours.
func (m mark) Path() string {
	if m.Decision == audit.Preempted {
		return "M-4 2H4L0 9Z"
	}
	return "M-3 25L3 31M3 25L-3 31"
}

func laneViews(lanes []Lane, s span) []laneView {
	views := make([]laneView, len(lanes))
	for i, lane := range lanes {
		views[i] = newLaneView(lane, s)
	}
	return views
}

func newLaneView(lane Lane, s span) laneView {
	view := laneView{Lane: lane, Class: audit.Unknown, PreemptedBy: preemptedBy(lane.Oscillation)}
	begin := 0.0
	if n := len(lane.Records); n > 0 {
		view.Class = latestClass(lane.Records)
		if lane.More {
			begin = s.at(lane.Records[0].DecisionTimestamp)
			view.Unseen = format.Length(begin)
		}
	}
	d := laneDrawing{view: &view, span: s, begin: begin}
	for i := range lane.Records {
		d.add(&lane.Records[i])
	}
	if d.active {
		d.segment(1, true, "active since "+stamp(d.since)+" UTC, no record of its end")
	}
	return view
}

// latestClass is the class that the envelope declared last. A record without a class breaks
// the rules of the coordinator, and does not change the class of the envelope.
func latestClass(recs []audit.Record) audit.EnvelopeClass {
	for _, rec := range slices.Backward(recs) {
		if class := rec.EnvelopeClass.OrUnknown(); class != audit.Unknown {
			return class
		}
	}
	return audit.Unknown
}

// laneDrawing draws from the records of an envelope, the oldest first.
type laneDrawing struct {
	view   *laneView
	span   span
	begin  float64 // of the current segment
	since  time.Time
	active bool
	known  bool // a record has shown whether it is active
}

func (d *laneDrawing) add(rec *audit.Record) {
	at := d.span.at(rec.DecisionTimestamp)
	text := stamp(rec.DecisionTimestamp) + " UTC"
	switch rec.Decision {
	case audit.Applied:
		if !d.active {
			d.active, d.begin, d.since = true, at, rec.DecisionTimestamp
		}
		d.known = true
	case audit.Preempted:
		switch {
		case d.active:
			d.segment(at, false, "active "+stamp(d.since)+" to "+text)
		case !d.known:
			d.segment(at, true, "active until "+text+", applied earlier than what is drawn")
		}
		d.active, d.known = false, true
		d.mark(at, rec, "preempted "+text+" by "+rec.PreemptingEnvelopeID)
	case audit.Rejected:
		if rec.ConflictingEnvelopeID != "" {
			text += ", in conflict with " + rec.ConflictingEnvelopeID
		}
		d.mark(at, rec, "rejected "+text)
	}
}

func (d *laneDrawing) segment(end float64, open bool, text string) {
	const visible = 0.0015
	d.view.Segments = append(d.view.Segments, segment{
		X:     format.Length(d.begin),
		Width: format.Length(max(end-d.begin, visible)),
		Open:  open,
		Text:  text,
	})
}

func (d *laneDrawing) mark(at float64, rec *audit.Record, text string) {
	d.view.Marks = append(d.view.Marks, mark{format.Length(at), rec.Decision, text})
}

// preemptedBy lists the preemptors of the envelope, the most frequent first.
func preemptedBy(o audit.Oscillation) string {
	const named = 3
	by := o.PreemptingEnvelopes
	ids := format.ByCount(by)
	var parts []string
	for _, id := range ids[:min(len(ids), named)] {
		parts = append(parts, id+" ×"+format.Thousands(by[id]))
	}
	if more := len(ids) - named; more > 0 {
		parts = append(parts, format.Plural(int64(more), "other"))
	}
	return strings.Join(parts, ", ")
}
